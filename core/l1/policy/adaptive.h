// Adaptive: of a sample of entries the one goes that is expected to bring the fewest hits for the time and
// the bytes that it takes. What to expect is measured while the cache runs (reuse_model.h), so the policy is
// LRU where recency foretells reuse and LFU where frequency does, and nothing has to be switched.
//
// There is no queue, so a hit has nothing to move: it notes the use in the entry's mark, at most once a tick,
// which is 1/32 of a capacity's insertions. An evicted key leaves what is known of it in a ghost; if it comes
// back in time it goes on from there. One draw serves the next eight victims; whoever was used since it was
// drawn stays.
//
// Cost:      10 bytes an entry, all of it ghosts, two of them an entry, and none before the first entry has to
//            leave. A hit: nothing within a tick, then one compare-and-swap of the mark, and for a measured
//            key two counters under a lock that nobody waits for. victim(): once in eight a draw of 256
//            cells, and up to three more where readers use what was drawn. The first victim makes the table of ghosts; a shard that holds a quarter more by now,
//            because its entries became smaller, makes a larger one and forgets the former ghosts. Either is
//            zeroed by the kernel, page by page as it is used, not by the caller at once.
// Source:    sampling: Psounis and Prabhakar, "A randomized web-cache replacement scheme", INFOCOM 2001, and
//            LHD (reuse_model.h); what its parts are worth is in docs/decisions/0008.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/l1/policy/policy.h"
#include "core/l1/policy/reuse_model.h"
#include "core/l1/zeroed.h"

namespace nearlane::l1 {

class Adaptive {
 public:
  static constexpr std::string_view kName = "adaptive";
  static constexpr bool kHitNeedsExclusive = false;
  static constexpr std::size_t kBytesPerEntry = 10;

  struct Shared {
    explicit Shared(Room room) noexcept : model(room.capacity()) {}
    ReuseModel model;
  };

  /// Not to be used before it is given a Shared.
  explicit Adaptive(Room room) noexcept : room_(room) {}
  Adaptive(Room room, Shared& shared, std::uint64_t shards)
      : room_(room), shards_(shards), model_(&shared.model) {}

  void insert(CellId, const Entry& entry, std::uint64_t hash) {
    ++entries_;
    const bool measured = model_->measured(hash);
    Use use(0, 0, model_->now());
    if (Ghost* ghost = ghost_of(hash); ghost != nullptr) {
      const Use before = ghost->use;
      *ghost = {};
      if (const unsigned age = before.age(model_->now()); age < ReuseModel::kHorizon) {
        use = model_->used(before, std::max(1U, age));
        if (measured) model_->use(before, use);
      } else if (measured) {
        model_->begin(use);
      }
    } else if (measured) {
      model_->begin(use);
    }
    entry.set_mark(use.bits());
    model_->inserted(room_.weight(entry), entries_ * shards_);
  }
  void hit(const Entry& entry, std::uint64_t hash) noexcept {
    const Use before(entry.mark());
    const unsigned age = before.age(model_->now());
    if (age != 0) note(entry, hash, before, age);
  }
  void replace(CellId, const Entry&, const Entry&) noexcept {}
  void erase(CellId cell, const Entry& entry) noexcept {
    --entries_;
    if (cell == leaving_) {
      leaving_ = kNoCell;  // its life goes on as a ghost's
      return;
    }
    if (model_->measured(entry.key().hash)) model_->end(Use(entry.mark()));
  }
  /// Expected uses a tick, whatever it weighs.
  [[nodiscard]] float worth(const Entry& entry) const noexcept {
    return model_->rank(Use(entry.mark()));
  }
  [[nodiscard]] CellId victim(const Cells& cells, std::size_t&) noexcept {
    CellId cell = drawn([&] { return next_drawn(cells); }, [&] { draw(cells); });
    if (cell == kNoCell) cell = cells.next(hand_);  // readers were faster than every draw
    if (cell != kNoCell) {
      remember(*cells.at(cell));
      leaving_ = cell;
    }
    return cell;
  }
  /// Keeps marks from wrapping: an age has nearly as many ticks from the horizon to the end of its field as up to the
  /// horizon, and in half of them every entry is looked at once.
  void refresh(const Cells& cells) noexcept {
    const std::uint32_t now = model_->now();
    if (now != refreshed_to_) {
      const std::uint64_t due =
          std::uint64_t{now - refreshed_to_} * (cells.size() / (kHorizon / 2) + 1);
      due_ = std::min<std::uint64_t>(cells.size(), due_ + due);
      refreshed_to_ = now;
    }
    if (due_ != 0) refresh_some(cells);
  }
  /// What `next` has, which draws fill; none where readers use all that each of them brings. Public, as no test can be so
  /// fast a reader.
  template <class Next, class Draw>
  static CellId drawn(Next next, Draw draw) noexcept {
    CellId cell = next();
    for (unsigned draws = 0; cell == kNoCell && draws < kMostDraws; ++draws) {
      draw();
      cell = next();
    }
    return cell;
  }
  void clear() noexcept {
    ghosts_ = {};
    entries_ = 0;
    due_ = 0;
    drawn_ = next_ = 0;
    leaving_ = kNoCell;
  }

