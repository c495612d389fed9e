// InFlight: what the commands of one connection that are not answered yet make the server keep:
// their own bytes, and the replies that reads among them are thought to bring, each as long as the
// longest that this connection has lately had. How long a reply will be nobody knows before it is
// there, so that the first burst of large ones may be more than it was thought to be. The next one
// is not.
//
// Units:    bytes.
// Threads:  one connection's.
// Cost:     full() and most_together() are loads; the rest a few steps a command that goes to L2,
//           none for what L1 answers.
#pragma once

#include <algorithm>
#include <cstddef>

namespace nearlane::resp {

class InFlight {
 public:
  /// Reads that go together at most, whatever is thought of their replies.
  static constexpr std::size_t kMostTogether = 64;
  /// A read's answer makes what is expected shrink by this part of it: after 1000 short ones a
  /// long one is forgotten, and one in a hundred is not.
  static constexpr std::size_t kForgets = 256;

  explicit InFlight(std::size_t most) noexcept : most_(most) {}

  void sent(std::size_t command, bool reads) noexcept {
    commands_ += command;
    reads_ += reads ? 1 : 0;
    weigh();
  }
  void answered(std::size_t command, bool reads, std::size_t reply) noexcept {
    commands_ -= command;
    reads_ -= reads ? 1 : 0;
    if (reads) expected_ = std::max(reply, expected_ - (expected_ + kForgets - 1) / kForgets);
    weigh();
  }

  /// No more may be sent until something is answered. Never where nothing is in flight: what is
  /// larger by itself goes alone.
  [[nodiscard]] bool full() const noexcept { return full_; }
  /// So many reads may be sent now: at least one, unless full().
  [[nodiscard]] std::size_t most_together() const noexcept { return together_; }

 private:
  void weigh() noexcept {
    const std::size_t all = commands_ + reads_ * expected_;
    full_ = all >= most_ && all > 0;
    const std::size_t room = full_ ? 0 : most_ - all;
    const bool little = expected_ * kMostTogether <= room;  // mostly, and then nothing is divided
    together_ = little ? kMostTogether : std::max<std::size_t>(room / expected_, 1);
  }

  const std::size_t most_;
  std::size_t commands_ = 0;
  std::size_t reads_ = 0;
  std::size_t expected_ = 0;
  std::size_t together_ = kMostTogether;
  bool full_ = false;
};

}  // namespace nearlane::resp
