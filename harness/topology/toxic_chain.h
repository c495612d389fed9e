// One way of a connection: bytes go in, pass the toxics one after the other, and wait at the outlet for whoever writes
// them. It does no I/O and reads no clock.
//
// Where a stream ends is a mark among its bytes, so that nothing overtakes it and it overtakes nothing.
//
// Threads:  one owner.
// Lifetime: `random` and `counts` must outlive it.
// Cost:     a copy of what goes in. A stage hands on no more than kMaxPieces before they are taken, so that small
//           slices cannot grow what is kept beyond their bytes; who puts bytes in asks full() first.
// Source:   Toxiproxy's link.go and toxics/, for what each toxic means: https://github.com/Shopify/toxiproxy
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "harness/topology/frame_scanner.h"
#include "harness/topology/toxic.h"
#include "harness/workload/random.h"

namespace nearlane::harness {

/// How a way ends.
enum class Mark : std::uint8_t {
  none,
  end,    // the sender has finished; the other way goes on
  close,  // both ways are closed once what came before has been written
  reset,  // both sides are reset
};

/// Bytes, or a mark.
struct Piece {
  std::string bytes = {};
  std::size_t from = 0;  // bytes before this one are gone
  bool is_push = false;
  Mark mark = Mark::none;
  TimePoint ready = {};  // when it may leave its stage, or when it came there

  [[nodiscard]] std::string_view view() const { return std::string_view(bytes).substr(from); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes.size() - from; }
};

struct PushCounts {
  std::uint64_t seen = 0;
  std::uint64_t dropped = 0;
};

/// Apart, so that which connections a toxic is put on does not hang on how many pieces came before.
struct Randomness {
  explicit Randomness(std::uint64_t seed) noexcept : toxicity(mix64(seed)), pieces(seed) {}

  Random toxicity;
  Random pieces;  // their times and sizes
};

class ToxicChain {
 public:
  static constexpr std::size_t kMaxQueued = std::size_t{8} << 20U;  // bytes
  static constexpr std::size_t kMaxPieces = 16384;                  // of one stage

  ToxicChain(Way way, Randomness& random, PushCounts& counts)
      : random_(random), counts_(counts), scanner_(way) {}

  /// At the chain's end. Whether it is put on this connection is drawn for.
  void add(const Toxic& toxic, TimePoint now);
  /// The toxic of that name and type is like this from now on; drawn for again. What waits in it keeps its times. A
  /// connection that is drawn out of one that has lost bytes, or would, ends.
  void update(const Toxic& toxic, TimePoint now);
  /// What waits in it goes on at once. A connection that has lost bytes to it, or would, ends.
  void remove(std::string_view name, TimePoint now);

  void take(std::string_view bytes, TimePoint now);
  void take(Mark mark, TimePoint now);
  /// Lets pass what is due; when there will be more, or kForever.
  [[nodiscard]] TimePoint advance(TimePoint now);
  /// To be asked before anything is put in.
  [[nodiscard]] bool full() const noexcept;

  [[nodiscard]] bool has_output() const noexcept { return !outlet_.empty(); }
  [[nodiscard]] const Piece& output() const { return outlet_.front(); }
  /// So many bytes of output() have been written; all of them, or a mark: it is gone.
  void written(std::size_t bytes);
  /// All that waits is lost.
  void clear();
  [[nodiscard]] std::size_t queued() const noexcept { return queued_; }  // bytes

 private:
  struct Stage {
    std::string name;
    ToxicKind kind;
    bool active = true;
    TimePoint since = {};  // it came to the connection
    std::deque<Piece> queue = {};
    TimePoint free = {};                     // Bandwidth, Slicer: the next piece may begin
    std::optional<TimePoint> reset_at = {};  // ResetPeer, once bytes came
    std::uint64_t count = 0;                 // LimitData: bytes; CutAtFrame: frames
    std::vector<std::uint32_t> slices = {};  // Slicer: of the front piece, the last one first
    bool ended = false;                      // it has ended the connection
  };
  struct Rules;  // what each kind does

  Stage* find(std::string_view name);
  /// How a connection ends from which this toxic goes, because it has lost bytes to it, or would have.
  [[nodiscard]] static Mark end_without(const Stage& stage);
  [[nodiscard]] bool drawn(const Toxic& toxic) { return random_.toxicity.real() < toxic.toxicity; }
  [[nodiscard]] bool drops_pushes() const;
  [[nodiscard]] bool cut_here();
  [[nodiscard]] std::size_t waiting_before(std::size_t index) const noexcept;
  void put(std::size_t index, Piece piece, TimePoint now);

  Randomness& random_;
  PushCounts& counts_;
  FrameScanner scanner_;
  bool dropping_ = false;  // the frame that is being read
  bool cut_ = false;       // nothing goes in any more
  std::vector<Stage> stages_;
  std::deque<Piece> outlet_;
  std::size_t queued_ = 0;
};

/// Where `size` bytes are cut into slices, in order; the sum is `size`.
[[nodiscard]] std::vector<std::uint32_t> slice_sizes(std::uint32_t size, const Slicer& slicer,
                                                     Random& random);

}  // namespace nearlane::harness
