#include "core/cohere/lane.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/protocol/writer.h"

namespace nearlane::cohere {
namespace {

using protocol::Reply;
using protocol::Type;

/// Between probes of a connection that is not proven: what was wrong may be mended (a permission, a
/// store that was still loading).
constexpr Duration kProbeAgain = std::chrono::seconds(5);

/// Errors after which nothing that this connection told us can be relied on: another node is in
/// charge, or this one has lost or not yet loaded its data.
constexpr std::array<std::string_view, 7> kLostAuthority = {
    "READONLY", "LOADING", "MASTERDOWN", "MOVED", "ASK", "CLUSTERDOWN", "NOAUTH"};

bool starts_with_code(std::string_view text, std::string_view code) noexcept {
  return text.starts_with(code) && (text.size() == code.size() || text[code.size()] == ' ');
}

std::string_view decimal(std::uint64_t value, std::array<char, 20>& buffer) noexcept {
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

/// Of what INFO says; empty where there is no such field.
std::string_view field_of(std::string_view info, std::string_view name) noexcept {
  constexpr std::string_view kVerbatim = "txt:";
  if (info.starts_with(kVerbatim)) info.remove_prefix(kVerbatim.size());
  while (!info.empty()) {
    std::string_view line = info.substr(0, info.find('\n'));
    info.remove_prefix(std::min(info.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':'))
      return line.substr(name.size() + 1);
  }
  return {};
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

bool repeatable(const Command& command) noexcept {
  return command.op == Op::fetch || command.op == Op::confirm || command.idempotent;
}

}  // namespace

Lane::Lane(const LaneConfig& config, LaneView& view, Listener& listener)
    : config_(config), view_(view), listener_(listener) {}

Lane::~Lane() = default;

void Lane::finish(std::unique_ptr<Call> call, Answer answer) {
  call->settle(answer);
  call->complete(std::move(answer));
}

bool Lane::knows(std::uint32_t db) const noexcept {
  return db < kDatabases && ((known_dbs_ >> db) & 1U) != 0;
}

void Lane::submit(std::unique_ptr<Call> call, TimePoint now) {
  if (call->command.deadline <= now) {
    return finish(std::move(call),
                  Answer::failed(Errc::timeout, "the deadline had passed before it was sent"));
  }
  if (broken_ || (state_ != State::ready && !patient_)) {
    return finish(std::move(call),
                  Answer::failed(Errc::unavailable, trouble_.empty() ? "not connected" : trouble_));
  }
  if (calls() >= config_.max_calls || output_.size() >= config_.max_bytes) {
    return finish(std::move(call),
                  Answer::failed(Errc::busy, "too many commands wait for L2 (lane_queue)"));
  }
  if (call->command.key.db >= kDatabases) {
    Answer answer;
    answer.reply = Reply::error("ERR DB index is out of range");
    return finish(std::move(call), std::move(answer));
  }
  next_deadline_ = std::min(next_deadline_, call->command.deadline);
  // What waits goes first: the key's order is the order in which calls came.
  if (state_ != State::ready || trying_db_ || !waiting_.empty()) {
    waiting_.push_back(std::move(call));
    return;
  }
  if (!knows(call->command.key.db)) {
    waiting_.push_back(std::move(call));
    return flush_waiting(now);
  }
  write(std::move(call), now);
}

void Lane::flush_waiting(TimePoint now) {
  while (state_ == State::ready && !trying_db_ && !waiting_.empty()) {
    const std::uint32_t db = waiting_.front()->command.key.db;
    if (!knows(db)) {
      // A pipelined SELECT that failed would let the commands behind it run in the wrong database.
      trying_db_ = true;
      std::array<char, 20> digits{};
      write_own({"SELECT", decimal(db, digits)}, Step::try_select, now);
      pending_.back().db = db;
      return;
    }
    auto call = std::move(waiting_.front());
    waiting_.pop_front();
    write(std::move(call), now);
  }
}

Lane::Pending& Lane::push_pending(TimePoint now) {
  Pending& pending = pending_.emplace_back();
  pending.answer.sent_at = now;
  pending.answer.epoch = trusted_ ? view_.epoch() : kNoEpoch;
  last_sent_ = now;
  return pending;
}

void Lane::write_own(std::initializer_list<std::string_view> args, Step step, TimePoint now) {
  Pending& pending = push_pending(now);
  pending.steps[0] = step;
  pending.count = 1;
  protocol::append_command(output_, args);
}

void Lane::write(std::unique_ptr<Call> call, TimePoint now) {
  const Command& command = call->command;
  Pending& pending = push_pending(now);
  const auto expect = [&pending](Step step) { pending.steps[pending.count++] = step; };

  if (command.key.db != current_db_ && command.op != Op::confirm) {
    // Before CLIENT CACHING YES, because SELECT would consume it.
    std::array<char, 20> digits{};
    protocol::append_command(output_, {"SELECT", decimal(command.key.db, digits)});
    expect(Step::select);
    current_db_ = command.key.db;
  }
  switch (command.op) {
    case Op::fetch:
      if (announces(command)) {
        protocol::append_command(output_, {"CLIENT", "CACHING", "YES"});
        expect(Step::caching);
      }
      protocol::append_command(output_, {"GET", command.key.name});
      expect(Step::value);
      protocol::append_command(output_, {"PTTL", command.key.name});
      expect(Step::pttl);
      break;
    case Op::transact:
      // Without MULTI a foreign write between SET and PTTL would be neither announced nor seen.
      if (announces(command)) {
        protocol::append_command(output_, {"CLIENT", "CACHING", "YES"});
        expect(Step::caching);
      }
      protocol::append_command(output_, {"MULTI"});
      expect(Step::multi);
      if (command.ask_existed) {
        protocol::append_command(output_, {"EXISTS", command.key.name});
        expect(Step::queued);
      }
      append_args(output_, command);
      expect(Step::queued);
      protocol::append_command(output_, {"PTTL", command.key.name});
      expect(Step::queued);
      protocol::append_command(output_, {"EXEC"});
      expect(Step::exec);
      break;
    case Op::raw:
      append_args(output_, command);
      expect(Step::value);
      break;
    case Op::confirm:
      protocol::append_command(output_, {"PING"});
      expect(Step::pong);
      break;
  }
  pending.call = std::move(call);
}

void Lane::connected(TimePoint now) {
  state_ = State::handshake;
  broken_.reset();
  lost_authority_.clear();
  parser_.reset();
  output_.clear();
  current_db_ = 0;
  known_dbs_ = 1;
  trying_db_ = false;
  std::vector<std::string_view> hello = {"HELLO", "3"};
  if (!config_.password.empty()) {
    hello.insert(hello.end(),
                 {"AUTH", config_.user.empty() ? std::string_view("default") : config_.user,
                  config_.password});
  }
  hello.insert(hello.end(), {"SETNAME", config_.client_name});
  Pending& pending = push_pending(now);
  pending.steps[pending.count++] = Step::hello;
  protocol::append_command(output_, std::span<const std::string_view>(hello));
  if (config_.tracked) {
    // With NOLOOP, what our own command throws out of a full table of tracked keys is not announced to
    // us, and its copy would stay for ever.
    write_own({"CONFIG", "SET", "tracking-table-max-keys", "0"}, Step::table, now);
  }
  trusted_ = config_.probe_key.empty();
  if (!trusted_) {
    begin_probe(now);
  } else if (config_.tracked) {
    write_own({"CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"}, Step::tracking, now);
  }
  if (!config_.subscribe.empty()) write_own({"SUBSCRIBE", config_.subscribe}, Step::subscribe, now);
  write_own({"INFO", "replication"}, Step::replication, now);
}

void Lane::begin_probe(TimePoint now) {
  probed_at_ = now;
  for (std::size_t i = probe_.begin(output_, config_.probe_key); i > 0; --i) {
    Pending& pending = push_pending(now);
    pending.steps[pending.count++] = Step::probe;
  }
}

void Lane::received(std::string_view bytes, TimePoint now) {
  while (!broken_) {
    auto next = parser_.next(bytes);
    if (!next) return fail(next.error().code, "L2 sent what is not RESP: " + next.error().detail);
    if (!next->has_value()) return;
    const bool pushed = (*next)->type == Type::push;
    if (pushed && !confirms_subscription(**next)) {
      take_push(**next);
    } else {
      take_reply(std::move(**next), now);
    }
  }
}

/// Of our commands only SUBSCRIBE is answered by a push.
bool Lane::confirms_subscription(const Reply& push) const noexcept {
  return !pending_.empty() && pending_.front().steps[0] == Step::subscribe &&
         !push.elements.empty() && push.elements[0].text == "subscribe";
}

void Lane::take_push(const Reply& push) {
  if (push.elements.size() == 3 && push.elements[0].text == "message")
    return listener_.hinted(push.elements[2].text);
  if (push.elements.size() != 2 || push.elements[0].text != "invalidate") return;
  const Reply& names = push.elements[1];
  if (names.is_null()) {  // FLUSHALL, FLUSHDB, or L2 has forgotten what it tracked
    view_.bump();
    view_.set_lease(lease_until_);
    return;
  }
  for (const Reply& name : names.elements) {
    if (!probe_.take_push(name.text)) listener_.invalidate(name.text);
  }
}

void Lane::take_reply(Reply reply, TimePoint now) {
  if (pending_.empty()) return fail(Errc::protocol, "L2 sent a reply to nothing");
  Pending& pending = pending_.front();
  const Step step = pending.steps[pending.at++];
  // A reply to what was sent at sent_at proves that every push for a write executed before it has
  // arrived.
  if (state_ == State::ready) extend_lease(pending.answer.sent_at);
  if (reply.is_error()) note_error(reply.text);
  if (!take_step(pending, step, reply, now)) return;
  if (pending.at < pending.count) return;

  Pending done = std::move(pending);
  pending_.pop_front();
  if (step == Step::try_select) {
    take_try_select(done, reply, now);
  } else if (done.call) {
    finish(std::move(done.call), std::move(done.answer));
  }
  if (!lost_authority_.empty() && !broken_)
    fail(Errc::unavailable, std::exchange(lost_authority_, {}));
}

bool Lane::take_step(Pending& pending, Step step, Reply& reply, TimePoint now) {
  switch (step) {
    case Step::hello:
    case Step::tracking:
      if (reply.is_error()) {
        fail(Errc::unavailable, "L2 refused the handshake: " + reply.text);
        return false;
      }
      return true;
    case Step::probe:
      probe_.take_reply(reply);
      trusted_ = probe_.proven();
      return true;
    case Step::replication:
      if (!take_replication(reply)) return false;
      if (state_ == State::handshake) {
        // Before anything is read on the new connection, what was read on the old one is disowned.
        view_.bump();
        state_ = State::ready;
        trouble_.clear();
        last_replication_ = now;
        extend_lease(pending.answer.sent_at);
        flush_waiting(now);
      }
      return true;
    case Step::select:
    case Step::caching:
    case Step::multi:
      if (reply.is_error()) {
        fail(Errc::protocol, "L2 refused what it had accepted before: " + reply.text);
        return false;
      }
      return true;
    case Step::queued:
      if (reply.is_error() && pending.queue_error.empty())
        pending.queue_error = std::move(reply.text);
      return true;
    case Step::exec:
      take_exec(pending, reply);
      return true;
    case Step::value:
      pending.answer.reply = std::move(reply);
      return true;
    case Step::pttl:
      pending.answer.pttl = reply.type == Type::integer ? reply.integer : -2;
      return true;
    case Step::subscribe:
    case Step::table:
    case Step::try_select:
    case Step::pong:
      return true;
  }
  return true;
}

/// A node that was a replica for a moment may have taken another's data, and is a master like before: its
/// replication id tells.
bool Lane::take_replication(const Reply& reply) {
  if (reply.is_error()) {
    fail(Errc::unavailable, "INFO replication: " + reply.text);
  } else if (field_of(reply.text, "role") != "master") {
    fail(Errc::unavailable, "L2 is not a master");
  } else {
    const std::string_view id = field_of(reply.text, "master_replid");
    if (state_ == State::ready && replication_id_ != id) {
      // No more than that: its first replica changes a master's id as well, and writes are under way.
      view_.bump();
      view_.set_lease(lease_until_);
    }
    replication_id_ = id;
    return true;
  }
  return false;
}

void Lane::take_exec(Pending& pending, Reply& reply) {
  Answer& answer = pending.answer;
  const std::size_t asked = pending.call && pending.call->command.ask_existed ? 1 : 0;
  if (reply.type == Type::array && reply.elements.size() >= 2) {
    const std::size_t at = reply.elements.size() - 2;
    answer.reply = std::move(reply.elements[at]);
    const Reply& pttl = reply.elements[at + 1];
    answer.pttl = pttl.type == Type::integer ? pttl.integer : -2;
    if (asked != 0 && at == 1) answer.existed = reply.elements[0].integer != 0;
  } else if (!pending.queue_error.empty()) {
    answer.reply = Reply::error(std::move(pending.queue_error));
  } else if (reply.is_error()) {
    answer.reply = std::move(reply);
  } else {
    answer.reply = Reply::error("ERR the transaction was not executed");
  }
}

void Lane::take_try_select(const Pending& pending, const Reply& reply, TimePoint now) {
  trying_db_ = false;
  if (reply.is_ok()) {
    known_dbs_ |= std::uint64_t{1} << pending.db;
    current_db_ = pending.db;
    return flush_waiting(now);
  }
  std::deque<std::unique_ptr<Call>> others;
  std::deque<std::unique_ptr<Call>> refused;
  for (auto& call : waiting_) {
    (call->command.key.db == pending.db ? refused : others).push_back(std::move(call));
  }
  waiting_ = std::move(others);
  for (auto& call : refused) {
    Answer answer;
    answer.reply = reply;
    finish(std::move(call), std::move(answer));
  }
  flush_waiting(now);
}

void Lane::note_error(std::string_view text) {
  for (const std::string_view code : kLostAuthority) {
    if (!starts_with_code(text, code)) continue;
    view_.bump();
    // A node that is still loading will be the right one in a moment; all the others no longer are.
    if (code != "LOADING") lost_authority_ = "L2 answered " + std::string(text);
    return;
  }
}

void Lane::extend_lease(TimePoint sent_at) {
  if (!trusted_) return;
  lease_until_ = std::max(lease_until_, sent_at + config_.lease);
  // Readers on every core share that cache line, so it changes only when it is worth their miss.
  if (view_.lease_until() + config_.lease / 50 < lease_until_) view_.set_lease(lease_until_);
}

void Lane::fail(Errc code, std::string detail) { broken_ = Error{code, std::move(detail)}; }

void Lane::closed(Error why, TimePoint now) {
  // A connection that was up may come back at once, so calls wait for the next attempt; one that
  // could not even be made has shown that they would wait in vain.
  const Errc code = why.code;
  const bool ending = code == Errc::shutting_down;
  const bool was_up = state_ == State::ready && !ending;
  state_ = State::down;
  patient_ = was_up;
  view_.bump();
  lease_until_ = TimePoint::min();
  trouble_ = std::move(why.detail);
  broken_.reset();
  lost_authority_.clear();
  output_.clear();
  trying_db_ = false;
  probe_ = {};  // what it has shown was of this connection

  std::deque<Pending> lost = std::move(pending_);
  pending_.clear();
  std::deque<std::unique_ptr<Call>> waited = std::move(waiting_);
  waiting_.clear();
  std::deque<std::unique_ptr<Call>> again;
  // A read with a write of its key behind it would see, sent again, what came after it.
  std::vector<bool> overtaken(lost.size());
  std::unordered_set<std::uint64_t> written;
  for (std::size_t i = lost.size(); i-- > 0;) {
    if (!lost[i].call) continue;
    const Command& command = lost[i].call->command;
    overtaken[i] = written.contains(command.key.hash);
    if (!repeatable(command)) written.insert(command.key.hash);
  }
  // The first in line is the one whose reply could not be read, and would be no better again.
  bool unreadable = code == Errc::too_large || code == Errc::protocol;
  for (std::size_t i = 0; i < lost.size(); ++i) {
    Pending& pending = lost[i];
    const bool culprit = std::exchange(unreadable, false);
    if (!pending.call) continue;
    if (culprit) {
      finish(std::move(pending.call), Answer::failed(code, trouble_));
      continue;
    }
    const Command& command = pending.call->command;
    if (was_up && repeatable(command) && !overtaken[i] && command.deadline > now) {
      again.push_back(std::move(pending.call));
    } else {
      finish(std::move(pending.call),
             Answer::failed(ending ? code : Errc::connection_lost, trouble_));
    }
  }
  for (auto& call : waited) {
    if (was_up) {
      again.push_back(std::move(call));
    } else {
      finish(std::move(call), Answer::failed(ending ? code : Errc::unavailable, trouble_));
    }
  }
  // complete() may have submitted more: those came later.
  waiting_.insert(waiting_.begin(), std::make_move_iterator(again.begin()),
                  std::make_move_iterator(again.end()));
}

Duration Lane::tick_period() const noexcept {
  return std::clamp<Duration>(config_.lease / 5, std::chrono::milliseconds(1),
                              std::chrono::milliseconds(10));
}

void Lane::tick(TimePoint now) {
  if (now >= next_deadline_) expire_overdue(now);
  if (state_ != State::ready || broken_) return;
  if (!pending_.empty() && now - pending_.front().answer.sent_at > config_.lane_dead) {
    return fail(Errc::timeout,
                "L2 has not answered for " +
                    std::to_string(config_.lane_dead / std::chrono::milliseconds(1)) + " ms");
  }
  if (!trusted_ && !probe_.running() && now - probed_at_ >= kProbeAgain) begin_probe(now);
  if (config_.tracked) heartbeat(now);
}

void Lane::heartbeat(TimePoint now) {
  if (view_.take_hit()) last_hit_ = now;
  if (last_hit_ == TimePoint::min() || now - last_hit_ > config_.stay_warm) return;
  if (now - last_replication_ >= std::chrono::seconds(1)) {
    last_replication_ = now;
    write_own({"INFO", "replication"}, Step::replication, now);
  } else if (now - last_sent_ >= config_.lease / 5) {
    write_own({"PING"}, Step::pong, now);
  }
}

void Lane::expire_overdue(TimePoint now) {
  std::deque<std::unique_ptr<Call>> overdue;
  next_deadline_ = kForever;
  const auto consider = [&](std::unique_ptr<Call>& call) {
    if (!call) return;
    if (call->command.deadline <= now) {
      overdue.push_back(std::move(call));
    } else {
      next_deadline_ = std::min(next_deadline_, call->command.deadline);
    }
  };
  for (Pending& pending : pending_) consider(pending.call);
  for (auto& call : waiting_) consider(call);
  std::erase_if(waiting_, [](const auto& call) { return call == nullptr; });
  for (auto& call : overdue) {
    finish(std::move(call), Answer::failed(Errc::timeout, "L2 did not answer in time"));
  }
}

}  // namespace nearlane::cohere
