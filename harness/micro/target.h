// Target: one filled map that reads are timed against, ours or a peer's.
//
// The loops are the target's own, so that a peer in another language is timed without a call between
// languages in each read. They all walk the same names in the same order, take the same draws for
// writes, and leave their replies in the same buffer.
//
// Threads:   run and sample may be called by several threads at once.
// Lifetime:  names and out belong to the caller.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nearlane::micro {

/// Names are as long as the session ids of the peers' programs. Unit: bytes.
inline constexpr std::size_t kNameBytes = 21;
/// Keys of one batch16.
inline constexpr std::size_t kBatch = 16;
/// Replies are copied one after the other into a buffer of this size, as a connection's. Unit: bytes.
inline constexpr std::size_t kOutBytes = std::size_t{64} * 1024;

/// kNameBytes of name, padded to whole words.
struct alignas(8) Name {
  std::array<char, 24> bytes;
  [[nodiscard]] std::string_view text() const noexcept { return {bytes.data(), kNameBytes}; }
};

enum class How : std::uint32_t { ref = 0, copy = 1, batch16 = 2 };
inline constexpr std::array<std::string_view, 3> kHowNames{"ref", "copy", "batch16"};

/// What one thread does. Its layout is known to dashmap/src/lib.rs.
struct Work {
  const Name* names = nullptr;  // a ring
  std::size_t draws = 0;        // its size, a power of two
  std::size_t from = 0;         // where to begin, a multiple of kBatch
  std::size_t count = 0;        // draws to use up, a multiple of kBatch
  char* out = nullptr;
  std::size_t out_bytes = 0;
  How how = How::ref;
  std::uint32_t writes = 0;  // percent of the draws that put a new value instead of reading
};

/// What came of it. Its layout is known to dashmap/src/lib.rs.
struct Tally {
  std::uint64_t reads = 0;
  std::uint64_t hits = 0;
  std::uint64_t samples = 0;
};

static_assert(sizeof(Name) == 24 && sizeof(Work) == 56 && sizeof(Tally) == 24,
              "as dashmap/src/lib.rs has them");

/// A draw is a write when the hash of its place is below this; 0 for none.
[[nodiscard]] constexpr std::uint32_t write_limit(std::uint32_t percent) noexcept {
  return static_cast<std::uint32_t>((std::uint64_t{percent} << 32U) / 100);
}
[[nodiscard]] constexpr bool is_write(std::size_t at, std::uint32_t limit) noexcept {
  return static_cast<std::uint32_t>(at) * 2654435761U < limit;
}

class Target {
 public:
  virtual ~Target() = default;
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  /// Whether it holds the keys: all of them, or none at all (the null twin).
  [[nodiscard]] virtual bool holds() const noexcept = 0;
  virtual Tally run(const Work& work) = 0;
  /// The same reads, each by itself between two serialised readings of the tick counter; a batch is one
  /// sample. Writes are not timed. `ticks` has room for work.count samples.
  virtual Tally sample(const Work& work, std::uint32_t* ticks) = 0;

 protected:
  Target() = default;
};

/// What a target is filled with.
struct Fill {
  std::uint64_t keys;
  std::size_t value_bytes;
  [[nodiscard]] bool operator==(const Fill&) const = default;
};

/// Every map of the registry, then the peers that this program was built with.
[[nodiscard]] std::vector<std::string_view> target_names();
/// Those that are not of the registry, tuned last; empty where they were not built.
[[nodiscard]] std::vector<std::string_view> peer_names();
/// How the peers were built; empty when they were not.
[[nodiscard]] std::string_view peer_build();

/// What a filled one may take, generously. Unit: bytes.
[[nodiscard]] constexpr std::uint64_t target_bytes(const Fill& fill) noexcept {
  // Beside the value: the name twice, headers of entry and allocator, a table less than half full.
  return fill.keys * (fill.value_bytes + 300) + (std::uint64_t{16} << 20U);
}

/// Makes and fills it. Null when it does not hold what was put into it.
[[nodiscard]] std::unique_ptr<Target> make_target(std::string_view name, std::string_view policy,
                                                  const Fill& fill);
/// How many filled targets the memory of this machine has room for beside each other, when it was asked
/// for the first time; at least 1.
[[nodiscard]] std::size_t places_for(const Fill& fill);

}  // namespace nearlane::micro
