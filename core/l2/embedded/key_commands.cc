// DEL to TTL: commands that do not look at a key's value.
#include <algorithm>
#include <string>

#include "core/l2/embedded/command.h"
#include "core/protocol/integer.h"

namespace nearlane::l2::embedded {

using protocol::Reply;

namespace {

/// Half a second counts as a whole one, also where the last millisecond that there is stands.
std::int64_t rounded_seconds(std::int64_t ms) { return ms / 1000 + (ms % 1000 >= 500 ? 1 : 0); }

Reply del(Context& call) {
  std::int64_t erased = 0;
  for (const auto key : call.args.subspan(1)) {
    Store::Entry* entry = call.find(key);
    if (entry == nullptr) continue;
    call.store.erase(call.db, *entry);
    ++erased;
  }
  return Reply::number(erased);
}

/// EXISTS and TOUCH: a key named twice counts twice.
Reply exists(Context& call) {
  const auto keys = call.args.subspan(1);
  return Reply::number(
      std::count_if(keys.begin(), keys.end(), [&](auto key) { return call.exists(key); }));
}

Reply type(Context& call) {
  const Store::Entry* entry = call.find(call.args[1]);
  return Reply::simple(entry == nullptr ? "none" : std::string(type_name(entry->second.kind)));
}

struct ExpireOptions {
  bool nx = false;
  bool xx = false;
  bool gt = false;
  bool lt = false;
};

/// What Redis's error texts make of a client's bytes: a C string on one line.
std::string shown(std::string_view arg) {
  std::string text(arg.substr(0, arg.find('\0')));
  const auto breaks = [](char c) { return c == '\r' || c == '\n'; };
  while (!text.empty() && breaks(text.back())) text.pop_back();
  std::replace_if(text.begin(), text.end(), breaks, ' ');
  return text;
}

std::optional<Reply> read_options(std::span<const std::string_view> args, ExpireOptions& options) {
  for (const auto arg : args) {
    if (is_option(arg, "nx")) {
      options.nx = true;
    } else if (is_option(arg, "xx")) {
      options.xx = true;
    } else if (is_option(arg, "gt")) {
      options.gt = true;
    } else if (is_option(arg, "lt")) {
      options.lt = true;
    } else {
      return Reply::error("ERR Unsupported option " + shown(arg));
    }
  }
  if (options.nx && (options.xx || options.gt || options.lt)) {
    return Reply::error("ERR NX and XX, GT or LT options at the same time are not compatible");
  }
  if (options.gt && options.lt) {
    return Reply::error("ERR GT and LT options at the same time are not compatible");
  }
  return std::nullopt;
}

/// Whether the options let `when` replace `current`. No deadline is later than any.
bool allows(const ExpireOptions& options, std::int64_t current, std::int64_t when) {
  const bool never = current == kNever;
  if (options.nx && !never) return false;
  if (options.xx && never) return false;
  if (options.gt && (never || when <= current)) return false;
  return !options.lt || never || when < current;
}

Reply expire_generic(Context& call, std::int64_t base, std::int64_t unit) {
  ExpireOptions options;
  if (auto error = read_options(call.args.subspan(3), options)) return *error;
  const auto given = protocol::read_integer(call.args[2]);
  if (!given) return not_an_integer();
  if (*given > kMost / unit || *given < kLeast / unit) return invalid_expire_time(call.name);
  if (*given * unit > kMost - base) return invalid_expire_time(call.name);
  const std::int64_t when = *given * unit + base;
  Store::Entry* entry = call.find(call.args[1]);
  if (entry == nullptr || !allows(options, entry->second.expires_at, when)) return Reply::number(0);
  if (when <= call.now) {
    call.store.erase(call.db, *entry);
  } else if (!expire_at(call, *entry, when)) {
    return out_of_memory();
  }
  return Reply::number(1);
}

Reply expire(Context& call) { return expire_generic(call, call.now, 1000); }
Reply pexpire(Context& call) { return expire_generic(call, call.now, 1); }
Reply expireat(Context& call) { return expire_generic(call, 0, 1000); }
Reply pexpireat(Context& call) { return expire_generic(call, 0, 1); }

Reply persist(Context& call) {
  Store::Entry* entry = call.find(call.args[1]);
  if (entry == nullptr || entry->second.expires_at == kNever) return Reply::number(0);
  return expire_at(call, *entry, kNever) ? Reply::number(1) : out_of_memory();
}

/// -2: no key, -1: no deadline.
Reply deadline(Context& call, std::int64_t base, bool in_seconds) {
  const Store::Entry* entry = call.find(call.args[1]);
  if (entry == nullptr) return Reply::number(-2);
  if (entry->second.expires_at == kNever) return Reply::number(-1);
  const std::int64_t ms = std::max<std::int64_t>(entry->second.expires_at - base, 0);
  return Reply::number(in_seconds ? rounded_seconds(ms) : ms);
}

Reply ttl(Context& call) { return deadline(call, call.now, true); }
Reply pttl(Context& call) { return deadline(call, call.now, false); }
Reply expiretime(Context& call) { return deadline(call, 0, true); }
Reply pexpiretime(Context& call) { return deadline(call, 0, false); }

Reply dbsize(Context& call) {
  return Reply::number(static_cast<std::int64_t>(call.store.size(call.db)));
}

bool flush_arguments_hold(const Context& call) {
  return call.args.size() == 1 || (call.args.size() == 2 && (is_option(call.args[1], "sync") ||
                                                             is_option(call.args[1], "async")));
}

Reply flushdb(Context& call) {
  if (!flush_arguments_hold(call)) return syntax_error();
  call.store.clear(call.db);
  return Reply::ok();
}

Reply flushall(Context& call) {
  if (!flush_arguments_hold(call)) return syntax_error();
  call.store.clear();
  return Reply::ok();
}

/// The value goes with its deadline, and takes the place of whatever the other name had.
Reply rename_generic(Context& call, bool only_if_free) {
  Store::Entry* from = call.find(call.args[1]);
  if (from == nullptr) return Reply::error("ERR no such key");
  if (call.args[1] == call.args[2]) return only_if_free ? Reply::number(0) : Reply::ok();
  Store::Entry* to = call.find(call.args[2]);
  if (to != nullptr && only_if_free) return Reply::number(0);
  Value value = from->second;
  const std::int64_t growth = Store::growth(to, call.args[2], value.bytes.size()) -
                              Store::growth(nullptr, call.args[1], value.bytes.size());
  if (!call.store.make_room(growth, call.now)) return out_of_memory();
  call.store.erase(call.db, *from);
  Store::Entry& entry = call.store.set(call.db, call.args[2], std::move(value.bytes), value.kind);
  call.store.expire_at(call.db, entry, value.expires_at);
  return only_if_free ? Reply::number(1) : Reply::ok();
}

Reply rename(Context& call) { return rename_generic(call, false); }
Reply renamenx(Context& call) { return rename_generic(call, true); }

constexpr CommandSpec kCommands[] = {
    {"dbsize", 1, dbsize},
    {"del", -2, del},
    {"exists", -2, exists},
    {"expire", -3, expire},
    {"expireat", -3, expireat},
    {"expiretime", 2, expiretime},
    {"flushall", -1, flushall},
    {"flushdb", -1, flushdb},
    {"persist", 2, persist},
    {"pexpire", -3, pexpire},
    {"pexpireat", -3, pexpireat},
    {"pexpiretime", 2, pexpiretime},
    {"pttl", 2, pttl},
    {"rename", 3, rename},
    {"renamenx", 3, renamenx},
    {"touch", -2, exists},
    {"ttl", 2, ttl},
    {"type", 2, type},
    {"unlink", -2, del},
};

}  // namespace

std::span<const CommandSpec> key_commands() { return kCommands; }

}  // namespace nearlane::l2::embedded
