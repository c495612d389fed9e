#include "harness/bench/checked_load.h"

#include <string>

#include "harness/check/traffic.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

/// No client of a Traffic, which are numbered from 1.
constexpr std::uint16_t kWriter = UINT16_MAX;
/// Through which node a write goes is not known until it ends: until then none that anybody reads from.
constexpr Node kSomewhere = kStore - 1;

}  // namespace

CheckedLoad::CheckedLoad(const CheckedLoadOptions& options, History& history)
    : options_(options),
      history_(history),
      random_(options.seed),
      popularity_(options.keys, options.theta),
      written_(options.keys) {}

bool CheckedLoad::next(Request& into) {
  due_s_ += random_.exponential(1 / options_.rate);
  into.at = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(due_s_));
  Sent sent{.key = popularity_(random_)};
  into.key = checked_key(sent.key);
  into.kind = Op::get;
  into.ttl = {};
  sent.begin = Clock::now();
  if (random_.real() < options_.write_share && !written_[sent.key]) {
    into.kind = Op::set;
    written_[sent.key] = true;
    sent.version = history_.begin_set(into.key, kWriter, kSomewhere, sent.begin);
    write_document(into.key, sent.version, options_.value_bytes, into.value);
  }
  if (free_.empty()) {
    free_.push_back(sent_.size());
    sent_.emplace_back();
  }
  into.tag = free_.back();
  free_.pop_back();
  sent_[into.tag] = sent;
  return true;
}

Node CheckedLoad::node_of(const Completion& completion) const noexcept {
  return static_cast<Node>(completion.connection % options_.instances);
}

bool CheckedLoad::judge(const Completion& completion) {
  const Sent sent = sent_[completion.tag];
  free_.push_back(completion.tag);
  if (completion.kind == Op::get) return judge_read(completion, sent);
  judge_write(completion, sent);
  return true;
}

bool CheckedLoad::judge_read(const Completion& completion, const Sent& sent) {
  if (completion.outcome == Outcome::error) return true;
  const Node node = node_of(completion);
  const TimePoint now = Clock::now();
  if (completion.outcome == Outcome::miss) {
    history_.read(completion.key, node, sent.begin, now, std::nullopt);
    return true;
  }
  const auto version = verify_document(completion.key, completion.value);
  if (!version) {
    history_.read_damaged(completion.key, node, version.error().detail);
  } else if (completion.outcome == Outcome::stale) {
    history_.read_said_old(completion.key, node, sent.begin, now, *version, options_.max_stale);
  } else {
    history_.read(completion.key, node, sent.begin, now, *version);
  }
  return version.has_value();
}

void CheckedLoad::judge_write(const Completion& completion, const Sent& sent) {
  written_[sent.key] = false;
  Effect effect = Effect::unknown;
  if (completion.outcome == Outcome::ok) effect = Effect::happened;
  if (completion.failure == Failure::not_sent) effect = Effect::none;
  if (effect == Effect::happened) ++acknowledged_;
  history_.end_write(completion.key, sent.version, effect, Clock::now(), node_of(completion));
}

void record_completion(TimeSeriesRecorder& over_time, const Completion& completion, bool good) {
  const Duration response = completion.done - completion.intended;
  const TimePoint due = Clock::now() - response;
  if (completion.outcome == Outcome::error || !good) {
    over_time.failed(due);
  } else {
    over_time.answered(due, response);
  }
}

}  // namespace nearlane::harness
