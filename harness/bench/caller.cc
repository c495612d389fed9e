#include "harness/bench/caller.h"

#include <algorithm>
#include <utility>

#include <poll.h>

namespace nearlane::harness {
namespace {

constexpr std::size_t kReceive = std::size_t{256} * 1024;

}  // namespace

Caller::Caller(Protocol protocol, Endpoint peer, Duration timeout, Duration poll_for)
    : peer_(std::move(peer)),
      timeout_(timeout),
      poll_for_(poll_for),
      codec_(make_codec(protocol, peer_)),
      in_(kReceive) {}

bool Caller::wait(short events, TimePoint polled_until, TimePoint deadline) const {
  const auto now = Clock::now();
  if (now < polled_until) return true;
  if (now >= deadline) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now).count();
  pollfd waiting{.fd = socket_.fd(), .events = events, .revents = 0};
  return poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left, 1, 1000))) >= 0;
}

bool Caller::connect(TimePoint deadline) {
  codec_->reset();
  const auto open = socket_.connect_by(peer_, deadline);
  if (!open) problem_ = open.error().detail;
  return open.has_value();
}

bool Caller::send(TimePoint deadline) {
  std::string_view left = out_;
  while (!left.empty()) {
    const auto moved = socket_.send(left);
    left.remove_prefix(moved.bytes);
    if (moved.bytes == 0 && !moved.would_block) return false;
    if (moved.would_block && !wait(POLLOUT, Clock::now(), deadline)) return false;
  }
  return true;
}

Answer Caller::fail(Failure why, std::string_view text) {
  socket_.close();
  if (!text.empty()) problem_ = text;
  return {.outcome = Outcome::error, .failure = why, .value = problem_, .took = {}};
}

Answer Caller::call(const Request& request) {
  auto begin = Clock::now();
  const auto deadline = begin + timeout_;
  if (socket_.state() != Socket::State::open && !connect(deadline)) {
    return fail(Failure::not_sent, "");
  }
  out_.clear();
  codec_->encode(request, out_);
  begin = Clock::now();
  if (!send(deadline)) return fail(Failure::lost, "the connection ended while sending");
  Reply reply;
  for (;;) {
    const auto moved = socket_.receive(in_);
    if (moved.bytes == 0) {
      if (!moved.would_block) return fail(Failure::lost, "the connection ended before the reply");
      if (!wait(POLLIN, begin + poll_for_, deadline)) return fail(Failure::timeout, "no reply");
      continue;
    }
    if (const auto fed = codec_->feed({in_.data(), moved.bytes}); !fed) {
      return fail(Failure::protocol, fed.error().detail);
    }
    const auto whole = codec_->next(request.kind, reply);
    if (!whole) return fail(Failure::protocol, whole.error().detail);
    if (*whole) break;
  }
  const auto took = Clock::now() - begin;
  if (reply.closes) socket_.close();
  return {.outcome = reply.outcome, .failure = reply.failure, .value = reply.text, .took = took};
}

}  // namespace nearlane::harness
