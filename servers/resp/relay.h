// Relay: what a client says beyond the commands of our own table goes to the Redis behind us, and Redis's answer comes
// back byte for byte.
//
// A command takes a connection of the pool for as long as it lasts. Where Redis keeps something for the connection
// (a transaction, watched keys, subscriptions, MONITOR, CLIENT TRACKING) the client keeps it, and what it says meanwhile goes the same way:
// a read between WATCH and EXEC that L1 answered could be older than what WATCH guards.
//
// Commands that a client sends together are sent on together, up to sixteen and while answers are small, so that what a
// client leaves lying is bounded. Alone goes what decides how Redis takes the next one (MULTI, EXEC, WATCH, SUBSCRIBE and
// the like), what may take long (BLPOP, scripts), and what may write keys that nobody has named: its answer waits for the
// lanes, and a Redis that is busy with the next command would not answer them.
//
// Commands of the connection's own (CLIENT, AUTH, INFO) are queued here when they come inside MULTI, since to Redis the
// connection is another one, and executed here when EXEC is answered: their replies are put between Redis's. So is SELECT
// over a cluster, where it would bind the transaction to whichever node it goes to.
//
// L1 learns of what a relayed command writes before its answer is released: it forgets the keys that the command
// names, and where it may write others every lane is pinged first, because Redis announces them to the lanes like any
// other's. Where it announces nothing, the other instances are told, after the command and not in one step with it.
//
// Over a cluster a command goes, alone, to the node of its first key, or where that one says. What names no key, to any;
// a transaction, to the node of its first command that names one, so that MULTI waits for it. What is asked of one node
// alone, and speaks of one, is refused.
//
// Errors:    busy: no connection is left; those of Upstream; timeout. A client whose connection had state is closed
//            after any of them, or it would go on as if Redis still knew.
// Threads:   its loop's.
// Lifetime:  its session's; what it owes is answered by close().
// Cost:      one round trip to Redis for what a client sends together; over a cluster, for each command.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "core/tier/tiered_cache.h"
#include "servers/resp/command_catalog.h"
#include "servers/resp/upstream.h"

namespace nearlane::resp {

/// What the relays of one loop share.
struct RelayContext {
  tier::TieredCache& tier;
  UpstreamPool pool;
  CommandCatalog& catalog;
  std::chrono::milliseconds l2_timeout;
  std::uint64_t databases = 0;  // bits: those that Redis has let a client of this loop into
};

class Relay final : private Upstream::Owner {
 public:
  using Args = std::span<const std::string_view>;
  using Done = std::function<void(Result<std::string>)>;

  class Client {
   public:
    virtual ~Client() = default;
    /// Redis has answered the oldest of the commands that it has not answered. The reply is told by its Done, which may
    /// be later: what Redis says from now on comes behind it all the same.
    virtual void answered() noexcept = 0;
    /// Frames that answer nothing: messages of channels, and of keys that were changed.
    virtual void pushed(std::string_view bytes) noexcept = 0;
    /// What Redis kept for this client is gone, or too much waits for it.
    virtual void forsaken() noexcept = 0;
    /// EXEC has come to a command that was queued here; its reply.
    virtual std::string execute(Args command) = 0;
    /// EXEC has come to a SELECT, and Redis is in that database.
    virtual void entered(std::uint32_t db) noexcept = 0;
  };

