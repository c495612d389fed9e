#include "core/l1/policy/reuse_model.h"

#include <bit>
#include <limits>

namespace nearlane::l1 {
namespace {

/// Uses to the power of 1.5, on average over the level: what a level is worth beside another before anything
/// was measured. A Poisson rate would give the power 1, a heavy tail gives more.
constexpr std::array<float, 7> kPriorOfLevel{1, 2.8F, 5.2F, 9.5F, 18.5F, 34, 58};
/// Strength of the broader class on the narrower one, and of the past on the present. Unit: lives.
constexpr float kClassPrior = 20;
constexpr float kPastPrior = 100;
/// What is left of the memories after a tick: of the slow one 90 % after a capacity.
constexpr float kSlowDecay = 0.9967F;
constexpr float kFastDecay = 0.8F;
/// Less is nothing. What is left long after all uses would be denormal numbers, with which a tick takes four times as long.
constexpr float kForgotten = 1e-20F;
/// A small cache ticks often; its ranks are computed at most once in so many insertions.
constexpr std::uint64_t kInsertionsPerRanking = 32;
/// Residents whose keys are all measured, and the least share of those in a larger cache.
constexpr std::uint64_t kMeasured = 4096;
constexpr unsigned kMostShift = 6;

}  // namespace

ReuseModel::ReuseModel(std::uint64_t capacity) noexcept
    : tick_weight_(std::max<std::uint64_t>(1, capacity / kTicksPerCapacity)) {
  compute_ranks();
}

void ReuseModel::begin_locked(Use use) noexcept {
  const unsigned kind = class_of(use);
  if (alive_[kind][0] < std::numeric_limits<std::uint16_t>::max()) ++alive_[kind][0];
  ++slow_lives_[kind][0];
  ++fast_lives_[kind][0];
}

void ReuseModel::begin(Use use) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock) begin_locked(use);
}

void ReuseModel::use(Use before, Use after) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  if (const unsigned age = before.age(now()); age < kHorizon) {
    const unsigned kind = class_of(before);
    ++slow_uses_[kind][bin_of(age)];
    ++fast_uses_[kind][bin_of(age)];
    if (alive_[kind][age] > 0) --alive_[kind][age];
  }
  begin_locked(after);
}

void ReuseModel::end(Use use) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  const unsigned age = use.age(now());
  if (age < kHorizon && alive_[class_of(use)][age] > 0) --alive_[class_of(use)][age];
}

void ReuseModel::inserted(std::uint64_t weight, std::uint64_t residents) noexcept {
  weight_.fetch_add(weight, std::memory_order_relaxed);
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;  // the next insertion sees to the tick
  ++insertions_;
  const std::uint64_t inserted = weight_.load(std::memory_order_relaxed);
  if (inserted < tick_weight_) return;
  // An entry heavier than a tick makes one tick only: in a cache of fewer than 32 a tick is an insertion.
  const std::uint64_t left = inserted - tick_weight_;
  weight_.fetch_sub(left > tick_weight_ ? inserted : tick_weight_, std::memory_order_relaxed);
  const std::uint64_t times = residents / kMeasured;
  const unsigned shift =
      times == 0 ? 0 : std::min(kMostShift, static_cast<unsigned>(std::bit_width(times)) - 1);
  // Only ever fewer: lives that began unmeasured would end measured.
  const std::uint32_t mask = (1U << shift) - 1;
  if (mask > mask_.load(std::memory_order_relaxed)) mask_.store(mask, std::memory_order_relaxed);
  tick();
}

void ReuseModel::tick() noexcept {
  now_.store(now() + 1, std::memory_order_relaxed);
  for (unsigned kind = 0; kind < kClasses; ++kind) {
    auto& alive = alive_[kind];
    std::copy_backward(alive.begin(), alive.end() - 1, alive.end());
    alive[0] = 0;
    for (unsigned bin = 0; bin < kBins; ++bin) {
      // Lives that now enter a tick whose age lies in the bin; the first bin counts them as they begin.
      std::uint32_t lives = 0;
      for (unsigned age = kStart[bin]; bin > 0 && age < kStart[bin + 1]; ++age) lives += alive[age];
      const auto more = static_cast<float>(lives);
      slow_lives_[kind][bin] = (slow_lives_[kind][bin] + more) * kSlowDecay;
      fast_lives_[kind][bin] = (fast_lives_[kind][bin] + more) * kFastDecay;
      slow_uses_[kind][bin] *= kSlowDecay;
      fast_uses_[kind][bin] *= kFastDecay;
      for (Table* table : {&slow_lives_, &fast_lives_, &slow_uses_, &fast_uses_}) {
        if ((*table)[kind][bin] < kForgotten) (*table)[kind][bin] = 0;
      }
    }
  }
  if (insertions_ < kInsertionsPerRanking) return;
  insertions_ = 0;
  compute_ranks();
}

