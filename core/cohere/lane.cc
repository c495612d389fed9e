#include "core/cohere/lane.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

namespace nearlane::cohere {
namespace {

using protocol::Reply;

/// Between probes of a connection that is not proven: what was wrong may be mended (a permission).
constexpr Duration kProbeAgain = std::chrono::seconds(5);

bool is_redirection(std::string_view error) noexcept {
  const std::string_view code = error.substr(0, error.find(' '));
  return code == "MOVED" || code == "ASK" || code == "TRYAGAIN";
}

/// What a command takes, on the wire and until then.
std::size_t bytes_of(const Command& command) noexcept {
  std::size_t bytes = command.key.name.size();
  for (const std::string& arg : command.args) bytes += arg.size();
  for (const std::string& word : command.beside) bytes += word.size();
  if (command.value) bytes += command.value->value().size();
  return bytes;
}

bool repeatable(const Command& command) noexcept {
  return command.op == Op::fetch || command.op == Op::confirm || command.idempotent;
}

}  // namespace

Lane::Lane(const LaneConfig& config, LaneView& view, Listener& listener)
    : config_(config), view_(view), listener_(listener) {}

Lane::~Lane() = default;

void Lane::finish(std::unique_ptr<Call> call, Answer answer) {
  if (config_.redirect) {
    if (answer.reply.is_error() && is_redirection(answer.reply.text)) {
      call->alone = false;  // where it goes, what goes with it may be allowed
      return config_.redirect(std::move(call), answer.reply.text);
    }
    // Whoever makes the key while its slot is on its way makes it elsewhere, and nobody here is told.
    if (call->command.op == Op::fetch && answer.reply.is_null()) answer.epoch = kNoEpoch;
  }
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
  if (calls() >= config_.max_calls) {
    return finish(std::move(call),
                  Answer::failed(Errc::busy, "too many commands wait for L2 (lane_queue)"));
  }
  if (output_.size() + waiting_bytes_ >= config_.max_bytes) {
    return finish(std::move(call), Answer::failed(Errc::busy, "too many bytes wait for L2"));
  }
  if (call->command.key.db >= kDatabases) {
    Answer answer;
    answer.reply = Reply::error("ERR DB index is out of range");
    return finish(std::move(call), std::move(answer));
  }
  next_deadline_ = std::min(next_deadline_, call->command.deadline);
  // What waits goes first: the key's order is the order in which calls came.
  if (state_ != State::ready || held_up() || !waiting_.empty()) return wait(std::move(call));
  if (!knows(call->command.key.db)) {
    wait(std::move(call));
    return flush_waiting(now);
  }
  write(std::move(call), now);
}

void Lane::wait(std::unique_ptr<Call> call) {
  waiting_bytes_ += bytes_of(call->command);
  waiting_.push_back(std::move(call));
}

void Lane::wait_first(std::unique_ptr<Call> call) {
  waiting_bytes_ += bytes_of(call->command);
  waiting_.push_front(std::move(call));
}

std::unique_ptr<Call> Lane::take_waiting() {
  auto call = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= bytes_of(call->command);
  return call;
}

/// Where several have come or gone.
void Lane::count_waiting() noexcept {
  waiting_bytes_ = 0;
  for (const auto& call : waiting_) waiting_bytes_ += bytes_of(call->command);
}

void Lane::flush_waiting(TimePoint now) {
  while (state_ == State::ready && !held_up() && !waiting_.empty()) {
    const std::uint32_t db = waiting_.front()->command.key.db;
    if (!knows(db)) {
      // A pipelined SELECT that failed would let the commands behind it run in the wrong database.
      trying_db_ = true;
      return write_select(db, Step::try_select, now);
    }
    write(take_waiting(), now);
  }
}

void Lane::disown() noexcept {
  view_.bump();
  if (ready()) vouch();
}

void Lane::closed(Error why, TimePoint now) {
  // A connection that was up may come back at once, so calls wait for the next attempt; one that
  // could not even be made has shown that they would wait in vain.
  const Errc code = why.code;
  const bool ending = code == Errc::shutting_down;
  const bool was_up = state_ == State::ready && !ending;
  state_ = State::down;
  patient_ = was_up;
  // A lane that nobody else writes past vouches until its connection ends, and no longer.
  if (form_ == Form::alone) view_.set_lease(now);
  view_.bump();
  lease_until_ = TimePoint::min();
  trouble_ = std::move(why.detail);
  broken_.reset();
  lost_authority_.clear();
  output_.clear();
  trying_db_ = comparing_ = greeted_ = false;
  // What it has shown was of this connection.
  form_ = Form::unvouched;
  probe_ = {};
  distrust_.clear();

  std::deque<Pending> lost = std::move(pending_);
  pending_.clear();
  std::deque<std::unique_ptr<Call>> waited = std::move(waiting_);
  waiting_.clear();
  waiting_bytes_ = 0;
  std::deque<std::unique_ptr<Call>> again;
  // A read with a write of its key behind it would see, sent again, what came after it.
  std::vector<bool> overtaken(lost.size());
  std::unordered_set<std::uint64_t> written;
  for (std::size_t i = lost.size(); i-- > 0;) {
    if (lost[i].given_up) written.insert(*lost[i].given_up);
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
  // The next connection may be to another node, or another user's.
  for (auto& call : again) call->alone = false;
  // complete() may have submitted more: those came later.
  waiting_.insert(waiting_.begin(), std::make_move_iterator(again.begin()),
                  std::make_move_iterator(again.end()));
  count_waiting();
}

void Lane::tick(TimePoint now) {
  if (now >= next_deadline_) expire_overdue(now);
  if (greeted_ && state_ == State::handshake && !config_.tracked) find_form(now);
  if (state_ != State::ready || broken_) return;
  if (!pending_.empty() && now - pending_.front().answer.sent_at > config_.lane_dead) {
    return fail(Errc::timeout,
                "L2 has not answered for " +
                    std::to_string(config_.lane_dead / std::chrono::milliseconds(1)) + " ms");
  }
  const bool refuted = form_ == Form::unvouched && !probe_.trouble().empty();
  if (refuted && !probe_.running() && now - probed_at_ >= kProbeAgain) begin_probe(now);
  if (form_ == Form::announced) follow_channel();
  heartbeat(now);
}

/// While L1 answers for L2, or L2 itself does: is it still the master that it was, and does it still answer?
void Lane::heartbeat(TimePoint now) {
  if (config_.tracked && view_.take_hit()) {
    last_hit_ = now;
    if (form_ == Form::announced) config_.announcements->view.note_hit();
  }
  const auto is_recent = [&](TimePoint use) {
    return use != TimePoint::min() && now - use <= config_.stay_warm;
  };
  if (!is_recent(last_hit_) && !is_recent(last_call_)) return;
  if (now - last_replication_ >= std::chrono::seconds(1) && !comparing_) {
    last_replication_ = now;
    write_own({"INFO", "replication"}, Step::replication, now);
  } else if (form_ == Form::tracked && is_recent(last_hit_) &&
             now - last_sent_ >= config_.lease / 5) {
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
  for (Pending& pending : pending_) {
    const bool is_write = pending.call && !repeatable(pending.call->command);
    if (is_write && pending.call->command.deadline <= now)
      pending.given_up = pending.call->command.key.hash;
    consider(pending.call);
  }
  for (auto& call : waiting_) consider(call);
  std::erase_if(waiting_, [](const auto& call) { return call == nullptr; });
  count_waiting();
  for (auto& call : overdue) {
    finish(std::move(call), Answer::failed(Errc::timeout, "L2 did not answer in time"));
  }
}

}  // namespace nearlane::cohere
