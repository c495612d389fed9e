#include "servers/resp/relay.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "servers/resp/set_options.h"

namespace nearlane::resp {

using protocol::Reply;
using protocol::Type;

namespace {

/// A script may take its time; then something is wrong, and the client is told.
constexpr auto kPatience = std::chrono::seconds(30);

constexpr std::array<std::string_view, 6> kSubscribing = {
    "psubscribe", "punsubscribe", "ssubscribe", "subscribe", "sunsubscribe", "unsubscribe"};
constexpr std::array<std::string_view, 3> kMessages = {"message", "pmessage", "smessage"};
/// They would make what EXEC is answered by something else than one reply a command, or are not Redis's.
constexpr std::array<std::string_view, 3> kNotInside = {"client|tracking", "monitor",
                                                        "nearlane.revoke"};
constexpr std::array<std::string_view, 3> kNever = {"psync", "replconf", "sync"};
/// They speak of what the same connection has written, which another one did.
constexpr std::array<std::string_view, 2> kOfThisConnection = {"wait", "waitaof"};
/// To Redis our clients are a few connections that they share with each other, and with us.
constexpr std::array<std::string_view, 3> kOfAllConnections = {"client|pause", "client|unblock",
                                                               "client|unpause"};
/// Without them what follows would mean something else.
constexpr std::array<std::string_view, 4> kBeginning = {"client|tracking", "monitor", "multi",
                                                        "watch"};

/// They end what Redis keeps, and EXEC does what those before it have left.
constexpr std::array<std::string_view, 3> kEnding = {"discard", "exec", "unwatch"};
/// They write nothing, and take as long as they are written to take.
constexpr std::array<std::string_view, 3> kReadingScripts = {"eval_ro", "evalsha_ro", "fcall_ro"};

/// Of the commands under way at most, and each answer that lets their number grow: together they stay far below what a
/// client may leave lying (SessionLimits::max_held), unless many large answers follow small ones.
constexpr std::size_t kMostTogether = 16;
constexpr std::size_t kSmallAnswer = std::size_t{64} * 1024;

/// Of commands that a transaction queues here: they are executed in one turn of the loop, and CLIENT LIST may be long.
constexpr std::size_t kMostOwn = 128;
/// Bytes of their arguments, and what each argument costs beside.
constexpr std::size_t kMostOwnBytes = std::size_t{1} << 20U;
constexpr std::size_t kOverheadOfArgument = 64;
/// Of what EXEC is answered by once the replies to these are in it; as much as Redis's own may be.
constexpr std::size_t kMostOfExec = std::size_t{256} << 20U;
constexpr std::string_view kTooLong =
    "-ERR nearlane: EXEC has been executed, but its answer is longer than 256 MiB\r\n";

/// What Redis would say of the node that it is said to, which is one of several.
constexpr std::array<std::string_view, 27> kOfOneNode = {
    "acl",       "bgrewriteaof", "bgsave",    "client|tracking", "cluster",    "dbsize",
    "debug",     "failover",     "flushall",  "flushdb",         "function",   "keys",
    "lastsave",  "latency",      "module",    "monitor",         "pfselftest", "replicaof",
    "randomkey", "readonly",     "readwrite", "slaveof",         "save",       "scan",
    "script",    "shutdown",     "slowlog"};
/// A command goes to so many nodes: the one that is thought to have its key, the one that is said to, and the one that takes
/// the key over.
constexpr unsigned kMostHops = 5;
constexpr std::string_view kNoAgreement =
    "-TRYAGAIN nearlane: the nodes of the cluster do not agree where the slot is\r\n";
constexpr std::string_view kElsewhere =
    "-CROSSSLOT Keys in request don't hash to the same slot, or their slot has gone to another "
    "node "
    "meanwhile\r\n";

constexpr std::string_view kSpoiled =
    "-EXECABORT Transaction discarded because of previous errors.\r\n";

template <std::size_t kSize>
bool is_one_of(std::string_view name, const std::array<std::string_view, kSize>& names) {
  return std::ranges::find(names, name) != names.end();
}

/// Redis keeps something for the connection after it.
bool leaves_state(std::string_view name) {
  return is_one_of(name, kBeginning) || is_one_of(name, kSubscribing);
}

/// CLIENT TRACKING names another connection.
bool redirects(Relay::Args args) {
  for (std::size_t i = 2; i < args.size(); ++i) {
    if (equals_ignoring_case(args[i], "redirect")) return true;
    if (equals_ignoring_case(args[i], "prefix")) ++i;
  }
  return false;
}

bool is_of_one_node(std::string_view name, Relay::Args args) {
  const auto is = [args](std::string_view subcommand) {
    return args.size() > 1 && equals_ignoring_case(args[1], subcommand);
  };
  if (name == "config") return !is("get");
  if (name == "memory") return !is("usage");
  return is_one_of(name, kOfOneNode);
}

std::string_view first_word(const Reply& frame) noexcept {
  const bool list = frame.type == Type::array || frame.type == Type::push;
  return list && !frame.elements.empty() ? std::string_view(frame.elements[0].text)
                                         : std::string_view();
}

}  // namespace

Relay::Relay(RelayContext& context, Client& client)
    : context_(context), client_(client), patience_(context.pool.loop()) {}

Relay::~Relay() {
  if (upstream_) {
    upstream_->set_owner(nullptr);
    upstream_->close();
  }
}

bool Relay::takes(std::string_view name, bool local, protocol::Version version) const noexcept {
  if (name == "quit" || name == "reset") return false;
  // Who is told of something by Redis asks whether it would be.
  if (name == "ping" && (tracking_ || subscribed())) return true;
  // A subscriber of RESP2 may say little else, and Redis words what it may not; PING has another answer.
  if (in_transaction_ || monitoring_ || (subscribed() && version == protocol::Version::resp2))
    return true;
  return !local && pinned() && name != "nearlane.revoke";
}

std::string Relay::refusal(std::string_view name, Args args) const {
  if (name == "swapdb")
    return "ERR nearlane: SWAPDB is refused: Redis announces to nobody what it exchanges";
  if (is_one_of(name, kNever))
    return fmt::format("ERR nearlane: '{}' is not relayed: what follows it are no replies", name);
  if (is_one_of(name, kOfThisConnection)) {
    return fmt::format(
        "ERR nearlane: '{}' is not relayed: it speaks of what its own connection wrote", name);
  }
  if (name == "script" && args.size() > 1 && equals_ignoring_case(args[1], "debug"))
    return "ERR nearlane: SCRIPT DEBUG is not relayed";
  if (is_one_of(name, kOfAllConnections)) {
    return fmt::format(
        "ERR nearlane: '{}' is not relayed: to Redis the connections of clients are others", name);
  }
  if (name == "client|tracking" && redirects(args)) {
    return "ERR nearlane: CLIENT TRACKING is not relayed with REDIRECT: to Redis the connections "
           "of clients are others";
  }
  if (over_cluster() && is_of_one_node(name, args)) {
    return fmt::format(
        "ERR nearlane: '{}' is not relayed to a Redis Cluster: it would be that of one node", name);
  }
  if (monitoring_) return "ERR nearlane: a connection that monitors takes QUIT and RESET only";
  if (in_transaction_ && (is_one_of(name, kNotInside) || is_one_of(name, kSubscribing)))
    return fmt::format("ERR nearlane: '{}' is not served inside MULTI", name);
  return {};
}

bool Relay::queue(Args args) {
  std::size_t bytes = 0;
  for (const std::string_view arg : args) bytes += arg.size() + kOverheadOfArgument;
  if (queued_.own.size() == kMostOwn || bytes > kMostOwnBytes - queued_.own_bytes) return false;
  queued_.own_bytes += bytes;
  queued_.own.push_back({.place = queued_.commands++, .args = {args.begin(), args.end()}});
  return true;
}

Effect Relay::effect_of(std::string_view name, Args args) const {
  if (name == "exec" || leaves_state(name) || name.starts_with("client|")) return {};
  // What is queued behind it names keys of another database.
  if (name == "select") return {.undeclared = in_transaction_};
  return context_.catalog.effect_of(name, args);
}

bool Relay::goes_alone(std::string_view name, const Effect& effect) const noexcept {
  // What comes back is no longer one answer a command; and over a cluster each may have to go elsewhere.
  if (over_cluster() || monitoring_ || subscribed()) return true;
  if (leaves_state(name) || is_one_of(name, kEnding)) return true;
  if (in_transaction_) return name == "select";  // the others are queued
  return effect.undeclared || effect.blocks || is_one_of(name, kReadingScripts);
}

void Relay::send(std::string_view name, Args args, Effect effect, protocol::Version version,
                 std::uint32_t db, Done done) {
  context_.catalog.load(context_.pool);
  version_ = version;
  db_ = db;
  if (over_cluster() && !upstream_ && !in_transaction_ && name == "multi") {
    in_transaction_ = begins_ = true;
    return done(std::string("+OK\r\n"));
  }
  const bool subscribes = is_one_of(name, kSubscribing);
  if (name == "client|tracking") tracks_ = args.size() > 2 && equals_ignoring_case(args[2], "on");
  if (pending_.empty()) due_ = Clock::now() + kPatience;
  pending_.push_back(
      {.name = std::string(name),
       .effect = name == "exec" ? std::exchange(queued_.effect, {}) : std::move(effect),
       .frames = subscribes ? std::max<std::size_t>(args.size(), 2) - 1 : 1,
       .done = std::move(done)});
  if (over_cluster()) pending_.back().args.assign(args.begin(), args.end());
  if (!upstream_) {
    const auto key = over_cluster() ? context_.catalog.first_key(name, args) : std::nullopt;
    const auto route = key ? context_.pool.cluster()->of(*key) : context_.pool.any_route();
    if (!take_upstream(route)) return;
  }
  watch();
  send_pending(args, false);
}

void Relay::select(Args args, std::uint32_t wanted, protocol::Version version, std::uint32_t db,
                   Done done) {
  selects_ = wanted;
  send("select", args, effect_of("select", args), version, db, std::move(done));
  if (!busy() || pinned()) return;
  due_ = Clock::now() + context_.l2_timeout;  // it is answered without Redis, if need be
  patience_.cancel();                         // whoever waits for it sets it anew
}

/// The timer is set for one command, and not touched when it is answered: the next ones would set it each anew.
void Relay::watch() {
  if (watches_ || !busy() || waits()) return;
  watches_ = true;
  patience_.expires_at(due_);
  patience_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code&) {
    if (alive.expired()) return;
    watches_ = false;
    if (!busy() || waits() || Clock::now() < due_) return watch();
    upstream_->close();
    fail({Errc::refused,
          fmt::format("Redis did not answer within {} s; what became of the command is unknown",
                      kPatience.count())});
  });
}

