#include "servers/resp/cache_session.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include "core/base/epoch.h"
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

/// Below this a hit behind an unanswered command is copied; above it, pinned.
constexpr std::size_t kPinBytes = std::size_t{16} * 1024;

/// Name, options and key of a command with the largest value.
constexpr std::size_t kMaxOverhead = std::size_t{1} << 20U;

protocol::CommandLimits command_limits(const SessionLimits& limits, bool authenticated) {
  protocol::CommandLimits command{.max_bulk_bytes = limits.max_value,
                                  .authenticated = authenticated};
  command.max_command_bytes = std::max(command.max_command_bytes, limits.max_value + kMaxOverhead);
  return command;
}

bool is_get(std::span<const std::string_view> args) {
  return args.size() == 2 && args[0].size() == 3 && equals_ignoring_case(args[0], "get");
}

/// A browser that was talked into posting here would have the body's lines executed as commands.
/// Every HTTP request comes by one of these words before its body, and Redis hangs up on them too.
bool is_http(std::string_view command) {
  return equals_ignoring_case(command, "post") || equals_ignoring_case(command, "host:");
}

bool lies_in(std::string_view part, std::string_view whole) {
  const std::less_equal<> at_most;
  return at_most(whole.data(), part.data()) &&
         at_most(part.data() + part.size(), whole.data() + whole.size());
}

std::vector<std::string> to_strings(std::span<const std::string_view> args) {
  return {args.begin(), args.end()};
}

const std::size_t kGet = index_of(*find_command("get"));

}  // namespace

CacheSession::CacheSession(SessionContext& context, Host& host, ClientInfo client)
    : context_(context), host_(&host), client_(std::move(client)) {
  run_.reserve(kRun);
  client_.since = Clock::now();
  client_.db = context_.tier.l2_capabilities().default_db;
  client_.id = context_.clients.add(client_);
  set_authenticated(context_.password.empty());
}

void CacheSession::set_authenticated(bool authenticated) {
  client_.authenticated = authenticated;
  // Not a new parser: the command that authenticates still views its own arguments.
  parser_.set_limits(command_limits(context_.limits, authenticated));
}

void CacheSession::detach() noexcept {
  host_ = nullptr;
  context_.clients.remove(client_.id);
  if (relay_) relay_->close();
}

// --- the batch

std::size_t CacheSession::serve(std::string_view input, TimePoint received) {
  const epoch::Guard guard;
  serving_ = true;
  blocked_ = false;
  now_ = received;
  l1_answers_ = 0;
  std::size_t taken = 0;
  while (!closing_) {
    if (full()) {
      flush_run();
      if (full()) {
        blocked_ = true;
        break;
      }
    }
    const auto parsed = parser_.parse(input.substr(taken));
    if (parsed.has_error()) {
      flush_run();
      append_to_tail(
          [&](std::string& out) { protocol::append_error(out, "ERR " + parsed.error().detail); });
      closing_ = true;
      taken = input.size();
      break;
    }
    if (*parsed == protocol::CommandParser::Status::need_more) break;
    const Args args = parser_.args();
    const std::size_t size = parser_.consumed();
    if (joins_run(args, input)) {
      run_.emplace_back(client_.db, args[1]);
      if (run_.size() == kRun) flush_run();
    } else if (!args.empty()) {
      flush_run();
      if (!dispatch(args)) {
        blocked_ = true;
        break;
      }
    }
    taken += size;
  }
  flush_run();
  serving_ = false;
  if (l1_answers_ > 0) context_.stats.l1_latency.record_n(Clock::now() - received, l1_answers_);
  return taken;
}

bool CacheSession::full() const noexcept {
  return slots_.size() + run_.size() >= context_.limits.max_unanswered ||
         out_.size() + held_ >= context_.limits.max_output;
}

/// Consecutive GETs are looked up together, as long as no write of this connection is unanswered.
/// An inline command's words live in the parser, and only until the next one.
bool CacheSession::joins_run(Args args, std::string_view input) const {
  return is_get(args) && order_.only_reads() && client_.authenticated && !pinned() &&
         args[1].size() <= kMaxKeyBytes && lies_in(args[1], input);
}

