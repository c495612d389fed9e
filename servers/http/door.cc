#include "servers/http/door.h"

#include <utility>

namespace nearlane::http {

namespace {

/// The routes behind one connection, with its loop's counters.
class CacheHandler final : public Handler {
 public:
  CacheHandler(const Routes& routes, loop::DoorStats& stats) : routes_(routes), stats_(stats) {}

  bool admits(const Request& header) const override { return routes_.authorized(header); }
  bool answer_now(const Request& request, Response& response, TimePoint received) override {
    plan_ = routes_.plan(request, received);
    if (!plan_.response) return false;
    take(request, response);
    return true;
  }
  void bytes_ready(TimePoint received) noexcept override {
    if (plan_.answered_by != loop::AnsweredBy::l1) return;
    stats_.l1_latency.record(Clock::now() - received);
  }

  boost::asio::awaitable<void> answer(const Request& request, Response& response) override {
    co_await routes_.finish(request, plan_);
    take(request, response);
  }

 private:
  void take(const Request& request, Response& response) {
    response = std::move(*plan_.response);
    routes_.complete(request, response);
    stats_.count(static_cast<std::size_t>(plan_.command), plan_.answered_by, plan_.outcome);
  }

  const Routes& routes_;
  loop::DoorStats& stats_;
  Plan plan_;
};

}  // namespace

Door::Door(loop::LoopGroup& loops, tier::TieredCache& tier, RoutesConfig routes,
           ConnectionLimits limits)
    : routes_(tier, std::move(routes)), limits_(limits) {
  for (std::size_t i = 0; i < loops.size(); ++i) {
    stats_.push_back(std::make_unique<loop::DoorStats>(static_cast<std::size_t>(Command::count)));
  }
}

std::shared_ptr<loop::Connection> Door::accept(loop::Loop& home, int socket) {
  return std::make_shared<Connection>(
      home, socket, std::make_unique<CacheHandler>(routes_, *stats_[home.index()]), limits_);
}

}  // namespace nearlane::http
