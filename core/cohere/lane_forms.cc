// What a lane writes: the forms of its commands, and the handshake's.
#include <charconv>
#include <utility>
#include <vector>

#include "core/cohere/lane.h"
#include "core/protocol/writer.h"

namespace nearlane::cohere {
namespace {

std::string_view decimal(std::uint64_t value, std::array<char, 20>& buffer) noexcept {
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

void append_args(std::string& out, const Command& command) {
  const bool with_value = static_cast<bool>(command.value);
  protocol::append_array_header(out, command.args.size() + (with_value ? 1 : 0));
  for (std::size_t i = 0; i < command.args.size(); ++i) {
    if (with_value && i == 2) protocol::append_bulk(out, command.value->value());
    protocol::append_bulk(out, command.args[i]);
  }
  if (with_value && command.args.size() <= 2) protocol::append_bulk(out, command.value->value());
}

void append_words(std::string& out, const std::vector<std::string>& words) {
  protocol::append_array_header(out, words.size());
  for (const std::string& word : words) protocol::append_bulk(out, word);
}

bool changes(const Command& command) noexcept {
  // One that may be sent twice is a question.
  if (command.op == Op::transact) return !command.publish && !command.idempotent;
  return command.undeclared || !command.changed.empty();
}

}  // namespace

bool Lane::announces(const Command& command) const noexcept {
  if (form_ == Form::announced) return changes(command);
  const bool needed = !config_.tracked && config_.announcements != nullptr &&
                      config_.announcements->need == Announcements::Need::yes;
  return needed && changes(command);
}

Lane::Pending& Lane::push_pending(TimePoint now) {
  Pending& pending = pending_.emplace_back();
  pending.answer.sent_at = now;
  pending.answer.epoch = form_ == Form::unvouched ? kNoEpoch : view_.epoch();
  if (form_ == Form::announced) pending.answer.l1_ttl = config_.announcements->l1_ttl;
  last_sent_ = now;
  return pending;
}

void Lane::write_own(std::span<const std::string_view> args, Step step, TimePoint now) {
  Pending& pending = push_pending(now);
  pending.steps[0] = step;
  pending.count = 1;
  protocol::append_command(output_, args);
}

void Lane::write_select(std::uint32_t db, Step step, TimePoint now) {
  std::array<char, 20> digits{};
  write_own({"SELECT", decimal(db, digits)}, step, now);
  pending_.back().db = db;
}

void Lane::write(std::unique_ptr<Call> call, TimePoint now) {
  const Command& command = call->command;
  if (command.op == Op::announce && !announces(command)) {
    Answer nothing_to_do;
    nothing_to_do.reply = protocol::Reply::ok();
    return finish(std::move(call), std::move(nothing_to_do));
  }
  last_call_ = now;
  Pending& pending = push_pending(now);
  const auto expect = [&pending](Step step) { pending.steps[pending.count++] = step; };

  if (command.key.db != current_db_ && command.op != Op::confirm) {
    // Before CLIENT CACHING YES, because SELECT would consume it.
    std::array<char, 20> digits{};
    protocol::append_command(output_, {"SELECT", decimal(command.key.db, digits)});
    expect(Step::select);
    current_db_ = command.key.db;
  }
  // Who reads will read again, and L1 may answer then if the channel is kept warm.
  if (form_ == Form::announced) config_.announcements->view.note_hit();
  pending.has_beside = sends_beside(*call);
  const bool fetches = command.op == Op::fetch;
  const bool plain_fetch = fetches && !pending.has_beside;
  pending.barred = plain_fetch && refuses_beside_ && !command.beside.empty();
  if (registers(command) && (plain_fetch || command.op == Op::transact)) {
    protocol::append_command(output_, {"CLIENT", "CACHING", "YES"});
    expect(Step::caching);
  }
  switch (command.op) {
    case Op::fetch:
      if (form_ == Form::announced || config_.asking || pending.has_beside) {
        write_transaction(pending, command);
      } else {
        protocol::append_command(output_, {"GET", command.key.name});
        expect(Step::value);
        protocol::append_command(output_, {"PTTL", command.key.name});
        expect(Step::pttl);
      }
      break;
    case Op::transact:
      write_transaction(pending, command);
      break;
    case Op::raw:
      if (announces(command) || pending.has_beside) {
        write_transaction(pending, command);
      } else {
        write_asking(pending);
        append_args(output_, command);
        expect(Step::value);
      }
      break;
    case Op::compare:
      write_look(pending, command);
      break;
    case Op::watch:
    case Op::exec:  // no store behind a lane says that it has them (l2::Capabilities)
    case Op::confirm:
      protocol::append_command(output_, {"PING"});
      expect(Step::pong);
      break;
    case Op::announce:
      append_announcement(command);
      expect(Step::value);
      break;
  }
  pending.call = std::move(call);
}

/// Of the next command alone, or of the next transaction.
void Lane::write_asking(Pending& pending) {
  if (!config_.asking) return;
  protocol::append_command(output_, {"ASKING"});
  pending.steps[pending.count++] = Step::indifferent;
}

void Lane::write_look(Pending& pending, const Command& command) {
  write_asking(pending);
  protocol::append_command(output_, {"WATCH", command.key.name});
  pending.steps[pending.count++] = Step::watch;
  write_asking(pending);
  protocol::append_command(output_, {"GET", command.key.name});
  pending.steps[pending.count++] = Step::value;
  pending.phase = Phase::look;
  ++pending.attempts;
  comparing_ = true;
}

/// Without MULTI a foreign write between SET and PTTL would be neither announced nor seen, and one of ours
/// could be executed and never be announced; and where no push comes before PTTL's reply, what PTTL said might be
/// of another value than what GET brought.
void Lane::write_transaction(Pending& pending, const Command& command) {
  const auto expect = [&pending](Step step) { pending.steps[pending.count++] = step; };
  write_asking(pending);
  protocol::append_command(output_, {"MULTI"});
  expect(Step::multi);
  const bool fetches = command.op == Op::fetch;
  if (fetches && pending.has_beside) {
    append_words(output_, command.beside);
    expect(Step::beside);
    pending.ahead = 1;
    // Only from here on: a name that is not there, and never will be, would stay registered for ever.
    if (registers(command)) {
      protocol::append_command(output_, {"CLIENT", "CACHING", "YES"});
      expect(Step::beside);
      pending.ahead = 2;
    }
  }
  if (command.ask_existed) {
    protocol::append_command(output_, {"EXISTS", command.key.name});
    expect(Step::queued);
  }
  if (fetches) {
    protocol::append_command(output_, {"GET", command.key.name});
  } else {
    append_args(output_, command);
  }
  expect(Step::queued);
  if (fetches || command.op == Op::transact) {
    protocol::append_command(output_, {"PTTL", command.key.name});
    expect(Step::queued);
    pending.has_pttl = true;
  }
  if (!fetches && pending.has_beside) {
    append_words(output_, command.beside);
    expect(Step::beside);
  }
  if (command.publish) {
    protocol::append_command(output_,
                             {"PUBLISH", command.publish->channel, command.publish->message});
    expect(Step::queued);
  } else if (announces(command)) {
    append_announcement(command);
    expect(Step::queued);
    pending.announces = true;
  }
  protocol::append_command(output_, {"EXEC"});
  expect(Step::exec);
}

void Lane::append_announcement(const Command& command) {
  Announcement announcement{.origin = config_.announcements->origin,
                            .lane = config_.announcer,
                            .incarnation = incarnation_,
                            .sequence = ++sequence_,
                            .db = command.key.db,
                            .everything = command.undeclared};
  if (command.op == Op::transact) {
    announcement.keys.emplace_back(command.key.name);
  } else if (!command.undeclared) {
    announcement.keys.assign(command.changed.begin(), command.changed.end());
  }
  protocol::append_command(
      output_, {"PUBLISH", config_.announcements->channel, format_announcement(announcement)});
}

void Lane::connected(TimePoint now) {
  state_ = State::handshake;
  broken_.reset();
  lost_authority_.clear();
  parser_.reset();
  output_.clear();
  current_db_ = 0;
  known_dbs_ = 1;
  trying_db_ = comparing_ = greeted_ = resp2_ = refuses_beside_ = false;
  form_ = Form::unvouched;
  ++incarnation_;
  sequence_ = 0;
  if (config_.tracked && config_.announcements != nullptr)
    config_.announcements->incarnations[config_.announcer] = incarnation_;
  std::vector<std::string_view> hello = {"HELLO", "3"};
  if (!config_.password.empty()) {
    hello.insert(hello.end(),
                 {"AUTH", config_.user.empty() ? std::string_view("default") : config_.user,
                  config_.password});
  }
  hello.insert(hello.end(), {"SETNAME", config_.client_name});
  write_own(hello, Step::hello, now);
}

/// What follows HELLO, or its refusal.
void Lane::greet(TimePoint now) {
  if (resp2_ && !config_.password.empty())
    write_own(auth_of(config_.user, config_.password), Step::auth, now);
  if (resp2_) write_own({"CLIENT", "SETNAME", config_.client_name}, Step::indifferent, now);
  if (config_.tracked && config_.coherence == Coherence::lanes && !resp2_) {
    // With NOLOOP, what our own command throws out of a full table of tracked keys is not announced to
    // us, and its copy would stay for ever.
    write_own({"CONFIG", "SET", "tracking-table-max-keys", "0"}, Step::indifferent, now);
    if (config_.probe_key.empty() && !config_.find_probe_key) {
      write_own({"CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"}, Step::tracking, now);
    } else {
      begin_probe(now);
    }
  }
  // A subscriber of RESP2 may send nothing else.
  if (!config_.subscribe.empty() && !resp2_)
    write_own({"SUBSCRIBE", config_.subscribe}, Step::subscribe, now);
  write_own({"INFO", "replication"}, Step::replication, now);
}

void Lane::write_first_announcement(TimePoint now) {
  Pending& pending = push_pending(now);
  pending.steps[pending.count++] = Step::first_announcement;
  append_announcement({.op = Op::announce, .key = Key(0, std::string())});
}

void Lane::begin_probe(TimePoint now) {
  probed_at_ = now;
  const std::string key = config_.find_probe_key ? config_.find_probe_key() : config_.probe_key;
  for (std::size_t i = probe_.begin(output_, key); i > 0; --i) {
    Pending& pending = push_pending(now);
    pending.steps[pending.count++] = Step::probe;
  }
}

}  // namespace nearlane::cohere
