#include "servers/resp/cache_session.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "core/base/epoch.h"
#include "core/l2/embedded/keyspace.h"
#include "servers/resp/errors.h"
#include "servers/resp/set_options.h"

namespace nearlane::resp {

using loop::AnsweredBy;
using loop::Outcome;

namespace {

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

bool is_for_subscribers(const CommandSpec& spec) {
  const std::string_view name = spec.name;
  return name.ends_with("subscribe") || name == "ping" || name == "quit" || name == "reset";
}

/// What is wrong with the subcommand that args[1] names, in the words in which Redis takes it for none; empty: nothing.
std::string subcommand_refusal(const CommandSpec& spec, std::span<const std::string_view> args) {
  const Subcommand* subcommand = find_subcommand(spec, args[1]);
  if (subcommand == nullptr) {
    std::string container(spec.name);
    std::ranges::transform(container, container.begin(),
                           [](char c) { return static_cast<char>(c - 'a' + 'A'); });
    return fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", args[1].substr(0, kEchoBytes),
                       container);
  }
  if (allows(subcommand->arity, args.size())) return {};
  return fmt::format("ERR wrong number of arguments for '{}|{}' command", spec.name,
                     subcommand->name);
}

const std::size_t kGet = index_of(*find_command("get"));

}  // namespace

CacheSession::CacheSession(SessionContext& context, Host& host, ClientInfo client)
    : context_(context),
      host_(&host),
      client_(std::move(client)),
      order_(context.tier.keys_change_lanes()),
      in_flight_(context.limits.max_held / 2) {
  client_.since = Clock::now();
  client_.db = context_.tier.l2_capabilities().default_db;
  client_.id = context_.clients.add(client_);
  set_authenticated(context_.password.empty());
}

std::shared_ptr<CacheSession> CacheSession::make(SessionContext& context, Host& host,
                                                 ClientInfo client) {
  auto session = std::make_shared<CacheSession>(context, host, std::move(client));
  // Only now is there something that another thread could share.
  ClientRegistry::Client& known = *session;
  context.clients.introduce(session->client_.id, known);
  return session;
}

void CacheSession::set_authenticated(bool authenticated) {
  client_.authenticated = authenticated;
  // Not a new parser: the command that authenticates still views its own arguments.
  parser_.set_limits(command_limits(context_.limits, authenticated));
}

void CacheSession::detach() noexcept {
  host_ = nullptr;
  discard();
  unsubscribe_all();
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
      context_.run.emplace_back(client_.db, args[1]);
      if (context_.run.size() >= in_flight_.most_together()) flush_run();
    } else {
      flush_run();
      command_bytes_ = size;
      if (!args.empty() && !dispatch(args)) {
        blocked_ = true;
        break;
      }
      if (apart_ && !executing_) end_command();
    }
    taken += size;
  }
  flush_run();
  if (relay_) relay_->flush();
  serving_ = false;
  if (l1_answers_ > 0) context_.stats.l1_latency.record_n(Clock::now() - received, l1_answers_);
  return taken;
}

bool CacheSession::full() const noexcept {
  return slots_.size() + context_.run.size() >= context_.limits.max_unanswered ||
         out_.size() + held_ >= context_.limits.max_output || in_flight_.full();
}

void CacheSession::end_command() noexcept {
  if (replies_ == Replies::skip) {
    replies_ = Replies::on;
  } else if (replies_ == Replies::skip_next) {
    replies_ = Replies::skip;
  }
  look_apart();
}

/// Consecutive GETs are looked up together, as long as no write of this connection is unanswered.
/// An inline command's words live in the parser, and only until the next one.
bool CacheSession::joins_run(Args args, std::string_view input) const {
  return is_get(args) && order_.only_reads() && client_.authenticated && !pinned() && !apart_ &&
         args[1].size() <= kMaxKeyBytes && lies_in(args[1], input);
}

void CacheSession::flush_run() {
  std::vector<KeyRef>& run = context_.run;
  if (run.empty()) return;
  std::array<const Entry*, kRun> found;
  context_.tier.find_batch(run, std::span(found).first(run.size()), now_);
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < run.size(); ++i) {
    if (found[i] == nullptr) found[i] = context_.tier.find_stale(run[i], now_);
    if (found[i] != nullptr) {
      reply_hit(*found[i], run[i]);
      ++hits;
    } else {
      command_bytes_ = run[i].name.size();
      fetch(run[i], way_of(run[i]));
    }
  }
  if (hits > 0) context_.stats.count(kGet, AnsweredBy::l1, Outcome::hit, hits);
  run.clear();
}

void CacheSession::reply_hit(const Entry& entry, const KeyRef& key) {
  ++l1_answers_;
  if (slots_.empty() && out_.size() < context_.limits.max_output) {
    out_.append(entry, key);
    return;
  }
  const std::string_view bulk = entry.resp_bulk(key);
  held_ += bulk.size();
  if (!slots_.empty() && bulk.size() < Output::kPinBytes) {
    slots_.back().after.append(bulk);
    return;
  }
  slots_.push_back({.ready = true, .entry = EntryPtr::pin(&entry)});
}

