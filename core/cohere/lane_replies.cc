// What a lane makes of L2's replies and pushes.
#include <algorithm>
#include <utility>

#include "core/cohere/lane.h"

namespace nearlane::cohere {
namespace {

using protocol::Reply;
using protocol::Type;

/// Errors after which nothing that this connection told us can be relied on: another node is in
/// charge, or this one has lost or not yet loaded its data.
constexpr std::array<std::string_view, 7> kLostAuthority = {
    "READONLY", "LOADING", "MASTERDOWN", "MOVED", "ASK", "CLUSTERDOWN", "NOAUTH"};

/// Of those, what a primary of a cluster says that has not the slot of one key, and goes on with the others.
bool of_one_slot(std::string_view code) noexcept {
  return code == "MOVED" || code == "ASK" || code == "CLUSTERDOWN";
}

/// How often a comparison begins anew because somebody else has written the key, before it is given up.
constexpr std::uint8_t kMostLooks = 16;

bool starts_with_code(std::string_view text, std::string_view code) noexcept {
  return text.starts_with(code) && (text.size() == code.size() || text[code.size()] == ' ');
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

}  // namespace

void Lane::received(std::string_view bytes, TimePoint now) {
  if (form_ == Form::announced) follow_channel();
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
    view_.bump_for_good();
    return vouch();
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
  if (reply.is_error()) note_error(reply.text, pending.answer.epoch);
  if (!take_step(pending, step, reply, now)) return;
  if (pending.at < pending.count) return;

  Pending done = std::move(pending);
  pending_.pop_front();
  if (step == Step::try_select) {
    take_try_select(done, reply, now);
  } else if (done.phase == Phase::look) {
    take_look(std::move(done), now);
  } else if (done.phase == Phase::act) {
    take_act(std::move(done), now);
  } else if (goes_alone(done)) {
    done.call->alone = true;
    wait_first(std::move(done.call));
    flush_waiting(now);
  } else if (done.call) {
    const bool barrier = step == Step::pong && done.call->command.undeclared;
    // L2 tells nothing, and this instance does not know itself which keys it has written.
    if (barrier && form_ != Form::tracked) {
      view_.bump_for_good();
      vouch();
    }
    // This connection will never say more, and whoever asks again need not wait for it.
    if (done.barred) done.answer.beside = Reply::null();
    finish(std::move(done.call), std::move(done.answer));
  }
  if (!lost_authority_.empty() && !broken_)
    fail(Errc::unavailable, std::exchange(lost_authority_, {}));
}

/// What is there decides whether the command is sent. Whoever asked may have gone meanwhile.
void Lane::take_look(Pending look, TimePoint now) {
  Answer& answer = look.answer;
  if (!look.queue_error.empty()) answer.reply = Reply::error(std::move(look.queue_error));
  bool acts = look.call != nullptr && !answer.reply.is_error();
  if (acts) {
    const bool there = answer.reply.type == Type::bulk_string;
    answer.existed = there;
    answer.held = acts = look.call->command.holds(
        there ? std::optional<std::string_view>(answer.reply.text) : std::nullopt);
    answer.reply = {};
  }
  if (!acts) {
    write_own({"UNWATCH"}, Step::indifferent, now);
    return end_comparison(std::move(look), now);
  }
  Pending& act = push_pending(now);
  act.phase = Phase::act;
  act.attempts = look.attempts;
  act.answer.existed = answer.existed;
  act.has_beside = sends_beside(*look.call);
  write_transaction(act, look.call->command);
  act.call = std::move(look.call);
}

void Lane::take_act(Pending act, TimePoint now) {
  const bool alone = goes_alone(act);
  if (alone) act.call->alone = true;
  const bool again = act.overtaken || alone;
  // What was not executed has not been announced, and a number that is missing would cost the others their copies.
  if (again && act.announces) --sequence_;
  if (!again || !act.call) return end_comparison(std::move(act), now);
  if (act.attempts == kMostLooks) {
    act.answer = Answer::failed(Errc::busy, "the key changes faster than it can be compared");
    return end_comparison(std::move(act), now);
  }
  Pending& look = push_pending(now);
  look.attempts = act.attempts;
  write_look(look, act.call->command);
  look.call = std::move(act.call);
}

/// Nothing was executed, for the sake of what goes with the command and need not. While a slot is on its way, keys that
/// are at one end each cannot be asked for together. Where the command itself was refused it would be refused again, and
/// so it would over a connection that is about to be given up.
bool Lane::goes_alone(const Pending& pending) const noexcept {
  if (!pending.has_beside || !pending.call || pending.call->command.needs_beside) return false;
  if (pending.own_refused || !lost_authority_.empty()) return false;
  const Reply& reply = pending.answer.reply;
  return reply.is_error() && (pending.beside_refused || starts_with_code(reply.text, "TRYAGAIN"));
}

void Lane::end_comparison(Pending over, TimePoint now) {
  comparing_ = false;
  if (over.call) finish(std::move(over.call), std::move(over.answer));
  flush_waiting(now);
}

bool Lane::take_step(Pending& pending, Step step, Reply& reply, TimePoint now) {
  switch (step) {
    case Step::hello:
      return take_hello(reply, now);
    case Step::auth:
    case Step::tracking:
      if (!reply.is_error()) return true;
      fail(Errc::unavailable, "L2 refused the handshake: " + reply.text);
      return false;
    case Step::probe:
      take_probe(reply);
      return true;
    case Step::replication:
      if (!take_replication(reply)) return false;
      if (state_ == State::handshake) {
        last_replication_ = now;
        find_form(now);
      }
      if (state_ == State::ready) extend_lease(pending.answer.sent_at);
      return true;
    case Step::first_announcement:
      if (reply.is_error()) distrust_ = "it may not announce its writes: " + reply.text;
      become_ready(reply.is_error() ? Form::unvouched : Form::announced, now);
      return true;
    case Step::select:
    case Step::caching:
    case Step::multi:
      if (!reply.is_error()) return true;
      fail(Errc::protocol, "L2 refused what it had accepted before: " + reply.text);
      return false;
    case Step::watch:
    case Step::queued:
      // It says more than what was said of Command::beside, which may stand before it.
      if (reply.is_error() && !std::exchange(pending.own_refused, true))
        pending.queue_error = std::move(reply.text);
      return true;
    case Step::beside:
      if (!reply.is_error()) return true;
      pending.beside_refused = true;
      // A permission that is missing, or a command that is not known where it stands.
      if (starts_with_code(reply.text, "NOPERM") || starts_with_code(reply.text, "ERR"))
        refuses_beside_ = true;
      if (pending.queue_error.empty()) pending.queue_error = std::move(reply.text);
      return true;
    case Step::exec:
      take_exec(pending, reply);
      return true;
    case Step::value:
    case Step::pong:
      pending.answer.reply = std::move(reply);
      return true;
    case Step::pttl:
      pending.answer.pttl = reply.type == Type::integer ? reply.integer : -2;
      return true;
    case Step::subscribe:
    case Step::indifferent:
    case Step::try_select:
      return true;
  }
  return true;
}

bool Lane::take_hello(const Reply& reply, TimePoint now) {
  if (reply.is_error()) {
    const bool never_heard_of = is_unknown_command(reply.text) || reply.text.starts_with("NOPROTO");
    if (!never_heard_of || config_.announcements == nullptr) {
      fail(Errc::unavailable, "L2 refused the handshake: " + reply.text);
      return false;
    }
    resp2_ = true;
  }
  greet(now);
  return true;
}

void Lane::take_probe(const Reply& reply) {
  probe_.take_reply(reply);
  if (probe_.running()) return;
  distrust_ = probe_.trouble();
  if (state_ == State::ready && probe_.proven()) form_ = Form::tracked;
}

/// L2 is a master. Who announces changes?
void Lane::find_form(TimePoint now) {
  greeted_ = true;
  if (!config_.tracked) {
    // Nothing may be written before it is known whether it has to be announced.
    if (config_.announcements == nullptr ||
        config_.announcements->need != Announcements::Need::unknown)
      become_ready(Form::unvouched, now);
    return;
  }
  if (config_.coherence == Coherence::none) return become_ready(Form::alone, now);
  const bool from_l2 = config_.coherence == Coherence::lanes && !resp2_;
  const bool probed = !config_.probe_key.empty() || config_.find_probe_key;
  if (from_l2 && (!probed || probe_.proven())) return become_ready(Form::tracked, now);
  if (config_.announcements != nullptr && !(from_l2 && !probe_.unknown_to_l2()))
    return write_first_announcement(now);
  // It serves nobody yet. A ready lane would be probed again in seconds only, with nothing of its keys in L1 meanwhile.
  if (from_l2 && probe_.loading()) return fail(Errc::unavailable, "L2 loads its data");
  become_ready(Form::unvouched, now);
}

void Lane::become_ready(Form form, TimePoint now) {
  form_ = form;
  if (form != Form::unvouched) distrust_.clear();
  if (config_.tracked && config_.announcements != nullptr) {
    using Need = Announcements::Need;
    // That this lane may not announce does not mean that none of the others does, whose peers rely on it.
    if (form == Form::announced) {
      config_.announcements->need = Need::yes;
    } else if (form != Form::unvouched || config_.announcements->need == Need::unknown) {
      config_.announcements->need = Need::no;
    }
  }
  // Before anything is read on the new connection, what was read on the old one is disowned.
  state_ = State::ready;
  trouble_.clear();
  view_.bump();
  vouch();
  flush_waiting(now);
}

/// For what is read from now on, behind a bump.
void Lane::vouch() {
  if (form_ == Form::tracked) view_.set_lease(lease_until_);
  if (form_ == Form::alone) view_.set_lease(kForever);
  if (form_ == Form::announced) follow_channel();
}

/// Takes over what the channel vouches for. The lease is read before the epoch: one that is read later might
/// be of another subscription than the epoch.
void Lane::follow_channel() {
  const LaneView& channel = config_.announcements->view;
  TimePoint lease = channel.lease_until();
  // What of ours is unanswered may have been executed: the channel says nothing of our own, and its reply may be stuck.
  if (!pending_.empty()) lease = std::min(lease, pending_.front().answer.sent_at + config_.lease);
  const Epoch epoch = channel.epoch();
  const bool moved = std::exchange(channel_epoch_, epoch) != epoch;
  const std::uint64_t flushes = config_.announcements->flushes.load(std::memory_order_acquire);
  if (std::exchange(channel_flushes_, flushes) != flushes) {
    view_.bump_for_good();
  } else if (moved) {
    view_.bump();
  }
  if (lease > view_.lease_until()) view_.set_lease(lease);
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
      disown();
    }
    replication_id_ = id;
    return true;
  }
  return false;
}

