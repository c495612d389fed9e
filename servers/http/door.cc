#include "servers/http/door.h"

#include <utility>

#include "servers/http/problem.h"

namespace nearlane::http {

namespace {

/// The routes behind one connection, with its loop's counters.
class CacheHandler final : public Handler {
 public:
  CacheHandler(const Routes& routes, const std::optional<FastLane>& fast_lane,
               loop::DoorStats& stats)
      : routes_(routes), fast_lane_(fast_lane), stats_(stats), caller_(routes.api_keys()) {}

  FastAnswers answer_fast(std::string_view input, std::string& out, TimePoint received) override {
    if (!fast_lane_) return {};
    FastAnswers answers = fast_lane_->answer(input, received, reader_, caller_, out);
    looked_up_ = std::move(answers.looked_up);
    if (answers.gets > 0) count(Command::get, answers.gets);
    if (answers.heads > 0) count(Command::head, answers.heads);
    if (const std::uint32_t hits = answers.gets + answers.heads; hits > 0) {
      stats_.l1_latency.record_n(Clock::now() - received, hits);
      FastLaneCounts::add(FastLaneCount::answers, hits);
    }
    return answers;
  }

  bool admits(const Request& header) override { return Routes::authorized(header, caller_); }
  bool answer_now(const Request& request, Response& response, TimePoint received) override {
    plan_ = routes_.plan(request, caller_, received, std::exchange(looked_up_, std::nullopt));
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
  void count(Command command, std::uint32_t hits) {
    stats_.count(static_cast<std::size_t>(command), loop::AnsweredBy::l1, loop::Outcome::hit, hits);
  }
  void take(const Request& request, Response& response) {
    response = std::move(*plan_.response);
    routes_.complete(request, response);
    stats_.count(static_cast<std::size_t>(plan_.command), plan_.answered_by, plan_.outcome);
  }

  const Routes& routes_;
  const std::optional<FastLane>& fast_lane_;
  loop::DoorStats& stats_;
  FastReader reader_;
  Caller caller_;
  Plan plan_;
  std::optional<tier::Lookup> looked_up_;  // what the fast lane found for the request that it left
};

}  // namespace

loop::Refusals refusals() {
  const auto text = [](Status status, std::string_view detail) {
    Response response = problem(status, detail);
    response.head.version(11);
    response.head.keep_alive(false);
    response.head.set(Field::retry_after, "1");  // seconds
    response.head.content_length(response.body().size());
    std::string bytes;
    append_head(bytes, response);
    return bytes.append(response.body());
  };
  return {.full = text(Status::service_unavailable,
                       "the server has as many clients as it takes (max-connections)"),
          .client_is_full = text(Status::too_many_requests,
                                 "your address has as many connections as one may have "
                                 "(max-connections-per-client)")};
}

Door::Door(loop::LoopGroup& loops, tier::TieredCache& tier, RoutesConfig routes,
           ConnectionLimits limits)
    : routes_(tier, std::move(routes)), fast_lane_(routes_.fast_lane()), limits_(limits) {
  for (std::size_t i = 0; i < loops.size(); ++i) {
    stats_.push_back(std::make_unique<loop::DoorStats>(static_cast<std::size_t>(Command::count)));
  }
}

std::shared_ptr<loop::Connection> Door::accept(loop::Loop& home, int socket) {
  return std::make_shared<Connection>(
      home, socket, std::make_unique<CacheHandler>(routes_, fast_lane_, *stats_[home.index()]),
      limits_);
}

}  // namespace nearlane::http
