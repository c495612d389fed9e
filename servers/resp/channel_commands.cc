// The commands of CacheSession that concern channels, where no Redis is behind us, and what is heard on them.
//
// Source:  replies and texts of Redis 7.0 (pubsub.c).
#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "servers/resp/cache_session.h"
#include "servers/resp/errors.h"
#include "servers/resp/set_options.h"

namespace nearlane::resp {

using loop::AnsweredBy;
using loop::Outcome;

namespace {

constexpr std::string_view kNameTooLong =
    "ERR nearlane: the name of a channel is longer than 64 KiB";

/// What a message costs beside its bytes while it is on its way to a loop.
constexpr std::size_t kMessageOverhead = 256;

std::size_t cost_of(const std::string& name, const Channels::Message& message) {
  return name.size() + message.channel.size() + message.text.size() + kMessageOverhead;
}

}  // namespace

/// False: it must wait until all is answered that was asked before: PUBLISH tells of what was written, and a message must
/// not come before the answer to a command that was sent before SUBSCRIBE.
bool CacheSession::channel(const CommandSpec& spec, Args args) {
  if (!slots_.empty()) return false;
  count(index_of(spec), AnsweredBy::local, Outcome::ok);
  if (confirms(spec)) {
    push_to_tail([&](std::string&) { run_channel(spec, args); });
  } else {
    append_to_tail([&](std::string&) { run_channel(spec, args); });
  }
  return true;
}

/// What it says is no answer, unless it is refused.
bool CacheSession::confirms(const CommandSpec& spec) noexcept {
  return spec.name.ends_with("subscribe");
}

void CacheSession::run_channel(const CommandSpec& spec, Args args) {
  const auto kind = spec.name.starts_with("p") ? Channels::Kind::pattern : Channels::Kind::channel;
  if (spec.name == "publish" && args[1].size() > kMaxKeyBytes) {
    fail(kNameTooLong);
  } else if (spec.name == "publish") {
    protocol::append_integer(
        tail(), static_cast<std::int64_t>(context_.channels.publish(args[1], args[2])));
  } else if (spec.name == "pubsub") {
    pubsub(args);
  } else if (spec.name.ends_with("unsubscribe")) {
    unsubscribe(spec.name, kind, args.subspan(1));
  } else {
    subscribe(spec.name, kind, args.subspan(1));
  }
}

void CacheSession::subscribe(std::string_view word, Channels::Kind kind, Args names) {
  if (names.size() > context_.limits.max_subscriptions - subscriptions()) {
    fail(fmt::format("ERR nearlane: more than {} subscriptions of one connection",
                     context_.limits.max_subscriptions));
    return;
  }
  const auto too_long = [](std::string_view name) { return name.size() > kMaxKeyBytes; };
  if (std::ranges::any_of(names, too_long)) {
    fail(kNameTooLong);
    return;
  }
  const std::size_t most = context_.limits.transaction.bytes;
  if (queued_bytes(names) > most - std::min(most, subscribed_bytes_)) {
    fail(fmt::format("ERR nearlane: more than {} bytes of names of one connection's subscriptions",
                     most));
    return;
  }
  for (const std::string_view name : names) {
    if (subscribed(kind).emplace(name).second) {
      context_.channels.subscribe(*this, kind, name);
      subscribed_bytes_ += queued_bytes({&name, 1});
    }
    confirm(word, name);
  }
  note_subscriptions();
}

void CacheSession::unsubscribe(std::string_view word, Channels::Kind kind, Args names) {
  std::vector<std::string> all;
  std::vector<std::string_view> views(names.begin(), names.end());
  if (names.empty()) {
    all.assign(subscribed(kind).begin(), subscribed(kind).end());
    views.assign(all.begin(), all.end());
  }
  for (const std::string_view name : views) {
    const auto found = subscribed(kind).find(name);
    if (found != subscribed(kind).end()) {
      context_.channels.unsubscribe(*this, kind, name);
      subscribed(kind).erase(found);
      subscribed_bytes_ -= queued_bytes({&name, 1});
    }
    confirm(word, name);
  }
  if (views.empty()) confirm(word, std::nullopt);
  note_subscriptions();
}

void CacheSession::confirm(std::string_view word, std::optional<std::string_view> name) {
  std::string& out = tail();
  protocol::append_push_header(out, 3, version_);
  protocol::append_bulk(out, word);
  if (name) {
    protocol::append_bulk(out, *name);
  } else {
    protocol::append_null(out, version_);
  }
  protocol::append_integer(out, static_cast<std::int64_t>(subscriptions()));
}

void CacheSession::unsubscribe_all() noexcept {
  for (const auto kind : {Channels::Kind::channel, Channels::Kind::pattern}) {
    for (const std::string& name : subscribed(kind))
      context_.channels.unsubscribe(*this, kind, name);
    subscribed(kind).clear();
    subscribed_bytes_ = 0;
  }
  client_.channels = client_.patterns = 0;
  look_apart();
}

void CacheSession::note_subscriptions() {
  client_.channels = subscribed(Channels::Kind::channel).size();
  client_.patterns = subscribed(Channels::Kind::pattern).size();
  context_.clients.update(client_);
  look_apart();
}

void CacheSession::pubsub(Args args) {
  const Channels& channels = context_.channels;
  const std::string_view what = args[1];
  std::string& out = tail();
  if (equals_ignoring_case(what, "channels")) {
    if (args.size() > 3) {
      fail(fmt::format(
          "ERR unknown subcommand or wrong number of arguments for '{}'. Try PUBSUB HELP.", what));
      return;
    }
    const auto names = args.size() == 3 ? channels.names(args[2]) : channels.names();
    protocol::append_array_header(out, names.size());
    for (const std::string& name : names) protocol::append_bulk(out, name);
  } else if (equals_ignoring_case(what, "numsub")) {
    const Args names = args.subspan(2);
    protocol::append_array_header(out, 2 * names.size());
    for (const std::string_view name : names) {
      protocol::append_bulk(out, name);
      protocol::append_integer(out, static_cast<std::int64_t>(channels.subscribers(name)));
    }
  } else if (equals_ignoring_case(what, "numpat")) {
    protocol::append_integer(out, static_cast<std::int64_t>(channels.patterns()));
  } else {
    help("pubsub");
  }
}

/// On the publisher's thread.
void CacheSession::hear(Channels::Kind kind, const std::string& name,
                        const std::shared_ptr<const Channels::Message>& message) noexcept {
  const std::size_t cost = cost_of(name, *message);
  // Messages wait for this loop as they do for the peer: what is too much is not sent, and the client is dropped.
  const bool fits = heard_.fetch_add(cost) + cost <= context_.limits.max_held;
  if (!fits) {
    heard_.fetch_sub(cost);
    if (deaf_.exchange(true)) return;
  }
  boost::asio::post(context_.home.context(),
                    [weak = weak_from_this(), kind, name, message = fits ? message : nullptr] {
                      const auto self = weak.lock();
                      if (!self) return;
                      if (message) {
                        self->deliver(kind, name, *message);
                      } else {
                        self->drop_slow();
                      }
                    });
}

void CacheSession::deliver(Channels::Kind kind, const std::string& name,
                           const Channels::Message& message) {
  heard_.fetch_sub(cost_of(name, message));
  // It may have unsubscribed since.
  if (host_ == nullptr || closing_ || !subscribed(kind).contains(name)) return;
  const bool by_pattern = kind == Channels::Kind::pattern;
  std::string frame;
  protocol::append_push_header(frame, by_pattern ? 4 : 3, version_);
  protocol::append_bulk(frame, by_pattern ? "pmessage" : "message");
  if (by_pattern) protocol::append_bulk(frame, name);
  protocol::append_bulk(frame, message.channel);
  protocol::append_bulk(frame, message.text);
  pushed(frame);
  if (overrun()) drop_slow();
}

/// On the thread of whoever has asked for it.
void CacheSession::hang_up() noexcept {
  boost::asio::post(context_.home.context(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->host_ == nullptr) return;
    self->killed_ = self->closing_ = true;
    self->out_.drop_front(self->out_.size());
    self->tell_host();
  });
}

