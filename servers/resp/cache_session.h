// CacheSession: the RESP door's commands over the two tiers.
//
// The hit path: serve() parses every complete command of the buffer, runs of GETs become one
// find_batch under the one epoch guard of the call, and hits are appended to the output. A command
// that must ask L2 leaves a slot in the queue of replies; what comes after it is kept behind that
// slot, so that replies leave in the order of the commands.
//
// Threads:   its loop's; L2's answers are brought home to it.
// Lifetime:  shared with its unanswered calls. The context outlives it.
// Cost:      a GET that L1 answers: no allocation, no lock, no shared write beyond the map's own.
// Errors:    replies of the protocol; servers/resp/errors.h words ours.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cohere/watch.h"
#include "core/protocol/command_parser.h"
#include "core/protocol/writer.h"
#include "core/tier/tiered_cache.h"
#include "servers/loop/door_stats.h"
#include "servers/loop/loop.h"
#include "servers/resp/channels.h"
#include "servers/resp/client_registry.h"
#include "servers/resp/command_queue.h"
#include "servers/resp/command_table.h"
#include "servers/resp/in_flight.h"
#include "servers/resp/order.h"
#include "servers/resp/relay.h"
#include "servers/resp/session.h"

namespace nearlane::resp {

struct SessionLimits {
  std::size_t max_value = std::size_t{64} * 1024 * 1024;
  std::size_t max_unanswered = 1024;               // commands; then reading stops
  std::size_t max_output = std::size_t{1} << 20U;  // bytes; then reading stops
  /// Bytes that wait for a client. Its commands in flight, and what they are thought to bring, are
  /// half as many, so that what it is told unasked has room beside them; with more messages than
  /// this it is dropped. At least twice max_value.
  std::size_t max_held = std::size_t{256} * 1024 * 1024;
  std::uint32_t databases = 16;  // of SELECT; over Redis, which may have fewer, kDatabases
  CommandQueueLimits transaction = {};
  std::size_t max_subscriptions = 65'536;  // of one client; a name is as long as a key may be
};

/// When the log was told last of a client that was dropped: once in a while for all of a loop.
struct DroppedClients {
  static constexpr std::chrono::seconds kTellEvery{60};