void Lane::take_exec(Pending& pending, Reply& reply) {
  Answer& answer = pending.answer;
  pending.overtaken = pending.phase == Phase::act && reply.is_null();
  const bool asked = pending.call && pending.call->command.ask_existed;
  const std::size_t at = pending.ahead + (asked ? 1 : 0);
  const std::size_t behind = at + (pending.has_pttl ? 2 : 1);
  const bool beside_last = pending.has_beside && pending.ahead == 0;
  if (reply.type == Type::array && reply.elements.size() >= behind + (beside_last ? 1 : 0)) {
    answer.reply = std::move(reply.elements[at]);
    if (asked) answer.existed = reply.elements[pending.ahead].integer != 0;
    if (pending.has_pttl) {
      const Reply& pttl = reply.elements[at + 1];
      answer.pttl = pttl.type == Type::integer ? pttl.integer : -2;
    }
    if (pending.has_beside) answer.beside = std::move(reply.elements[beside_last ? behind : 0]);
    // The second of two is CLIENT CACHING: without it nobody announces changes.
    if (pending.ahead == 2 && reply.elements[1].is_error()) answer.epoch = kNoEpoch;
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
  count_waiting();
  for (auto& call : refused) {
    Answer answer;
    answer.reply = reply;
    finish(std::move(call), std::move(answer));
  }
  flush_waiting(now);
}

void Lane::note_error(std::string_view text, Epoch sent_in) {
  for (const std::string_view code : kLostAuthority) {
    if (!starts_with_code(text, code)) continue;
    if (config_.redirect && of_one_slot(code)) {
      // A slot that is on its way takes its keys along, and each is announced. One that has gone may have gone without.
      if (code != "ASK" && sent_in == view_.epoch()) disown();
      return;
    }
    // A node that is still loading will be the right one in a moment; all the others no longer are.
    if (code == "LOADING") return disown();
    view_.bump();
    lost_authority_ = "L2 answered " + std::string(text);
    return;
  }
}

void Lane::extend_lease(TimePoint sent_at) {
  if (form_ != Form::tracked) return;
  lease_until_ = std::max(lease_until_, sent_at + config_.lease);
  // Readers on every core share that cache line, so it changes only when it is worth their miss.
  if (view_.lease_until() + config_.lease / 50 < lease_until_) view_.set_lease(lease_until_);
}

}  // namespace nearlane::cohere
