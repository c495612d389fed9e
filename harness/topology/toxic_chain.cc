#include "harness/topology/toxic_chain.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

namespace nearlane::harness {
namespace {

constexpr TimePoint kAtOnce = TimePoint::min();

/// The front bytes of a piece, as a piece; the rest stays.
Piece split(Piece& piece, std::size_t size) {
  Piece front{.bytes = std::string(piece.view().substr(0, size)), .is_push = piece.is_push};
  piece.from += size;
  return front;
}

Duration drawn_latency(const Latency& kind, Random& random) {
  auto by = kind.latency - kind.jitter;
  if (kind.jitter > Duration::zero()) {
    const auto span = static_cast<std::uint64_t>(2 * kind.jitter.count());
    by += Duration(static_cast<Duration::rep>(random.below(span)));
  }
  return std::max(by, Duration::zero());
}

/// How long so many bytes take.
Duration time_for(std::size_t bytes, std::uint64_t bytes_per_s) {
  constexpr double kNanoseconds = 1e9;
  return Duration(static_cast<Duration::rep>(static_cast<double>(bytes) * kNanoseconds /
                                             static_cast<double>(bytes_per_s)));
}

std::size_t bandwidth_slice(const Piece& piece, const Bandwidth& kind) {
  const auto tenth = std::max<std::uint64_t>(kind.bytes_per_s / 10, 1);
  return static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), tenth));
}

}  // namespace

std::vector<std::uint32_t> slice_sizes(std::uint32_t size, const Slicer& slicer, Random& random) {
  // Halves, and their halves, each cut moved a little, so that no slice is a small rest.
  std::vector<std::uint32_t> sizes;
  std::vector<std::uint32_t> open{size};
  while (!open.empty()) {
    const auto part = open.back();
    open.pop_back();
    if (part <= slicer.average || part - slicer.average <= slicer.variation) {
      sizes.push_back(part);
      continue;
    }
    auto left = part / 2;
    if (slicer.variation > 0) {
      left = static_cast<std::uint32_t>(left - slicer.variation +
                                        random.below(2 * std::uint64_t{slicer.variation}));
    }
    open.push_back(part - left);
    open.push_back(left);
  }
  return sizes;
}

/// For each kind: what it does with what comes (`take`), when it lets something go (`due`), and what (`next`, asked
/// only when that is due). What is lost is taken off `queued`.
struct ToxicChain::Rules {
  Stage& at;
  Random& random;
  std::size_t& queued;
  TimePoint now;

  void keep(Piece piece) const { at.queue.push_back(std::move(piece)); }
  void lose(const Piece& piece) const { queued -= piece.size(); }
  Piece pop() const {
    Piece piece = std::move(at.queue.front());
    at.queue.pop_front();
    return piece;
  }
  /// A part of the front piece.
  Piece pop(std::size_t size) const {
    return size < at.queue.front().size() ? split(at.queue.front(), size) : pop();
  }
  Piece end(Mark mark) const {
    at.ended = true;
    for (const auto& piece : at.queue) lose(piece);
    at.queue.clear();
    return {.mark = mark};
  }
  [[nodiscard]] TimePoint front_ready() const {
    return at.queue.empty() ? kForever : at.queue.front().ready;
  }
  [[nodiscard]] TimePoint any_at_once() const { return at.queue.empty() ? kForever : kAtOnce; }

  // What kinds have in common: what comes waits, in a line that nothing overtakes, and goes on as soon as it may.
  void take(const auto& /*kind*/, Piece piece) const { keep(std::move(piece)); }
  [[nodiscard]] TimePoint due(const auto& /*kind*/) const { return any_at_once(); }
  [[nodiscard]] Piece next(const auto& /*kind*/) const { return pop(); }

  void take(const Latency& kind, Piece piece) const {
    piece.ready = now + drawn_latency(kind, random);
    keep(std::move(piece));
  }
  [[nodiscard]] TimePoint due(const Latency& /*kind*/) const { return front_ready(); }

  void take(const DelayPushes& kind, Piece piece) const {
    if (piece.is_push) piece.ready = now + kind.delay;
    keep(std::move(piece));
  }
  [[nodiscard]] TimePoint due(const DelayPushes& /*kind*/) const { return front_ready(); }

