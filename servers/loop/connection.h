// Connection: what a loop must know of whatever lives on it: how to end it, and when.
//
// Threads:   lives and dies on its home loop; every member is called there.
// Lifetime:  the loop owns it from Loop::add until Loop::remove, its handlers a little longer.
#pragma once

#include <memory>

#include "core/base/clock.h"

namespace nearlane::loop {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;

  /// Called once, when the loop owns it.
  virtual void start() = 0;
  /// drain() will come soon: where the protocol can say so, the next answer tells the peer to go elsewhere, and is the
  /// last one. Until then it is served as before.
  virtual void retire() noexcept {}
  /// Finishes what is in flight, then closes; closes at once when nothing is.
  virtual void drain() noexcept = 0;
  /// Closes now and leaves the loop. Calling it again does nothing.
  virtual void close() noexcept = 0;

  /// The loop closes the connection when this has passed; looked at about once a second.
  [[nodiscard]] TimePoint overdue_at() const noexcept { return overdue_at_; }

 protected:
  void set_overdue_at(TimePoint when) noexcept { overdue_at_ = when; }

 private:
  TimePoint overdue_at_ = kForever;
};

}  // namespace nearlane::loop