void CacheSession::flush_run() {
  if (run_.empty()) return;
  context_.tier.find_batch(run_, std::span(found_).first(run_.size()), now_);
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < run_.size(); ++i) {
    if (found_[i] != nullptr) {
      reply_hit(*found_[i]);
      ++hits;
    } else {
      fetch(run_[i], way_of(run_[i]));
    }
  }
  if (hits > 0) context_.stats.count(kGet, AnsweredBy::l1, Outcome::hit, hits);
  run_.clear();
}

void CacheSession::reply_hit(const Entry& entry) {
  ++l1_answers_;
  const std::string_view bulk = entry.resp_bulk();
  if (slots_.empty() && out_.size() < context_.limits.max_output) {
    out_.append(bulk);
    return;
  }
  held_ += bulk.size();
  if (!slots_.empty() && bulk.size() < kPinBytes) {
    slots_.back().after.append(bulk);
    return;
  }
  slots_.push_back({.ready = true, .entry = EntryPtr::pin(&entry)});
}

bool CacheSession::dispatch(Args args) {
  const CommandSpec* spec = find_command(args[0]);
  if (is_relayed(spec) && !is_http(args[0])) return relay(args);
  // Redis keeps nothing for a connection after it, so not before what is asked of it was answered.
  if (relay_ && spec != nullptr && spec->name == "reset" && order_.unanswered() != 0) return false;
  bool answered = false;
  append_to_tail([&](std::string&) { answered = answer_here(spec, args); });
  if (answered) return true;
  if (spec != nullptr) return run(*spec, args);
  // The embedded store knows its own commands, and words what it does not know.
  static constexpr CommandSpec kOther{"other", -1, Route::whole, "write"};
  return execute(kOther, args);
}

/// Answers what needs no tier: refusals and the connection's own commands. False: it is for L2.
bool CacheSession::answer_here(const CommandSpec* spec, Args args) {
  if (spec == nullptr && is_http(args[0])) {
    closing_ = true;
    return true;
  }
  if (!client_.authenticated &&
      (spec == nullptr || spec->flags.find("no_auth") == std::string_view::npos)) {
    fail("NOAUTH Authentication required.");
    return true;
  }
  if (spec == nullptr) return false;
  const auto count = static_cast<int>(args.size());
  const bool right = spec->arity >= 0 ? count == spec->arity : count >= -spec->arity;
  if (!right || (spec->step == 2 && count % 2 == 0)) {
    fail("ERR wrong number of arguments for '" + std::string(spec->name) + "' command");
    return true;
  }
  const auto keys = key_positions(*spec, args.size());
  for (std::size_t i = keys.first; i < keys.end; i += keys.step) {
    if (args[i].size() > kMaxKeyBytes) {
      fail("ERR nearlane: the key is longer than 64 KiB");
      return true;
    }
  }
  if (spec->route != Route::local) return false;
  run_local(*spec, args);
  return true;
}

bool CacheSession::run(const CommandSpec& spec, Args args) {
  switch (spec.route) {
    case Route::get:
      return get(args);
    case Route::mget:
      return args.size() > kMostGathered ? execute(spec, args) : mget(args);
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
      return execute(spec, args);
    case Route::local:
      break;
  }
  return true;
}

// --- commands that may ask L2

bool CacheSession::get(Args args) {
  const KeyRef key(client_.db, args[1]);
  const std::size_t lane = context_.tier.lane_of(key);
  if (order_.whole_unanswered()) return false;
  if (order_.bypasses_l1(lane)) {
    fetch(key, tier::ReadFrom::through_l2);
    return true;
  }
  if (const Entry* entry = context_.tier.find(key, now_)) {
    reply_hit(*entry);
    count(kGet, AnsweredBy::l1, Outcome::hit);
    return true;
  }
  if (!order_.may_send(Order::Kind::read, lane)) return false;
  fetch(key, way_of(key));
  return true;
}

