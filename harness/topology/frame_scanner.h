// Where frames begin and end in a stream of RESP, and which are pushes, without keeping a byte of them.
//
// It never holds anything back: bytes are told apart as they come. What is no RESP ends its work; from there on
// everything is one stream without frames. An attribute counts to the reply behind it, and a push that has one is not
// taken for a push.
//
// Threads:  one owner.
// Cost:     a look at each byte of a header, none at a body's. At most kMaxDepth numbers and a header's first bytes
//           are kept.
// Source:   redis.io/docs/reference/protocol-spec (RESP2 and RESP3; streamed types, which Redis does not send, are no
//           RESP here).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/topology/toxic.h"

namespace nearlane::harness {

class FrameScanner {
 public:
  static constexpr std::size_t kMaxDepth = 32;  // nested aggregates

  /// To the server there are commands: arrays, and lines of any kind.
  explicit FrameScanner(Way way) noexcept : way_(way) {}

  struct Step {
    std::size_t size = 0;  // bytes at the input's front that belong to one frame, or to none
    bool starts = false;   // the frame's first byte is among them
    bool ends = false;     // its last byte is the last of them
    bool is_push = false;
  };
  /// The input's front up to a frame's end, or all of it. The next call wants what follows.
  [[nodiscard]] Step next(std::string_view input);

 private:
  /// Body bytes up to the end of a bulk string, or a header's up to its end; how many.
  std::size_t read_body(std::string_view input);
  std::size_t read_line(std::string_view input);
  bool interpret();  // false: no RESP
  bool open(std::uint64_t elements);
  void element_done();
  [[nodiscard]] bool between_frames() const noexcept {
    return open_.empty() && body_ == 0 && line_.empty();
  }

  Way way_;
  bool lost_ = false;  // this is no RESP
  bool is_push_ = false;
  bool done_ = false;                // a frame has just ended
  std::uint64_t body_ = 0;           // bytes of a bulk string that are still to come
  std::string line_;                 // a header's first bytes
  std::vector<std::uint64_t> open_;  // elements that each open aggregate still waits for
};

}  // namespace nearlane::harness