bool CacheSession::dispatch(Args args) {
  const CommandSpec* spec = find_command(args[0]);
  if (is_relayed(spec, args) && !is_http(args[0])) return relay(spec, args);
  // Its answer may decide what Redis keeps for this connection, and so which way the next command goes.
  if ((relay_ && relay_->busy()) || executing_) return false;
  if (const auto db = unknown_database(spec, args)) return select_over_redis(args, *db);
  const bool transacts = spec != nullptr && spec->route == Route::transaction;
  if (transacts && !context_.tier.l2_capabilities().transactions) spec = nullptr;
  bool answered = false;
  append_to_tail([&](std::string&) { answered = answer_here(spec, args); });
  if (answered) return true;
  if (spec != nullptr) return run(*spec, args);
  // Where there is no store, what would need one is worded there.
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
    refuse(spec, "NOAUTH Authentication required.");
    return true;
  }
  if (spec == nullptr) {
    if (!over_embedded_store()) return false;
    // The table has all that an embedded store knows. To the store it would be a write that may be
    // of any key, for which all of L1 is disowned.
    refuse(spec, l2::embedded::unknown_command(args[0]));
    return true;
  }
  std::string refused = refusal(*spec, args);
  if (refused.empty() && queue_ && CommandQueue::is_queued(*spec)) {
    refused = queue_->queue(*spec, args);
    if (refused.empty()) {
      protocol::append_simple(tail(), "QUEUED");
      return true;
    }
  }
  if (!refused.empty()) {
    refuse(spec, refused);
    return true;
  }
  if (spec->route != Route::local && spec->route != Route::server) return false;
  if (asks_sizes(*spec, args)) return false;
  run_local(*spec, args);
  return true;
}

/// What is wrong with a command whatever there is in the store; empty: nothing.
std::string CacheSession::refusal(const CommandSpec& spec, Args args) const {
  // Whether there are only whole pairs Redis sees when it executes the command, which may be much later.
  const bool pairs = spec.step != 2 || args.size() % 2 != 0 || queue_;
  if (!allows(spec.arity, args.size()) || !pairs)
    return "ERR wrong number of arguments for '" + std::string(spec.name) + "' command";
  const bool nested = args.size() > 1 && has_subcommands(spec);
  if (nested) {
    std::string wrong = subcommand_refusal(spec, args);
    if (!wrong.empty()) return wrong;
  }
  const auto keys = key_positions(spec, args.size());
  for (std::size_t i = keys.first; i < keys.end; i += keys.step) {
    if (args[i].size() > kMaxKeyBytes) return "ERR nearlane: the key is longer than 64 KiB";
  }
  if (!restricted() || is_for_subscribers(spec)) return {};
  std::string name(spec.name);
  if (nested) {
    name += '|';
    std::ranges::transform(args[1].substr(0, kEchoBytes), std::back_inserter(name), lower);
  }
  return "ERR Can't execute '" + name +
         "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
         "context";
}

// --- replies in order

std::string& CacheSession::tail() noexcept {
  return slots_.empty() ? out_.text() : slots_.back().after;
}

std::uint64_t CacheSession::open_slot(Expects expects) {
  const bool reads = expects == Expects::value;
  slots_.push_back(
      {.mute = muted(), .reads = reads, .version = version_, .command = command_bytes_});
  in_flight_.sent(command_bytes_, reads);
  return first_slot_ + slots_.size() - 1;
}

CacheSession::Slot* CacheSession::slot(std::uint64_t number) noexcept {
  return &slots_[static_cast<std::size_t>(number - first_slot_)];
}

void CacheSession::answer_error(Slot& slot, const Error& error, bool writes) const {
  protocol::append_error(slot.text, error_text(error, writes, context_.l2_timeout));
}

void CacheSession::complete(std::uint64_t number, Order::Kind kind) {
  Slot& mine = *slot(number);
  order_.answered(kind);
  order_.came_back(mine.aside);
  in_flight_.answered(mine.command, mine.reads, mine.reply_size());
  mine.ready = true;
  if (host_ == nullptr || mine.mute) {  // nobody waits for it
    mine.entry = nullptr;
    mine.text.clear();
  }
  if (host_ == nullptr) return;
  held_ += mine.reply_size();
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
  if (slots_.empty() || !slots_.front().ready || killed_) return;
  out_.borrow(context_.home.spare());
  while (!slots_.empty() && slots_.front().ready && out_.size() < context_.limits.max_output) {
    Slot& front = slots_.front();
    held_ -= front.reply_size() + front.after.size();
    if (front.entry) {
      out_.append(std::move(front.entry));
    } else {
      out_.text().append(front.text);
    }
    out_.text().append(front.after);
    slots_.pop_front();
    ++first_slot_;
  }
}

}  // namespace nearlane::resp
