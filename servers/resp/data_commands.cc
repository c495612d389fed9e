// The commands of CacheSession that concern the data: which way each goes, and what becomes of L2's answer.
#include <algorithm>
#include <utility>

#include <boost/asio/dispatch.hpp>

#include "servers/resp/cache_session.h"
#include "servers/resp/errors.h"
#include "servers/resp/set_options.h"

namespace nearlane::resp {

using loop::AnsweredBy;
using loop::Outcome;
using protocol::Reply;

namespace {

/// An MGET of more words goes to L2 whole: a fetch for each key would keep the loop from its other
/// clients.
constexpr std::size_t kMostGathered = 1024;

/// Of a reply that says that there is nothing.
constexpr std::size_t kNilBytes = 5;

std::vector<std::string> to_strings(std::span<const std::string_view> args) {
  return {args.begin(), args.end()};
}

const std::size_t kGet = index_of(*find_command("get"));
const std::size_t kMget = index_of(*find_command("mget"));

}  // namespace

bool CacheSession::run(const CommandSpec& spec, Args args) {
  // What L1 has, and touches that L1 answers, are no part of what WATCH guards.
  const bool by_l1 =
      spec.route == Route::get || spec.route == Route::mget || spec.route == Route::touch;
  if (watch_ && by_l1) return execute(spec, args);
  switch (spec.route) {
    case Route::get:
      return get(args);
    case Route::mget:
      // Who may not ask for all of them at once is told so by Redis.
      if (args.size() > kMostGathered || !context_.tier.may_be_together(args.subspan(1)))
        return execute(spec, args);
      return mget(args);
    case Route::set:
    case Route::setex: {
      const auto set =
          spec.route == Route::set ? parse_set(args) : parse_setex(args, spec.name == "psetex");
      if (!set) return execute(spec, args);
      return store(spec, {client_.db, args[1]}, set->value, set->options);
    }
    case Route::setnx:
      return store(spec, {client_.db, args[1]}, args[2], {.condition = tier::Condition::if_absent});
    case Route::touch:
      return touch(spec, args);
    case Route::revoke:
      return revoke(spec, args);
    case Route::read_key:
    case Route::write_key:
    case Route::whole:
    case Route::embedded:
      return execute(spec, args);
    case Route::transaction:
      return transaction(spec, args);
    case Route::channel:
      return channel(spec, args);
    case Route::local:
    case Route::server:
      break;
  }
  return info_of_store(args);  // all else of these was answered before
}

bool CacheSession::get(Args args) {
  const KeyRef key(client_.db, args[1]);
  const std::size_t lane = context_.tier.lane_of(key);
  if (order_.read_waits()) return false;
  if (order_.bypasses_l1(lane)) {
    fetch(key, tier::ReadFrom::through_l2);
    return true;
  }
  const Entry* entry = context_.tier.find(key, now_);
  if (entry == nullptr) entry = context_.tier.find_stale(key, now_);
  if (entry != nullptr) {
    if (!muted()) reply_hit(*entry, key);
    count(kGet, AnsweredBy::l1, Outcome::hit);
    return true;
  }
  if (!order_.may_send(Order::Kind::read, lane)) return false;
  fetch(key, way_of(key));
  return true;
}

/// Where the lease has lapsed a read may need two commands.
tier::ReadFrom CacheSession::way_of(const KeyRef& key) const {
  return context_.tier.lease_lapsed(key, Clock::now()) ? tier::ReadFrom::l1_first
                                                       : tier::ReadFrom::l1_in_order;
}

/// No write of ours may come between what is aside and its answer.
void CacheSession::ask(std::uint64_t number, Key key, tier::ReadFrom from,
                       tier::TieredCache::GetHandler done) {
  order_.sent(Order::Kind::read, context_.tier.lane_of(key.ref()));
  if (from == tier::ReadFrom::l1_first) step_aside(number);
  const bool joined =
      context_.tier.get(std::move(key), from, Clock::now() + context_.l2_timeout, std::move(done));
  if (joined) step_aside(number);
}

void CacheSession::step_aside(std::uint64_t number) noexcept {
  order_.step_aside();
  ++slot(number)->aside;
}

void CacheSession::fetch(const KeyRef& key, tier::ReadFrom from) {
  const std::uint64_t number = open_slot(Expects::value);
  ask(number, Key(key), from, [self = shared_from_this(), number](Result<tier::Lookup> found) {
    boost::asio::dispatch(self->context_.home.context(), [self, number, found = std::move(found)] {
      Slot& mine = *self->slot(number);
      if (found.has_error()) {
        self->answer_error(mine, found.error(), false);
        self->count(kGet, AnsweredBy::l2, Outcome::error);
      } else {
        const bool is_there = static_cast<bool>(found->entry);
        if (is_there) {
          mine.entry = found->entry;
        } else {
          protocol::append_null(mine.text, mine.version);
        }
        self->count(kGet, tier::is_from_l1(found->source) ? AnsweredBy::l1 : AnsweredBy::l2,
                    is_there ? Outcome::hit : Outcome::miss);
      }
      self->complete(number, Order::Kind::read);
    });
  });
}

/// An MGET under way: what was found so far, and how many answers are still to come.
struct CacheSession::Gather {
  std::vector<EntryPtr> entries = {};
  std::size_t bytes = 0;  // of the replies to those that are known
  std::size_t most = 0;
  std::size_t open = 0;
  Error error{};
  bool failed = false;
  bool from_l2 = false;

