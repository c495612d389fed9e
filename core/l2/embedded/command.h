// What a command of the embedded L2 is given, and the tables that name the commands.
//
// Errors:   replies of Type::error, in Redis's words.
// Threads:  as Store.
// Lifetime: a Context lives for one command.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/l2/embedded/store.h"
#include "core/protocol/reply.h"

namespace nearlane::l2::embedded {

inline constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

/// Of many names one after the other, no more than one value is held for it.
[[nodiscard]] bool exists(Store& store, std::uint32_t db, std::string_view name, std::int64_t now);

struct Context {
  Store& store;
  std::size_t max_value;  // bytes of one value
  std::size_t max_answer;
  std::string_view name;  // the command's, in lower case, as its error texts say it
  std::uint32_t db;
  std::span<const std::string_view> args;  // args[0] is the command as it was sent
  std::int64_t now;                        // Unix milliseconds

  [[nodiscard]] Store::Entry* find(std::string_view key) const { return store.find(db, key, now); }
  [[nodiscard]] bool exists(std::string_view key) const {
    return embedded::exists(store, db, key, now);
  }
};

struct CommandSpec {
  std::string_view name;  // in lower case
  int arity;              // as in Redis: arguments with the name; negative: at least so many
  protocol::Reply (*run)(Context&);
};

/// Commands on the value of a key.
[[nodiscard]] std::span<const CommandSpec> string_commands();
/// Commands on a key's fields.
[[nodiscard]] std::span<const CommandSpec> hash_commands();
/// Commands on keys whatever their value, and on whole databases.
[[nodiscard]] std::span<const CommandSpec> key_commands();
/// Commands that go through the keys of a database.
[[nodiscard]] std::span<const CommandSpec> walk_commands();

/// Stores a value under the key in args[1], in place of `old` and keeping its deadline; null: a new one. False: there
/// is no room.
[[nodiscard]] bool store(Context& call, Store::Entry* old, std::string bytes,
                         Kind kind = Kind::string);

/// Moves an entry's deadline. False: there is no room: a store may have to write the whole entry for it.
[[nodiscard]] bool expire_at(Context& call, Store::Entry& entry, std::int64_t when);

/// Whether an option is this word, which is in lower case.
[[nodiscard]] bool is_option(std::string_view arg, std::string_view word);

/// What a reply costs beside its bytes, in this process and about as much on the wire.
inline constexpr std::size_t kReplyOverhead = 96;
[[nodiscard]] std::size_t reply_size(const protocol::Reply& reply) noexcept;

/// A list that grows to a command's answer, and no longer than that may be: what goes in is counted before it is copied.
class Gathered {
 public:
  explicit Gathered(const Context& call) : most_(call.max_answer) {}

  /// Nothing: a null. What is too long takes no more.
  void add(std::optional<std::string_view> bytes);
  [[nodiscard]] bool too_long() const noexcept { return bytes_ > most_; }
  /// The list, or the error that stands for it.
  [[nodiscard]] protocol::Reply take(protocol::Type type = protocol::Type::array);

 private:
  std::size_t most_;
  std::size_t bytes_ = 0;
  std::vector<protocol::Reply> replies_;
};

[[nodiscard]] protocol::Reply wrong_arity(std::string_view command);
[[nodiscard]] protocol::Reply invalid_expire_time(std::string_view command);
[[nodiscard]] protocol::Reply not_an_integer();
[[nodiscard]] protocol::Reply syntax_error();
[[nodiscard]] protocol::Reply out_of_memory();
[[nodiscard]] protocol::Reply answer_too_long(std::size_t most);
[[nodiscard]] protocol::Reply wrong_type();
[[nodiscard]] std::string_view type_name(Kind kind);  // as TYPE says it

}  // namespace nearlane::l2::embedded
