// HSET to HVALS: commands on a key's fields.
#include <string>
#include <vector>

#include "core/l2/embedded/command.h"
#include "core/l2/embedded/fields.h"
#include "core/l2/embedded/float_text.h"
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
  const Hash hash(call);
  if (hash.wrong()) return wrong_type();
  std::vector<Reply> values;
  for (const auto name : call.args.subspan(2)) {
    values.push_back(bulk_or_null(hash.fields.find(name)));
  }
  return Reply::array(std::move(values));
}

Reply hdel(Context& call) {
  Hash hash(call);
  if (hash.wrong()) return wrong_type();
  std::int64_t erased = 0;
  for (const auto name : call.args.subspan(2)) erased += hash.fields.erase(name) ? 1 : 0;
  if (erased == 0) return Reply::number(0);
  if (hash.fields.all().empty()) {
    call.store.erase(call.db, *hash.entry);
  } else {
    call.store.set(*hash.entry, hash.fields.bytes());  // no larger than before
  }
  return Reply::number(erased);
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
  std::vector<Reply> out;
  for (const auto& field : hash.fields.all()) {
    if (names) out.push_back(Reply::bulk(std::string(field.name)));
    if (values) out.push_back(Reply::bulk(std::string(field.value)));
  }
  return {.type = names && values ? protocol::Type::map : protocol::Type::array,
          .elements = std::move(out)};
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

constexpr CommandSpec kCommands[] = {
    {"hdel", -3, hdel},      {"hexists", 3, hexists}, {"hget", 3, hget},
    {"hgetall", 2, hgetall}, {"hincrby", 4, hincrby}, {"hincrbyfloat", 4, hincrbyfloat},
    {"hkeys", 2, hkeys},     {"hlen", 2, hlen},       {"hmget", -3, hmget},
    {"hmset", -4, hmset},    {"hset", -4, hset},      {"hsetnx", 4, hsetnx},
    {"hstrlen", 3, hstrlen}, {"hvals", 2, hvals},
};

}  // namespace

std::span<const CommandSpec> hash_commands() { return kCommands; }

}  // namespace nearlane::l2::embedded
