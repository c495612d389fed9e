#include "core/l2/redis/settings.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

namespace nearlane::l2 {
namespace {

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

/// What CONFIG GET answered of one setting, as RESP2's array or RESP3's map.
std::optional<std::string_view> setting(const Answer& answer, std::string_view name) {
  if (answer.error || answer.reply.is_error()) return std::nullopt;
  const auto& elements = answer.reply.elements;
  for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
    if (elements[i].text == name) return elements[i + 1].text;
  }
  return std::nullopt;
}

void judge_tracking(const Answer& answer) {
  constexpr std::string_view kName = "tracking-table-max-keys";
  constexpr std::string_view kAdvice =
      "what L1 holds beyond such a limit may go stale: CONFIG SET it to 0, or let us";
  const auto limit = setting(answer, kName);
  if (limit == "0") return;
  if (limit) {
    spdlog::warn("l2: {} is {}, over all clients; {}", kName, *limit, kAdvice);
  } else {
    spdlog::warn("l2: cannot read {} ({}); {}", kName,
                 answer.error ? answer.error->detail : answer.reply.text, kAdvice);
  }
}

void judge_eviction(const Answer& answer) {
  const auto memory = setting(answer, "maxmemory");
  const auto policy = setting(answer, "maxmemory-policy");
  if (!memory || !policy || *memory == "0" || !policy->starts_with("allkeys-")) return;
  spdlog::warn(
      "l2: maxmemory-policy is {}: when redis is full it evicts values that nobody has deleted, "
      "and "
      "what L1 answers for looks idle to it. It is told of some of that (l2_touch_rate); for "
      "sessions "
      "that must not be lost take noeviction, and memory enough",
      *policy);
}

}  // namespace

void check_settings(L2Backend& l2, TimePoint deadline) {
  const auto ask = [&](const char* which, Ask::Done judge) {
    l2.submit(std::make_unique<Ask>(std::vector<std::string>{"CONFIG", "GET", which}, deadline,
                                    std::move(judge)));
  };
  ask("tracking-table-max-keys", judge_tracking);
  ask("maxmemory*", judge_eviction);
}

}  // namespace nearlane::l2
