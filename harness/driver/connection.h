// One connection of the generator: socket, codec, bytes on their way out and requests in flight. It keeps the
// order and the times; when to do what is the generator's.
//
// Units:    times are offsets from the run's start.
// Threads:  the generator's.
// Cost:     slots for requests in flight are made once and reused.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "harness/driver/codec.h"
#include "harness/driver/request.h"
#include "harness/driver/socket.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

/// A request between its send and its reply.
struct Flight {
  Op kind = Op::get;
  std::string key;
  std::uint64_t tag = 0;
  Duration intended{};
  Duration ready{};  // from when only the generator kept it from being sent
  Duration sent{};
};

class Connection {
 public:
  /// `in_bursts`: there is room again only when all that was sent has been answered.
  Connection(std::uint32_t index, Endpoint target, std::unique_ptr<Codec> protocol,
             std::uint32_t pipeline, bool in_bursts)
      : number(index),
        peer(std::move(target)),
        codec(std::move(protocol)),
        in_bursts_(in_bursts),
        slots_(pipeline) {}

  [[nodiscard]] bool has_room() const noexcept {
    return !parked && socket.state() == Socket::State::open && filling_;
  }
  [[nodiscard]] std::size_t in_flight() const noexcept { return count_; }
  [[nodiscard]] bool has_output() const noexcept { return out_at_ < out_.size(); }

  /// Encodes the request and takes a slot for it; has_room() must hold.
  void take(const Request& request, Duration ready) {
    Flight& flight = slots_[(head_ + count_++) % slots_.size()];
    flight.kind = request.kind;
    flight.key = request.key;
    flight.tag = request.tag;
    flight.intended = request.at;
    flight.ready = ready;
    filling_ = count_ < slots_.size();
    ++unsent_;
    codec->encode(request, out_);
  }

  /// Hands what is encoded to the kernel. Everything taken since the last time counts as sent at `now`.
  Socket::Moved flush(Duration now) {
    for (; unsent_ > 0; --unsent_) slots_[(head_ + count_ - unsent_) % slots_.size()].sent = now;
    const auto moved = socket.send(std::string_view(out_).substr(out_at_));
    out_at_ += moved.bytes;
    if (out_at_ == out_.size()) {
      out_.clear();
      out_at_ = 0;
    }
    return moved;
  }

  [[nodiscard]] const Flight& oldest() const noexcept { return slots_[head_]; }
  void drop_oldest() noexcept {
    head_ = (head_ + 1) % slots_.size();
    --count_;
    filling_ = filling_ || !in_bursts_ || count_ == 0;
  }
  /// The oldest was taken but never handed to the kernel.
  [[nodiscard]] bool oldest_unsent() const noexcept { return unsent_ == count_; }

  /// Closes; requests in flight must have been dropped.
  void close() {
    socket.close();
    codec->reset();
    out_.clear();
    out_at_ = head_ = count_ = unsent_ = 0;
    filling_ = true;
  }

  const std::uint32_t number;
  const Endpoint peer;
  const std::unique_ptr<Codec> codec;
  Socket socket;
  std::deque<Request> waiting;  // named for this connection, which has no room or is not open
  Duration retry_at{};  // while closed: when to connect again; while connecting: when to give up
  Duration backoff{};
  bool parked = false;        // its peer is out of rotation
  bool roomy = false;         // as the generator has counted it
  bool dirty = false;         // in the generator's list of connections to flush
  bool writes_armed = false;  // waits for EPOLLOUT

 private:
  bool in_bursts_;
  bool filling_ = true;
  std::vector<Flight> slots_;  // a ring
  std::size_t head_ = 0;
  std::size_t count_ = 0;
  std::size_t unsent_ = 0;  // the newest `unsent_` of them
  std::string out_;
  std::size_t out_at_ = 0;
};

}  // namespace nearlane::harness