bool Relay::take_upstream(const std::shared_ptr<l2::Route>& route) {
  upstream_ = route ? context_.pool.take(route) : nullptr;
  if (upstream_) {
    upstream_->set_owner(this);
    return true;
  }
  if (!route) {
    fail({Errc::unavailable, "nothing is known of the cluster yet"});
  } else {
    fail({Errc::busy, "no more connections to Redis may speak for clients (--max-relays)"});
  }
  return false;
}

void Relay::send_pending(Args args, bool asking) {
  upstream_->prepare(version_, db_);
  if (asking) upstream_->send_ahead("ASKING");
  if (begins_) upstream_->send_ahead("MULTI");
  if (pending_.back().name == "exec" && spoiled_) {
    upstream_->send(std::array{std::string_view("DISCARD")});
  } else {
    upstream_->send(args);
  }
}

/// Not what belongs together: of a transaction the first command only, and nothing behind WATCH or SUBSCRIBE.
bool Relay::redirect(std::string_view error) {
  if (!over_cluster()) return false;
  auto redirection = l2::read_redirection(error);
  if (!redirection || redirection->kind == l2::Redirection::Kind::try_again) return false;
  Pending& command = pending_.front();
  const bool bound = (in_transaction_ && !begins_) || watching_ || subscribed();
  if (bound || ++command.hops == kMostHops) {
    command.bytes = bound ? kElsewhere : kNoAgreement;
    return false;
  }
  const bool asking = redirection->kind == l2::Redirection::Kind::ask;
  const auto route = context_.pool.cluster()->follow(std::move(*redirection), *upstream_->route());
  if (in_transaction_) {
    upstream_->set_owner(nullptr);
    upstream_->close();
    upstream_.reset();
  } else {
    context_.pool.give_back(std::exchange(upstream_, nullptr));
  }
  command.bytes.clear();
  if (!take_upstream(route)) return true;
  const std::vector<std::string_view> args(command.args.begin(), command.args.end());
  send_pending(args, asking);
  upstream_->flush();
  return true;
}

