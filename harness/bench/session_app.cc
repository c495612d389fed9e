#include "harness/bench/session_app.h"

#include <algorithm>

#include <xxhash.h>

#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double AppCounts::found_share() const { return share(found, existing); }
double AppCounts::l1_share() const { return share(l1, l1 + l2); }

std::size_t SessionApp::pick(const Operation& operation) {
  const auto count = approach_.instances();
  if (balance_ == Balance::affinity) {
    return XXH3_64bits(operation.key.data(), operation.key.size()) % count;
  }
  // A balancer chooses for a whole request of the application, not for each of its operations.
  return operation.follows ? instance_ % count : random_.below(count);
}

void SessionApp::look_for_end(Session& session, TimePoint asked) {
  if (!session.exists || !session.end.has_come(asked)) return;
  session.exists = false;
  session.changed = session.end.latest;
}

void SessionApp::judge_read(const Answer& answer, TimePoint asked, Session& session,
                            std::size_t instance) {
  ++counts_.reads;
  look_for_end(session, asked);
  const std::uint64_t holder = std::uint64_t{1} << instance;
  // Until its end has come for certain, another read may find it all the same.
  const bool may_have_ended =
      answer.outcome == Outcome::miss && session.end.may_have_come(Clock::now());
  if (session.exists && !may_have_ended) {
    ++counts_.existing;
    if ((session.holders & holder) != 0) ++counts_.could_be_l1;
    session.holders |= holder;
  }
  if (answer.outcome == Outcome::hit_l1) ++counts_.l1;
  if (answer.outcome == Outcome::hit_l2) ++counts_.l2;
  if (!found(answer.outcome)) {
    if (session.exists && answer.outcome == Outcome::miss && !may_have_ended) ++counts_.not_found;
    return;
  }
  const auto version = verify_document(request_.key, answer.value);
  if (!version || *version > session.attempted) {
    ++counts_.corrupt;
  } else if (!session.exists || *version < session.acknowledged) {
    ++counts_.stale;
    counts_.stalest =
        std::max<Duration>(counts_.stalest, Clock::now() - answer.took - session.changed);
  } else {
    ++counts_.found;
    counts_.found_took.record(answer.took);
  }
}

void SessionApp::send(const Operation& operation) {
  ++counts_.requests;
  request_.kind = operation.op;
  request_.key = operation.key;
  request_.ttl = std::chrono::duration_cast<std::chrono::milliseconds>(operation.ttl);
  request_.value.clear();
  auto& session = sessions_[operation.key];
  if (operation.op == Op::set) {
    session.attempted = ++version_;
    write_document(request_.key, session.attempted, operation.value_bytes, request_.value);
  }
  auto instance = pick(operation);
  const TimePoint asked = Clock::now();
  auto answer = approach_.call(instance, request_);
  // A client that cannot reach its instance is sent to the next one, as a balancer does. With affinity
  // there is no other one that could know the session.
  const auto count = approach_.instances();
  for (std::size_t tries = 1;
       answer.outcome == Outcome::error && balance_ == Balance::random && tries < count; ++tries) {
    ++counts_.retried;
    instance = (instance + 1) % count;
    answer = approach_.call(instance, request_);
  }
  const auto end = SessionEnd::of(asked, Clock::now(), operation.ttl);
  const bool sets_end = operation.op == Op::set || operation.op == Op::touch;
  if (answer.outcome == Outcome::error) {
    ++counts_.failed;
    // It may have been executed.
    if (sets_end) {
      session.end = {.earliest = std::min(session.end.earliest, end.earliest),
                     .latest = std::max(session.end.latest, end.latest)};
    }
    return;
  }
  instance_ = instance;
  if (operation.op == Op::get) {
    judge_read(answer, asked, session, instance);
    return;
  }
  const std::uint64_t holder = std::uint64_t{1} << instance;
  if (operation.op == Op::touch) {
    // It takes the others' copies away, and brings none here.
    session.holders &= holder;
    look_for_end(session, asked);
    if (answer.outcome == Outcome::ok) session.end = end;
    return;
  }
  session.holders = holder;
  session.changed = Clock::now();
  session.exists = operation.op == Op::set;
  session.end = end;
  if (session.exists) session.acknowledged = session.attempted;
}

Result<void> SessionApp::run(Workload& stream, const std::function<bool()>& after_each) {
  Operation operation;
  for (;;) {
    const auto more = stream.next(operation);
    if (!more) return more.error();
    if (!*more) return {};
    send(operation);
    if (after_each && !after_each()) return {};
  }
}

void SessionApp::log_in(const WorkloadSpec& spec) {
  Operation operation{.op = Op::set, .ttl = spec.ttl};
  for (std::uint64_t number = 0; number < spec.keys; ++number) {
    operation.value_bytes = value_bytes_of(spec, number);
    write_key_name(spec.prefix, number, operation.key);
    send(operation);
  }
}

SessionApp::ReadBack SessionApp::read_back(std::size_t instance) {
  ReadBack read;
  request_.kind = Op::get;
  request_.value.clear();
  for (const auto& [key, session] : sessions_) {
    if (!session.exists) continue;
    request_.key = key;
    const auto answer = approach_.call(instance, request_);
    if (answer.outcome == Outcome::miss && session.end.may_have_come(Clock::now())) continue;
    ++read.acknowledged;
    if (answer.outcome == Outcome::error) {
      ++read.failed;
      continue;
    }
    if (answer.outcome == Outcome::hit_l1) ++read.l1;
    const auto version = verify_document(key, answer.value);
    if (!found(answer.outcome) || !version || *version < session.acknowledged) {
      ++read.lost;
    } else {
      read.took.record(answer.took);
    }
  }
  return read;
}

}  // namespace nearlane::harness
