// Routes: what each request means, over the two tiers and the admin pages.
//
// Threads:   any; a call's state is its Plan.
// Errors:    responses; servers/http/problem.h words them.
// Cost:      a hit: one find, a pin, and Beast's response fields.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "core/tier/tiered_cache.h"
#include "servers/http/api_keys.h"
#include "servers/http/batch.h"
#include "servers/http/conditions.h"
#include "servers/http/fast_lane.h"
#include "servers/http/messages.h"
#include "servers/http/range.h"
#include "servers/http/representation.h"
#include "servers/http/stages.h"
#include "servers/http/target.h"
#include "servers/loop/door_stats.h"

namespace nearlane::http {

/// What DoorStats counts; the order of kCommandNames.
enum class Command : std::uint8_t { get, head, put, del, touch, batch, other, count };
inline constexpr std::string_view kCommandNames[] = {"get",   "head",  "put",  "delete",
                                                     "touch", "batch", "other"};

struct AdminPage {
  unsigned status = 200;
  std::string content_type = {};
  std::string body = {};
};

struct RoutesConfig {
  std::vector<std::string> api_keys = {};  // any of them; empty: none is asked for
  std::chrono::milliseconds l2_timeout{500};
  BatchLimits batch = {};
  bool compress = false;  // per request, by Accept-Encoding
  bool cors = false;      // answer preflights
  std::vector<Stage> stages = {};
  bool fast_lane = true;  // where nothing of the above is done to a response
  std::function<AdminPage(Route)> admin = {};
  /// The page that tells people why a key is answered as it is.
  std::function<AdminPage(const KeyRef&, const tier::Explanation&)> why = {};
};

/// A request that was understood: its answer, or what is left to do for it.
struct Plan {
  std::optional<Response> response = {};
  Target target = {};
  Preconditions preconditions = {};  // of a write
  Command command = Command::other;
  loop::AnsweredBy answered_by = loop::AnsweredBy::local;
  loop::Outcome outcome = loop::Outcome::error;
};

class Routes {
 public:
  Routes(tier::TieredCache& tier, RoutesConfig config);

  [[nodiscard]] const ApiKeys& api_keys() const noexcept { return api_keys_; }
  /// What answers alike and sooner, if this configuration leaves room for it.
  [[nodiscard]] std::optional<FastLane> fast_lane() const;

  /// Whether the request has an API key, where one is asked for. Reads the header only.
  [[nodiscard]] static bool authorized(const Request& request, Caller& caller);
  /// Understands the request, and answers it if nothing must be waited for: a hit, a touch that L1 answers, an error, an
  /// admin page. `looked_up`: what L1 has, where it has been asked.
  [[nodiscard]] Plan plan(const Request& request, Caller& caller, TimePoint now,
                          const std::optional<tier::Lookup>& looked_up = {}) const;
  /// Asks L2 and fills in plan.response. `request` and `plan` outlive the call.
  [[nodiscard]] boost::asio::awaitable<void> finish(const Request& request, Plan& plan) const;
  /// What every response gets: length, date, connection, and the stages.
  void complete(const Request& request, Response& response) const;

 private:
  [[nodiscard]] Response admin_page(const Request& request, Route route) const;
  [[nodiscard]] static Response page(AdminPage page);
  void plan_read(const Request& request, Plan& plan, TimePoint now,
                 const std::optional<tier::Lookup>& looked_up) const;
  void plan_write(const Request& request, Plan& plan, TimePoint now) const;
  [[nodiscard]] Response found(const Request& request, const Entry& entry,
                               tier::Source source) const;
  [[nodiscard]] Offer offer(const Entry& entry) const;
  boost::asio::awaitable<void> read(const Request& request, Plan& plan) const;
  boost::asio::awaitable<void> put(const Request& request, Plan& plan) const;
  boost::asio::awaitable<void> put_if(const Request& request, Plan& plan) const;
  boost::asio::awaitable<void> remove(Plan& plan) const;
  boost::asio::awaitable<void> remove_if(Plan& plan) const;
  boost::asio::awaitable<void> touch(Plan& plan) const;
  boost::asio::awaitable<void> why(Plan& plan) const;
  boost::asio::awaitable<void> batch(const Request& request, Plan& plan) const;
  void set_content_type(Response& response, const Entry& entry) const;
  [[nodiscard]] Response send_part(Response response, const Entry& entry,
                                   const RangeSpec& spec) const;
  void fail(Plan& plan, const Error& error, bool writes) const;
  [[nodiscard]] TimePoint deadline() const { return Clock::now() + config_.l2_timeout; }

  tier::TieredCache& tier_;
  RoutesConfig config_;
  ApiKeys api_keys_;
  const std::uint32_t db_;  // HTTP has no SELECT
};

}  // namespace nearlane::http