bool Relay::answers_pending(const Reply& frame) const noexcept {
  if (pending_.empty() || monitoring_) return false;
  const std::string_view word = first_word(frame);
  const std::string& name = pending_.front().name;
  if (is_one_of(name, kSubscribing) && word == name) return true;
  if (frame.type == Type::push) return false;
  return !subscribed() || version_ == protocol::Version::resp3 ||
         (!is_one_of(word, kMessages) && !is_one_of(word, kSubscribing));
}

void Relay::received(std::string bytes, const Reply& frame) noexcept {
  const bool answers = answers_pending(frame);
  count(frame);
  if (!answers) {
    client_.pushed(bytes);
    if (!busy() && !pinned()) release();
    return;
  }
  Pending& oldest = pending_.front();
  if (oldest.bytes.empty()) {
    oldest.bytes = std::move(bytes);
  } else {
    oldest.bytes += bytes;
  }
  if (!frame.is_error() && --oldest.frames != 0) return;
  if (frame.is_error() && redirect(frame.text)) return;
  begins_ = false;
  if (oldest.name == "exec" && spoiled_) oldest.bytes = kSpoiled;
  follow(frame);
  window_ = oldest.bytes.size() <= kSmallAnswer ? std::min(2 * window_, kMostTogether) : 1;
  Pending answered = std::move(oldest);
  pending_.pop_front();
  if (busy()) due_ = Clock::now() + kPatience;
  if (!busy() && !pinned()) release();
  finish(std::move(answered));
}