  void take(const SlowClose& kind, Piece piece) const {
    if (piece.mark != Mark::none) piece.ready = now + kind.delay;
    keep(std::move(piece));
  }
  [[nodiscard]] TimePoint due(const SlowClose& /*kind*/) const { return front_ready(); }

  [[nodiscard]] TimePoint due(const Bandwidth& kind) const {
    if (at.queue.empty()) return kForever;
    const Piece& front = at.queue.front();
    if (front.mark != Mark::none) return kAtOnce;
    if (kind.bytes_per_s == 0) return kForever;
    const auto size = bandwidth_slice(front, kind);
    return std::max(at.free, front.ready) + time_for(size, kind.bytes_per_s);
  }
  [[nodiscard]] Piece next(const Bandwidth& kind) const {
    if (at.queue.front().mark != Mark::none) return pop();
    // Counted from when it was due, so that a late timer costs no bandwidth.
    at.free = due(kind);
    return pop(bandwidth_slice(at.queue.front(), kind));
  }

  void take(const Timeout& /*kind*/, Piece piece) const {
    if (piece.mark == Mark::none) return lose(piece);
    keep(std::move(piece));
  }
  [[nodiscard]] TimePoint due(const Timeout& kind) const {
    if (!at.queue.empty()) return kAtOnce;
    return kind.timeout > Duration::zero() ? at.since + kind.timeout : kForever;
  }
  [[nodiscard]] Piece next(const Timeout& /*kind*/) const {
    return at.queue.empty() ? end(Mark::close) : pop();
  }

  void take(const ResetPeer& kind, const Piece& piece) const {
    lose(piece);
    if (!at.reset_at) at.reset_at = now + kind.timeout;
  }
  [[nodiscard]] TimePoint due(const ResetPeer& /*kind*/) const {
    return at.reset_at.value_or(kForever);
  }
  [[nodiscard]] Piece next(const ResetPeer& /*kind*/) const { return end(Mark::reset); }

  [[nodiscard]] TimePoint due(const Slicer& /*kind*/) const {
    return at.queue.empty() ? kForever : at.free;
  }
  [[nodiscard]] Piece next(const Slicer& kind) const {
    if (at.queue.front().mark != Mark::none) return pop();
    if (at.slices.empty()) {
      at.slices = slice_sizes(static_cast<std::uint32_t>(at.queue.front().size()), kind, random);
      std::reverse(at.slices.begin(), at.slices.end());
    }
    const auto size = at.slices.back();
    at.slices.pop_back();
    at.free = now + kind.delay;
    return pop(size);
  }

  [[nodiscard]] TimePoint due(const LimitData& kind) const {
    const bool reached = kind.bytes > 0 && at.count >= kind.bytes;
    return reached ? kAtOnce : any_at_once();
  }
  [[nodiscard]] Piece next(const LimitData& kind) const {
    const bool reached = at.count >= kind.bytes;
    if (!at.queue.empty() && at.queue.front().mark != Mark::none) return pop();
    if (reached) return end(Mark::close);
    const auto left = kind.bytes - at.count;
    const auto size = std::min<std::uint64_t>(at.queue.front().size(), left);
    at.count += size;
    return pop(static_cast<std::size_t>(size));
  }

  // A stage as a whole.
  void put(Piece piece) const {
    if (at.ended) return lose(piece);
    piece.ready = now;
    if (!at.active) return keep(std::move(piece));
    std::visit([&](const auto& kind) { take(kind, std::move(piece)); }, at.kind);
  }
  [[nodiscard]] TimePoint due() const {
    if (at.ended) return kForever;
    if (!at.active) return any_at_once();
    return std::visit([&](const auto& kind) { return due(kind); }, at.kind);
  }
  [[nodiscard]] Piece next() const {
    if (!at.active) return pop();
    return std::visit([&](const auto& kind) { return next(kind); }, at.kind);
  }
};

void ToxicChain::add(const Toxic& toxic, TimePoint now) {
  stages_.push_back({.name = toxic.name, .kind = toxic.kind, .active = drawn(toxic), .since = now});
}

void ToxicChain::update(const Toxic& toxic, TimePoint now) {
  Stage* at = find(toxic.name);
  if (at == nullptr) return;
  const Mark end = end_without(*at);
  at->kind = toxic.kind;
  at->active = drawn(toxic);
  at->since = now;
  at->free = now;
  at->slices.clear();
  if (end == Mark::none || at->active) return;
  const auto index = static_cast<std::size_t>(at - stages_.data());
  const Rules rules{.at = *at, .random = random_.pieces, .queued = queued_, .now = now};
  put(index + 1, rules.end(end), now);
}