 private:
  static constexpr unsigned kDrawsPerVictim = 32;
  static constexpr unsigned kBatch = 8;  // victims of one draw
  static constexpr unsigned kMostDraws = 4;
  /// Entries that an insertion refreshes at most. A tick has far more insertions than this needs, unless few large values
  /// come to many small ones.
  static constexpr std::size_t kRefreshed = 64;
  static constexpr std::uint32_t kHorizon = ReuseModel::kHorizon;
  static constexpr std::size_t kGhostsPerEntry = 2;

  struct Ghost {
    std::uint16_t tag = 0;
    Use use;
  };
  static constexpr std::size_t kPerBucket = 4;
  using Bucket = std::array<Ghost, kPerBucket>;
  struct Candidate {
    float score = 0;
    CellId cell = kNoCell;
    const Entry* entry = nullptr;
    std::uint16_t mark = 0;
  };

  /// Never 0, which is a free ghost's.
  static std::uint16_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint16_t>(std::max<std::uint64_t>(1, hash >> 16U & 0xFFFFU));
  }
  [[nodiscard]] Bucket& bucket_of(std::uint64_t hash) const noexcept {
    return ghosts_[(hash >> 32U) * ghosts_.size() >> 32U];
  }
  Ghost* ghost_of(std::uint64_t hash) noexcept {
    if (ghosts_.size() == 0) return nullptr;
    for (Ghost& ghost : bucket_of(hash)) {
      if (ghost.tag == tag_of(hash)) return &ghost;
    }
    return nullptr;
  }
  /// The one whose last use is the longest ago gives way.
  void remember(const Entry& entry) noexcept {
    if (!reach()) return;  // no memory, no ghosts
    const std::uint64_t hash = entry.key().hash;
    Bucket& bucket = bucket_of(hash);
    const auto staleness = [&](const Ghost& ghost) {
      return ghost.tag == 0 ? Use::kTicks : ghost.use.age(model_->now());
    };
    *std::ranges::max_element(bucket, {}, staleness) = {tag_of(hash), Use(entry.mark())};
  }
  /// Room for the ghosts of as many entries as there are.
  [[nodiscard]] bool reach() noexcept {
    const std::uint64_t wanted = entries_;
    if (ghosts_.size() * kPerBucket < wanted * kGhostsPerEntry || ghosts_.size() == 0) {
      ghosts_ = {};  // before the next ones are there
      ghosts_ = Zeroed<Bucket>(
          wanted * kGhostsPerEntry / kPerBucket * (room_.entries != 0 ? 8 : 10) / 8 + 1);
    }
    return ghosts_.size() != 0;
  }