/// Confirmations say how many subscriptions are left.
void Relay::count(const Reply& frame) noexcept {
  const std::string_view word = first_word(frame);
  if (!is_one_of(word, kSubscribing) || frame.elements.size() != 3 ||
      frame.elements[2].type != Type::integer)
    return;
  // What a script returns may look like one.
  if (version_ == protocol::Version::resp3 && frame.type != Type::push) return;
  const bool expected = (busy() && pending_.front().name == word) || subscribed();
  if (!expected) return;  // a list that happens to begin so
  (word[0] == 's' && word != "subscribe" ? shards_ : channels_) = frame.elements[2].integer;
  heard_ = true;
}

/// What Redis keeps for this client from now on.
void Relay::follow(const Reply& frame) {
  const std::string& name = pending_.front().name;
  if (in_transaction_ && (name == "exec" || (name == "discard" && frame.is_ok()))) {
    in_transaction_ = watching_ = spoiled_ = false;
    executed(frame, std::exchange(queued_, {}));
  } else if (in_transaction_) {
    if (frame.is_error()) return;
    if (name == "select") queued_.selects.push_back({.place = queued_.commands, .db = selects_});
    ++queued_.commands;
    queued_.effect.add(std::exchange(pending_.front().effect, {}));
  } else if (!frame.is_ok()) {
    return;
  } else if (name == "select") {
    upstream_->selected(selects_);
  } else if (name == "multi") {
    in_transaction_ = true;
  } else if (name == "watch") {
    watching_ = true;
  } else if (name == "unwatch") {
    watching_ = false;
  } else if (name == "monitor") {
    monitoring_ = heard_ = true;
  } else if (name == "client|tracking") {
    tracking_ = tracks_;
    heard_ = heard_ || tracks_;
  }
}