/// The hazard of every class in one bin of ages.
void ReuseModel::estimate(unsigned bin, Table& hazard) const noexcept {
  // The past. All classes together start from a hazard that falls with the age; a level starts from all
  // classes, a class from its level.
  const float prior = kClassPrior * width(bin);
  std::array<float, kLevels> uses{};
  std::array<float, kLevels> lives{};
  for (unsigned kind = 0; kind < kClasses; ++kind) {
    uses[level_of_class(kind)] += slow_uses_[kind][bin];
    lives[level_of_class(kind)] += slow_lives_[kind][bin];
  }
  float all_uses = 0;
  float all_lives = 0;
  float weighted = 1;
  for (unsigned level = 0; level < kLevels; ++level) {
    all_uses += uses[level];
    all_lives += lives[level];
    weighted += lives[level] * kPriorOfLevel[level];
  }
  const float middle = static_cast<float>(kStart[bin] + kStart[bin + 1] - 1) * 0.5F;
  const float all = (all_uses + prior * 0.3F / (middle + 2)) / (all_lives + prior);
  const float per_use = all * (all_lives + 1) / weighted;
  float fast_uses = 0;
  float fast_lives = 0;
  float expected = 0;
  for (unsigned kind = 0; kind < kClasses; ++kind) {
    const unsigned level = level_of_class(kind);
    const float of_level =
        (uses[level] + prior * per_use * kPriorOfLevel[level]) / (lives[level] + prior);
    hazard[kind][bin] =
        (slow_uses_[kind][bin] + prior * of_level) / (slow_lives_[kind][bin] + prior);
    fast_uses += fast_uses_[kind][bin];
    fast_lives += fast_lives_[kind][bin];
    expected += fast_lives_[kind][bin] * hazard[kind][bin];
  }
  // The present: first how it differs from the past over all classes, then each class on its own.
  const float past = kPastPrior * width(bin);
  float ratio = 1;
  if (fast_lives > 1e-6F && expected > 1e-9F) {
    const float mean = expected / fast_lives;
    ratio = (fast_uses + past * mean) / (fast_lives + past) / mean;
  }
  for (unsigned kind = 0; kind < kClasses; ++kind) {
    hazard[kind][bin] = (fast_uses_[kind][bin] + past * hazard[kind][bin] * ratio) /
                        (fast_lives_[kind][bin] + past);
  }
}

void ReuseModel::compute_ranks() noexcept {
  Table hazard;
  for (unsigned bin = 0; bin < kBins; ++bin) estimate(bin, hazard);
  for (unsigned kind = 0; kind < kClasses; ++kind) {
    std::array<float, kBins>
        use;  // probability of a use within the bin, for what is there at its start
    std::array<float, kBins> wait;  // and the time that it then waits in it
    for (unsigned bin = 0; bin < kBins; ++bin) {
      const float x = hazard[kind][bin] * width(bin);
      use[bin] = x / (1 + x);
      wait[bin] = width(bin) * (1 - 0.5F * use[bin]);
    }
    for (unsigned bin = 0; bin < kBins; ++bin) {
      // An entry stands in the middle of its bin.
      const float left = bin == 0 ? 1.0F : 0.5F * width(bin);
      const float x = hazard[kind][bin] * left;
      float used = x / (1 + x);
      float waited = left * (1 - 0.5F * used);
      float still = 1 - used;
      float best_used = used;
      float best_waited = waited;
      for (unsigned end = bin + 1; end < kBins; ++end) {
        used += still * use[end];
        waited += still * wait[end];
        still *= 1 - use[end];
        if (used * best_waited > best_used * waited) {
          best_used = used;
          best_waited = waited;
        }
      }
      ranks_[kind][bin].store(best_used / best_waited, std::memory_order_relaxed);
    }
  }
}

}  // namespace nearlane::l1
