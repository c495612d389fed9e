#include "servers/resp/command_queue.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "core/protocol/integer.h"

namespace nearlane::resp {

namespace {

constexpr std::array<std::string_view, 6> kNotQueued = {"discard", "exec",  "multi",
                                                        "quit",    "reset", "watch"};

/// What an argument costs beside its bytes.
constexpr std::size_t kArgOverhead = 48;

bool is_ours(Route route) {
  return route == Route::local || route == Route::server || route == Route::transaction ||
         route == Route::channel;
}

}  // namespace

std::size_t queued_bytes(CommandQueue::Args args) noexcept {
  std::size_t bytes = 0;
  for (const std::string_view arg : args) bytes += arg.size() + kArgOverhead;
  return bytes;
}

bool CommandQueue::Step::needs_store() const noexcept { return !is_ours(spec->route); }

bool CommandQueue::is_queued(const CommandSpec& spec) noexcept {
  return std::ranges::find(kNotQueued, spec.name) == kNotQueued.end();
}

std::string CommandQueue::queue(const CommandSpec& spec, Args args) {
  if (spoiled_) return {};
  if (spec.route == Route::revoke) {
    spoil();
    return fmt::format("ERR nearlane: '{}' is not served inside MULTI", spec.name);
  }
  const std::size_t bytes = queued_bytes(args);
  if (steps_.size() == limits_.commands || bytes > limits_.bytes - bytes_) {
    spoil();
    return fmt::format("ERR nearlane: more than {} commands or {} bytes in one MULTI",
                       limits_.commands, limits_.bytes);
  }
  bytes_ += bytes;
  steps_.push_back({.spec = &spec, .args = {args.begin(), args.end()}});
  return {};
}

void CommandQueue::spoil() noexcept {
  spoiled_ = true;
  std::vector<Step>().swap(steps_);
}

tier::Transaction for_store(std::span<CommandQueue::Step> steps, std::uint32_t db,
                            std::uint32_t databases) {
  tier::Transaction what;
  for (CommandQueue::Step& step : steps) {
    if (!step.needs_store()) {
      if (step.spec->name != "select") continue;
      const auto wanted = protocol::read_integer(step.args[1]);
      if (wanted && *wanted >= 0 && *wanted < databases) db = static_cast<std::uint32_t>(*wanted);
      continue;
    }
    tier::Transaction::Command command{.db = db};
    if (step.spec->flags.find("write") != std::string_view::npos) {
      const auto keys = key_positions(*step.spec, step.args.size());
      for (std::size_t i = keys.first; i < keys.end; i += keys.step)
        command.keys.push_back(step.args[i]);
      command.undeclared = command.keys.empty();
    }
    command.args = std::move(step.args);
    what.commands.push_back(std::move(command));
  }
  return what;
}

}  // namespace nearlane::resp