  Relay(RelayContext& context, Client& client);
  ~Relay() override;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Whether a command that could be answered here has to go this way. `local`: it needs no data.
  [[nodiscard]] bool takes(std::string_view name, bool local,
                           protocol::Version version) const noexcept;
  /// Why it cannot be relayed, as an error reply's text; empty: it can.
  [[nodiscard]] std::string refusal(std::string_view name, Args args) const;
  [[nodiscard]] bool in_transaction() const noexcept { return in_transaction_; }
  /// A command was refused inside MULTI: EXEC will execute nothing, as after one that Redis refuses.
  void spoil() noexcept { spoiled_ = true; }
  /// For EXEC to execute here. False: there are too many.
  /// Precondition: in_transaction, and nothing is under way.
  [[nodiscard]] bool queue(Args args);
  /// What it does to L1 once it is executed, EXEC and what Redis keeps for the connection left out.
  [[nodiscard]] Effect effect_of(std::string_view name, Args args) const;
  /// Whether it waits for all answers to those before it, and those behind it for its own.
  [[nodiscard]] bool goes_alone(std::string_view name, const Effect& effect) const noexcept;
  /// Whether one more may be under way.
  [[nodiscard]] bool has_room() const noexcept { return pending_.size() < window_; }
  /// SELECT as a client says it, which is otherwise not relayed: Redis alone knows whether there is such a database.
  /// It has failed when Redis has not answered in time, unless Redis keeps something for this client.
  /// Precondition: it names one, nothing is under way, and no MONITOR.
  void select(Args args, std::uint32_t wanted, protocol::Version version, std::uint32_t db,
              Done done);
  /// With the next flush().
  /// Precondition: has_room, and nothing is under way if it or what is under way goes alone.
  void send(std::string_view name, Args args, Effect effect, protocol::Version version,
            std::uint32_t db, Done done);
  void flush() {
    if (upstream_) upstream_->flush();
  }
  /// Redis keeps something for this client.
  [[nodiscard]] bool pinned() const noexcept {
    return in_transaction_ || watching_ || monitoring_ || tracking_ || subscribed();
  }
  /// Of channels, patterns and shards.
  [[nodiscard]] std::size_t subscriptions() const noexcept {
    return static_cast<std::size_t>(channels_ + shards_);
  }
  /// It hears channels: what Redis sends it comes in the version in which it has subscribed.
  [[nodiscard]] bool subscribed() const noexcept { return channels_ + shards_ != 0; }
  /// Redis speaks to it unasked.
  [[nodiscard]] bool listens() const noexcept { return subscribed() || monitoring_; }
  /// It hears which keys were changed.
  [[nodiscard]] bool tracking() const noexcept { return tracking_; }
  /// Commands are under way.
  [[nodiscard]] bool busy() const noexcept { return !pending_.empty(); }
  /// Its command may wait for as long as it likes.
  [[nodiscard]] bool waits() const noexcept { return busy() && pending_.front().effect.blocks; }
  /// Gives up what is under way and whatever Redis keeps.
  void close() noexcept;

 private:
  struct Pending {
    std::string name;
    Effect effect;
    std::size_t frames;  // that it is answered by
    Done done;
    std::string bytes = {};
    std::vector<std::string> args = {};  // over a cluster: to be sent again
    unsigned hops = 0;
  };

  /// What MULTI has queued, as far as it is ours to know.
  struct Queued {
    struct Own {
      std::size_t place;
      std::vector<std::string> args;
    };
    struct Select {
      std::size_t place;
      std::uint32_t db;
    };
    Effect effect = {};
    std::size_t commands = 0;          // of Redis's and of ours
    std::vector<Own> own = {};         // in the order of their places
    std::vector<Select> selects = {};  // the same
    std::size_t own_bytes = 0;
  };

  void received(std::string bytes, const protocol::Reply& frame) noexcept override;
  void lost(const Error& why) noexcept override;
  [[nodiscard]] bool answers_pending(const protocol::Reply& frame) const noexcept;
  [[nodiscard]] bool over_cluster() const noexcept { return context_.pool.cluster() != nullptr; }
  /// Sees to it that somebody looks when Redis has been silent for too long.
  void watch();
  /// False: there is none, and the command has been told.
  bool take_upstream(const std::shared_ptr<l2::Route>& route);
  void send_pending(std::span<const std::string_view> args, bool asking);
  /// Whether the command has been sent to another node instead of being answered.
  bool redirect(std::string_view error);
  void follow(const protocol::Reply& frame);
  void executed(const protocol::Reply& frame, const Queued& queued);
  void finish(Pending answered);
  void release();
  void count(const protocol::Reply& frame) noexcept;
  /// What is under way fails, and the client loses what Redis kept for it.
  void fail(const Error& why);
  /// The same, and the client is not told: it has left.
  void abandon(const Error& why);

  RelayContext& context_;
  Client& client_;
  std::shared_ptr<Upstream> upstream_;
  bool heard_ = false;           // it was subscribed, or monitored: not for others any more
  std::deque<Pending> pending_;  // in their order
  std::size_t window_ = 1;       // how many there may be
  boost::asio::steady_timer patience_;
  bool watches_ = false;
  TimePoint due_{};  // when the oldest has taken too long
  std::shared_ptr<const char> alive_ =
      std::make_shared<const char>();  // its timer knows it by this
  protocol::Version version_ = protocol::Version::resp2;
  std::uint32_t db_ = 0;
  std::uint32_t selects_ = 0;  // the database that a SELECT under way asks for
  bool in_transaction_ = false;
  bool begins_ =
      false;  // over a cluster: MULTI waits for the first command behind it, or goes with it
  bool spoiled_ = false;  // something was refused in the transaction
  bool watching_ = false;
  bool monitoring_ = false;
  bool tracking_ = false;
  bool tracks_ = false;        // the CLIENT TRACKING under way asks for it
  std::int64_t channels_ = 0;  // and patterns
  std::int64_t shards_ = 0;    // channels of shards
  Queued queued_;
};

}  // namespace nearlane::resp
