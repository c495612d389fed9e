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
  std::string_view flags;  // as COMMAND INFO lists them, space between
  int first_key = 0;
  int last_key = 0;  // negative counts from the end
  int step = 0;
};

/// All commands, sorted by name.
[[nodiscard]] std::span<const CommandSpec> commands() noexcept;
/// Null: unknown. Case does not matter.
[[nodiscard]] const CommandSpec* find_command(std::string_view name) noexcept;
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
