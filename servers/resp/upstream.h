// Upstream: a connection to the Redis behind us that speaks for one client at a time, in its protocol version and
// its database. What comes back is handed on as it came, byte for byte.
//
// UpstreamPool keeps those that speak for nobody, and caps how many there are.
//
// Errors:    Owner::lost: unavailable (no connection), connection_lost, protocol, l2_error (Redis refused our user, the
//            database or the version).
//            Where sentinels know the master, one that is not it, or no longer, is given up.
// Threads:   its loop's; the count of all loops' is atomic.
// Lifetime:  shared with its own handlers. An owner takes itself away before it goes.
// Cost:      a frame is parsed and copied once; one read and one write in flight.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/l2/redis/cluster_routes.h"
#include "core/l2/redis/link.h"
#include "core/l2/redis/route.h"
#include "core/protocol/reply_parser.h"
#include "core/protocol/writer.h"

namespace nearlane::resp {

/// What all loops' pools share.
struct UpstreamLimits {
  std::shared_ptr<l2::Route> route = {};
  l2::ClusterRoutes* cluster = nullptr;  // to its nodes, where it is one
  unsigned max_open = 1024;  // of all loops, idle ones among them, which are half of it at most
  std::size_t max_frame = std::size_t{256} << 20U;  // bytes of one reply
  Duration connect_timeout = std::chrono::seconds(1);
  std::atomic<unsigned> open{0};
};

class Upstream : public std::enable_shared_from_this<Upstream> {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// `bytes` are the frame as it came, `frame` what they say.
    virtual void received(std::string bytes, const protocol::Reply& frame) noexcept = 0;
    /// The connection is gone.
    virtual void lost(const Error& why) noexcept = 0;
  };

  Upstream(boost::asio::io_context& loop, std::shared_ptr<UpstreamLimits> limits,
           std::shared_ptr<l2::Route> route);
  ~Upstream();
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  void connect();
  /// Null: nobody.
  void set_owner(Owner* owner) noexcept { owner_ = owner; }
  /// From here on it speaks this version, in this database.
  void prepare(protocol::Version version, std::uint32_t db);
  /// A command of the owner's has taken it into this database.
  void selected(std::uint32_t db) noexcept { db_ = db; }
  /// With the next flush(), so that what comes together goes out together.
  void send(std::span<const std::string_view> command);
  void flush();
  /// What belongs to the next command, and is not answered to the owner.
  void send_ahead(std::string_view word) { send_own({word}, Needed::no_error); }
  void close() noexcept;
  [[nodiscard]] const std::shared_ptr<l2::Route>& route() const noexcept { return route_; }
  [[nodiscard]] bool open() const noexcept { return open_; }
  /// The master is elsewhere by now.
  [[nodiscard]] bool outdated() const noexcept { return route_->version() != route_version_; }

 private:
  /// A command of our own, whose reply the owner does not see, and what that has to be.
  enum class Needed : std::uint8_t { nothing, no_error, master };
  void send_own(std::initializer_list<std::string_view> command, Needed needed);
  [[nodiscard]] std::optional<Error> judge_own(const protocol::Reply& reply, Needed needed) const;
  void connected();
  void look_whether_moved();
  void read();
  void take(std::string_view bytes);
  void give_up(const Error& why) noexcept;

  const std::shared_ptr<l2::Link> link_;
  boost::asio::steady_timer timer_;
  const std::shared_ptr<UpstreamLimits> limits_;
  const std::shared_ptr<l2::Route> route_;
  Owner* owner_ = nullptr;
  bool open_ = true;  // or on its way
  bool connected_ = false;
  bool writing_ = false;
  protocol::Version version_ = protocol::Version::resp2;
  std::uint32_t db_ = 0;
  std::deque<Needed> own_;  // replies to our own commands that come next
  std::uint64_t route_version_ = 0;
  std::string output_;
  std::size_t greeting_ = 0;  // replies to our own first commands that are still to come
  std::string held_;          // what is sent once they are there
  protocol::ReplyParser parser_;
  std::string frame_;  // what has come of the next one
};

class UpstreamPool {
 public:
  UpstreamPool(boost::asio::io_context& loop, std::shared_ptr<UpstreamLimits> limits)
      : loop_(loop), limits_(std::move(limits)) {}
  [[nodiscard]] boost::asio::io_context& loop() const noexcept { return loop_; }

  [[nodiscard]] l2::ClusterRoutes* cluster() const noexcept { return limits_->cluster; }
  /// For who names no key; null: nothing is known of the cluster yet.
  [[nodiscard]] std::shared_ptr<l2::Route> any_route() const {
    return limits_->cluster == nullptr ? limits_->route : limits_->cluster->any();
  }
  /// Null: max_open is reached.
  [[nodiscard]] std::shared_ptr<Upstream> take(const std::shared_ptr<l2::Route>& route);
  /// Whether two more may be taken.
  [[nodiscard]] bool has_spare() const noexcept {
    return limits_->open.load(std::memory_order_relaxed) + 2 <= limits_->max_open;
  }
  /// One that Redis owes nothing, and that has no state but version and database.
  void give_back(std::shared_ptr<Upstream> upstream);

 private:
  static constexpr std::size_t kMostIdle = 64;

  boost::asio::io_context& loop_;
  const std::shared_ptr<UpstreamLimits> limits_;
  std::vector<std::shared_ptr<Upstream>> idle_;
};

}  // namespace nearlane::resp
