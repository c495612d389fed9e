#include "core/l2/embedded/keyspace.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "core/l2/embedded/command.h"
#include "core/l2/embedded/watched_store.h"

namespace nearlane::l2::embedded {

using protocol::Reply;

namespace {

constexpr std::size_t kLongestName = 16;  // bytes; no command of ours is longer
constexpr std::size_t kNameShown = 128;   // bytes of an unknown command's name, as Redis shows it

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

const CommandSpec* find_command(std::string_view sent) {
  static const std::vector<CommandSpec> table = [] {
    std::vector<CommandSpec> all;
    for (const auto specs : {string_commands(), hash_commands(), key_commands(), walk_commands()}) {
      all.insert(all.end(), specs.begin(), specs.end());
    }
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.name < b.name; });
    return all;
  }();
  std::array<char, kLongestName> buffer{};
  if (sent.size() > buffer.size()) return nullptr;
  std::transform(sent.begin(), sent.end(), buffer.begin(), lower);
  const std::string_view name(buffer.data(), sent.size());
  const auto found = std::lower_bound(table.begin(), table.end(), name,
                                      [](auto& spec, auto wanted) { return spec.name < wanted; });
  return found != table.end() && found->name == name ? &*found : nullptr;
}

}  // namespace

std::string unknown_command(std::string_view name) {
  return "ERR unknown command '" + std::string(name.substr(0, kNameShown)) +
         "' with the embedded L2; it needs --l2 redis://…";
}

Reply Keyspace::execute(std::uint32_t db, std::span<const std::string_view> args, WallTime now) {
  const CommandSpec* spec = find_command(args.front());
  if (spec == nullptr) {
    return Reply::error(unknown_command(args.front()));
  }
  const auto count = static_cast<int>(args.size());
  if (spec->arity > 0 ? count != spec->arity : count < -spec->arity) return wrong_arity(spec->name);
  WatchedStore watched(store_, watches_, db);
  Context context{.store = watches_.empty() ? store_ : watched,
                  .max_value = max_value_,
                  .max_answer = max_answer_,
                  .name = spec->name,
                  .db = db,
                  .args = args,
                  .now = now.time_since_epoch().count()};
  return spec->run(context);
}

bool Keyspace::fit(std::uint32_t db, std::span<const Sized> values, WallTime now) {
  const std::int64_t at = now.time_since_epoch().count();
  std::int64_t growth = 0;
  for (const auto& [name, size] : values)
    growth += Store::growth(store_.find(db, name, at), name, size);
  return store_.make_room(growth, at);
}

void Keyspace::watch(cohere::Watch& watch, std::uint32_t db, std::span<const std::string> names,
                     WallTime now) {
  for (const std::string& name : names) {
    watches_.add(watch, db, name, exists(store_, db, name, now.time_since_epoch().count()));
  }
}

Reply Keyspace::execute_all(std::span<const cohere::Queued> commands, cohere::Watch* watch,
                            WallTime now, const std::function<void(Reply&)>& after) {
  const auto is_there = [&](std::uint32_t db, std::string_view name) {
    return exists(store_, db, name, now.time_since_epoch().count());
  };
  if (watch != nullptr) {
    if (!watches_.holds(*watch, is_there)) return Reply::null();
    Reply looked;  // a key that cannot be read is not one that is not there
    if (after) after(looked);
    if (looked.is_error()) return looked;
  }
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  std::size_t bytes = 0;
  for (const auto& [db, args] : commands) {
    const std::vector<std::string_view> views(args.begin(), args.end());
    Reply reply = execute(db, views, now);
    if (after) after(reply);
    const std::size_t size = reply_size(reply);
    if (size > max_answer_ - bytes) {
      reply = answer_too_long(max_answer_);
    } else {
      bytes += size;
    }
    replies.push_back(std::move(reply));
  }
  return Reply::array(std::move(replies));
}

std::size_t reply_size(const Reply& reply) noexcept {
  std::size_t size = kReplyOverhead + reply.text.size();
  for (const Reply& element : reply.elements) size += reply_size(element);
  return size;
}

bool exists(Store& store, std::uint32_t db, std::string_view name, std::int64_t now) {
  Store::Entry* entry = store.find(db, name, now);
  if (entry == nullptr) return false;
  store.release(*entry);
  return true;
}

void Gathered::add(std::optional<std::string_view> bytes) {
  if (too_long()) return;
  bytes_ += kReplyOverhead + (bytes ? bytes->size() : 0);
  if (too_long()) return replies_.clear();
  replies_.push_back(bytes ? Reply::bulk(std::string(*bytes)) : Reply::null());
}

Reply Gathered::take(protocol::Type type) {
  if (too_long()) return answer_too_long(most_);
  return {.type = type, .elements = std::move(replies_)};
}

bool is_option(std::string_view arg, std::string_view word) {
  return std::equal(arg.begin(), arg.end(), word.begin(), word.end(),
                    [](char a, char b) { return lower(a) == b; });
}

bool store(Context& call, Store::Entry* old, std::string bytes, Kind kind) {
  if (!call.store.make_room(Store::growth(old, call.args[1], bytes.size()), call.now)) return false;
  if (old != nullptr) {
    call.store.set(*old, std::move(bytes));
  } else {
    call.store.set(call.db, call.args[1], std::move(bytes), kind);
  }
  return true;
}

bool expire_at(Context& call, Store::Entry& entry, std::int64_t when) {
  if (!call.store.make_room(0, call.now)) return false;
  call.store.expire_at(call.db, entry, when);
  return true;
}

Reply wrong_arity(std::string_view command) {
  return Reply::error("ERR wrong number of arguments for '" + std::string(command) + "' command");
}
Reply invalid_expire_time(std::string_view command) {
  return Reply::error("ERR invalid expire time in '" + std::string(command) + "' command");
}
Reply not_an_integer() { return Reply::error("ERR value is not an integer or out of range"); }
Reply syntax_error() { return Reply::error("ERR syntax error"); }
Reply out_of_memory() {
  return Reply::error("OOM command not allowed when used memory > 'maxmemory'.");
}

Reply answer_too_long(std::size_t most) {
  return Reply::error("ERR nearlane: the answer would be longer than " +
                      std::to_string(most >> 20U) + " MiB");
}

Reply wrong_type() {
  return Reply::error("WRONGTYPE Operation against a key holding the wrong kind of value");
}
std::string_view type_name(Kind kind) { return kind == Kind::hash ? "hash" : "string"; }

}  // namespace nearlane::l2::embedded
