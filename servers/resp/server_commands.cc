// The commands of CacheSession that concern the server.
//
// Source:  replies and texts of Redis 7.0 (server.c, config.c).
#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <fmt/format.h>

#include "servers/resp/cache_session.h"
#include "servers/resp/replies.h"
#include "servers/resp/set_options.h"

namespace nearlane::resp {

using loop::AnsweredBy;
using loop::Outcome;
using protocol::Reply;

namespace {

/// How INFO's section of that name begins; over an embedded store its lines are ours to fill in.
constexpr std::string_view kKeyspace = "# Keyspace\r\n";

const std::size_t kInfo = index_of(*find_command("info"));

/// Ten parts, as Redis 7.0 has them: clients count on them by the version that we name. What we do not keep is empty:
/// categories, tips, key specifications and subcommands.
void append_spec(std::string& out, const CommandSpec& spec, protocol::Version version) {
  protocol::append_array_header(out, 10);
  protocol::append_bulk(out, spec.name);
  protocol::append_integer(out, spec.arity);
  const auto words =
      static_cast<std::size_t>(std::count(spec.flags.begin(), spec.flags.end(), ' ')) + 1;
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
  } else if (equals_ignoring_case(args[1], "list") && args.size() == 2) {
    protocol::append_array_header(out, commands().size());
    for (const CommandSpec& spec : commands()) protocol::append_bulk(out, spec.name);
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
  } else {
    fail("ERR syntax error");
  }
}

/// redis-benchmark and some clients ask for these before they start.
void CacheSession::config(Args args) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kKnown = {{
      {"save", ""},
      {"appendonly", "no"},
      {"maxmemory-policy", "noeviction"},
      {"databases", "16"},
  }};
  std::string found;
  std::size_t pairs = 0;
  for (const auto& [name, value] : kKnown) {
    const bool asked =
        std::any_of(args.begin() + 2, args.end(), [known = name](std::string_view arg) {
          return arg == "*" || equals_ignoring_case(arg, known);
        });
    if (!asked) continue;
    protocol::append_bulk(found, name);
    protocol::append_bulk(found, value);
    ++pairs;
  }
  protocol::append_map_header(tail(), pairs, version_);
  tail().append(found);
}

}  // namespace nearlane::resp
