#include "core/cohere/install_rules.h"

#include <algorithm>
#include <chrono>

namespace nearlane::cohere {
namespace {

using Action = Decision::Action;

/// When L1 stops serving a value whose PTTL was read by a command sent at `sent_at`.
TimePoint end_of(std::int64_t pttl, TimePoint sent_at, Duration l1_ttl) noexcept {
  const TimePoint cap = saturating_add(sent_at, l1_ttl);
  if (pttl < 0) return cap;
  // A PTTL beyond what the monotonic clock can hold is as good as none.
  constexpr std::int64_t kLongest =
      std::chrono::duration_cast<std::chrono::milliseconds>(Duration::max()).count();
  if (pttl > kLongest) return cap;
  return std::min(cap, saturating_add(sent_at, std::chrono::milliseconds(pttl - 1)));
}

/// Nothing to serve any more: the key is gone (-2), or ends within this millisecond.
bool is_over(std::int64_t pttl) noexcept { return pttl == -2 || pttl == 0 || pttl == 1; }

}  // namespace

Decision after_fetch(const protocol::Reply& reply, std::int64_t pttl, TimePoint sent_at,
                     Duration l1_ttl, Duration negative_ttl) noexcept {
  if (reply.is_null() && pttl == -2 && negative_ttl > Duration::zero())
    return {Action::install, saturating_add(sent_at, negative_ttl)};
  if (reply.type != protocol::Type::bulk_string) return {Action::erase, {}};
  if (is_over(pttl)) return {Action::leave, {}};
  return {Action::install, end_of(pttl, sent_at, l1_ttl)};
}

Decision after_store(const protocol::Reply& reply, std::int64_t pttl, TimePoint sent_at,
                     Duration l1_ttl) noexcept {
  if (!reply.is_ok() || is_over(pttl)) return {Action::erase, {}};
  return {Action::install, end_of(pttl, sent_at, l1_ttl)};
}

Decision after_touch(const protocol::Reply& reply, std::int64_t pttl, TimePoint sent_at,
                     Duration l1_ttl) noexcept {
  if (reply.type != protocol::Type::integer || reply.integer != 1 || is_over(pttl))
    return {Action::erase, {}};
  return {Action::install, end_of(pttl, sent_at, l1_ttl)};
}

Decision after_failed_write(Errc code) noexcept {
  switch (code) {
    case Errc::unavailable:
    case Errc::busy:
    case Errc::unsupported:
    case Errc::too_large:
    case Errc::invalid_argument:
    case Errc::refused:
      return {Action::leave, {}};
    case Errc::timeout:
    case Errc::connection_lost:
    case Errc::protocol:
    case Errc::l2_error:
    case Errc::shutting_down:
      break;
  }
  return {Action::erase, {}};
}

}  // namespace nearlane::cohere