/// Where the lease has lapsed a read may need two commands, between which no write of ours may come.
tier::ReadFrom CacheSession::way_of(const KeyRef& key) const {
  return context_.tier.lease_lapsed(key, Clock::now()) ? tier::ReadFrom::l1_first
                                                       : tier::ReadFrom::l1_in_order;
}
Order::Kind CacheSession::kind_of(tier::ReadFrom from) noexcept {
  return from == tier::ReadFrom::l1_first ? Order::Kind::read_twice : Order::Kind::read;
}

void CacheSession::fetch(const KeyRef& key, tier::ReadFrom from) {
  const Order::Kind kind = kind_of(from);
  order_.sent(kind, context_.tier.lane_of(key));
  const std::uint64_t number = open_slot();
  context_.tier.get(
      Key(key), from, Clock::now() + context_.l2_timeout,
      [self = shared_from_this(), number, kind](Result<tier::Lookup> found) {
        boost::asio::dispatch(self->context_.home.context(), [self, number, kind,
                                                              found = std::move(found)] {
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
            self->count(kGet, found->source == tier::Source::l1 ? AnsweredBy::l1 : AnsweredBy::l2,
                        is_there ? Outcome::hit : Outcome::miss);
          }
          self->complete(number, kind);
        });
      });
}

/// An MGET under way: what was found so far, and how many answers are still to come.
struct CacheSession::Gather {
  std::vector<EntryPtr> entries;
  std::size_t open = 0;
  Error error{};
  bool failed = false;
  bool from_l2 = false;
};

