#include "core/l2/redis/fan_out.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/cohere/install_rules.h"
#include "core/l2/redis/cluster_map.h"

namespace nearlane::l2 {
namespace {

using cohere::Answer;
using cohere::Call;
using cohere::Command;
using protocol::Reply;

struct Fanned {
  std::string_view name;
  FanKind kind;
};
constexpr std::array<Fanned, 6> kFanned = {{{"dbsize", FanKind::sum},
                                            {"flushall", FanKind::ok},
                                            {"flushdb", FanKind::ok},
                                            {"keys", FanKind::keys},
                                            {"randomkey", FanKind::any_key},
                                            {"scan", FanKind::scan}}};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<std::uint64_t> read_unsigned(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void answer(Call& call, Answer all) {
  call.settle(all);
  call.complete(std::move(all));
}

/// What two primaries say together.
Reply join(FanKind kind, Reply one, Reply other) {
  switch (kind) {
    case FanKind::sum:
      one.integer += other.integer;
      return one;
    case FanKind::keys:
      std::ranges::move(other.elements, std::back_inserter(one.elements));
      return one;
    case FanKind::any_key:
      return one.is_null() ? std::move(other) : std::move(one);
    default:
      return one;
  }
}

/// One command to one primary.
class Part final : public Call {
 public:
  using Done = std::function<void(Answer)>;
  Part(const Command& whole, std::vector<std::string> args, Done done)
      : Call(Command{.op = whole.op,
                     .key = whole.key,
                     .args = std::move(args),
                     .wide = true,
                     .undeclared = whole.undeclared,
                     .idempotent = whole.idempotent,
                     .deadline = whole.deadline}),
        done_(std::move(done)) {}
  void settle(const Answer&) noexcept override {}
  void complete(Answer answer) noexcept override { done_(std::move(answer)); }

 private:
  const Done done_;
};

/// Until all parts are answered.
struct Gathering {
  std::mutex mutex;
  std::unique_ptr<Call> call;
  FanKind kind;
  std::size_t left;
  std::optional<Answer> all = {};
  bool may_be_done = false;  // by one of them
};

bool failed(const Answer& answer) { return answer.error || answer.reply.is_error(); }

bool may_be_done(const Answer& answer) {
  if (!answer.error) return !answer.reply.is_error();
  return cohere::after_failed_write(answer.error->code).action == cohere::Decision::Action::erase;
}

void take(Gathering& gathering, Answer part) {
  std::unique_ptr<Call> call;
  {
    const std::lock_guard lock(gathering.mutex);
    auto& all = gathering.all;
    gathering.may_be_done = gathering.may_be_done || may_be_done(part);
    if (!all || (failed(part) && !failed(*all))) {
      all = std::move(part);
    } else if (!failed(*all) && all->reply.type == part.reply.type) {
      all->reply = join(gathering.kind, std::move(all->reply), std::move(part.reply));
    } else if (!failed(*all) && gathering.kind == FanKind::any_key && all->reply.is_null()) {
      all->reply = std::move(part.reply);
    }
    if (--gathering.left > 0) return;
    call = std::move(gathering.call);
  }
  Answer all = *std::exchange(gathering.all, std::nullopt);
  // That one was not asked says nothing of the others, and whoever asked would believe that nothing was written.
  if (call->command.undeclared && gathering.may_be_done && all.error && !may_be_done(all))
    all.error = Error{Errc::connection_lost, "not by all primaries: " + all.error->detail};
  answer(*call, std::move(all));
}

/// What a primary answered to SCAN, with a cursor over all of them. `next`: the one behind it.
Answer scanned(Answer answer, std::uint16_t node, std::optional<std::uint16_t> next) {
  auto& parts = answer.reply.elements;
  if (failed(answer) || parts.size() != 2) return answer;
  const auto of_node = read_unsigned(parts[0].text);
  if (!of_node) return Answer::failed(Errc::protocol, "a primary answered SCAN without a cursor");
  ScanCursor cursor{*of_node, node};
  if (*of_node == 0) cursor = {0, next.value_or(0)};
  const auto told = write_cursor(cursor);
  if (!told) return Answer::failed(Errc::too_large, "a primary's cursor is too large to be told");
  parts[0] = Reply::bulk(std::to_string(*told));
  return answer;
}

}  // namespace

std::optional<FanKind> fan_kind(std::string_view name) noexcept {
  for (const Fanned& each : kFanned) {
    if (std::ranges::equal(each.name, name, {}, {}, lower)) return each.kind;
  }
  return std::nullopt;
}

std::optional<ScanCursor> read_cursor(std::string_view text) noexcept {
  const auto number = read_unsigned(text);
  if (!number) return std::nullopt;
  return ScanCursor{*number / kMostNodes, static_cast<std::uint16_t>(*number % kMostNodes)};
}

std::optional<std::uint64_t> write_cursor(const ScanCursor& cursor) noexcept {
  if (cursor.of_node > (UINT64_MAX - cursor.node) / kMostNodes) return std::nullopt;
  return cursor.of_node * kMostNodes + cursor.node;
}

void fan_out(std::unique_ptr<Call> call, FanKind kind, std::span<const std::uint16_t> nodes,
             const std::function<void(std::uint16_t, std::unique_ptr<Call>)>& send) {
  const Command& command = call->command;
  if (kind == FanKind::scan) {
    const auto cursor = command.args.size() > 1 ? read_cursor(command.args[1]) : std::nullopt;
    auto args = command.args;
    auto at = nodes.begin();
    if (cursor) {
      // One that is no primary any more is done with.
      at = std::ranges::lower_bound(nodes, cursor->node);
      const bool there = at != nodes.end() && *at == cursor->node;
      args[1] = std::to_string(there ? cursor->of_node : 0);
    }
    if (at == nodes.end()) {
      Answer end;
      end.reply = Reply::array({Reply::bulk("0"), Reply::array({})});
      return answer(*call, std::move(end));
    }
    const std::uint16_t node = *at;
    const auto next = at + 1 == nodes.end() ? std::nullopt : std::optional(*(at + 1));
    auto part = std::make_unique<Part>(
        command, std::move(args),
        [whole = std::shared_ptr<Call>(std::move(call)), node, next](Answer said) {
          answer(*whole, scanned(std::move(said), node, next));
        });
    return send(node, std::move(part));
  }
  auto gathering = std::make_shared<Gathering>();
  gathering->kind = kind;
  gathering->left = nodes.size();
  std::vector<std::unique_ptr<Call>> parts;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    parts.push_back(std::make_unique<Part>(
        command, command.args, [gathering](Answer said) { take(*gathering, std::move(said)); }));
  }
  gathering->call = std::move(call);
  for (std::size_t i = 0; i < nodes.size(); ++i) send(nodes[i], std::move(parts[i]));
}

}  // namespace nearlane::l2
