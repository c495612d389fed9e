// The commands of CacheSession that concern the server.
//
// Source:  replies and texts of Redis 7.0 (server.c, config.c).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/asio/dispatch.hpp>
#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/l2/embedded/glob.h"
#include "core/protocol/integer.h"
#include "servers/resp/cache_session.h"
#include "servers/resp/errors.h"
#include "servers/resp/replies.h"
#include "servers/resp/set_options.h"

namespace nearlane::resp {

using loop::AnsweredBy;
using loop::Outcome;
using protocol::Reply;

namespace {

constexpr std::string_view kNoDiagnosis =
    "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You "
    "may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we "
    "weren't in a deep space mission I'd suggest to take a look at "
    "https://redis.io/topics/latency-monitor.\n";

/// How INFO's section of that name begins; over an embedded store its lines are ours to fill in.
constexpr std::string_view kKeyspace = "# Keyspace\r\n";

const std::size_t kInfo = index_of(*find_command("info"));

/// Ten parts, as Redis 7.0 has them: clients count on them by the version that we name. What we do
/// not keep is empty: categories, tips, key specifications and subcommands.
void append_spec(std::string& out, const CommandSpec& spec, protocol::Version version) {
  protocol::append_array_header(out, 10);
  protocol::append_bulk(out, spec.name);
  protocol::append_integer(out, spec.arity);
  const auto spaces =
      static_cast<std::size_t>(std::count(spec.flags.begin(), spec.flags.end(), ' '));
  const std::size_t words = spec.flags.empty() ? 0 : spaces + 1;
  append_set_header(out, words, version);
  for (std::size_t from = 0; from < spec.flags.size();) {
    const std::size_t end = std::min(spec.flags.find(' ', from), spec.flags.size());
    protocol::append_simple(out, spec.flags.substr(from, end - from));
    from = end + 1;
  }
  protocol::append_integer(out, spec.first_key);
  protocol::append_integer(out, spec.last_key);
  protocol::append_integer(out, spec.step);
  for (int empty = 0; empty < 4; ++empty) append_set_header(out, 0, version);
}

}  // namespace

void CacheSession::run_server(const CommandSpec& spec, Args args) {
  const std::string_view name = spec.name;
  if (name == "command") {
    command(args);
  } else if (name == "config") {
    config(args);
  } else if (name == "info") {
    append_text(tail(), info(args.subspan(1), sizes_), version_);
  } else if (name == "time") {
    time();
  } else if (name == "wait") {
    wait(args);
  } else if (name == "slowlog") {
    slowlog(args);
  } else if (name == "latency") {
    latency(args);
  } else if (name == "lastsave") {
    // As of a Redis that has not been asked to save since it began.
    const auto began = context_.started.time_since_epoch();
    protocol::append_integer(tail(),
                             std::chrono::duration_cast<std::chrono::seconds>(began).count());
  } else if (name == "role") {
    std::string& out = tail();
    protocol::append_array_header(out, 3);
    protocol::append_bulk(out, "master");
    protocol::append_integer(out, 0);       // of the stream for replicas
    protocol::append_array_header(out, 0);  // of which there are none
  }
}

void CacheSession::time() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(now - seconds);
  protocol::append_array_header(tail(), 2);
  protocol::append_bulk(tail(), std::to_string(seconds.count()));
  protocol::append_bulk(tail(), std::to_string(rest.count()));
}

/// For replicas, of which there are none, and never will be: Redis lets the time pass, and we do
/// not.
void CacheSession::wait(Args args) {
  const auto timeout = protocol::read_integer(args[2]);
  if (!protocol::read_integer(args[1])) {
    fail("ERR value is not an integer or out of range");
  } else if (!timeout) {
    fail("ERR timeout is not an integer or out of range");
  } else if (*timeout < 0) {
    fail("ERR timeout is negative");
  } else {
    protocol::append_integer(tail(), 0);
  }
}

