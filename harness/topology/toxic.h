// What a fault proxy does to one way of a connection: Toxiproxy's toxics, and three that know RESP.
//
// Errors:   invalid_argument, naming the toxic and what of it cannot be.
// Threads:  plain values.
// Source:   Toxiproxy's README, "Toxics": https://github.com/Shopify/toxiproxy
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace nearlane::harness {

enum class Way : std::uint8_t { to_server, to_client };

/// Everything arrives so much later, give or take up to `jitter`, and in order.
struct Latency {
  Duration latency{};
  Duration jitter{};
};
/// No more than this, in pieces of a tenth of a second; 0: nothing.
struct Bandwidth {
  std::uint64_t bytes_per_s = 0;
};
/// That the sender has ended arrives so much later.
struct SlowClose {
  Duration delay{};
};
/// What comes is lost, and after so long the connection is closed; 0: only when the toxic is taken away.
struct Timeout {
  Duration timeout{};
};
/// The first bytes are lost, and so long after them both sides are reset.
struct ResetPeer {
  Duration timeout{};
};
/// Pieces of `average` bytes, give or take `variation`, which is less; after each one a pause.
struct Slicer {
  std::uint32_t average = 0;
  std::uint32_t variation = 0;
  Duration delay{};
};
/// After so many bytes, counted from when the toxic came to the connection, it is closed.
struct LimitData {
  std::uint64_t bytes = 0;
};
/// Pushes are taken out of the stream, and the replies behind them arrive. To the client only.
struct DropPushes {};
/// From the first push on, the rest of that way waits so long. To the client only.
struct DelayPushes {
  Duration delay{};
};
/// Closed before the first byte of this frame (a reply, a push; to the server a command), the first being 1,
/// counted from when the toxic came to the connection. All frames before it arrive whole.
struct CutAtFrame {
  std::uint64_t frame = 1;
};

using ToxicKind = std::variant<Latency, Bandwidth, SlowClose, Timeout, ResetPeer, Slicer, LimitData,
                               DropPushes, DelayPushes, CutAtFrame>;

struct Toxic {
  static constexpr std::size_t kMaxName = 256;                        // bytes
  static constexpr Duration kLongest = std::chrono::hours(24);        // of any of its times
  static constexpr std::uint64_t kMaxRate = std::uint64_t{1} << 40U;  // bytes/s: a tebibyte

  std::string name;
  Way way = Way::to_client;
  double toxicity = 1;  // the share of connections that it is put on; each is drawn for once
  ToxicKind kind{};
};

/// As Toxiproxy calls it, such as "reset_peer".
[[nodiscard]] std::string_view type_of(const ToxicKind& kind) noexcept;
/// "upstream" or "downstream".
[[nodiscard]] std::string_view stream_of(Way way) noexcept;

[[nodiscard]] Result<void> check(const Toxic& toxic);

}  // namespace nearlane::harness