bool CacheSession::mget(Args args) {
  static const std::size_t kMget = index_of(*find_command("mget"));
  if (!order_.only_reads()) return false;
  const Args names = args.subspan(1);
  auto gather = std::make_shared<Gather>();
  gather->entries.resize(names.size());
  std::vector<std::size_t> missing;
  for (std::size_t from = 0; from < names.size(); from += kRun) {
    const std::size_t size = std::min(kRun, names.size() - from);
    std::vector<KeyRef> keys;
    for (std::size_t i = 0; i < size; ++i) keys.emplace_back(client_.db, names[from + i]);
    context_.tier.find_batch(keys, std::span(found_).first(size), now_);
    for (std::size_t i = 0; i < size; ++i) {
      gather->entries[from + i] = EntryPtr::pin(found_[i]);
      if (found_[i] == nullptr) missing.push_back(from + i);
    }
  }
  const std::uint64_t number = open_slot();
  gather->open =
      missing.size() + 1;  // one for this function, so that inline answers do not finish early
  const auto finish = [self = shared_from_this(), gather, number] {
    if (--gather->open > 0) return;
    Slot& mine = *self->slot(number);
    std::size_t size = 0;
    for (const EntryPtr& entry : gather->entries) size += entry ? entry->resp_bulk().size() : 5;
    if (size > self->context_.limits.max_held) {
      gather->failed = true;
      gather->error = {Errc::too_large, "the values of one MGET are too many bytes together"};
    }
    if (gather->failed) {
      self->answer_error(mine, gather->error, false);
    } else {
      mine.text.reserve(size + 16);
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
  order_.sent(Order::Kind::read, context_.tier.lane_of({client_.db, names[0]}));
  for (const std::size_t i : missing) {
    Key key(client_.db, std::string(names[i]));
    const tier::ReadFrom from = way_of(key.ref());
    const Order::Kind kind = kind_of(from);
    order_.sent(kind, context_.tier.lane_of(key.ref()));
    context_.tier.get(
        std::move(key), from, Clock::now() + context_.l2_timeout,
        [self = shared_from_this(), gather, i, kind, finish](Result<tier::Lookup> found) {
          boost::asio::dispatch(self->context_.home.context(),
                                [self, gather, i, kind, finish, found = std::move(found)] {
                                  if (found.has_value()) {
                                    gather->entries[i] = found->entry;
                                  } else if (!found.error().detail.starts_with("WRONGTYPE")) {
                                    // A key of another type is nil to MGET.
                                    gather->failed = true;
                                    gather->error = found.error();
                                  }
                                  self->order_.answered(kind);
                                  finish();
                                });
        });
  }
  finish();
  return true;
}

bool CacheSession::store(const CommandSpec& spec, const KeyRef& key, std::string_view value,
                         tier::StoreOptions options) {
  const std::size_t lane = context_.tier.lane_of(key);
  if (!order_.may_send(Order::Kind::write, lane)) return false;
  order_.sent(Order::Kind::write, lane);
  const std::uint64_t number = open_slot();
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

/// Brings a reply of L2 home to its slot.
tier::TieredCache::ReplyHandler CacheSession::reply_handler(std::uint64_t number, Order::Kind kind,
                                                            bool writes, std::size_t id) {
  return [self = shared_from_this(), number, kind, writes, id](Result<Reply> reply) {
    boost::asio::dispatch(
        self->context_.home.context(), [self, number, kind, writes, id, reply = std::move(reply)] {
          Slot& mine = *self->slot(number);
          if (reply.has_error()) {
            self->answer_error(mine, reply.error(), writes);
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
  const std::uint64_t number = open_slot();
  context_.tier.touch(key, to_strings(args), Clock::now() + context_.l2_timeout,
                      reply_handler(number, Order::Kind::write, true, index_of(spec)), slide);
  return true;
}

/// How far a touch slides the key's end, if L1 may answer it, as it might a read: not where a write of the key's lane
/// is unanswered.
std::optional<std::chrono::milliseconds> CacheSession::slide_of(const CommandSpec& spec,
                                                                Args args) const {
  const bool milliseconds = spec.name == "pexpire";
  if (!milliseconds && spec.name != "expire") return {};
  const std::size_t lane = context_.tier.lane_of({client_.db, args[1]});
  if (order_.whole_unanswered() || order_.bypasses_l1(lane)) return {};
  return parse_slide(args, milliseconds);
}

bool CacheSession::revoke(const CommandSpec& spec, Args args) {
  const KeyRef key(client_.db, args[1]);
  const std::size_t lane = context_.tier.lane_of(key);
  if (!order_.may_send(Order::Kind::write, lane)) return false;
  order_.sent(Order::Kind::write, lane);
  context_.tier.revoke(key, Clock::now() + context_.l2_timeout,
                       [answer = reply_handler(open_slot(), Order::Kind::write, true,
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
  const std::uint64_t number = open_slot();
  const bool writes = raw.writes;
  const std::size_t id = find_command(spec.name) == nullptr ? commands().size() : index_of(spec);
  context_.tier.execute(std::move(raw), Clock::now() + context_.l2_timeout,
                        reply_handler(number, kind, writes, id));
  return true;
}

// --- replies in order

std::string& CacheSession::tail() noexcept { return slots_.empty() ? out_ : slots_.back().after; }

std::uint64_t CacheSession::open_slot() {
  slots_.push_back({.version = version_});
  return first_slot_ + slots_.size() - 1;
}

CacheSession::Slot* CacheSession::slot(std::uint64_t number) noexcept {
  return &slots_[static_cast<std::size_t>(number - first_slot_)];
}

void CacheSession::answer_error(Slot& slot, const Error& error, bool writes) const {
  protocol::append_error(slot.text, error_text(error, writes, context_.l2_timeout));
}

void CacheSession::complete(std::uint64_t number, Order::Kind kind) {
  order_.answered(kind);
  Slot& mine = *slot(number);
  mine.ready = true;
  held_ += mine.entry ? mine.entry->resp_bulk().size() : mine.text.size();
  refill();
  // Answers that came in together are sent together: the host is told once a turn of the loop.
  tell_host();
}

void CacheSession::tell_host() {
  if (serving_ || announced_ || host_ == nullptr) return;
  announced_ = true;
  boost::asio::post(context_.home.context(), [self = shared_from_this()] {
    self->announced_ = false;
    if (self->host_ != nullptr) self->host_->answered();
  });
}

void CacheSession::refill() {
  while (!slots_.empty() && slots_.front().ready && out_.size() < context_.limits.max_output) {
    Slot& front = slots_.front();
    const std::string_view reply =
        front.entry ? front.entry->resp_bulk() : std::string_view(front.text);
    held_ -= reply.size() + front.after.size();
    out_.append(reply);
    out_.append(front.after);
    slots_.pop_front();
    ++first_slot_;
  }
}

}  // namespace nearlane::resp