/// What there is below a container of commands; Redis would name all of its own.
void CacheSession::help(std::string_view container) {
  std::vector<std::string> lines = {
      fmt::format("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                  boost::algorithm::to_upper_copy(std::string(container)))};
  for (const Subcommand& each : subcommands()) {
    if (each.container == container)
      lines.push_back(boost::algorithm::to_upper_copy(std::string(each.name)));
  }
  protocol::append_array_header(tail(), lines.size());
  for (const std::string& line : lines) protocol::append_simple(tail(), line);
}

/// As of a Redis with slowlog-log-slower-than -1, which settings() says.
void CacheSession::slowlog(Args args) {
  const std::string_view what = args[1];
  const auto is = [what](std::string_view name) { return equals_ignoring_case(what, name); };
  if (is("len")) {
    protocol::append_integer(tail(), 0);
  } else if (is("reset")) {
    protocol::append_simple(tail(), "OK");
  } else if (is("help")) {
    help("slowlog");
  } else if (args.size() > 3) {
    fail(fmt::format(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try SLOWLOG HELP.", what));
  } else {
    const auto count =
        args.size() == 3 ? protocol::read_integer(args[2]) : std::optional<std::int64_t>(10);
    if (!count || *count < -1) {
      fail("ERR count should be greater than or equal to -1");
    } else {
      protocol::append_array_header(tail(), 0);
    }
  }
}

/// As of a Redis with latency-monitor-threshold 0 and without latency-tracking.
void CacheSession::latency(Args args) {
  const std::string_view what = args[1];
  const auto is = [what](std::string_view name) { return equals_ignoring_case(what, name); };
  if (is("doctor")) {
    append_text(tail(), std::string(kNoDiagnosis), version_);
  } else if (is("graph")) {
    fail(fmt::format("ERR No samples available for event '{}'", args[2].substr(0, kEchoBytes)));
  } else if (is("help")) {
    help("latency");
  } else if (is("histogram")) {
    protocol::append_map_header(tail(), 0, version_);
  } else if (is("reset")) {
    protocol::append_integer(tail(), 0);
  } else {
    protocol::append_array_header(tail(), 0);
  }
}

bool CacheSession::over_embedded_store() const noexcept {
  const l2::Capabilities l2 = context_.tier.l2_capabilities();
  return l2.stores && !l2.every_command;
}

/// Whether it is an INFO that tells how many keys there are, which only an embedded store knows.
bool CacheSession::asks_sizes(const CommandSpec& spec, Args args) const noexcept {
  static constexpr std::array<std::string_view, 4> kTelling = {"default", "all", "everything",
                                                               "keyspace"};
  if (spec.name != "info" || !over_embedded_store()) return false;
  return args.size() == 1 || std::ranges::any_of(args.subspan(1), [](std::string_view section) {
           return std::ranges::any_of(kTelling, [section](std::string_view each) {
             return equals_ignoring_case(section, each);
           });
         });
}

void CacheSession::add_sizes(tier::Transaction& what) const {
  for (std::uint32_t db = 0; db < context_.limits.databases; ++db)
    what.commands.push_back({.db = db, .args = {"DBSIZE"}});
}

std::vector<std::uint64_t> CacheSession::read_sizes(std::span<const Reply> replies) {
  std::vector<std::uint64_t> sizes;
  for (const Reply& each : replies) sizes.push_back(static_cast<std::uint64_t>(each.integer));
  return sizes;
}

/// False: it must wait. A store that does not answer is no reason to say nothing.
bool CacheSession::info_of_store(Args args) {
  if (!order_.may_send(Order::Kind::whole, 0)) return false;
  order_.sent(Order::Kind::whole, 0);
  const std::uint64_t number = open_slot(Expects::little);
  tier::Transaction what;
  add_sizes(what);
  auto take = [self = shared_from_this(), number,
               sections = std::vector<std::string>(args.begin() + 1, args.end())](
                  const Result<Reply>& answer) {
    const std::vector<std::string_view> views(sections.begin(), sections.end());
    std::vector<std::uint64_t> sizes;
    if (answer.has_value()) sizes = read_sizes(answer->elements);
    Slot& mine = *self->slot(number);
    append_text(mine.text, self->info(views, sizes), mine.version);
    self->count(kInfo, AnsweredBy::l2, Outcome::ok);
    self->complete(number, Order::Kind::whole);
  };
  context_.tier.transact(
      std::move(what), Clock::now() + context_.l2_timeout,
      [self = shared_from_this(), take = std::move(take)](Result<Reply> answer) mutable {
        boost::asio::dispatch(
            self->context_.home.context(),
            [take = std::move(take), answer = std::move(answer)] { take(answer); });
      });
  return true;
}

/// Each section once, however often it is named.
std::string CacheSession::info(Args sections, std::span<const std::uint64_t> sizes) const {
  std::string text;
  if (sections.empty()) text = context_.info("default");
  std::vector<std::string_view> given;
  for (const std::string_view section : sections) {
    const auto same = [&](std::string_view other) { return equals_ignoring_case(section, other); };
    if (std::any_of(given.begin(), given.end(), same)) continue;
    const std::string part = context_.info(section);
    if (part.empty()) continue;  // there is no such section
    text += part;
    given.push_back(section);
  }
  const std::size_t keyspace = text.find(kKeyspace);
  if (keyspace == std::string::npos) return text;
  std::string lines;
  for (std::size_t db = 0; db < sizes.size(); ++db) {
    if (sizes[db] == 0) continue;
    // How many have a deadline, and when it is, the store would have to read all of them for.
    fmt::format_to(std::back_inserter(lines), "db{}:keys={},expires=0,avg_ttl=0\r\n", db,
                   sizes[db]);
  }
  return text.insert(keyspace + kKeyspace.size(), lines);
}

void CacheSession::command(Args args) {
  std::string& out = tail();
  if (args.size() == 1) {
    protocol::append_array_header(out, commands().size());
    for (const CommandSpec& spec : commands()) append_spec(out, spec, version_);
  } else if (equals_ignoring_case(args[1], "count")) {
    protocol::append_integer(out, static_cast<std::int64_t>(commands().size()));
  } else if (equals_ignoring_case(args[1], "list")) {
    command_list(args.subspan(2));
  } else if (equals_ignoring_case(args[1], "getkeys")) {
    command_getkeys(args.subspan(2));
  } else if (equals_ignoring_case(args[1], "help")) {
    help("command");
  } else if (equals_ignoring_case(args[1], "docs")) {
    protocol::append_map_header(out, 0, version_);
  } else if (equals_ignoring_case(args[1], "info")) {
    const Args names = args.subspan(2);
    protocol::append_array_header(out, names.empty() ? commands().size() : names.size());
    if (names.empty()) {
      for (const CommandSpec& spec : commands()) append_spec(out, spec, version_);
    }
    for (const std::string_view name : names) {
      if (const CommandSpec* spec = find_command(name)) {
        append_spec(out, *spec, version_);
      } else {
        protocol::append_null_array(out, version_);
      }
    }
  }
}

void CacheSession::command_list(Args filter) {
  std::vector<std::string> names;
  for (const CommandSpec& spec : commands()) names.emplace_back(spec.name);
  for (const Subcommand& each : subcommands())
    names.push_back(fmt::format("{}|{}", each.container, each.name));
  if (!filter.empty()) {
    const bool filters = filter.size() == 3 && equals_ignoring_case(filter[0], "filterby");
    if (filters && equals_ignoring_case(filter[1], "pattern")) {
      const std::string pattern = boost::algorithm::to_lower_copy(std::string(filter[2]));
      std::erase_if(names, [&](const std::string& name) {
        return !l2::embedded::glob_matches(pattern, name);
      });
    } else if (filters && equals_ignoring_case(filter[1], "module")) {
      names.clear();  // there are none
    } else if (filters && equals_ignoring_case(filter[1], "aclcat")) {
      return fail("ERR nearlane: categories of commands are not kept");
    } else {
      return fail("ERR syntax error");
    }
  }
  protocol::append_array_header(tail(), names.size());
  for (const std::string& name : names) protocol::append_bulk(tail(), name);
}

void CacheSession::command_getkeys(Args command) {
  const CommandSpec* spec = find_command(command[0]);
  const bool nested = spec != nullptr && command.size() > 1 && has_subcommands(*spec);
  if (spec == nullptr || (nested && find_subcommand(*spec, command[1]) == nullptr))
    return fail("ERR Invalid command specified");
  if (spec->first_key == 0) return fail("ERR The command has no key arguments");
  if (!allows(spec->arity, command.size()))
    return fail("ERR Invalid number of arguments specified for command");
  std::vector<std::string_view> keys;
  const auto where = key_positions(*spec, command.size());
  for (std::size_t i = where.first; i < where.end; i += where.step) keys.push_back(command[i]);
  protocol::append_array_header(tail(), keys.size());
  for (const std::string_view key : keys) protocol::append_bulk(tail(), key);
}

/// Those of Redis's for which there is an answer here: clients and exporters ask before they start.
CacheSession::Settings CacheSession::settings() const {
  return {{"appendonly", "no"},
          {"databases", std::to_string(context_.limits.databases)},
          {"latency-monitor-threshold", "0"},
          {"latency-tracking", "no"},
          {"maxmemory", std::to_string(context_.tier.l1_stats().capacity)},
          {"maxmemory-policy", "noeviction"},
          {"notify-keyspace-events", ""},
          {"proto-max-bulk-len", std::to_string(context_.limits.max_value)},
          {"save", ""},
          {"slowlog-log-slower-than", "-1"},
          {"slowlog-max-len", "128"}};
}

void CacheSession::config(Args args) {
  if (equals_ignoring_case(args[1], "get")) {
    config_get(args.subspan(2));
  } else if (equals_ignoring_case(args[1], "set")) {
    config_set(args.subspan(2));
  } else {
    help("config");
  }
}

/// Each setting once, under the name by which it was asked for first.
void CacheSession::config_get(Args patterns) {
  std::string found;
  std::size_t pairs = 0;
  Settings left = settings();
  for (const std::string_view pattern : patterns) {
    const bool literal = pattern.find_first_of("[*?") == std::string_view::npos;
    const std::string folded = boost::algorithm::to_lower_copy(std::string(pattern));
    std::erase_if(left, [&](const auto& setting) {
      const bool meant =
          literal ? folded == setting.first : l2::embedded::glob_matches(folded, setting.first);
      if (!meant) return false;
      protocol::append_bulk(found, literal ? pattern : setting.first);
      protocol::append_bulk(found, setting.second);
      ++pairs;
      return true;
    });
  }
  protocol::append_map_header(tail(), pairs, version_);
  tail().append(found);
}

/// All are read once, at start.
void CacheSession::config_set(Args pairs) {
  if (pairs.size() % 2 != 0) return fail("ERR syntax error");
  const std::string_view name = pairs[0].substr(0, kEchoBytes);
  const Settings known = settings();
  const bool is_known = std::ranges::any_of(
      known, [name](const auto& setting) { return equals_ignoring_case(name, setting.first); });
  if (is_known) {
    fail(
        fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - can't set "
                    "immutable config",
                    name));
  } else {
    fail(fmt::format("ERR Unknown option or number of arguments for CONFIG SET - '{}'", name));
  }
}

}  // namespace nearlane::resp
