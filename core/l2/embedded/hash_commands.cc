// HSET to HVALS: commands on a key's fields.
#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "core/l2/embedded/command.h"
#include "core/l2/embedded/fields.h"
#include "core/l2/embedded/float_text.h"
#include "core/l2/embedded/keyspace.h"
#include "core/protocol/integer.h"

namespace nearlane::l2::embedded {

using protocol::read_integer;
using protocol::Reply;

namespace {

/// The hash under the key in args[1]; with no entry it is empty.
struct Hash {
  explicit Hash(Context& call) : entry(call.find(call.args[1])) {
    if (entry != nullptr && entry->second.kind == Kind::hash) fields = Fields(entry->second.bytes);
  }
  [[nodiscard]] bool wrong() const { return entry != nullptr && entry->second.kind != Kind::hash; }

  Store::Entry* entry;
  Fields fields;
};

bool store(Context& call, const Hash& hash) {
  return store(call, hash.entry, hash.fields.bytes(), Kind::hash);
}

Reply bulk_or_null(const Fields::Field* field) {
  return field == nullptr ? Reply::null() : Reply::bulk(std::string(field->value));
}

Reply number(std::size_t count) { return Reply::number(static_cast<std::int64_t>(count)); }

Reply set_fields(Context& call, Reply (*answer)(std::int64_t added)) {
  if (call.args.size() % 2 != 0) return wrong_arity(call.name);
  Hash hash(call);
  if (hash.wrong()) return wrong_type();
  hash.fields.expect(call.args.size() / 2 - 1);
  std::int64_t added = 0;
  for (std::size_t i = 2; i < call.args.size(); i += 2) {
    added += hash.fields.set(call.args[i], call.args[i + 1]) ? 1 : 0;
  }
  return store(call, hash) ? answer(added) : out_of_memory();
}

Reply hset(Context& call) {
  return set_fields(call, [](std::int64_t added) { return Reply::number(added); });
}
Reply hmset(Context& call) {
  return set_fields(call, [](std::int64_t) { return Reply::ok(); });
}

Reply hsetnx(Context& call) {
  Hash hash(call);
  if (hash.wrong()) return wrong_type();
  if (hash.fields.find(call.args[2]) != nullptr) return Reply::number(0);
  hash.fields.set(call.args[2], call.args[3]);
  return store(call, hash) ? Reply::number(1) : out_of_memory();
}

Reply hget(Context& call) {
  const Hash hash(call);
  return hash.wrong() ? wrong_type() : bulk_or_null(hash.fields.find(call.args[2]));
}

Reply hmget(Context& call) {
  Hash hash(call);
  if (hash.wrong()) return wrong_type();
  hash.fields.expect(call.args.size() - 2);
  Gathered values(call);
  for (const auto name : call.args.subspan(2)) {
    const Fields::Field* field = hash.fields.find(name);
    values.add(field == nullptr ? std::nullopt : std::optional(field->value));
    if (values.too_long()) break;
  }
  return values.take();
}

Reply hdel(Context& call) {
  Hash hash(call);
  if (hash.wrong()) return wrong_type();
  const std::size_t erased = hash.fields.erase(call.args.subspan(2));
  if (erased == 0) return Reply::number(0);
  if (hash.fields.all().empty()) {
    call.store.erase(call.db, *hash.entry);
  } else {
    call.store.set(*hash.entry, hash.fields.bytes());  // no larger than before
  }
  return number(erased);
}

Reply hexists(Context& call) {
  const Hash hash(call);
  if (hash.wrong()) return wrong_type();
  return Reply::number(hash.fields.find(call.args[2]) == nullptr ? 0 : 1);
}

Reply hlen(Context& call) {
  const Hash hash(call);
  return hash.wrong() ? wrong_type() : number(hash.fields.all().size());
}

Reply hstrlen(Context& call) {
  const Hash hash(call);
  if (hash.wrong()) return wrong_type();
  const auto* field = hash.fields.find(call.args[2]);
  return number(field == nullptr ? 0 : field->value.size());
}

Reply list(Context& call, bool names, bool values) {
  const Hash hash(call);
  if (hash.wrong()) return wrong_type();
  Gathered out(call);
  for (const auto& field : hash.fields.all()) {
    if (names) out.add(field.name);
    if (values) out.add(field.value);
  }
  return out.take(names && values ? protocol::Type::map : protocol::Type::array);
}

Reply hgetall(Context& call) { return list(call, true, true); }
Reply hkeys(Context& call) { return list(call, true, false); }
Reply hvals(Context& call) { return list(call, false, true); }

Reply hincrby(Context& call) {
  const auto by = read_integer(call.args[3]);
  if (!by) return not_an_integer();
  Hash hash(call);
  if (hash.wrong()) return wrong_type();
  const auto* field = hash.fields.find(call.args[2]);
  const auto value = field == nullptr ? 0 : read_integer(field->value);
  if (!value) return Reply::error("ERR hash value is not an integer");
  if (*by < 0 ? *value < kLeast - *by : *value > kMost - *by) {
    return Reply::error("ERR increment or decrement would overflow");
  }
  const std::string sum = std::to_string(*value + *by);
  hash.fields.set(call.args[2], sum);
  return store(call, hash) ? Reply::number(*value + *by) : out_of_memory();
}

Reply hincrbyfloat(Context& call) {
  const auto by = read_float(call.args[3]);
  if (!by) return Reply::error("ERR value is not a valid float");
  if (!is_finite(*by)) return Reply::error("ERR value is NaN or Infinity");
  Hash hash(call);
  if (hash.wrong()) return wrong_type();
  const auto* field = hash.fields.find(call.args[2]);
  const auto value = field == nullptr ? 0.0L : read_float(field->value);
  if (!value) return Reply::error("ERR hash value is not a float");
  if (!is_finite(*value + *by)) {
    return Reply::error("ERR increment would produce NaN or Infinity");
  }
  std::string sum = write_float(*value + *by);
  hash.fields.set(call.args[2], sum);
  return store(call, hash) ? Reply::bulk(std::move(sum)) : out_of_memory();
}

std::mt19937_64& random_bits() {
  thread_local std::mt19937_64 random(std::random_device{}());
  return random;
}

std::size_t drawn_size(const Fields::Field& field, bool values) {
  return values ? field.name.size() + field.value.size() + 3 * kReplyOverhead
                : field.name.size() + kReplyOverhead;
}

/// With values: a list of pairs, which RESP2's clients get as one flat list.
Reply drawn(const Context& call, std::span<const Fields::Field> fields, bool values) {
  std::size_t bytes = 0;
  for (const auto& field : fields) bytes += drawn_size(field, values);
  if (bytes > call.max_answer) return answer_too_long(call.max_answer);
  std::vector<Reply> out;
  out.reserve(fields.size());
  for (const auto& [name, value] : fields) {
    Reply field = Reply::bulk(std::string(name));
    if (values) field = Reply::array({std::move(field), Reply::bulk(std::string(value))});
    out.push_back(std::move(field));
  }
  return Reply::array(std::move(out));
}

/// Draws so many, the same ones again and again.
Reply draw_with_repetition(const Context& call, const Fields& hash, std::uint64_t count,
                           bool values) {
  std::uniform_int_distribution<std::size_t> any(0, hash.all().size() - 1);
  std::vector<Fields::Field> fields;
  for (std::size_t bytes = 0; fields.size() < count && bytes <= call.max_answer;) {
    fields.push_back(hash.all()[any(random_bits())]);
    bytes += drawn_size(fields.back(), values);
  }
  return drawn(call, fields, values);
}

Reply hrandfield(Context& call) {
  const bool counted = call.args.size() > 2;
  const bool values = call.args.size() > 3;
  std::int64_t count = 1;
  if (counted) {
    const auto given = read_integer(call.args[2]);
    if (!given) return not_an_integer();
    count = *given;
    if (count == kLeast) {
      return Reply::error(
          "ERR value is out of range, value must between -9223372036854775807 and "
          "9223372036854775807");
    }
    if (call.args.size() > 4 || (values && !is_option(call.args[3], "withvalues"))) {
      return syntax_error();
    }
    if (values && (count < -kMost / 2 || count > kMost / 2)) {
      return Reply::error("ERR value is out of range");
    }
  }
  const Hash hash(call);
  if (hash.wrong()) return wrong_type();
  const auto& all = hash.fields.all();
  if (!counted) {
    if (all.empty()) return Reply::null();
    std::uniform_int_distribution<std::size_t> any(0, all.size() - 1);
    return Reply::bulk(std::string(all[any(random_bits())].name));
  }
  if (all.empty() || count == 0) return Reply::array({});
  if (count < 0)
    return draw_with_repetition(call, hash.fields, static_cast<std::uint64_t>(-count), values);
  std::vector<Fields::Field> some;
  std::sample(all.begin(), all.end(), std::back_inserter(some), count, random_bits());
  return drawn(call, some, values);
}

constexpr CommandSpec kCommands[] = {
    {"hdel", -3, hdel},
    {"hexists", 3, hexists},
    {"hget", 3, hget},
    {"hgetall", 2, hgetall},
    {"hincrby", 4, hincrby},
    {"hincrbyfloat", 4, hincrbyfloat},
    {"hkeys", 2, hkeys},
    {"hlen", 2, hlen},
    {"hmget", -3, hmget},
    {"hmset", -4, hmset},
    {"hrandfield", -2, hrandfield},
    {"hset", -4, hset},
    {"hsetnx", 4, hsetnx},
    {"hstrlen", 3, hstrlen},
    {"hvals", 2, hvals},
};

}  // namespace

std::span<const CommandSpec> hash_commands() { return kCommands; }

}  // namespace nearlane::l2::embedded
