#include "core/l2/redis/tracking_table.h"

#include <charconv>
#include <functional>
#include <memory>
#include <optional>
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

}  // namespace

void check_tracking_table(L2Backend& l2, TimePoint deadline) {
  const auto judge = [](const Answer& answer) {
    const auto limit = limit_of(answer);
    if (limit == 0) return;
    constexpr std::string_view kAdvice =
        "what L1 holds beyond such a limit may go stale: CONFIG SET it to 0, or let us";
    if (limit) {
      spdlog::warn("l2: {} is {}, over all clients; {}", kName, *limit, kAdvice);
    } else {
      spdlog::warn("l2: cannot read {} ({}); {}", kName,
                   answer.error ? answer.error->detail : answer.reply.text, kAdvice);
    }
  };
  l2.submit(std::make_unique<Ask>(std::vector<std::string>{"CONFIG", "GET", std::string(kName)},
                                  deadline, judge));
}

}  // namespace nearlane::l2
