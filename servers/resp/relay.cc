#include "servers/resp/relay.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace nearlane::resp {

using protocol::Reply;
using protocol::Type;

namespace {

/// A script may take its time; then something is wrong, and the client is told.
constexpr auto kPatience = std::chrono::seconds(30);

constexpr std::array<std::string_view, 6> kSubscribing = {
    "psubscribe", "punsubscribe", "ssubscribe", "subscribe", "sunsubscribe", "unsubscribe"};
constexpr std::array<std::string_view, 3> kMessages = {"message", "pmessage", "smessage"};
/// They are the connection's, which is ours here, or would make it something else than Redis's replies.
constexpr std::array<std::string_view, 4> kNotInside = {"auth", "client", "hello", "select"};
constexpr std::array<std::string_view, 4> kNever = {"psync", "replconf", "swapdb", "sync"};

template <std::size_t kSize>
bool is_one_of(std::string_view name, const std::array<std::string_view, kSize>& names) {
  return std::ranges::find(names, name) != names.end();
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
  // A subscriber of RESP2 may say little else, and Redis words what it may not; PING has another answer.
  if (in_transaction_ || monitoring_ || (subscribed() && version == protocol::Version::resp2))
    return true;
  return !local && pinned();
}

std::string Relay::refusal(std::string_view name) const {
  if (name == "swapdb")
    return "ERR nearlane: SWAPDB is refused: Redis announces to nobody what it exchanges";
  if (is_one_of(name, kNever))
    return fmt::format("ERR nearlane: '{}' is not relayed: what follows it are no replies", name);
  if (monitoring_) return "ERR nearlane: a connection that monitors takes QUIT and RESET only";
  if (in_transaction_ && is_one_of(name, kNotInside))
    return fmt::format("ERR nearlane: '{}' is not served inside MULTI", name);
  return {};
}

void Relay::send(std::string_view name, Args args, protocol::Version version, std::uint32_t db,
                 Done done) {
  context_.catalog.load(context_.pool);
  if (!upstream_) {
    upstream_ = context_.pool.take();
    if (!upstream_) {
      return done(
          Error{Errc::busy, "no more connections to Redis may speak for clients (--max-relays)"});
    }
    upstream_->set_owner(this);
  }
  version_ = version;
  const bool subscribes = is_one_of(name, kSubscribing);
  pending_.emplace(Pending{.name = std::string(name),
                           .effect = subscribes ? Effect{} : context_.catalog.effect_of(name, args),
                           .frames = subscribes ? std::max<std::size_t>(args.size(), 2) - 1 : 1,
                           .done = std::move(done)});
  if (name == "exec") pending_->effect = std::exchange(queued_, {});
  db_ = db;
  ++sent_;
  if (!pending_->effect.blocks) {
    patience_.expires_after(kPatience);
    patience_.async_wait(
        [this, alive = std::weak_ptr(alive_), number = sent_](boost::system::error_code cancelled) {
          if (cancelled || alive.expired() || number != sent_ || !pending_) return;
          upstream_->close();
          fail({Errc::timeout, {}});
        });
  }
  upstream_->prepare(version, db);
  upstream_->send(args);
}

bool Relay::answers_pending(const Reply& frame) const noexcept {
  if (!pending_ || monitoring_) return false;
  const std::string_view word = first_word(frame);
  if (is_one_of(pending_->name, kSubscribing) && word == pending_->name) return true;
  if (frame.type == Type::push) return false;
  return !subscribed() || version_ == protocol::Version::resp3 ||
         (!is_one_of(word, kMessages) && !is_one_of(word, kSubscribing));
}

void Relay::received(std::string bytes, const Reply& frame) noexcept {
  const bool answers = answers_pending(frame);
  count(frame);
  if (!answers) {
    client_.pushed(bytes);
    if (!pending_ && !pinned()) release();
    return;
  }
  pending_->bytes += bytes;
  if (!frame.is_error() && --pending_->frames != 0) return;
  patience_.cancel();
  follow(frame);
  Pending answered = std::move(*pending_);
  pending_.reset();
  if (!pinned()) release();
  finish(std::move(answered));
}

/// Confirmations say how many subscriptions are left.
void Relay::count(const Reply& frame) noexcept {
  const std::string_view word = first_word(frame);
  if (!is_one_of(word, kSubscribing) || frame.elements.size() != 3 ||
      frame.elements[2].type != Type::integer)
    return;
  const bool expected = (pending_ && pending_->name == word) || subscribed();
  if (!expected) return;  // a list that happens to begin so
  (word[0] == 's' && word != "subscribe" ? shards_ : channels_) = frame.elements[2].integer;
}

/// What Redis keeps for this client from now on.
void Relay::follow(const Reply& frame) {
  const std::string& name = pending_->name;
  if (name == "exec" || (name == "discard" && frame.is_ok())) {
    in_transaction_ = watching_ = false;
    queued_ = {};
  } else if (in_transaction_) {
    if (!frame.is_error()) queued_.add(std::exchange(pending_->effect, {}));
  } else if (!frame.is_ok()) {
    return;
  } else if (name == "multi") {
    in_transaction_ = true;
  } else if (name == "watch") {
    watching_ = true;
  } else if (name == "unwatch") {
    watching_ = false;
  } else if (name == "monitor") {
    monitoring_ = true;
  }
}

/// Lets L1 know before the client does.
void Relay::finish(Pending answered) {
  if (!answered.effect.keys.empty()) context_.tier.forget(db_, answered.effect.keys);
  if (!answered.effect.undeclared) return answered.done(std::move(answered.bytes));
  context_.tier.await_lanes(Clock::now() + context_.l2_timeout,
                            [done = std::move(answered.done), bytes = std::move(answered.bytes)](
                                std::optional<Error> error) mutable {
                              if (error) return done(*std::move(error));
                              done(std::move(bytes));
                            });
}

void Relay::release() {
  if (upstream_) context_.pool.give_back(std::move(upstream_));
  upstream_.reset();
}

void Relay::lost(const Error& why) noexcept { fail(why); }

void Relay::fail(const Error& why) {
  patience_.cancel();
  if (upstream_) upstream_->set_owner(nullptr);
  upstream_.reset();
  const bool forsaken = pinned();
  in_transaction_ = watching_ = monitoring_ = false;
  channels_ = shards_ = 0;
  queued_ = {};
  if (auto pending = std::exchange(pending_, std::nullopt)) {
    // It may have been executed; what it wrote is announced to the lanes all the same.
    if (!pending->effect.keys.empty()) context_.tier.forget(db_, pending->effect.keys);
    pending->done(why);
  }
  if (forsaken) client_.forsaken();
}

void Relay::close() noexcept {
  if (!upstream_) return;
  upstream_->close();
  in_transaction_ = watching_ = monitoring_ = false;
  channels_ = shards_ = 0;
  fail({Errc::shutting_down, "the connection has ended"});
}

}  // namespace nearlane::resp