  TimePoint told_at = TimePoint::min();
  std::uint64_t untold = 0;
};

/// What all sessions of a loop share.
struct SessionContext {
  tier::TieredCache& tier;
  loop::Loop& home;
  loop::DoorStats& stats;
  ClientRegistry& clients;
  Channels& channels;
  const std::string& password;                               // empty: none asked for
  const std::function<std::string(std::string_view)>& info;  // INFO's text for a section
  RelayContext* relay = nullptr;  // null: what we do not know, nobody behind us knows
  std::chrono::milliseconds l2_timeout{500};
  SessionLimits limits{};
  std::vector<KeyRef> run =
      {};  // GETs of the call of serve() that is under way, whichever session's
  DroppedClients dropped = {};
  WallTime started = wall_now();
};

class CacheSession final : public Session,
                           public std::enable_shared_from_this<CacheSession>,
                           private Relay::Client,
                           private Channels::Subscriber,
                           private ClientRegistry::Client {
 public:
  [[nodiscard]] static std::shared_ptr<CacheSession> make(SessionContext& context, Host& host,
                                                          ClientInfo client);
  /// For make() alone.
  CacheSession(SessionContext& context, Host& host, ClientInfo client);

  [[nodiscard]] std::size_t serve(std::string_view input, TimePoint received) override;
  void refill() override;
  [[nodiscard]] bool blocked() const noexcept override { return blocked_; }
  [[nodiscard]] bool idle() const noexcept override { return slots_.empty() || killed_; }
  [[nodiscard]] std::size_t missing() const noexcept override { return parser_.missing(); }
  [[nodiscard]] bool waits() const noexcept override { return relay_ && relay_->waits(); }
  [[nodiscard]] bool listens() const noexcept override {
    return subscriptions() != 0 || (relay_ && relay_->listens());
  }
  void given_up(std::chrono::milliseconds took_nothing) noexcept override;
  void detach() noexcept override;

 private:
  static constexpr std::size_t kRun = InFlight::kMostTogether;  // GETs of one find_batch at most
  using Args = std::span<const std::string_view>;

  /// A reply that is not sent yet, and what follows it at once.
  struct Slot {
    bool ready = false;
    bool answered = false;  // by Redis, over the relay; what it said later comes behind it
    bool mute = false;      // nobody is to see the reply
    bool reads = false;     // the reply may be long
    protocol::Version version = protocol::Version::resp2;
    EntryPtr entry = {};  // the reply is this entry's, else the text
    std::string text = {};
    std::string after = {};
    std::size_t aside = 0;    // of what it waits for
    std::size_t command = 0;  // bytes of it

    [[nodiscard]] std::size_t reply_size() const noexcept {
      return entry ? entry->resp_bulk().size() : text.size();
    }
  };
  struct Gather;
  /// Of a command that was sent: whether its reply may be as long as a value.
  enum class Expects : std::uint8_t { little, value };

  // The batch.
  bool joins_run(Args args, std::string_view input) const;
  void flush_run();
  [[nodiscard]] bool full() const noexcept;
  /// False: the command must wait.
  bool dispatch(Args args);
  bool answer_here(const CommandSpec* spec, Args args);
  void refuse(const CommandSpec* spec, std::string_view why);
  [[nodiscard]] std::string refusal(const CommandSpec& spec, Args args) const;
  /// After whatever decides it: commands of this client may go another way than by L1.
  void look_apart() noexcept {
    apart_ = queue_.has_value() || watch_ != nullptr || restricted() || replies_ != Replies::on;
  }

  /// CLIENT REPLY: skip_next is of the command that asks for it, which is none of those that are skipped.
  enum class Replies : std::uint8_t { on, skip_next, skip, off };
  [[nodiscard]] bool muted() const noexcept { return replies_ >= Replies::skip; }
  void end_command() noexcept;

  // What Redis answers (relayed.cc).
  [[nodiscard]] bool pinned() const noexcept { return relay_ && relay_->pinned(); }
  [[nodiscard]] bool over_cluster() const noexcept {
    return context_.relay != nullptr && context_.relay->pool.cluster() != nullptr;
  }
  [[nodiscard]] bool is_relayed(const CommandSpec* spec, Args args) const noexcept;
  Relay& relay_of_its_own();
  bool relay(const CommandSpec* spec, Args args);
  bool queue_here(const CommandSpec& spec, Args args);
  [[nodiscard]] std::string queue_refusal(const CommandSpec& spec, Args args) const;
  [[nodiscard]] std::optional<std::uint32_t> wanted_database(const CommandSpec* spec,
                                                             Args args) const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> unknown_database(const CommandSpec* spec,
                                                              Args args) const noexcept;
  bool select_over_redis(Args args, std::uint32_t db);
  void take_selected(std::uint64_t number, std::uint32_t db, Result<std::string> answer);
  void note_relayed_subscriptions();
  void take_relayed(std::uint64_t number, Order::Kind kind, Result<std::string> answer);
  void answered() noexcept override;
  void pushed(std::string_view bytes) noexcept override;
  void forsaken() noexcept override;
  std::string execute(Args command) override;
  void entered(std::uint32_t db) noexcept override;
  void tell_host();

  // What Redis would keep for the connection, where there is none (transaction_commands.cc).
  bool transaction(const CommandSpec& spec, Args args);
  void run_transaction(const CommandSpec& spec);
  bool watch(Args args);
  void unwatch() noexcept;
  void discard() noexcept;
  bool exec();
  void take_executed(std::uint64_t number, std::span<const CommandQueue::Step> steps,
                     Result<protocol::Reply> answer);
  void append_executed(Slot& mine, std::span<const CommandQueue::Step> steps,
                       const protocol::Reply& answer);
  void publish_executed(std::span<const CommandQueue::Step> steps);
  void run_here(const CommandSpec& spec, Args args);

  // The same (channel_commands.cc).
  bool channel(const CommandSpec& spec, Args args);
  void run_channel(const CommandSpec& spec, Args args);
  [[nodiscard]] static bool confirms(const CommandSpec& spec) noexcept;
  void subscribe(std::string_view word, Channels::Kind kind, Args names);
  void unsubscribe(std::string_view word, Channels::Kind kind, Args names);
  void confirm(std::string_view word, std::optional<std::string_view> name);
  void unsubscribe_all() noexcept;
  void note_subscriptions();
  void pubsub(Args args);
  void hear(Channels::Kind kind, const std::string& name,
            const std::shared_ptr<const Channels::Message>& message) noexcept override;
  void deliver(Channels::Kind kind, const std::string& name, const Channels::Message& message);
  /// More waits for it than may, and not by what it asked for: messages cannot be held back.
  [[nodiscard]] bool overrun() const noexcept {
    return std::min(told_, held_ + out_.size()) > context_.limits.max_held;
  }
  void drop_slow();
  void tell_dropped(std::string_view why) noexcept;
  void hang_up() noexcept override;
  using Names = std::set<std::string, std::less<>>;
  [[nodiscard]] Names& subscribed(Channels::Kind kind) noexcept {
    return subscribed_[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] std::size_t subscriptions() const noexcept {
    return subscribed_[0].size() + subscribed_[1].size();
  }
  /// A subscriber of RESP2 may say little else.
  [[nodiscard]] bool restricted() const noexcept {
    return subscriptions() != 0 && version_ == protocol::Version::resp2;
  }

  // Commands that may ask L2 (data_commands.cc).
  bool run(const CommandSpec& spec, Args args);
  bool get(Args args);
  bool mget(Args args);
  [[nodiscard]] std::vector<const Entry*> find_all(std::span<const KeyRef> keys) const;
  void gather(std::span<const KeyRef> keys, std::span<const Entry* const> found);
  bool store(const CommandSpec& spec, const KeyRef& key, std::string_view value,
             tier::StoreOptions options);
  bool touch(const CommandSpec& spec, Args args);
  [[nodiscard]] std::optional<std::chrono::milliseconds> slide_of(const CommandSpec& spec,
                                                                  Args args) const;
  bool revoke(const CommandSpec& spec, Args args);
  bool execute(const CommandSpec& spec, Args args);
  tier::TieredCache::ReplyHandler reply_handler(std::uint64_t number, Order::Kind kind, bool writes,
                                                std::size_t command);
  [[nodiscard]] tier::ReadFrom way_of(const KeyRef& key) const;
  void ask(std::uint64_t number, Key key, tier::ReadFrom from, tier::TieredCache::GetHandler done);
  /// Until the slot is complete.
  void step_aside(std::uint64_t number) noexcept;
  void fetch(const KeyRef& key, tier::ReadFrom from);
  void reply_hit(const Entry& entry, const KeyRef& key);
  /// What the store has answered to this command.
  static void append_answer(std::string& out, const CommandSpec& spec, const protocol::Reply& reply,
                            protocol::Version version);

  // Commands answered here (local_commands.cc).
  void run_local(const CommandSpec& spec, Args args);
  void auth(Args args);
  void hello(Args args);
  void client(Args args);
  void client_reply(std::string_view how);
  void client_trackinginfo();
  void client_unblock(Args args);
  void client_list(Args args);
  void client_kill(Args args);
  void select(Args args);
  void reset();
  void fail(std::string_view text);
  bool check_password(std::string_view user, std::string_view password);
  void set_authenticated(bool authenticated);

  // The same, of the server (server_commands.cc).
  void run_server(const CommandSpec& spec, Args args);
  void help(std::string_view container);
  void command(Args args);
  void command_list(Args filter);
  void command_getkeys(Args command);
  using Settings = std::vector<std::pair<std::string_view, std::string>>;
  [[nodiscard]] Settings settings() const;
  void config(Args args);
  void config_get(Args patterns);
  void config_set(Args pairs);
  void latency(Args args);
  void slowlog(Args args);
  void time();
  void wait(Args args);
  [[nodiscard]] bool over_embedded_store() const noexcept;
  [[nodiscard]] bool asks_sizes(const CommandSpec& spec, Args args) const noexcept;
  /// Asks how many keys each database has, and reads the answers.
  void add_sizes(tier::Transaction& what) const;
  [[nodiscard]] static std::vector<std::uint64_t> read_sizes(
      std::span<const protocol::Reply> replies);
  bool info_of_store(Args args);
  [[nodiscard]] std::string info(Args sections, std::span<const std::uint64_t> sizes) const;

  // Replies in order.
  [[nodiscard]] std::string& tail() noexcept;
  /// What is answered at once, behind all that was asked before.
  template <class Append>
  void append_to_tail(Append&& append) {
    push_to_tail([&](std::string& out) {
      const std::size_t before = out.size();
      std::forward<Append>(append)(out);
      if (muted()) out.resize(before);  // by what it says itself: REPLY ON is answered, OFF is not
    });
  }
  /// The same of what is no answer, and so is never left out.
  template <class Append>
  void push_to_tail(Append&& append) {
    std::string& out = tail();
    const std::size_t before = out.size();
    std::forward<Append>(append)(out);
    if (!slots_.empty()) held_ += out.size() - before;
  }
  std::uint64_t open_slot(Expects expects);
  Slot* slot(std::uint64_t number) noexcept;
  void complete(std::uint64_t number, Order::Kind kind);
  void answer_error(Slot& slot, const Error& error, bool writes) const;
  void count(std::size_t command, loop::AnsweredBy tier, loop::Outcome outcome) noexcept {
    context_.stats.count(command, tier, outcome);
  }

  SessionContext& context_;
  Host* host_;
  ClientInfo client_;
  protocol::CommandParser parser_;
  protocol::Version version_ = protocol::Version::resp2;
  Order order_;
  std::unique_ptr<Relay> relay_;          // once it was needed
  std::optional<CommandQueue> queue_;     // from MULTI to EXEC
  std::shared_ptr<cohere::Watch> watch_;  // from WATCH to EXEC
  std::size_t watched_ = 0;               // keys
  std::size_t watched_bytes_ = 0;
  bool unwatched_ = false;  // not all of them: they are too many, or L2 could not be asked
  bool executing_ = false;  // EXEC is under way
  std::vector<std::uint64_t> sizes_;  // of databases, while EXEC tells INFO of them
  bool apart_ = false;                // look_apart()
  Replies replies_ = Replies::on;
  std::array<Names, 2> subscribed_;    // by kind
  std::size_t subscribed_bytes_ = 0;   // of their names
  std::atomic<std::size_t> heard_{0};  // of messages that are on their way to this loop
  std::atomic<bool> deaf_{false};      // they were too many
  std::deque<Slot> slots_;
  std::uint64_t first_slot_ = 0;
  std::size_t held_ = 0;  // bytes in slots
  std::size_t told_ = 0;  // bytes of messages since nothing waited for it
  InFlight in_flight_;
  bool blocked_ = false;
  bool serving_ = false;
  bool killed_ = false;     // by CLIENT KILL: nothing is sent any more
  bool announced_ = false;  // the host will be told

  // Of the call of serve() that is under way.
  TimePoint now_;
  std::uint64_t l1_answers_ = 0;
  std::size_t command_bytes_ = 0;  // of the one that is being served
};

}  // namespace nearlane::resp
