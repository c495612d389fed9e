#include "core/l2/redis/tracking_table.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

namespace nearlane::l2 {
namespace {

constexpr std::string_view kName = "tracking-table-max-keys";

/// A command on the first lane, which is up when it is asked.
class Ask final : public cohere::Call {
 public:
  using Done = std::function<void(const Answer&)>;

  Ask(std::vector<std::string> args, TimePoint deadline, Done done)
      : Call(Command{.op = Op::raw,
                     .key = Key(0, std::string()),
                     .args = std::move(args),
                     .lane = 0,
                     .idempotent = true,
                     .deadline = deadline}),
        done_(std::move(done)) {}
  void settle(const Answer&) noexcept override {}
  void complete(Answer answer) noexcept override { done_(answer); }

 private:
  Done done_;
};

/// The limit that CONFIG GET answered, as RESP2's array or RESP3's map.
std::optional<std::uint64_t> limit_of(const Answer& answer) {
  if (answer.error || answer.reply.elements.size() != 2) return std::nullopt;
  const std::string& text = answer.reply.elements[1].text;
  std::uint64_t limit = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return limit;
}

std::string why(const Answer& answer) {
  return answer.error ? answer.error->detail : answer.reply.text;
}

}  // namespace

std::optional<std::uint64_t> raised_limit(std::uint64_t now, std::uint64_t wanted) noexcept {
  const std::uint64_t limit = std::min(wanted, kMostTrackedKeys);
  if (now == 0 || now >= limit) return std::nullopt;
  return limit;
}

void check_tracking_table(L2Backend& l2, std::uint64_t wanted, TimePoint deadline) {
  auto judge = [&l2, wanted, deadline](const Answer& answer) {
    const auto now = limit_of(answer);
    if (!now) {
      spdlog::warn(
          "l2: cannot read {} ({}): where it is less than the {} keys that L1 may hold, L1 loses "
          "entries that are good",
          kName, why(answer), wanted);
      return;
    }
    const auto limit = raised_limit(*now, wanted);
    if (!limit) {
      if (*now != 0 && *now < wanted) {
        spdlog::warn(
            "l2: {} is {}, and L1 may hold {} keys: beyond it, L1 loses entries that are good",
            kName, *now, wanted);
      }
      return;
    }
    auto told = [now = *now, wanted, limit = *limit](const Answer& raised) {
      if (!raised.error && raised.reply.is_ok()) {
        spdlog::info("l2: raised {} from {} to {}: at most {} MB in Redis", kName, now, limit,
                     limit * 99 / 1'000'000);
      } else {
        spdlog::warn(
            "l2: {} is {}, L1 may hold {} keys, and it cannot be raised ({}): beyond it, L1 loses "
            "entries that are good",
            kName, now, wanted, why(raised));
      }
    };
    l2.submit(std::make_unique<Ask>(
        std::vector<std::string>{"CONFIG", "SET", std::string(kName), std::to_string(*limit)},
        deadline, std::move(told)));
  };
  l2.submit(std::make_unique<Ask>(std::vector<std::string>{"CONFIG", "GET", std::string(kName)},
                                  deadline, std::move(judge)));
}

}  // namespace nearlane::l2
