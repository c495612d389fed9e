// Pipe: one direction of a connection. Bytes arrive in order, some time after they were sent.
//
// Lifetime:  what take() returns is good until the next send().
// Threads:   one owner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace nearlane::sim {

class Pipe {
 public:
  /// Arrives at `at`, or with what was sent before it if that comes later.
  void send(std::string_view bytes, TimePoint at) {
    if (lost_ || bytes.empty()) return;
    last_ = std::max(last_, at);
    if (taken_ == segments_.size()) {  // nothing is on its way: the room is free again
      bytes_.clear();
      segments_.clear();
      taken_ = 0;
    }
    bytes_ += bytes;
    segments_.push_back({last_, bytes_.size()});
  }
  /// When the next bytes arrive.
  [[nodiscard]] TimePoint next() const noexcept {
    return taken_ == segments_.size() ? kForever : segments_[taken_].at;
  }
  /// Precondition: next() is not kForever.
  [[nodiscard]] std::string_view take() {
    const std::size_t from = taken_ == 0 ? 0 : segments_[taken_ - 1].end;
    const std::size_t size = segments_[taken_++].end - from;
    return std::string_view(bytes_).substr(from, size);
  }
  /// Nothing arrives any more, and the sender does not learn of it.
  void lose() noexcept {
    lost_ = true;
    drop();
  }
  /// What is on its way does not arrive.
  void drop() noexcept { taken_ = segments_.size(); }
  /// Nothing arrives before `until`.
  void stall(TimePoint until) noexcept {
    last_ = std::max(last_, until);
    for (std::size_t i = taken_; i < segments_.size(); ++i)
      segments_[i].at = std::max(segments_[i].at, until);
  }

 private:
  struct Segment {
    TimePoint at;
    std::size_t end;
  };
  std::string bytes_;
  std::vector<Segment> segments_;
  std::size_t taken_ = 0;
  TimePoint last_ = TimePoint::min();
  bool lost_ = false;
};

}  // namespace nearlane::sim