  /// Nothing is kept for an answer that will be an error; what comes later is dropped as it comes.
  void fail(Error why) {
    failed = true;
    error = std::move(why);
    std::vector<EntryPtr>().swap(entries);
  }
  void take(std::size_t at, EntryPtr entry) {
    if (failed) return;
    bytes += entry ? entry->resp_bulk().size() : kNilBytes;
    if (bytes > most)
      return fail({Errc::too_large, "the values of one MGET are too many bytes together"});
    entries[at] = std::move(entry);
  }
};

bool CacheSession::mget(Args args) {
  if (!order_.only_reads()) return false;
  std::vector<KeyRef> keys;
  keys.reserve(args.size() - 1);
  for (const std::string_view name : args.subspan(1)) keys.emplace_back(client_.db, name);
  const std::vector<const Entry*> found = find_all(keys);
  std::size_t size = out_.size() + held_;
  for (const Entry* entry : found) size += entry != nullptr ? entry->resp_bulk().size() : 0;
  const bool hit = std::ranges::find(found, nullptr) == found.end();
  if (hit && slots_.empty() && !muted() && size <= context_.limits.max_held) {
    protocol::append_array_header(out_.text(), found.size());
    for (std::size_t i = 0; i < keys.size(); ++i) out_.append(*found[i], keys[i]);
    ++l1_answers_;
    count(kMget, AnsweredBy::l1, Outcome::ok);
  } else {
    gather(keys, found);
  }
  return true;
}

std::vector<const Entry*> CacheSession::find_all(std::span<const KeyRef> keys) const {
  std::vector<const Entry*> found(keys.size());
  for (std::size_t from = 0; from < keys.size(); from += kRun) {
    const std::size_t count = std::min(kRun, keys.size() - from);
    context_.tier.find_batch(keys.subspan(from, count), std::span(found).subspan(from, count),
                             now_);
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i] == nullptr) found[i] = context_.tier.find_stale(keys[i], now_);
  }
  return found;
}

