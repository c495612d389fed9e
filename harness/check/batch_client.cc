#include "harness/check/batch_client.h"

#include <algorithm>
#include <utility>

#include <poll.h>

namespace nearlane::harness {
namespace {

constexpr std::size_t kReceive = std::size_t{256} << 10U;

}  // namespace

BatchClient::BatchClient(Protocol protocol, Endpoint peer, Duration timeout)
    : protocol_(protocol),
      peer_(std::move(peer)),
      timeout_(timeout),
      codec_(make_codec(protocol_, peer_)),
      in_(kReceive) {}

void BatchClient::turn_to(Endpoint peer) {
  if (peer == peer_) return;
  peer_ = std::move(peer);
  codec_ = make_codec(protocol_, peer_);
  socket_.close();
}

bool BatchClient::wait(short events, TimePoint deadline) const {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd waiting{.fd = socket_.fd(), .events = events, .revents = 0};
  return left > 0 && ::poll(&waiting, 1, static_cast<int>(left)) > 0;
}

bool BatchClient::connect(TimePoint deadline) {
  codec_->reset();
  return socket_.connect_by(peer_, deadline).has_value();
}

void BatchClient::exchange(std::span<const Request> requests, const Told& told) {
  const TimePoint deadline = Clock::now() + timeout_;
  std::size_t answered = 0;
  Failure failed = Failure::not_sent;
  if (socket_.state() == Socket::State::open || connect(deadline)) {
    failed = carry(requests, answered, told, deadline);
  }
  if (failed == Failure::none) return;
  socket_.close();
  const TimePoint now = Clock::now();
  for (; answered < requests.size(); ++answered) {
    told(answered, {.outcome = Outcome::error, .failure = failed}, now);
  }
}

Failure BatchClient::carry(std::span<const Request> requests, std::size_t& answered,
                           const Told& told, TimePoint deadline) {
  out_.clear();
  for (const Request& request : requests) codec_->encode(request, out_);
  std::string_view unsent = out_;
  while (answered < requests.size()) {
    if (!unsent.empty()) {
      const auto moved = socket_.send(unsent);
      if (moved.bytes == 0 && !moved.would_block) return Failure::lost;
      unsent.remove_prefix(moved.bytes);
    }
    const auto moved = socket_.receive(in_);
    if (moved.bytes == 0) {
      if (!moved.would_block) return Failure::lost;
      const auto events = static_cast<short>(unsent.empty() ? POLLIN : POLLIN | POLLOUT);
      if (!wait(events, deadline)) return Failure::timeout;
      continue;
    }
    const TimePoint now = Clock::now();
    if (!codec_->feed({in_.data(), moved.bytes})) return Failure::protocol;
    Reply reply;
    while (answered < requests.size()) {
      const auto whole = codec_->next(requests[answered].kind, reply);
      if (!whole) return Failure::protocol;
      if (!*whole) break;
      told(answered++, reply, now);
      if (!reply.closes) continue;
      socket_.close();
      return answered == requests.size() ? Failure::none : Failure::lost;
    }
  }
  return Failure::none;
}

}  // namespace nearlane::harness