  /// Out of line: within a tick a hit does nothing, and should be no longer than that.
  [[gnu::noinline]] void note(const Entry& entry, std::uint64_t hash, Use before,
                              unsigned age) noexcept {
    const Use after = model_->used(before, age);
    if (entry.replace_mark(before.bits(), after.bits()) && model_->measured(hash)) {
      model_->use(before, after);
    }
  }
  [[nodiscard]] float score(const Entry& entry) const noexcept {
    return model_->rank(Use(entry.mark())) / static_cast<float>(room_.weight(entry));
  }
  [[gnu::noinline]] void refresh_some(const Cells& cells) noexcept {
    // They are fetched side by side.
    std::array<const Entry*, kRefreshed> entries;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(due_, kRefreshed));
    for (std::size_t i = 0; i < count; ++i) {
      hand_ = cells.next(hand_ + 1);
      entries[i] = cells.at(hand_);
      __builtin_prefetch(entries[i]);
    }
    for (std::size_t i = 0; i < count; ++i) refresh_one(*entries[i]);
    due_ -= count;
  }
  void refresh_one(const Entry& entry) noexcept {
    const Use use(entry.mark());
    if (use.age(model_->now()) < kHorizon) return;
    const Use oldest(use.uses(), use.interval(), model_->now() - (kHorizon - 1));
    entry.replace_mark(use.bits(), oldest.bits());  // or it was used just now, and needs no help
  }
  /// Whoever was drawn, and neither left nor was used since.
  CellId next_drawn(const Cells& cells) noexcept {
    while (next_ < drawn_) {
      const Candidate& one = candidates_[next_++];
      if (cells.at(one.cell) == one.entry && one.entry->mark() == one.mark) return one.cell;
    }
    return kNoCell;
  }
  /// Looks at random cells and keeps those with the lowest scores, sorted. A small shard gives one victim a
  /// draw.
  void draw(const Cells& cells) noexcept {
    const auto batch = static_cast<unsigned>(std::clamp<std::size_t>(entries_ / 64, 1, kBatch));
    const unsigned draws = batch == 1 ? 2 : batch;
    drawn_ = next_ = 0;
    for (unsigned round = 0; round < draws && entries_ != 0; ++round) {
      // The entries of a round are fetched side by side.
      std::array<CellId, kDrawsPerVictim> at;
      std::array<const Entry*, kDrawsPerVictim> entries;
      for (unsigned i = 0; i < kDrawsPerVictim; ++i) {
        random_ = random_ * 6364136223846793005U + 1442695040888963407U;
        at[i] = static_cast<CellId>((random_ >> 32U) * cells.end() >> 32U);
        // Where many cells are free, the next one that is taken would nearly always be the first of a run. So these
        // go round all that are taken, by uneven steps, or a round and the sorting of what it brings would fall into
        // step.
        if (cells.at(at[i]) == nullptr) {
          for (unsigned steps = 1 + ((random_ >> 30U) & 3U); steps > 0; --steps)
            walker_ = cells.next(walker_ + 1);
          at[i] = walker_;
        }
        entries[i] = cells.at(at[i]);
        __builtin_prefetch(entries[i]);
      }
      for (unsigned i = 0; i < kDrawsPerVictim; ++i) {
        consider(at[i], *entries[i], batch);
      }
    }
  }
  void consider(CellId cell, const Entry& entry, unsigned batch) noexcept {
    const std::uint16_t mark = entry.mark();
    const float value = score(entry);
    if (drawn_ == batch && value >= candidates_[batch - 1].score) return;
    for (unsigned i = 0; i < drawn_; ++i) {
      if (candidates_[i].cell == cell) return;
    }
    unsigned at = drawn_ < batch ? drawn_++ : batch - 1;
    for (; at > 0 && candidates_[at - 1].score > value; --at) candidates_[at] = candidates_[at - 1];
    candidates_[at] = {value, cell, &entry, mark};
  }

  // Hits read this line, and nobody writes it once the shard is shared.
  alignas(64) Room room_;
  std::uint64_t shards_ = 1;
  ReuseModel* model_ = nullptr;
  alignas(64) std::size_t entries_ = 0;
  Zeroed<Bucket> ghosts_;  // all free at first; none where there is no memory
  CellId hand_ = 0;
  std::uint32_t refreshed_to_ = 0;  // the tick
  std::uint64_t due_ = 0;           // entries to refresh for the ticks until then
  CellId walker_ = 0;
  CellId leaving_ = kNoCell;  // the victim, until it is erased
  std::uint64_t random_ = 1;
  std::array<Candidate, kBatch> candidates_{};
  unsigned drawn_ = 0;
  unsigned next_ = 0;
};
static_assert(Learns<Adaptive>);

}  // namespace nearlane::l1
