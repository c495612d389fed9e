// GET to INCRBYFLOAT: commands on a key's value.
#include <algorithm>
#include <string>
#include <vector>

#include "core/l2/embedded/command.h"
#include "core/l2/embedded/float_text.h"
#include "core/l2/embedded/keyspace.h"
#include "core/protocol/integer.h"

namespace nearlane::l2::embedded {

using protocol::read_integer;
using protocol::Reply;

namespace {

/// A hash, where the command wants a string.
bool wrong(const Store::Entry* entry) {
  return entry != nullptr && entry->second.kind != Kind::string;
}

Reply bulk_or_null(const Store::Entry* entry) {
  return entry == nullptr ? Reply::null() : Reply::bulk(entry->second.bytes);
}

bool make_room(Context& call, const Store::Entry* old, std::string_view key, std::size_t size) {
  return call.store.make_room(Store::growth(old, key, size), call.now);
}

Reply value_too_long() {
  return Reply::error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

// ---- Options of SET and GETEX.

enum class Exists : std::uint8_t { any, no, yes };
enum class Deadline : std::uint8_t { none, keep, persist, ex, px, exat, pxat };

struct Options {
  Exists exists = Exists::any;
  Deadline deadline = Deadline::none;
  bool get = false;
  std::string_view time = {};
};

struct DeadlineWord {
  std::string_view word;
  Deadline deadline;
};
constexpr DeadlineWord kTimes[] = {
    {"ex", Deadline::ex}, {"px", Deadline::px}, {"exat", Deadline::exat}, {"pxat", Deadline::pxat}};

/// The same word twice is allowed and the last one counts, as in Redis; words that exclude each
/// other are not.
bool read_options(std::span<const std::string_view> args, bool is_set, Options& options) {
  const auto claim_deadline = [&](Deadline deadline) {
    if (options.deadline != Deadline::none && options.deadline != deadline) return false;
    options.deadline = deadline;
    return true;
  };
  const auto claim_exists = [&](Exists exists) {
    if (options.exists != Exists::any && options.exists != exists) return false;
    options.exists = exists;
    return true;
  };
  const auto read_time = [&](std::size_t& i) {
    for (const auto& [word, deadline] : kTimes) {
      if (!is_option(args[i], word)) continue;
      if (i + 1 == args.size() || !claim_deadline(deadline)) return false;
      options.time = args[++i];
      return true;
    }
    return false;
  };
  for (std::size_t i = 0; i < args.size(); ++i) {
    bool read = false;
    if (is_set && is_option(args[i], "nx")) {
      read = claim_exists(Exists::no);
    } else if (is_set && is_option(args[i], "xx")) {
      read = claim_exists(Exists::yes);
    } else if (is_set && is_option(args[i], "get")) {
      read = options.get = true;
    } else if (is_set && is_option(args[i], "keepttl")) {
      read = claim_deadline(Deadline::keep);
    } else if (!is_set && is_option(args[i], "persist")) {
      read = claim_deadline(Deadline::persist);
    } else {
      read = read_time(i);
    }
    if (!read) return false;
  }
  return true;
}

/// Unix milliseconds of the deadline that `time` names, or the error. kNever if none is asked for.
Reply read_deadline(const Context& call, Deadline deadline, std::string_view time,
                    std::int64_t& when) {
  when = kNever;
  if (deadline < Deadline::ex) return Reply::ok();
  const auto given = read_integer(time);
  if (!given) return not_an_integer();
  const bool seconds = deadline == Deadline::ex || deadline == Deadline::exat;
  if (*given <= 0 || (seconds && *given > kMost / 1000)) return invalid_expire_time(call.name);
  when = seconds ? *given * 1000 : *given;
  if (deadline == Deadline::ex || deadline == Deadline::px) {
    if (when > kMost - call.now) return invalid_expire_time(call.name);
    when += call.now;
  }
  return Reply::ok();
}

// ---- SET and its older kin.

Reply set_generic(Context& call, std::string_view bytes, const Options& options) {
  std::int64_t when = kNever;
  if (Reply time = read_deadline(call, options.deadline, options.time, when); time.is_error()) {
    return time;
  }
  Store::Entry* old = call.find(call.args[1]);
  if (options.get && wrong(old)) return wrong_type();
  Reply reply = options.get ? bulk_or_null(old) : Reply::ok();
  const bool refused = options.exists == Exists::no    ? old != nullptr
                       : options.exists == Exists::yes ? old == nullptr
                                                       : false;
  if (refused) return options.get ? reply : Reply::null();
  if (!make_room(call, old, call.args[1], bytes.size())) return out_of_memory();
  Store::Entry& entry = call.store.set(call.db, call.args[1], std::string(bytes), Kind::string);
  if (options.deadline != Deadline::keep) call.store.expire_at(call.db, entry, when);
  return reply;
}

Reply set(Context& call) {
  Options options;
  if (!read_options(call.args.subspan(3), true, options)) return syntax_error();
  return set_generic(call, call.args[2], options);
}

Reply setex(Context& call) {
  return set_generic(call, call.args[3], {.deadline = Deadline::ex, .time = call.args[2]});
}

Reply psetex(Context& call) {
  return set_generic(call, call.args[3], {.deadline = Deadline::px, .time = call.args[2]});
}

Reply setnx(Context& call) {
  Reply reply = set_generic(call, call.args[2], {.exists = Exists::no});
  if (reply.is_error()) return reply;
  return Reply::number(reply.is_null() ? 0 : 1);
}

Reply getset(Context& call) { return set_generic(call, call.args[2], {.get = true}); }

/// Whether all pairs fit. A key named twice is counted twice, which errs on the side of the cap.
bool pairs_fit(Context& call) {
  std::int64_t growth = 0;
  for (std::size_t i = 1; i < call.args.size(); i += 2) {
    Store::Entry* old = call.find(call.args[i]);
    growth += Store::growth(old, call.args[i], call.args[i + 1].size());
    if (old != nullptr) call.store.release(*old);
  }
  return call.store.make_room(growth, call.now);
}

void set_pairs(Context& call) {
  for (std::size_t i = 1; i < call.args.size(); i += 2) {
    auto& entry =
        call.store.set(call.db, call.args[i], std::string(call.args[i + 1]), Kind::string);
    call.store.expire_at(call.db, entry, kNever);
  }
}

Reply mset(Context& call) {
  if (call.args.size() % 2 == 0) return wrong_arity(call.name);
  if (!pairs_fit(call)) return out_of_memory();
  set_pairs(call);
  return Reply::ok();
}

Reply msetnx(Context& call) {
  if (call.args.size() % 2 == 0) return wrong_arity(call.name);
  for (std::size_t i = 1; i < call.args.size(); i += 2) {
    if (call.exists(call.args[i])) return Reply::number(0);
  }
  if (!pairs_fit(call)) return out_of_memory();
  set_pairs(call);
  return Reply::number(1);
}

// ---- Reading.

Reply get(Context& call) {
  const Store::Entry* entry = call.find(call.args[1]);
  return wrong(entry) ? wrong_type() : bulk_or_null(entry);
}

Reply mget(Context& call) {
  Gathered values(call);
  for (const auto key : call.args.subspan(1)) {
    Store::Entry* entry = call.find(key);
    const bool none = entry == nullptr || wrong(entry);
    values.add(none ? std::nullopt : std::optional<std::string_view>(entry->second.bytes));
    if (entry != nullptr) call.store.release(*entry);
    if (values.too_long()) break;
  }
  return values.take();
}

Reply getdel(Context& call) {
  Store::Entry* entry = call.find(call.args[1]);
  if (wrong(entry)) return wrong_type();
  Reply reply = bulk_or_null(entry);
  if (entry != nullptr) call.store.erase(call.db, *entry);
  return reply;
}

Reply getex(Context& call) {
  Options options;
  if (!read_options(call.args.subspan(2), false, options)) return syntax_error();
  Store::Entry* entry = call.find(call.args[1]);
  if (entry == nullptr) return Reply::null();
  if (wrong(entry)) return wrong_type();
  std::int64_t when = kNever;
  if (Reply time = read_deadline(call, options.deadline, options.time, when); time.is_error()) {
    return time;
  }
  Reply reply = bulk_or_null(entry);
  if (when != kNever && when <= call.now) {
    call.store.erase(call.db, *entry);
  } else if (options.deadline != Deadline::none && !expire_at(call, *entry, when)) {
    return out_of_memory();
  }
  return reply;
}

Reply strlen(Context& call) {
  const Store::Entry* entry = call.find(call.args[1]);
  if (wrong(entry)) return wrong_type();
  return Reply::number(entry == nullptr ? 0
                                        : static_cast<std::int64_t>(entry->second.bytes.size()));
}

Reply getrange(Context& call) {
  const auto first = read_integer(call.args[2]);
  const auto last = read_integer(call.args[3]);
  if (!first || !last) return not_an_integer();
  const Store::Entry* entry = call.find(call.args[1]);
  if (entry == nullptr) return Reply::bulk("");
  if (wrong(entry)) return wrong_type();
  if (*first < 0 && *last < 0 && *first > *last) return Reply::bulk("");
  const std::string& bytes = entry->second.bytes;
  const auto size = static_cast<std::int64_t>(bytes.size());
  const auto from_start = [size](std::int64_t index) {
    return std::max<std::int64_t>(index < 0 ? index + size : index, 0);
  };
  const std::int64_t start = from_start(*first);
  const std::int64_t end = std::min(from_start(*last), size - 1);
  if (size == 0 || start > end) return Reply::bulk("");
  return Reply::bulk(
      bytes.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start + 1)));
}

// ---- Changing a part.

Reply overwrite(Context& call, Store::Entry* entry, std::size_t offset, std::string_view bytes) {
  if (wrong(entry)) return wrong_type();
  const std::size_t before = entry == nullptr ? 0 : entry->second.bytes.size();
  if (offset > call.max_value || bytes.size() > call.max_value - offset) return value_too_long();
  const std::size_t size = std::max(before, offset + bytes.size());
  if (!make_room(call, entry, call.args[1], size)) return out_of_memory();
  if (entry == nullptr) entry = &call.store.set(call.db, call.args[1], {}, Kind::string);
  call.store.overwrite(*entry, offset, bytes);
  return Reply::number(static_cast<std::int64_t>(size));
}

Reply append(Context& call) {
  Store::Entry* entry = call.find(call.args[1]);
  return overwrite(call, entry, entry == nullptr ? 0 : entry->second.bytes.size(), call.args[2]);
}

Reply setrange(Context& call) {
  const auto offset = read_integer(call.args[2]);
  if (!offset) return not_an_integer();
  if (*offset < 0) return Reply::error("ERR offset is out of range");
  if (call.args[3].empty()) return strlen(call);
  return overwrite(call, call.find(call.args[1]), static_cast<std::size_t>(*offset), call.args[3]);
}

// ---- Numbers.

Reply increment(Context& call, std::int64_t by) {
  Store::Entry* entry = call.find(call.args[1]);
  if (wrong(entry)) return wrong_type();
  const auto value = entry == nullptr ? 0 : read_integer(entry->second.bytes);
  if (!value) return not_an_integer();
  if (by < 0 ? *value < kLeast - by : *value > kMost - by) {
    return Reply::error("ERR increment or decrement would overflow");
  }
  const std::int64_t sum = *value + by;
  if (!store(call, entry, std::to_string(sum))) return out_of_memory();
  return Reply::number(sum);
}

Reply incr(Context& call) { return increment(call, 1); }
Reply decr(Context& call) { return increment(call, -1); }

Reply incrby(Context& call) {
  const auto by = read_integer(call.args[2]);
  return by ? increment(call, *by) : not_an_integer();
}

Reply decrby(Context& call) {
  const auto by = read_integer(call.args[2]);
  if (!by) return not_an_integer();
  if (*by == kLeast) return Reply::error("ERR decrement would overflow");
  return increment(call, -*by);
}

Reply incrbyfloat(Context& call) {
  Store::Entry* entry = call.find(call.args[1]);
  if (wrong(entry)) return wrong_type();
  const auto value = entry == nullptr ? 0.0L : read_float(entry->second.bytes);
  const auto by = read_float(call.args[2]);
  if (!value || !by) return Reply::error("ERR value is not a valid float");
  const long double sum = *value + *by;
  if (!is_finite(sum)) {
    return Reply::error("ERR increment would produce NaN or Infinity");
  }
  std::string text = write_float(sum);
  if (!store(call, entry, text)) return out_of_memory();
  return Reply::bulk(std::move(text));
}

constexpr CommandSpec kCommands[] = {
    {"append", 3, append},
    {"decr", 2, decr},
    {"decrby", 3, decrby},
    {"get", 2, get},
    {"getdel", 2, getdel},
    {"getex", -2, getex},
    {"getrange", 4, getrange},
    {"getset", 3, getset},
    {"incr", 2, incr},
    {"incrby", 3, incrby},
    {"incrbyfloat", 3, incrbyfloat},
    {"mget", -2, mget},
    {"mset", -3, mset},
    {"msetnx", -3, msetnx},
    {"psetex", 4, psetex},
    {"set", -3, set},
    {"setex", 4, setex},
    {"setnx", 3, setnx},
    {"setrange", 4, setrange},
    {"strlen", 2, strlen},
    {"substr", 4, getrange},
};

}  // namespace

std::span<const CommandSpec> string_commands() { return kCommands; }

}  // namespace nearlane::l2::embedded