/// What EXEC is answered by is Redis's replies, and between them those of what was queued here.
void Relay::executed(const Reply& frame, const Queued& queued) {
  if (frame.type != Type::array || (queued.own.empty() && queued.selects.empty())) return;
  std::string& answer = pending_.front().bytes;
  std::string_view rest = std::string_view(answer).substr(answer.find('\n') + 1);
  std::string all;
  protocol::append_array_header(all, queued.commands);
  protocol::ReplyParser parser;
  auto own = queued.own.begin();
  auto select = queued.selects.begin();
  for (std::size_t place = 0; place < queued.commands; ++place) {
    if (own != queued.own.end() && own->place == place) {
      const std::vector<std::string_view> args(own->args.begin(), own->args.end());
      const std::string reply = client_.execute(args);
      if (all.size() <= kMostOfExec) all += reply;
      ++own;
      continue;
    }
    const std::string_view before = rest;
    const auto reply = parser.next(rest);
    if (all.size() <= kMostOfExec) all += before.substr(0, before.size() - rest.size());
    if (select == queued.selects.end() || select->place != place) continue;
    if (reply.has_value() && *reply && (*reply)->is_ok()) {
      upstream_->selected(select->db);
      client_.entered(select->db);
    }
    ++select;
  }
  if (all.size() > kMostOfExec) {
    all = kTooLong;
    client_.forsaken();
  }
  answer = std::move(all);
}

/// Lets L1 know before the client does.
void Relay::finish(Pending answered) {
  client_.answered();
  context_.tier.written_elsewhere(
      db_, std::move(answered.effect.keys), answered.effect.undeclared,
      Clock::now() + context_.l2_timeout,
      [done = std::move(answered.done),
       bytes = std::move(answered.bytes)](std::optional<Error> error) mutable {
        if (error) return done(*std::move(error));
        done(std::move(bytes));
      });
}

void Relay::release() {
  if (!upstream_) return;
  // Redis may have more to say to a connection that it has told anything unasked.
  if (std::exchange(heard_, false)) {
    upstream_->set_owner(nullptr);
    upstream_->close();
    upstream_.reset();
  } else {
    context_.pool.give_back(std::exchange(upstream_, nullptr));
  }
}

void Relay::lost(const Error& why) noexcept { fail(why); }

void Relay::fail(const Error& why) {
  const bool forsaken = pinned() || (busy() && leaves_state(pending_.front().name));
  abandon(why);
  if (forsaken) client_.forsaken();
}

void Relay::abandon(const Error& why) {
  patience_.cancel();
  if (upstream_) upstream_->set_owner(nullptr);
  upstream_.reset();
  in_transaction_ = begins_ = watching_ = monitoring_ = spoiled_ = heard_ = false;
  tracking_ = false;
  channels_ = shards_ = 0;
  queued_ = {};
  for (Pending& each : std::exchange(pending_, {})) {
    // Unless there was no connection it may have been executed; whoever has to hear of it does, and nobody waits for that.
    if (why.code != Errc::unavailable && why.code != Errc::busy) {
      context_.tier.written_elsewhere(db_, std::move(each.effect.keys), each.effect.undeclared,
                                      Clock::now() + context_.l2_timeout,
                                      [](const std::optional<Error>&) {});
    }
    each.done(why);
  }
}

void Relay::close() noexcept {
  if (upstream_) upstream_->close();
  abandon({Errc::shutting_down, "the connection has ended"});
}

}  // namespace nearlane::resp
