#include "core/l2/embedded/perform.h"

#include <algorithm>
#include <array>
#include <vector>

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
  answer.reply = answer.held ? execute(keyspace, command, now) : Reply();
}

}  // namespace

void perform(Keyspace& keyspace, const Command& command, WallTime now, Answer& answer,
             const std::function<void(Reply&)>& after) {
  switch (command.op) {
    case Op::fetch:
      answer.reply = ask(keyspace, "GET", command.key, now);
      answer.pttl = pttl(keyspace, command.key, now);
      break;
    case Op::transact:
      if (command.ask_existed) {
        answer.existed = ask(keyspace, "EXISTS", command.key, now).integer != 0;
      }
      answer.reply = execute(keyspace, command, now);
      answer.pttl = pttl(keyspace, command.key, now);
      break;
    case Op::raw:
      answer.reply = execute(keyspace, command, now);
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
