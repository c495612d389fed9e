// KEYS, RANDOMKEY, SCAN and HSCAN: commands that go through the keys of a database, or the fields of a key.
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/l2/embedded/command.h"
#include "core/l2/embedded/fields.h"
#include "core/l2/embedded/glob.h"
#include "core/protocol/integer.h"

namespace nearlane::l2::embedded {

using protocol::Reply;

namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
constexpr std::int64_t kScanCount = 10;  // keys a call where COUNT is not given, as in Redis

bool matches(std::string_view pattern, std::string_view name) {
  return pattern == "*" || glob_matches(pattern, name);
}

Reply keys(Context& call) {
  Gathered names(call);
  (void)call.store.scan(call.db, 0, kAll, call.now, [&](const Store::Entry& entry) {
    if (matches(call.args[1], entry.first)) names.add(entry.first);
  });
  return names.take();
}

/// Any key of the first few from a random place on, and round the end once. Fair enough for a command without
/// promises.
Reply randomkey(Context& call) {
  thread_local std::mt19937_64 random(std::random_device{}());
  std::vector<std::string> names;
  Cursor from = random() >> (64U - kCursorBits);
  for (int rounds = 0; names.empty() && rounds < 2; rounds += from == 0 ? 1 : 0) {
    from = call.store.scan(call.db, from, 1, call.now,
                           [&](const Store::Entry& entry) { names.push_back(entry.first); });
  }
  return names.empty() ? Reply::null() : Reply::bulk(std::move(names[random() % names.size()]));
}

struct ScanOptions {
  std::string_view pattern = "*";
  std::optional<std::string_view> type = {};  // an empty one is no key's
  std::int64_t count = kScanCount;
};

/// `of_keys`: they may be asked for by type.
std::optional<Reply> read_options(std::span<const std::string_view> args, bool of_keys,
                                  ScanOptions& options) {
  for (std::size_t i = 0; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return syntax_error();
    if (is_option(args[i], "count")) {
      const auto count = protocol::read_integer(args[i + 1]);
      if (!count) return not_an_integer();
      if (*count < 1) return syntax_error();
      options.count = *count;
    } else if (is_option(args[i], "match")) {
      options.pattern = args[i + 1];
    } else if (of_keys && is_option(args[i], "type")) {
      options.type = args[i + 1];
    } else {
      return syntax_error();
    }
  }
  return std::nullopt;
}

/// As Redis's strtoul takes it: nothing is 0, and a sign is allowed.
std::optional<Cursor> read_cursor(std::string_view text) {
  const std::string terminated(text.substr(0, text.find('\0')));
  if (std::isspace(static_cast<unsigned char>(terminated.c_str()[0])) != 0) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const Cursor cursor = std::strtoul(terminated.c_str(), &end, 10);
  if (*end != '\0' || errno == ERANGE) return std::nullopt;
  return cursor;
}

Reply scan(Context& call) {
  const auto from = read_cursor(call.args[1]);
  if (!from) return Reply::error("ERR invalid cursor");
  ScanOptions options;
  if (auto error = read_options(call.args.subspan(2), true, options)) return *error;
  Gathered names(call);
  const Cursor next =
      call.store.scan(call.db, *from, static_cast<std::size_t>(options.count), call.now,
                      [&](const Store::Entry& entry) {
                        if (options.type && !is_option(*options.type, type_name(entry.second.kind)))
                          return;
                        if (matches(options.pattern, entry.first)) names.add(entry.first);
                      });
  if (names.too_long()) return names.take();
  return Reply::array({Reply::bulk(std::to_string(next)), names.take()});
}

/// All at once, whatever the cursor and COUNT: so Redis does where a hash is a listpack, and ours always are.
Reply hscan(Context& call) {
  if (!read_cursor(call.args[2])) return Reply::error("ERR invalid cursor");
  const Store::Entry* entry = call.find(call.args[1]);
  if (entry == nullptr) return Reply::array({Reply::bulk("0"), Reply::array({})});
  if (entry->second.kind != Kind::hash) return wrong_type();
  ScanOptions options;
  if (auto error = read_options(call.args.subspan(3), false, options)) return *error;
  const Fields fields(entry->second.bytes);
  Gathered out(call);
  for (const auto& [name, value] : fields.all()) {
    if (!matches(options.pattern, name)) continue;
    out.add(name);
    out.add(value);
  }
  if (out.too_long()) return out.take();
  return Reply::array({Reply::bulk("0"), out.take()});
}

constexpr CommandSpec kCommands[] = {
    {"hscan", -3, hscan},
    {"keys", 2, keys},
    {"randomkey", 1, randomkey},
    {"scan", -2, scan},
};

}  // namespace

std::span<const CommandSpec> walk_commands() { return kCommands; }

}  // namespace nearlane::l2::embedded
