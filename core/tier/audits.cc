// What the tier does for the auditor and the flight recorder: it carries questions to L2 and shows L1.
#include <algorithm>
#include <utility>

#include "core/base/epoch.h"
#include "core/cohere/call.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {
namespace {

using cohere::Answer;
using cohere::Command;
using std::chrono::milliseconds;
using Standing = audit::Present::Standing;

/// An answer that comes later helps nobody.
constexpr Duration kQuestionTimeout = std::chrono::seconds(1);

/// A part of the value and the TTL, in one transaction, which registers nothing, wherever it is sent.
Command ask_for(const KeyRef& key, std::size_t from, bool on_lane, TimePoint deadline) {
  return {.op = cohere::Op::transact,
          .key = Key(key),
          .args = {"GETRANGE", std::string(key.name), std::to_string(from),
                   std::to_string(from + audit::kWindow - 1)},
          .wide = !on_lane,
          .announced = false,
          .idempotent = true,
          .deadline = deadline};
}

/// What PTTL said, if it is an end that anybody will see: Redis takes TTLs of millions of years, which do not fit.
std::optional<Duration> ttl_of(std::int64_t pttl) noexcept {
  constexpr milliseconds kLongest = std::chrono::hours(24 * 365 * 100);
  if (pttl < 0 || milliseconds(pttl) > kLongest) return std::nullopt;
  return milliseconds(pttl);
}

/// A string's window, or whatever else is under that name, was found.
bool is_answer(const Answer& answer) noexcept {
  if (answer.error) return false;
  return !answer.reply.is_error() || answer.reply.text.starts_with("WRONGTYPE");
}

audit::L2Answer read(const Answer& answer, const Entry& entry, audit::Window window,
                     TimePoint now) {
  if (!is_answer(answer)) return {};
  const auto ttl = ttl_of(answer.pttl);
  return {.known = true,
          .exists = answer.pttl != -2,
          .same = !answer.reply.is_error() && answer.reply.text == window.of(entry.value()),
          .ends_by = ttl ? now + *ttl + milliseconds(1) : kForever};
}

using Hear = std::function<void(const Answer&)>;

/// Of the auditor: heard when it settles, which for a question on the lane is its place in the order.
class Asked final : public cohere::Call {
 public:
  Asked(Command what, Hear hear) : Call(std::move(what)), hear_(std::move(hear)) {}
  void settle(const Answer& answer) noexcept override { hear_(answer); }
  void complete(Answer) noexcept override {}

 private:
  Hear hear_;
};

/// For an explanation, which may take its time.
class Explained final : public cohere::Call {
 public:
  Explained(Command what, Hear hear) : Call(std::move(what)), hear_(std::move(hear)) {}
  void settle(const Answer&) noexcept override {}
  void complete(Answer answer) noexcept override { hear_(answer); }

 private:
  Hear hear_;
};

Explanation::Service service_of(const Entry* entry, const Explanation& seen) noexcept {
  using Service = Explanation::Service;
  if (entry == nullptr) return Service::absent;
  if (entry->epoch() != seen.lane_epoch) return Service::disowned;
  if (seen.at >= entry->deadline()) return Service::expired;
  return seen.at < seen.lease_until ? Service::served : Service::lapsed;
}

}  // namespace

std::string_view name_of(Explanation::Service service) noexcept {
  using Service = Explanation::Service;
  switch (service) {
    case Service::served:
      return "served";
    case Service::absent:
      return "absent";
    case Service::disowned:
      return "disowned";
    case Service::expired:
      return "expired";
    case Service::lapsed:
      break;
  }
  return "lapsed";
}

audit::Present TieredCache::Impl::peek(const KeyRef& key) noexcept {
  const cohere::LaneView& view = lane(key);
  // In this order (core/audit/auditor.h, 3.).
  const TimePoint lease_until = view.lease_until();
  const Epoch epoch = view.epoch();
  const TimePoint now = config_.now();
  const epoch::Guard guard;
  const Entry* entry = l1_->peek(key);
  if (entry == nullptr || entry->epoch() != epoch || now >= entry->deadline()) return {};
  return {.entry = EntryPtr::pin(entry),
          .standing = now < lease_until ? Standing::vouched : Standing::lapsed};
}

