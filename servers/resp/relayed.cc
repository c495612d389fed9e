// The commands of CacheSession that Redis answers: what our table does not have, and everything of a connection for
// which Redis keeps something.
#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>

#include <boost/asio/dispatch.hpp>

#include "core/protocol/integer.h"
#include "servers/resp/cache_session.h"
#include "servers/resp/errors.h"
#include "servers/resp/set_options.h"

namespace nearlane::resp {

namespace {

bool is_redis_to_answer(Route route) {
  return route == Route::server || route == Route::embedded || route == Route::transaction ||
         route == Route::channel;
}

/// CLIENT is ours but for these: what Redis keeps for a connection, and what it says of itself.
constexpr std::array<std::string_view, 8> kOfRedis = {
    "caching", "getredir", "help", "pause", "tracking", "trackinginfo", "unblock", "unpause"};

bool is_redis_to_answer(const CommandSpec& spec, std::span<const std::string_view> args) {
  return spec.name == "client" && args.size() > 1 &&
         std::ranges::any_of(kOfRedis, [subcommand = args[1]](std::string_view each) {
           return equals_ignoring_case(subcommand, each);
         });
}

/// To Redis the connection is another one: inside MULTI these are queued here.
bool is_own(const CommandSpec& spec) {
  static constexpr std::array<std::string_view, 4> kOwn = {"auth", "client", "hello", "info"};
  return std::ranges::find(kOwn, spec.name) != kOwn.end();
}

}  // namespace

bool CacheSession::is_relayed(const CommandSpec* spec, Args args) const noexcept {
  if (context_.relay == nullptr || !client_.authenticated) return false;
  if (spec == nullptr || is_redis_to_answer(spec->route) || is_redis_to_answer(*spec, args))
    return true;
  return relay_ && relay_->takes(spec->name, spec->route == Route::local, version_);
}

Relay& CacheSession::relay_of_its_own() {
  if (!relay_) {
    Relay::Client& client = *this;
    relay_ = std::make_unique<Relay>(*context_.relay, client);
  }
  return *relay_;
}

/// The one that a SELECT asks for, if there can be such a one.
std::optional<std::uint32_t> CacheSession::wanted_database(const CommandSpec* spec,
                                                           Args args) const noexcept {
  if (spec == nullptr || spec->name != "select" || args.size() != 2) return {};
  const auto wanted = protocol::read_integer(args[1]);
  if (!wanted || *wanted < 0 || *wanted >= context_.limits.databases) return {};
  return static_cast<std::uint32_t>(*wanted);
}

/// The same, if Redis has to say whether it is there.
std::optional<std::uint32_t> CacheSession::unknown_database(const CommandSpec* spec,
                                                            Args args) const noexcept {
  if (context_.relay == nullptr || !client_.authenticated) return {};
  const auto db = wanted_database(spec, args);
  if (!db) return {};
  const bool known = *db == context_.tier.l2_capabilities().default_db ||
                     (context_.relay->databases >> *db & 1U) != 0;
  return known ? std::nullopt : db;
}

/// False: it must wait.
bool CacheSession::select_over_redis(Args args, std::uint32_t db) {
  if (!order_.may_send(Order::Kind::whole, 0)) return false;
  order_.sent(Order::Kind::whole, 0);
  const std::uint64_t number = open_slot(Expects::little);
  relay_of_its_own().select(args, db, version_, client_.db,
                            [self = shared_from_this(), number, db](Result<std::string> answer) {
                              boost::asio::dispatch(
                                  self->context_.home.context(),
                                  [self, number, db, answer = std::move(answer)]() mutable {
                                    self->take_selected(number, db, std::move(answer));
                                  });
                            });
  return true;
}

/// Where Redis cannot be asked the next command says so, if it needs Redis at all.
void CacheSession::take_selected(std::uint64_t number, std::uint32_t db,
                                 Result<std::string> answer) {
  Slot& mine = *slot(number);
  const bool there = answer.has_value() && *answer == "+OK\r\n";
  if (there) context_.relay->databases |= std::uint64_t{1} << db;
  if (there || answer.has_error()) {
    client_.db = db;
    if (host_ != nullptr) context_.clients.update(client_);
    protocol::append_simple(mine.text, "OK");
  } else {
    mine.text = std::move(*answer);
  }
  complete(number, Order::Kind::whole);
}

/// Why a command cannot be queued here; empty: it can.
std::string CacheSession::queue_refusal(const CommandSpec& spec, Args args) const {
  std::string why = refusal(spec, args);
  if (!why.empty()) return why;
  // The replies around it are Redis's, and there already.
  if (spec.name == "client" && equals_ignoring_case(args[1], "reply"))
    return "ERR nearlane: 'client|reply' is not served inside MULTI";
  const auto version =
      spec.name == "hello" && args.size() > 1 ? protocol::read_integer(args[1]) : std::nullopt;
  if (version && *version != static_cast<std::int64_t>(version_))
    return "ERR nearlane: HELLO cannot change the protocol inside MULTI";
  return {};
}

/// False: it must wait.
bool CacheSession::queue_here(const CommandSpec& spec, Args args) {
  if (!order_.may_send(Order::Kind::whole, 0)) return false;
  std::string why = queue_refusal(spec, args);
  if (why.empty() && !relay_->queue(args))
    why = "ERR nearlane: more than 128, or 1 MiB, of commands of the connection's own inside MULTI";
  append_to_tail([&](std::string& out) {
    if (why.empty()) return protocol::append_simple(out, "QUEUED");
    relay_->spoil();
    protocol::append_error(out, why);
  });
  return true;
}

/// False: it must wait.
bool CacheSession::relay(const CommandSpec* spec, Args args) {
  std::string name(args[0]);
  std::ranges::transform(name, name.begin(), lower);
  if (name == "client" && args.size() > 1) {
    name += '|';
    std::ranges::transform(args[1].substr(0, kEchoBytes), std::back_inserter(name), lower);
  }
  const auto db = wanted_database(spec, args);
  if (relay_ && relay_->in_transaction() && spec != nullptr) {
    const bool selects = spec->name == "select";
    const bool is_ours = selects && (over_cluster() || (args.size() == 2 && !db));
    if (is_ours || (is_own(*spec) && !is_redis_to_answer(*spec, args)))
      return queue_here(*spec, args);
  }
  Effect effect = relay_of_its_own().effect_of(name, args);
  const auto kind = relay_->goes_alone(name, effect) ? Order::Kind::whole : Order::Kind::relayed;
  if (!order_.may_send(kind, 0) || !relay_->has_room()) return false;
  if (const std::string refusal = relay_->refusal(name, args); !refusal.empty()) {
    if (relay_->in_transaction()) relay_->spoil();
    append_to_tail([&](std::string& out) { protocol::append_error(out, refusal); });
    return true;
  }
  order_.sent(kind, 0);
  const std::uint64_t number = open_slot(Expects::value);
  // What Redis confirms to a subscriber is no answer.
  const bool pushes = name.ends_with("subscribe");
  auto done = [self = shared_from_this(), number, kind, pushes](Result<std::string> answer) {
    boost::asio::dispatch(self->context_.home.context(),
                          [self, number, kind, pushes, answer = std::move(answer)]() mutable {
                            if (pushes && answer.has_value() && !answer->starts_with('-'))
                              self->slot(number)->mute = false;
                            if (pushes) self->note_relayed_subscriptions();
                            self->take_relayed(number, kind, std::move(answer));
                          });
  };
  if (db && relay_->in_transaction()) {
    relay_->select(args, *db, version_, client_.db, std::move(done));
  } else {
    relay_->send(name, args, std::move(effect), version_, client_.db, std::move(done));
  }
  return true;
}

/// CLIENT LIST and KILL tell subscribers from others.
void CacheSession::note_relayed_subscriptions() {
  if (host_ == nullptr) return;
  client_.channels = relay_->subscriptions();
  context_.clients.update(client_);
}

void CacheSession::take_relayed(std::uint64_t number, Order::Kind kind,
                                Result<std::string> answer) {
  Slot& mine = *slot(number);
  if (answer.has_error()) {
    answer_error(mine, answer.error(), true);
  } else {
    mine.text = std::move(*answer);
  }
  complete(number, kind);
}

/// While the relay waits for Redis, nothing else does: the first slot that nobody has answered is its oldest command's.
void CacheSession::answered() noexcept {
  const auto mine =
      std::ranges::find_if(slots_, [](const Slot& each) { return !each.ready && !each.answered; });
  if (mine != slots_.end()) mine->answered = true;
}

/// Behind the answers that Redis has given before, though L1 may have yet to learn of what they wrote: one of them may
/// be what this says is no longer so. What is still to come is not waited for.
void CacheSession::pushed(std::string_view bytes) noexcept {
  if (killed_) return;
  if (held_ + out_.size() == 0) told_ = 0;
  told_ += bytes.size();
  const auto last = std::find_if(slots_.rbegin(), slots_.rend(),
                                 [](const Slot& each) { return each.ready || each.answered; });
  if (last == slots_.rend()) {
    out_.text().append(bytes);
  } else {
    last->after.append(bytes);
    held_ += bytes.size();
  }
  // Where it waits for an answer and not for the client, sending does not find out.
  if (overrun()) return drop_slow();
  tell_host();
}

/// EXEC's slot is the last one: what follows it waits for its answer.
std::string CacheSession::execute(Args command) {
  const std::string before = std::exchange(tail(), {});
  run_local(*find_command(command[0]), command);
  return std::exchange(tail(), before);
}

void CacheSession::entered(std::uint32_t db) noexcept {
  client_.db = db;
  context_.relay->databases |= std::uint64_t{1} << db;
  if (host_ != nullptr) context_.clients.update(client_);
}

void CacheSession::forsaken() noexcept {
  closing_ = true;
  tell_host();
}

}  // namespace nearlane::resp