void ToxicChain::remove(std::string_view name, TimePoint now) {
  Stage* at = find(name);
  if (at == nullptr) return;
  Stage gone = std::move(*at);
  const auto index = static_cast<std::size_t>(at - stages_.data());
  stages_.erase(std::next(stages_.begin(), static_cast<std::ptrdiff_t>(index)));
  for (auto& piece : gone.queue) put(index, std::move(piece), now);
  if (const Mark end = end_without(gone); end != Mark::none) put(index, {.mark = end}, now);
}

void ToxicChain::take(std::string_view bytes, TimePoint now) {
  Piece run;  // bytes that have the same fate
  const auto hand_on = [&](bool is_push) {
    if (run.size() > 0) put(0, std::exchange(run, {}), now);
    run.is_push = is_push;
  };
  while (!bytes.empty() && !cut_) {
    const auto step = scanner_.next(bytes);
    if (step.starts) {
      if (step.is_push) ++counts_.seen;
      dropping_ = step.is_push && drops_pushes();
      if (dropping_) ++counts_.dropped;
      if (cut_here()) {
        hand_on(false);
        return take(Mark::close, now);
      }
    }
    if (!(dropping_ && step.is_push)) {
      if (step.is_push != run.is_push) hand_on(step.is_push);
      run.bytes.append(bytes.substr(0, step.size));
      queued_ += step.size;
    }
    bytes.remove_prefix(step.size);
  }
  hand_on(false);
}

void ToxicChain::take(Mark mark, TimePoint now) {
  if (cut_) return;
  cut_ = true;
  put(0, {.mark = mark}, now);
}

TimePoint ToxicChain::advance(TimePoint now) {
  const auto rules = [&](std::size_t index) {
    return Rules{.at = stages_[index], .random = random_.pieces, .queued = queued_, .now = now};
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      while (waiting_before(i + 1) < kMaxPieces && rules(i).due() <= now) {
        put(i + 1, rules(i).next(), now);
        moved = true;
      }
    }
  }
  TimePoint due = kForever;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    // One that the next has no room for is asked again when there is.
    if (waiting_before(i + 1) < kMaxPieces) due = std::min(due, rules(i).due());
  }
  return due;
}

bool ToxicChain::full() const noexcept {
  return queued_ >= kMaxQueued || waiting_before(0) >= kMaxPieces;
}

void ToxicChain::written(std::size_t bytes) {
  Piece& front = outlet_.front();
  front.from += bytes;
  queued_ -= bytes;
  if (front.size() == 0) outlet_.pop_front();
}

void ToxicChain::clear() {
  for (auto& stage : stages_) {
    stage.queue.clear();
    stage.slices.clear();
  }
  outlet_.clear();
  queued_ = 0;
}

ToxicChain::Stage* ToxicChain::find(std::string_view name) {
  const auto found = std::ranges::find(stages_, name, &Stage::name);
  return found == stages_.end() ? nullptr : &*found;
}

Mark ToxicChain::end_without(const Stage& stage) {
  if (!stage.active || stage.ended) return Mark::none;
  if (std::holds_alternative<Timeout>(stage.kind)) return Mark::close;
  return stage.reset_at ? Mark::reset : Mark::none;
}

bool ToxicChain::drops_pushes() const {
  return std::ranges::any_of(stages_, [](const Stage& stage) {
    return stage.active && std::holds_alternative<DropPushes>(stage.kind);
  });
}

bool ToxicChain::cut_here() {
  bool here = false;
  for (auto& stage : stages_) {
    const auto* kind = std::get_if<CutAtFrame>(&stage.kind);
    if (kind == nullptr || !stage.active) continue;
    here = ++stage.count >= kind->frame || here;
  }
  return here;
}

std::size_t ToxicChain::waiting_before(std::size_t index) const noexcept {
  return index < stages_.size() ? stages_[index].queue.size() : outlet_.size();
}

void ToxicChain::put(std::size_t index, Piece piece, TimePoint now) {
  if (index == stages_.size()) {
    outlet_.push_back(std::move(piece));
    return;
  }
  Rules{.at = stages_[index], .random = random_.pieces, .queued = queued_, .now = now}.put(
      std::move(piece));
}

}  // namespace nearlane::harness
