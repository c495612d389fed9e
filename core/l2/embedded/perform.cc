#include "core/l2/embedded/perform.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/l2/embedded/command.h"

namespace nearlane::l2::embedded {

using cohere::Answer;
using cohere::Command;
using cohere::Op;
using protocol::Reply;

namespace {

Reply execute(Keyspace& keyspace, const Command& command, WallTime now) {
  std::vector<std::string_view> args(command.args.begin(), command.args.end());
  if (command.value) {
    args.insert(args.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, args.size())),
                command.value->value());
  }
  return keyspace.execute(command.key.db, args, now);
}

Reply ask(Keyspace& keyspace, std::string_view what, const Key& key, WallTime now) {
  return keyspace.execute(key.db, std::array{what, std::string_view(key.name)}, now);
}

Reply execute_beside(Keyspace& keyspace, const Command& command, WallTime now) {
  return keyspace.execute(
      command.key.db, std::vector<std::string_view>(command.beside.begin(), command.beside.end()),
      now);
}

/// The command, and what goes with it, or neither.
void execute_both(Keyspace& keyspace, const Command& command, WallTime now, Answer& answer) {
  if (command.needs_beside && command.value && command.beside.size() > 2) {
    const std::array<Keyspace::Sized, 2> values = {
        {{command.key.name, command.value->value().size()},
         {command.beside[1], command.beside[2].size()}}};
    if (!keyspace.fit(command.key.db, values, now)) {
      answer.reply = out_of_memory();
      return;
    }
  }
  answer.reply = execute(keyspace, command, now);
  if (!command.beside.empty() && !answer.reply.is_error())
    answer.beside = execute_beside(keyspace, command, now);
}

std::int64_t pttl(Keyspace& keyspace, const Key& key, WallTime now) {
  const Reply reply = ask(keyspace, "PTTL", key, now);
  return reply.type == protocol::Type::integer ? reply.integer : -2;
}

/// Commands come one at a time, so nobody's write comes in between.
void compare(Keyspace& keyspace, const Command& command, WallTime now, Answer& answer) {
  answer.reply = ask(keyspace, "GET", command.key, now);
  if (answer.reply.is_error()) return;
  const bool there = answer.reply.type == protocol::Type::bulk_string;
  answer.existed = there;
  answer.held =
      command.holds(there ? std::optional<std::string_view>(answer.reply.text) : std::nullopt);
  answer.reply = {};
  if (answer.held) execute_both(keyspace, command, now, answer);
}

}  // namespace

void perform(Keyspace& keyspace, const Command& command, WallTime now, Answer& answer,
             const std::function<void(Reply&)>& after) {
  switch (command.op) {
    case Op::fetch:
      if (!command.beside.empty()) answer.beside = execute_beside(keyspace, command, now);
      answer.reply = ask(keyspace, "GET", command.key, now);
      answer.pttl = pttl(keyspace, command.key, now);
      break;
    case Op::transact:
      if (command.ask_existed) {
        answer.existed = ask(keyspace, "EXISTS", command.key, now).integer != 0;
      }
      execute_both(keyspace, command, now, answer);
      answer.pttl = pttl(keyspace, command.key, now);
      break;
    case Op::raw:
      execute_both(keyspace, command, now, answer);
      break;
    case Op::compare:
      compare(keyspace, command, now, answer);
      break;
    case Op::watch:
      keyspace.watch(*command.watch, command.key.db, command.args, now);
      answer.reply = Reply::ok();
      break;
    case Op::exec:
      answer.reply = keyspace.execute_all(command.queued, command.watch.get(), now, after);
      break;
    case Op::confirm:
    case Op::announce:  // there is nobody to tell
      break;
  }
}

}  // namespace nearlane::l2::embedded
