#include "core/tier/calls.h"

#include <algorithm>

#include "core/base/epoch.h"
#include "core/cohere/install_rules.h"
#include "core/tier/type_sidecar.h"

namespace nearlane::tier {

using audit::Event;
using cohere::Answer;
using cohere::Decision;

namespace {

/// An error of ours, or the error that L2 answered, as the caller gets it.
std::optional<Error> error_of(const Answer& answer) {
  if (answer.error) {
    Counts::add(Count::l2_errors);
    return answer.error;
  }
  if (answer.reply.is_error()) return Error{Errc::l2_error, answer.reply.text};
  return std::nullopt;
}

/// The value was written and its type was not: within a transaction one command may fail, and the others are executed
/// all the same.
bool lacks_type(const Answer& answer, const cohere::Command& command, bool stores) noexcept {
  if (!command.needs_beside || answer.error || !answer.reply.is_ok()) return false;
  return answer.beside ? !answer.beside->is_ok() : stores;
}

/// An error of a write that says of what type its value is.
std::optional<Error> write_error_of(const Answer& answer, const cohere::Command& command,
                                    bool stores) {
  auto error = error_of(answer);
  if (lacks_type(answer, command, stores)) {
    const bool told = answer.beside && answer.beside->is_error();
    error = Error{Errc::l2_error, "written, its type was not"};
    if (told) error->detail.append(": ").append(answer.beside->text);
    return error;
  }
  const bool refused =
      error && error->code == Errc::l2_error && error->detail.starts_with("NOPERM");
  if (refused && command.needs_beside) {
    error->detail +=
        "; a Content-Type of the value's own is kept under a name of its own, for "
        "which L2's user needs ~";
    error->detail.append(kTypePrefix).append("*");
  }
  return error;
}

/// What a fetch's waiters are told.
Result<Lookup> lookup_of(const Answer& answer, const EntryPtr& entry) {
  if (auto error = error_of(answer)) return *error;
  if (!entry || entry->negative()) return Lookup{};
  return Lookup{entry, Source::l2};
}

/// Whether a command that only reads may have found that there is no such key.
bool may_mean_absent(const protocol::Reply& reply) noexcept {
  using protocol::Type;
  switch (reply.type) {
    case Type::integer:
      return reply.integer <= 0 && reply.integer != -1;  // -1: it has no TTL
    case Type::bulk_string:
      return reply.text.empty();
    case Type::simple_string:
      return reply.text == "none";  // TYPE
    case Type::array:
    case Type::map:
    case Type::set:
      return reply.elements.empty();
    default:
      return reply.is_null();
  }
}

/// As Entry::build() has it, of what a fetch has brought.
std::optional<std::string_view> own_type(const Answer& answer) noexcept {
  if (!answer.beside) return std::nullopt;
  // Why L2 did not say it passes, but for its being something else.
  if (answer.beside->is_error() && !answer.beside->text.starts_with("WRONGTYPE"))
    return std::nullopt;
  // Somebody else's list or number there is no type.
  if (answer.beside->type != protocol::Type::bulk_string) return std::string_view();
  return own_type_in(answer.beside->text, answer.reply.text).value_or("");
}

/// How long L1 may keep what the answer says.
Duration kept_for(const KeyRef& key, const Answer& answer, const KeyRules& rules) noexcept {
  return TieredCache::Impl::keep_for(key, answer.sent_at, std::min(rules.l1_ttl, answer.l1_ttl));
}

/// What L1 holds no copy of, whatever L2 answered: keys that are not to be in it, and what nobody vouches for.
void restrict(Decision& decision, const KeyRules& rules, const Answer& answer) noexcept {
  if (!rules.l1) decision.action = Decision::Action::leave;
  if (answer.epoch == cohere::kNoEpoch) decision.action = Decision::Action::erase;
}

}  // namespace

cohere::Command Fetch::what(const KeyRules& rules, Key key, TimePoint deadline, bool with_type) {
  cohere::Command command{
      .op = cohere::Op::fetch, .key = std::move(key), .announced = rules.l1, .deadline = deadline};
  if (with_type) {
    // Anybody may have put anything there, and small values wait behind it: a byte more than it may have is enough to tell.
    command.beside = {"GETRANGE", type_sidecar(command.key.name), "0",
                      std::to_string(kMostSidecarText)};
  }
  return command;
}

void Fetch::settle(const Answer& answer) noexcept {
  const KeyRef key = command.key.ref();
  const bool away = says_away(answer);
  Decision decision;
  if (!answer.error) {
    decision = cohere::after_fetch(answer.reply, answer.pttl, answer.sent_at,
                                   kept_for(key, answer, rules_), rules_.negative_ttl);
    restrict(decision, rules_, answer);
    if (away) decision.action = Decision::Action::leave;  // it says nothing of the key
    if (answer.reply.type == protocol::Type::bulk_string) {
      entry_ =
          Entry::build(key, answer.reply.text, decision.deadline, answer.epoch, own_type(answer));
    } else if (decision.action == Decision::Action::install) {
      entry_ = Entry::build_negative(key, decision.deadline, answer.epoch);
    }
  }
  const bool once_had = unasked == Unasked::refill || unasked == Unasked::warmup;
  if (once_had && !answer.error) {
    // Nobody wants to know that there is no such key.
    const bool there = entry_ && !entry_->negative();
    if (!there && decision.action == Decision::Action::install)
      decision.action = Decision::Action::erase;
    tier_.note_gone(*unasked, there);
  }
  if (unused != 0) {
    if (entry_) entry_->set_unused(unused);
    tier_.queue_.charge(answer.reply.text.size());
  }
  auto joined = tier_.flights_.settle(flight, [&](bool revoked) {
    if (revoked) {
      Counts::add(Count::fills_revoked);
    } else if (decision.action == Decision::Action::install) {
      installed_ = true;
      tier_.l1_->put(entry_);
    } else if (decision.action == Decision::Action::erase) {
      tier_.l1_->erase(key);
    }
  });
  if (!answer.error) tier_.note(installed_ ? Event::fill : Event::fill_dropped, key, answer.epoch);
  for (auto& waiter : joined) waiters.push_back(std::move(waiter));
  // GET found the key and PTTL did not: it was PTTL that ended it. What PTTL will find after nobody waits
  // for it any more, nobody will say.
  const bool ended_by_pttl = answer.pttl == -2 && !answer.reply.is_null() && !away;
  const bool unheard = answer.error && cohere::after_failed_write(answer.error->code).action ==
                                           Decision::Action::erase;
  if (ended_by_pttl || unheard) tier_.forget_in_other_dbs(key);
}

void Fetch::finish(Answer answer) noexcept {
  const Result<Lookup> result = lookup_of(answer, entry_);
  const bool unserved = answer.error || says_away(answer);
  for (auto& waiter : waiters) {
    if (result) Counts::add(result->entry ? Count::l2_hits : Count::l2_misses);
    waiter(unserved && may_be_stale ? tier_.stale_or(result.error(), command.key.ref()) : result);
  }
  if (installed_) tier_.want_forms(*entry_, rules_, false);
  if (unasked == Unasked::warmup) tier_.warmup_.under_way.fetch_sub(1);
}

void Confirm::finish(Answer answer) noexcept {
  if (says_away(answer)) return done_(Error{Errc::unavailable, answer.reply.text});
  done_(std::move(answer.error));
}

void Renewal::settle(const Answer& /*answer*/) noexcept {
  waiters_ = tier_.renewals_.settle(flight, [](bool) {});
}

void Renewal::finish(Answer answer) noexcept {
  if (says_away(answer)) answer = Answer::failed(Errc::unavailable, answer.reply.text);
  if (answer.error) Counts::add(Count::l2_errors);
  for (auto& waiter : waiters_) waiter(answer.error, command.deadline);
}

void Store::settle(const Answer& answer) noexcept {
  Decision decision = answer.error
                          ? cohere::after_failed_write(answer.error->code)
                          : cohere::after_store(answer.reply, answer.pttl, answer.sent_at,
                                                kept_for(command.key.ref(), answer, rules_));
  if (!answer.error) restrict(decision, rules_, answer);
  if (lacks_type(answer, command, tier_.l2_stores_)) decision.action = Decision::Action::erase;
  if (decision.action == Decision::Action::install) {
    command.value->set_deadline(decision.deadline);
    command.value->set_epoch(answer.epoch);
  }
  tier_.settle_write(flight, [&](bool revoked) {
    if (decision.action == Decision::Action::leave) return;
    if (decision.action == Decision::Action::install && !revoked) {
      installed_ = true;
      tier_.l1_->put(command.value);
    } else {
      tier_.l1_->erase(command.key.ref());
    }
  });
  tier_.note(installed_ ? Event::write : Event::write_dropped, command.key.ref(), answer.epoch);
  if (answer.error) tier_.forget_after(*answer.error, command.key.ref());
}

void Store::finish(Answer answer) noexcept {
  if (auto error = write_error_of(answer, command, tier_.l2_stores_)) return done_(*error);
  if (new_here && answer.reply.is_ok()) tier_.hint_at(command.key.ref());
  done_(StoreOutcome{.stored = answer.reply.is_ok(), .existed = answer.existed});
  if (installed_) tier_.want_forms(*command.value, rules_, asks_forms);
}

void Compare::settle(const Answer& answer) noexcept {
  const bool may_have_written =
      answer.error
          ? cohere::after_failed_write(answer.error->code).action == Decision::Action::erase
          : answer.held;
  if (may_have_written) tier_.forget(command.key.ref());
}

void Compare::finish(Answer answer) noexcept {
  if (auto error = write_error_of(answer, command, tier_.l2_stores_)) return done_(*error);
  done_(CompareOutcome{.held = answer.held, .existed = answer.existed.value_or(false)});
}

void Touch::settle(const Answer& answer) noexcept {
  const Duration l1_ttl = std::min(rules_.l1_ttl, answer.l1_ttl);
  const Decision decision =
      answer.error ? cohere::after_failed_write(answer.error->code)
                   : cohere::after_touch(answer.reply, answer.pttl, answer.sent_at, l1_ttl);
  const epoch::Guard guard;
  const KeyRef key = command.key.ref();
  tier_.settle_write(flight, [&](bool revoked) {
    if (decision.action == Decision::Action::leave) return;
    const Entry* entry = tier_.l1_->find(key);
    // Only what has not expired by our own clock is known to be the value that L2 still has: past
    // the deadline the key may have ended and been made anew, unannounced if it was our own
    // command that found it expired.
    if (entry != nullptr && decision.action == Decision::Action::install && !revoked &&
        !entry->negative() && entry->epoch() == answer.epoch &&
        tier_.config_.now() < entry->deadline()) {
      const bool earlier = decision.deadline < entry->deadline();
      // Where the age is capped, the first deadline stands for it: no touch moves it later.
      if (earlier || l1_ttl == Duration::max()) entry->set_deadline(decision.deadline);
      if (earlier) tier_.l1_->reschedule(*entry);
    } else {
      tier_.l1_->erase(key);
    }
  });
  tier_.note(Event::touch, key, answer.epoch);
  if (slide_) {
    for (auto& waiter : tier_.slides_.settle(*slide_, [](bool) {}))
      waiters.push_back(std::move(waiter));
  }
  if (answer.error) tier_.forget_after(*answer.error, key);
}

void Touch::finish(Answer answer) noexcept {
  const auto error = error_of(answer);
  for (const auto& waiter : waiters) {
    if (error) {
      waiter(*error);
    } else {
      waiter(answer.reply);
    }
  }
}

void Announce::complete(Answer answer) noexcept {
  const auto error = error_of(answer);
  if (!error) return done_(std::nullopt);
  done_(Error{error->code, "executed, but the other instances were not told: " + error->detail});
}

void Raw::settle(const Answer& answer) noexcept {
  forget_all();
  const bool may_have_written =
      !answer.error ||
      cohere::after_failed_write(answer.error->code).action == Decision::Action::erase;
  if (command.undeclared && may_have_written) tier_.note_undeclared();
  if (command.wide) return;
  tier_.forget_in_other_dbs(command.key.ref());
  // Then L2 has dropped the registration, and has told nobody. By our own clock the copy may still be good: L2's may
  // have been set, or ours have stood still while the machine slept.
  if (!answer.error && may_mean_absent(answer.reply)) tier_.forget(command.key.ref());
}

void Raw::forget_all() noexcept {
  for (const Key& key : written_) tier_.forget(key.ref());
}

void Raw::finish(Answer answer) noexcept {
  if (command.undeclared && !answer.error) {
    // Which keys it wrote nobody knows, but every lane has heard of it once it has answered a
    // command sent now.
    tier_.barrier(command.deadline, [answer = std::move(answer),
                                     done = std::move(done_)](std::optional<Error> error) mutable {
      if (error) return done(*std::move(error));
      answer_with(std::move(answer), done);
    });
    return;
  }
  answer_with(std::move(answer), done_);
}

void Raw::answer_with(Answer answer, const TieredCache::ReplyHandler& done) {
  if (auto error = error_of(answer)) return done(*error);
  done(std::move(answer.reply));
}

}  // namespace nearlane::tier
