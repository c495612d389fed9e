// Pace: by when a peer that is slow with a body, or with taking an answer, is given up.
//
// It may rest for `grace`, and has that long for the whole, beside a second for each `slowest_bytes` that have gone
// over. So whoever trickles is given up too, and what went fast buys no longer rest.
//
// Units:     bytes.
// Threads:   a plain value.
// Source:    Apache's mod_reqtimeout has the like as MinRate.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "core/base/clock.h"

namespace nearlane::http {

class Pace {
 public:
  Pace(std::chrono::milliseconds grace, std::uint64_t slowest_bytes, TimePoint began) noexcept
      : grace_(grace), slowest_bytes_(slowest_bytes), began_(began), moved_at_(began) {}

  void moved(std::uint64_t bytes, TimePoint now) noexcept {
    bytes_ += bytes;
    moved_at_ = now;
  }

  [[nodiscard]] TimePoint overdue_at() const noexcept {
    const std::chrono::milliseconds earned(bytes_ * 1000 / slowest_bytes_);
    return std::min(began_ + earned, moved_at_) + grace_;
  }

 private:
  std::chrono::milliseconds grace_;
  std::uint64_t slowest_bytes_;
  TimePoint began_;
  TimePoint moved_at_;
  std::uint64_t bytes_ = 0;
};

}  // namespace nearlane::http
