#include "harness/bench/lane_caller.h"

#include <memory>
#include <utility>

#include <poll.h>

namespace nearlane::harness {
namespace {

constexpr Duration kPatience = std::chrono::seconds(5);
constexpr int kLongestSleepMs = 100;  // then kPatience is looked at
constexpr std::size_t kReceive = std::size_t{64} * 1024;

/// Leaves its answer with whoever waits for it.
class Awaited final : public cohere::Call {
 public:
  Awaited(cohere::Command what, std::optional<cohere::Answer>& answer)
      : Call(std::move(what)), answer_(answer) {}
  void settle(const cohere::Answer&) noexcept override {}
  void complete(cohere::Answer answer) noexcept override { answer_ = std::move(answer); }

 private:
  std::optional<cohere::Answer>& answer_;
};

}  // namespace

LaneCaller::LaneCaller(Waiting waiting)
    : lane_({}, view_, *this), waiting_(waiting), in_(kReceive) {}

template <class Done>
Result<void> LaneCaller::pump(Done done) {
  const TimePoint until = Clock::now() + kPatience;
  while (!done()) {
    if (!lane_.output().empty()) lane_.output().erase(0, socket_.send(lane_.output()).bytes);
    const auto received = socket_.receive(in_);
    const TimePoint now = Clock::now();
    if (received.bytes != 0) lane_.received({in_.data(), received.bytes}, now);
    if (received.bytes == 0 && !received.would_block) {
      return Error{Errc::connection_lost, "the lane's connection ended"};
    }
    if (lane_.broken()) return *lane_.broken();
    if (now > until) return Error{Errc::timeout, "the lane got no answer"};
    if (received.would_block && waiting_ == Waiting::sleeps) {
      pollfd coming{.fd = socket_.fd(), .events = POLLIN, .revents = 0};
      if (!lane_.output().empty()) coming.events |= POLLOUT;
      (void)poll(&coming, 1, kLongestSleepMs);
    }
  }
  return {};
}

Result<void> LaneCaller::connect(const Endpoint& peer) {
  if (const auto open = socket_.connect_by(peer, Clock::now() + kPatience); !open) {
    return open.error();
  }
  lane_.connect();
  lane_.connected(Clock::now());
  return pump([this] { return lane_.state() == cohere::Lane::State::ready; });
}

Result<void> LaneCaller::set(std::string_view key, std::string_view value) {
  std::optional<cohere::Answer> answer;
  cohere::Command command{.op = cohere::Op::transact,
                          .key = Key(0, std::string(key)),
                          .args = {"SET", std::string(key)},
                          .value = Entry::build(KeyRef(0, key), value, TimePoint{}, 0)};
  lane_.submit(std::make_unique<Awaited>(std::move(command), answer), Clock::now());
  if (const auto done = pump([&answer] { return answer.has_value(); }); !done) {
    lose();  // the answer has no place to go to any more
    return done.error();
  }
  if (answer->error) return *answer->error;
  if (!answer->reply.is_ok()) return Error{Errc::l2_error, answer->reply.text};
  return {};
}

Duration LaneCaller::lose() {
  socket_.close();
  const TimePoint begin = Clock::now();
  lane_.closed({Errc::connection_lost, "given up"}, begin);
  return Clock::now() - begin;
}

}  // namespace nearlane::harness