/// Answers an MGET once L2 has said what L1 does not have, or what was asked before it is answered.
void CacheSession::gather(std::span<const KeyRef> keys, std::span<const Entry* const> found) {
  auto gather = std::make_shared<Gather>();
  gather->entries.resize(keys.size());
  gather->most = context_.limits.max_held;
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i] == nullptr) {
      missing.push_back(i);
    } else {
      gather->take(i, EntryPtr::pin(found[i]));
    }
  }
  if (gather->failed) missing.clear();
  const std::uint64_t number = open_slot(Expects::value);
  gather->open =
      missing.size() + 1;  // one for this function, so that inline answers do not finish early
  const auto finish = [self = shared_from_this(), gather, number] {
    if (--gather->open > 0) return;
    Slot& mine = *self->slot(number);
    if (gather->failed) {
      self->answer_error(mine, gather->error, false);
    } else {
      mine.text.reserve(gather->bytes + 16);
      protocol::append_array_header(mine.text, gather->entries.size());
      for (const EntryPtr& entry : gather->entries) {
        if (entry) {
          mine.text.append(entry->resp_bulk());
        } else {
          protocol::append_null(mine.text, mine.version);
        }
      }
    }
    if (!gather->from_l2) ++self->l1_answers_;
    self->count(kMget, gather->from_l2 ? AnsweredBy::l2 : AnsweredBy::l1,
                gather->failed ? Outcome::error : Outcome::ok);
    self->complete(number, Order::Kind::read);
  };
  // The whole MGET is one more read beside those of its keys, so that it is answered after them.
  gather->from_l2 = !missing.empty();
  order_.sent(Order::Kind::read, context_.tier.lane_of(keys[0]));
  for (const std::size_t i : missing) {
    ask(number, Key(keys[i]), way_of(keys[i]),
        [self = shared_from_this(), gather, i, finish](Result<tier::Lookup> answer) {
          boost::asio::dispatch(self->context_.home.context(),
                                [self, gather, i, finish, answer = std::move(answer)] {
                                  if (answer.has_value()) {
                                    gather->take(i, answer->entry);
                                  } else if (answer.error().detail.starts_with("WRONGTYPE")) {
                                    gather->take(i, nullptr);  // to MGET it is not there
                                  } else {
                                    gather->fail(answer.error());
                                  }
                                  self->order_.answered(Order::Kind::read);
                                  finish();
                                });
        });
  }
  finish();
}

bool CacheSession::store(const CommandSpec& spec, const KeyRef& key, std::string_view value,
                         tier::StoreOptions options) {
  const std::size_t lane = context_.tier.lane_of(key);
  if (!order_.may_send(Order::Kind::write, lane)) return false;
  order_.sent(Order::Kind::write, lane);
  const std::uint64_t number = open_slot(Expects::little);
  const bool as_number = spec.route == Route::setnx;
  context_.tier.set(
      key, value, options, Clock::now() + context_.l2_timeout,
      [self = shared_from_this(), number, as_number,
       id = index_of(spec)](Result<tier::StoreOutcome> done) {
        boost::asio::dispatch(
            self->context_.home.context(), [self, number, as_number, id, done = std::move(done)] {
              Slot& mine = *self->slot(number);
              if (done.has_error()) {
                self->answer_error(mine, done.error(), true);
              } else if (as_number) {
                protocol::append_integer(mine.text, done->stored ? 1 : 0);
              } else if (done->stored) {
                protocol::append_simple(mine.text, "OK");
              } else {
                protocol::append_null(mine.text, mine.version);
              }
              self->count(id, AnsweredBy::l2, done.has_error() ? Outcome::error : Outcome::ok);
              self->complete(number, Order::Kind::write);
            });
      });
  return true;
}

/// RESP2 has no lists of pairs where it has no lists in lists: Redis makes one flat list of them.
void CacheSession::append_answer(std::string& out, const CommandSpec& spec, const Reply& reply,
                                 protocol::Version version) {
  const bool pairs = spec.name == "hrandfield" && !reply.elements.empty() &&
                     reply.elements.front().type == protocol::Type::array;
  if (!pairs || version == protocol::Version::resp3)
    return protocol::append_reply(out, reply, version);
  protocol::append_array_header(out, 2 * reply.elements.size());
  for (const Reply& pair : reply.elements) {
    for (const Reply& each : pair.elements) protocol::append_reply(out, each, version);
  }
}

