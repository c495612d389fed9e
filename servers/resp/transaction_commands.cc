// The commands of CacheSession that Redis would keep a transaction for, where no Redis is behind us.
//
// Source:  replies and texts of Redis 7.0 (multi.c); docs/decisions/0026-transactions-over-the-embedded-store.md.
#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <fmt/format.h>

#include "core/cohere/watch.h"
#include "servers/resp/cache_session.h"

namespace nearlane::resp {

using loop::AnsweredBy;
using loop::Outcome;
using protocol::Reply;

namespace {

const std::size_t kExec = index_of(*find_command("exec"));
const std::size_t kWatch = index_of(*find_command("watch"));

}  // namespace

/// False: it must wait.
bool CacheSession::transaction(const CommandSpec& spec, Args args) {
  if (spec.name == "watch" && !queue_) return watch(args);
  if (spec.name == "exec" && queue_ && !queue_->spoiled()) return exec();
  count(index_of(spec), AnsweredBy::local, Outcome::ok);
  append_to_tail([&](std::string&) { run_transaction(spec); });
  return true;
}

/// What needs no store.
void CacheSession::run_transaction(const CommandSpec& spec) {
  if (spec.name == "multi") {
    if (queue_) {
      fail("ERR MULTI calls can not be nested");
      return;
    }
    queue_.emplace(context_.limits.transaction);
    look_apart();
    protocol::append_simple(tail(), "OK");
  } else if (spec.name == "watch") {
    fail("ERR WATCH inside MULTI is not allowed");
  } else if (spec.name == "unwatch") {
    unwatch();
    protocol::append_simple(tail(), "OK");
  } else if (!queue_) {
    fail(spec.name == "exec" ? "ERR EXEC without MULTI" : "ERR DISCARD without MULTI");
  } else {
    discard();
    if (spec.name == "exec") {
      fail("EXECABORT Transaction discarded because of previous errors.");
    } else {
      protocol::append_simple(tail(), "OK");
    }
  }
}

/// A command is not even queued: EXEC will execute nothing. One that is refused itself ends what it was to execute.
void CacheSession::refuse(const CommandSpec* spec, std::string_view why) {
  if (spec == nullptr || spec->name != "exec") {
    if (queue_) queue_->spoil();
    fail(why);
    return;
  }
  discard();
  why.remove_prefix(why.starts_with("ERR ") ? 4 : 0);
  fail(fmt::format("EXECABORT Transaction discarded because of: {}", why));
}

void CacheSession::unwatch() noexcept {
  watch_.reset();
  watched_ = watched_bytes_ = 0;
  unwatched_ = false;
  look_apart();
}

void CacheSession::discard() noexcept {
  queue_.reset();
  unwatch();
}

/// Reads of this client go to the store from now on, behind the watch: what L1 has is no part of what WATCH guards.
bool CacheSession::watch(Args args) {
  const Args names = args.subspan(1);
  const CommandQueueLimits& limits = context_.limits.transaction;
  const std::size_t bytes = queued_bytes(names);
  if (names.size() > limits.commands - watched_ || bytes > limits.bytes - watched_bytes_) {
    append_to_tail([&](std::string&) {
      fail(fmt::format("ERR nearlane: more than {} keys or {} bytes of names watched",
                       limits.commands, limits.bytes));
    });
    unwatched_ = true;
    return true;
  }
  if (!order_.may_send(Order::Kind::whole, 0)) return false;
  watched_ += names.size();
  watched_bytes_ += bytes;
  if (!watch_) watch_ = std::make_shared<cohere::Watch>();
  look_apart();
  order_.sent(Order::Kind::whole, 0);
  const std::uint64_t number = open_slot(Expects::little);
  context_.tier.watch(
      client_.db, {names.begin(), names.end()}, watch_, Clock::now() + context_.l2_timeout,
      [self = shared_from_this(), number, mine = watch_](Result<bool> done) {
        boost::asio::dispatch(
            self->context_.home.context(), [self, number, mine, done = std::move(done)] {
              Slot& reply = *self->slot(number);
              if (done.has_error()) {
                self->answer_error(reply, done.error(), false);
                if (self->watch_ == mine) self->unwatched_ = true;
              } else {
                protocol::append_simple(reply.text, "OK");
              }
              self->count(kWatch, AnsweredBy::l2, done.has_error() ? Outcome::error : Outcome::ok);
              self->complete(number, Order::Kind::whole);
            });
      });
  return true;
}

/// What the client says meanwhile waits: SELECT among the commands decides where the next ones go.
bool CacheSession::exec() {
  if (!order_.may_send(Order::Kind::whole, 0)) return false;
  std::vector<CommandQueue::Step> steps = queue_->take();
  tier::Transaction what = for_store(steps, client_.db, context_.limits.databases);
  const auto tells_sizes = [this](const CommandQueue::Step& each) {
    const std::vector<std::string_view> words(each.args.begin(), each.args.end());
    return !each.needs_store() && asks_sizes(*each.spec, words);
  };
  if (std::ranges::any_of(steps, tells_sizes)) add_sizes(what);
  what.watch = watch_;
  const bool lost = unwatched_;
  discard();
  order_.sent(Order::Kind::whole, 0);
  const std::uint64_t number = open_slot(Expects::value);
  executing_ = true;
  if (lost) {
    take_executed(number, steps, Reply::null());
  } else if (what.commands.empty() && !what.watch) {
    take_executed(number, steps, Reply::array({}));
  } else {
    context_.tier.transact(
        std::move(what), Clock::now() + context_.l2_timeout,
        [self = shared_from_this(), number,
         steps = std::move(steps)](Result<Reply> answer) mutable {
          boost::asio::dispatch(
              self->context_.home.context(),
              [self, number, steps = std::move(steps), answer = std::move(answer)]() mutable {
                self->take_executed(number, steps, std::move(answer));
              });
        });
  }
  return true;
}

void CacheSession::take_executed(std::uint64_t number, std::span<const CommandQueue::Step> steps,
                                 Result<Reply> answer) {
  executing_ = false;
  Slot& mine = *slot(number);
  if (answer.has_error()) {
    answer_error(mine, answer.error(), true);
  } else if (answer->is_null()) {
    protocol::append_null_array(mine.text, version_);
  } else if (host_ != nullptr) {
    append_executed(mine, steps, *answer);
  } else {
    publish_executed(steps);
  }
  count(kExec, AnsweredBy::l2, answer.has_error() ? Outcome::error : Outcome::ok);
  complete(number, Order::Kind::whole);
  if (!serving_) end_command();  // else whoever serves does
}

/// The store's replies, and between them those of the connection's own commands, which are executed only now.
void CacheSession::append_executed(Slot& mine, std::span<const CommandQueue::Step> steps,
                                   const Reply& answer) {
  mine.mute = false;  // each is by itself: CLIENT REPLY may be among them
  if (!muted()) protocol::append_array_header(mine.text, steps.size());
  const std::string behind = std::exchange(mine.after, {});  // what is wrong with what follows EXEC
  const auto stored = std::ranges::count_if(steps, &CommandQueue::Step::needs_store);
  sizes_ = read_sizes(std::span(answer.elements).subspan(static_cast<std::size_t>(stored)));
  auto next = answer.elements.begin();
  std::vector<std::string_view> args;
  for (const CommandQueue::Step& step : steps) {
    if (step.needs_store()) {
      if (!muted()) append_answer(mine.text, *step.spec, *next, version_);
      ++next;
      continue;
    }
    args.assign(step.args.begin(), step.args.end());
    run_here(*step.spec, args);  // behind this slot, which is the last one
    const std::string own = std::exchange(mine.after, {});
    if (muted() && !confirms(*step.spec)) continue;
    if (own.size() + mine.text.size() <= context_.limits.max_held) {
      mine.text += own;
    } else {
      protocol::append_error(mine.text, fmt::format("ERR nearlane: the answers of this EXEC are "
                                                    "longer than {} bytes; this was executed",
                                                    context_.limits.max_held));
    }
  }
  mine.after = behind;
  sizes_.clear();
}

/// The client has gone, and what it wrote is there: so is what it had to say of it.
void CacheSession::publish_executed(std::span<const CommandQueue::Step> steps) {
  for (const CommandQueue::Step& step : steps) {
    if (step.spec->name == "publish") context_.channels.publish(step.args[1], step.args[2]);
  }
}

/// What a transaction may hold of commands that need no store.
void CacheSession::run_here(const CommandSpec& spec, Args args) {
  if (spec.route == Route::transaction) {
    run_transaction(spec);
  } else if (spec.route == Route::channel) {
    run_channel(spec, args);
  } else {
    run_local(spec, args);
  }
}

}  // namespace nearlane::resp
