#include "core/cohere/announcement.h"

#include <charconv>
#include <concepts>

namespace nearlane::cohere {
namespace {

constexpr std::string_view kMagic = "NL1 ";

void append_number(std::string& out, std::uint64_t number, char end) {
  out += std::to_string(number);
  out += end;
}

std::string head_of(const Announcement& announcement) {
  std::string out(kMagic);
  append_number(out, announcement.origin, ' ');
  append_number(out, announcement.lane, ' ');
  append_number(out, announcement.incarnation, ' ');
  append_number(out, announcement.sequence, ' ');
  append_number(out, announcement.db, ' ');
  return out;
}

/// A number in its one spelling, and the byte that ends it; both are taken from `rest`.
template <std::unsigned_integral Number>
bool take_number(std::string_view& rest, char end, Number& number) {
  const auto length = rest.find(end);
  if (length == std::string_view::npos || length == 0) return false;
  if (rest[0] == '0' && length > 1) return false;
  const char* const stop = rest.data() + length;
  const auto [at, error] = std::from_chars(rest.data(), stop, number);
  if (error != std::errc{} || at != stop) return false;
  rest.remove_prefix(length + 1);
  return true;
}

bool take_keys(std::string_view rest, std::size_t count, std::vector<std::string_view>& keys) {
  if (count > kMaxAnnouncedKeys) return false;
  for (; count > 0; --count) {
    std::size_t length = 0;
    if (!take_number(rest, ':', length) || length > rest.size()) return false;
    keys.push_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  return rest.empty();
}

}  // namespace

std::string format_announcement(const Announcement& announcement) {
  const std::string head = head_of(announcement);
  if (announcement.everything || announcement.keys.size() > kMaxAnnouncedKeys) return head + "*\n";
  std::string out = head;
  append_number(out, announcement.keys.size(), '\n');
  for (const std::string_view key : announcement.keys) {
    append_number(out, key.size(), ':');
    out += key;
    if (out.size() > kMaxAnnouncementBytes) return head + "*\n";
  }
  return out;
}

std::optional<Announcement> parse_announcement(std::string_view message) {
  if (message.size() > kMaxAnnouncementBytes || !message.starts_with(kMagic)) return std::nullopt;
  std::string_view rest = message.substr(kMagic.size());
  Announcement out;
  if (!take_number(rest, ' ', out.origin) || !take_number(rest, ' ', out.lane) ||
      !take_number(rest, ' ', out.incarnation) || !take_number(rest, ' ', out.sequence) ||
      !take_number(rest, ' ', out.db) || out.sequence == 0) {
    return std::nullopt;
  }
  if (rest == "*\n") {
    out.everything = true;
    return out;
  }
  std::size_t count = 0;
  if (!take_number(rest, '\n', count) || !take_keys(rest, count, out.keys)) return std::nullopt;
  return out;
}

bool AnnouncementOrder::follows(const Announcement& announcement) {
  const std::pair sender(announcement.origin, announcement.lane);
  const Seen now{announcement.incarnation, announcement.sequence};
  const auto found = seen_.find(sender);
  if (found == seen_.end()) {
    // Forgetting all senders is a subscription anew, and asks for the same: that all is disowned.
    const bool full = seen_.size() >= max_senders_;
    if (full) seen_.clear();
    seen_.emplace(sender, now);
    return !full;
  }
  Seen& last = found->second;
  // What a lost connection had sent may be executed after its successor's first command. The
  // successor's count goes on, so that one such message costs one alarm.
  if (now.incarnation < last.incarnation) return false;
  // A connection that was never heard of may have announced something, too.
  const bool next = now.incarnation == last.incarnation
                        ? now.sequence - 1 == last.sequence
                        : now.incarnation - 1 == last.incarnation && now.sequence == 1;
  if (now.incarnation > last.incarnation || now.sequence > last.sequence) last = now;
  return next;
}

}  // namespace nearlane::cohere