/// Brings a reply of L2 home to its slot.
tier::TieredCache::ReplyHandler CacheSession::reply_handler(std::uint64_t number, Order::Kind kind,
                                                            bool writes, std::size_t id) {
  return [self = shared_from_this(), number, kind, writes, id](Result<Reply> reply) {
    boost::asio::dispatch(
        self->context_.home.context(), [self, number, kind, writes, id, reply = std::move(reply)] {
          Slot& mine = *self->slot(number);
          if (reply.has_error()) {
            self->answer_error(mine, reply.error(), writes);
          } else if (id < commands().size()) {
            append_answer(mine.text, commands()[id], *reply, mine.version);
          } else {
            protocol::append_reply(mine.text, *reply, mine.version);
          }
          const bool failed = reply.has_error() || reply->is_error();
          if (id < commands().size()) {
            self->count(id, AnsweredBy::l2, failed ? Outcome::error : Outcome::ok);
          }
          self->complete(number, kind);
        });
  };
}

bool CacheSession::touch(const CommandSpec& spec, Args args) {
  const KeyRef key(client_.db, args[1]);
  const std::size_t lane = context_.tier.lane_of(key);
  const auto slide = slide_of(spec, args);
  if (slide && context_.tier.slide(key, *slide, now_)) {
    append_to_tail([](std::string& out) { protocol::append_integer(out, 1); });
    ++l1_answers_;
    count(index_of(spec), AnsweredBy::l1, Outcome::ok);
    return true;
  }
  if (!order_.may_send(Order::Kind::write, lane)) return false;
  order_.sent(Order::Kind::write, lane);
  const std::uint64_t number = open_slot(Expects::little);
  const bool joined =
      context_.tier.touch(key, to_strings(args), Clock::now() + context_.l2_timeout,
                          reply_handler(number, Order::Kind::write, true, index_of(spec)), slide);
  if (joined) step_aside(number);
  return true;
}

/// How far a touch slides the key's end, if L1 may answer it, as it might a read: not where a write of the key's lane
/// is unanswered.
std::optional<std::chrono::milliseconds> CacheSession::slide_of(const CommandSpec& spec,
                                                                Args args) const {
  const bool milliseconds = spec.name == "pexpire";
  if (!milliseconds && spec.name != "expire") return {};
  const std::size_t lane = context_.tier.lane_of({client_.db, args[1]});
  if (order_.read_waits() || order_.bypasses_l1(lane)) return {};
  return parse_slide(args, milliseconds);
}

bool CacheSession::revoke(const CommandSpec& spec, Args args) {
  const KeyRef key(client_.db, args[1]);
  const std::size_t lane = context_.tier.lane_of(key);
  if (!order_.may_send(Order::Kind::write, lane)) return false;
  order_.sent(Order::Kind::write, lane);
  context_.tier.revoke(key, Clock::now() + context_.l2_timeout,
                       [answer = reply_handler(open_slot(Expects::little), Order::Kind::write, true,
                                               index_of(spec))](Result<bool> removed) {
                         if (!removed) return answer(removed.error());
                         answer(Reply::number(*removed ? 1 : 0));
                       });
  return true;
}

bool CacheSession::execute(const CommandSpec& spec, Args args) {
  tier::RawCommand raw{.db = client_.db, .args = {}, .keys = {}};
  raw.writes = spec.flags.find("write") != std::string_view::npos;
  const auto keys = key_positions(spec, args.size());
  for (std::size_t i = keys.first; i < keys.end; i += keys.step) raw.keys.emplace_back(args[i]);
  Order::Kind kind = Order::Kind::whole;
  std::size_t lane = 0;
  if (raw.keys.size() == 1) {
    kind = raw.writes ? Order::Kind::write : Order::Kind::read;
    lane = context_.tier.lane_of({client_.db, raw.keys.front()});
  }
  if (!order_.may_send(kind, lane)) return false;
  raw.args = to_strings(args);
  order_.sent(kind, lane);
  const std::uint64_t number = open_slot(Expects::value);
  const bool writes = raw.writes;
  const std::size_t id = find_command(spec.name) == nullptr ? commands().size() : index_of(spec);
  context_.tier.execute(std::move(raw), Clock::now() + context_.l2_timeout,
                        reply_handler(number, kind, writes, id));
  return true;
}

}  // namespace nearlane::resp
