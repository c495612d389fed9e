// The commands of CacheSession that Redis answers: what our table does not have, and everything of a connection for
// which Redis keeps something.
#include <algorithm>
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

}  // namespace

bool CacheSession::is_relayed(const CommandSpec* spec) const noexcept {
  if (context_.relay == nullptr || !client_.authenticated) return false;
  if (spec == nullptr || is_redis_to_answer(spec->route)) return true;
  return relay_ && relay_->takes(spec->name, spec->route == Route::local, version_);
}

Relay& CacheSession::relay_of_its_own() {
  if (!relay_) {
    Relay::Client& client = *this;
    relay_ = std::make_unique<Relay>(*context_.relay, client);
  }
  return *relay_;
}

/// The one that a SELECT asks for, if Redis has to say whether it is there.
std::optional<std::uint32_t> CacheSession::unknown_database(const CommandSpec* spec,
                                                            Args args) const noexcept {
  if (context_.relay == nullptr || spec == nullptr || spec->name != "select") return {};
  if (!client_.authenticated || args.size() != 2) return {};
  const auto wanted = protocol::read_integer(args[1]);
  if (!wanted || *wanted < 0 || *wanted >= context_.limits.databases) return {};
  const auto db = static_cast<std::uint32_t>(*wanted);
  const bool known = db == context_.tier.l2_capabilities().default_db ||
                     (context_.relay->databases >> db & 1U) != 0;
  return known ? std::nullopt : std::optional(db);
}

/// False: it must wait.
bool CacheSession::select_over_redis(Args args, std::uint32_t db) {
  if (!order_.may_send(Order::Kind::whole, 0)) return false;
  order_.sent(Order::Kind::whole, 0);
  const std::uint64_t number = open_slot();
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

bool CacheSession::relay(Args args) {
  std::string name(args[0]);
  std::ranges::transform(name, name.begin(), lower);
  Effect effect = relay_of_its_own().effect_of(name, args);
  const auto kind = relay_->goes_alone(name, effect) ? Order::Kind::whole : Order::Kind::relayed;
  if (!order_.may_send(kind, 0) || !relay_->has_room()) return false;
  if (const std::string refusal = relay_->refusal(name, args); !refusal.empty()) {
    append_to_tail([&](std::string& out) { protocol::append_error(out, refusal); });
    return true;
  }
  order_.sent(kind, 0);
  const std::uint64_t number = open_slot();
  // What Redis confirms to a subscriber is no answer.
  const bool pushes = name.ends_with("subscribe");
  relay_->send(name, args, std::move(effect), version_, client_.db,
               [self = shared_from_this(), number, kind, pushes](Result<std::string> answer) {
                 boost::asio::dispatch(
                     self->context_.home.context(),
                     [self, number, kind, pushes, answer = std::move(answer)]() mutable {
                       if (pushes && answer.has_value() && !answer->starts_with('-'))
                         self->slot(number)->mute = false;
                       if (pushes) self->note_relayed_subscriptions();
                       self->take_relayed(number, kind, std::move(answer));
                     });
               });
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

void CacheSession::pushed(std::string_view bytes) noexcept {
  if (killed_) return;
  // No reply has to be waited for; what is in the output are whole ones.
  if (slots_.empty() || !slots_.front().ready) {
    out_.text().append(bytes);
  } else {
    push_to_tail([&](std::string& out) { out.append(bytes); });
  }
  tell_host();
}

void CacheSession::forsaken() noexcept {
  closing_ = true;
  tell_host();
}

}  // namespace nearlane::resp