void CacheSession::drop_slow() {
  if (host_ == nullptr || closing_) return;
  tell_dropped(fmt::format("more than {} bytes of messages and replies wait for it",
                           context_.limits.max_held));
  unsubscribe_all();
  // What it is owed goes with it, so that nothing that is under way keeps it.
  killed_ = closing_ = true;
  out_.drop_front(out_.size());
  tell_host();
}

void CacheSession::given_up(std::chrono::milliseconds took_nothing) noexcept {
  tell_dropped(fmt::format("it has taken nothing for {} ms of {} bytes that wait for it; {} may",
                           took_nothing.count(), out_.size() + held_, context_.limits.max_held));
}

/// Each of them could be told of, and all at once.
void CacheSession::tell_dropped(std::string_view why) noexcept {
  DroppedClients& dropped = context_.dropped;
  const TimePoint now = Clock::now();
  if (dropped.told_at != TimePoint::min() && now - dropped.told_at < DroppedClients::kTellEvery) {
    ++dropped.untold;
    return;
  }
  spdlog::warn(
      "resp: client id={} addr={} name={} is dropped: {}{}", client_.id, client_.address,
      client_.name, why,
      dropped.untold == 0 ? "" : fmt::format(" (and {} others before it)", dropped.untold));
  dropped = {.told_at = now};
}

}  // namespace nearlane::resp
