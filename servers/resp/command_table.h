// The commands that the RESP door knows: how many arguments, where the keys are, and which way each
//                                        goes.
//
// Source:   Redis 7.0's COMMAND table for arity, flags and key positions.
// Threads:  immutable.
// Cost:     find: a binary search over a few dozen names, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace nearlane::resp {

/// Which way a command goes. DESIGN section 4 has the reasons.
enum class Route : std::uint8_t {
  get,        // L1, else the key's lane
  mget,       // each key like get
  set,        // a write whose value we know, if its options can be read here; else write_key
  setex,      //
  setnx,      //
  touch,      // changes only when the key expires: L1's copy stays
  read_key,   // to L2 as it is, in the key's order; several keys: outside of it, whole
  write_key,  // the same, and L1 forgets the keys
  revoke,     // DEL that is answered once no instance can serve the key
  whole,      // to L2 as it is, without keys
  local,      // answered here
  server,     // Redis's to answer; here, where there is none behind us
  embedded,  // Redis's to answer; where there is none behind us it goes to the embedded store as read_key and write_key do
  transaction,  // the same, of MULTI and WATCH: what is queued is the connection's
  channel,      // the same, of PUBLISH and SUBSCRIBE: this process alone hears it
};

struct CommandSpec {
  std::string_view name;  // lower case
  int arity;              // Redis's: negative means at least that many, the name counts
  Route route;
  std::string_view flags;  // as COMMAND INFO lists them, space between; of some containers none
  int first_key = 0;
  int last_key = 0;  // negative counts from the end
  int step = 0;
};

/// What a container of commands has below it: Redis counts its arguments, too, before it takes the command.
struct Subcommand {
  std::string_view container;  // both in lower case
  std::string_view name;
  int arity;  // as of a command, the container's name counts
};

/// All commands, sorted by name.
[[nodiscard]] std::span<const CommandSpec> commands() noexcept;
/// All that is below them.
[[nodiscard]] std::span<const Subcommand> subcommands() noexcept;
/// Null: unknown. Case does not matter.
[[nodiscard]] const CommandSpec* find_command(std::string_view name) noexcept;
/// Whether it does nothing by itself but by its subcommands, or can.
[[nodiscard]] bool has_subcommands(const CommandSpec& spec) noexcept;
/// Null: there is none, or none that we know. Case does not matter.
[[nodiscard]] const Subcommand* find_subcommand(const CommandSpec& spec,
                                                std::string_view name) noexcept;
/// Whether an arity allows so many words.
[[nodiscard]] constexpr bool allows(int arity, std::size_t words) noexcept {
  const auto count = static_cast<int>(words);
  return arity >= 0 ? count == arity : count >= -arity;
}
/// Where the keys of a command with so many arguments are: first, first + step, … below end. None:
/// first == end.
struct KeyPositions {
  std::size_t first = 0;
  std::size_t end = 0;
  std::size_t step = 1;
};
[[nodiscard]] KeyPositions key_positions(const CommandSpec& spec, std::size_t arguments) noexcept;
/// Its place in commands(), for counters.
[[nodiscard]] std::size_t index_of(const CommandSpec& spec) noexcept;

}  // namespace nearlane::resp