void TieredCache::Impl::audit(TimePoint now) {
  if (recorder_) {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const Epoch epoch = lanes_[i].epoch();
      if (std::exchange(epochs_[i], epoch) != epoch)
        recorder_->record(audit::Event::bump, lane_name(i), epoch, true, now);
    }
  }
  const l2::Capabilities l2 = l2_->capabilities();
  if (l2.lease == Duration::zero()) return;  // nobody else writes, or L1 serves nothing
  // What others write past all instances may be served for longer than a lease there, and would be an alarm.
  if (l2.announces) return;
  const std::uint64_t before = std::exchange(audited_hits_, hits());
  auditor_.earn(audited_hits_ - before, now);
  auto questions = auditor_.due(now, [this](const KeyRef& key) { return peek(key); });
  for (audit::Question& question : questions) {
    Command command = ask_for(question.entry->key(), question.window.from, question.on_lane,
                              now + kQuestionTimeout);
    l2_->submit(std::make_unique<Asked>(
        std::move(command),
        [this, question = std::move(question)](const Answer& answer) { judge(question, answer); }));
  }
}

void TieredCache::Impl::judge(const audit::Question& question, const cohere::Answer& answer) {
  const KeyRef key = question.entry->key();
  const audit::Present present = peek(key);
  const TimePoint now = config_.now();
  audit::L2Answer said = read(answer, *question.entry, question.window, now);
  if (question.on_lane) {
    said.known = said.known && answer.epoch != cohere::kNoEpoch;
    // What our own command found ended, L2 has announced to nobody.
    forget_in_other_dbs(key);
  }
  const auto finding = auditor_.answered(question.id, said, present, now);
  if (!finding) return;
  if (finding->repair()) {
    note(audit::Event::verdict, key, answer.epoch);
    forget(key);
  }
  if (config_.on_finding) config_.on_finding(*finding);
}

void TieredCache::Impl::note(audit::Event event, const KeyRef& key, Epoch epoch) noexcept {
  if (recorder_) {
    recorder_->record(event, key.hash, epoch, auditor_.sampled(key.hash), config_.now());
  }
}

void TieredCache::Impl::explain(const KeyRef& key, TimePoint deadline,
                                std::function<void(Explanation)> done) {
  const cohere::LaneView& view = lane(key);
  Explanation seen{.hash = key.hash,
                   .lane = lane_map_.of(key),
                   .lane_epoch = view.epoch(),
                   .lease_until = view.lease_until(),
                   .rules = prefixes_.of(key.name),
                   .sampled = auditor_.sampled(key.hash)};
  EntryPtr entry;
  {
    const epoch::Guard guard;
    if (const Entry* found = l1_->peek(key)) entry = EntryPtr::pin(found);
  }
  seen.at = config_.now();
  seen.service = service_of(entry.get(), seen);
  if (entry) {
    seen.copy = {.negative = entry->negative(),
                 .bytes = entry->value().size(),
                 .br_bytes = entry->form(Coding::br).size(),
                 .gzip_bytes = entry->form(Coding::gzip).size(),
                 .epoch = entry->epoch(),
                 .deadline = entry->deadline()};
  }
  if (recorder_) {
    seen.events = recorder_->of(key.hash);
    const auto bumps = recorder_->of(lane_name(seen.lane));
    const auto middle = static_cast<std::ptrdiff_t>(seen.events.size());
    seen.events.insert(seen.events.end(), bumps.begin(), bumps.end());
    std::ranges::inplace_merge(seen.events, seen.events.begin() + middle, {}, &audit::Happened::at);
    seen.events_since = recorder_->complete_since();
    recorder_->watch(key.hash);
  }
  auto hear = [this, seen = std::move(seen), entry = std::move(entry),
               done = std::move(done)](const Answer& answer) mutable {
    Explanation::InL2& in_l2 = seen.in_l2;
    if (!is_answer(answer)) {
      in_l2.error = answer.error ? *answer.error : Error{Errc::l2_error, answer.reply.text};
    } else {
      in_l2.exists = answer.pttl != -2;
      in_l2.ttl = ttl_of(answer.pttl);
      if (entry) {
        const audit::L2Answer said = read(answer, *entry, {}, config_.now());
        in_l2.same = entry->negative() ? !said.exists : said.exists && said.same;
      }
    }
    done(std::move(seen));
  };
  l2_->submit(std::make_unique<Explained>(ask_for(key, 0, false, deadline), std::move(hear)));
}

}  // namespace nearlane::tier
