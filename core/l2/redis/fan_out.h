// FanOut: a command that names no keys, asked of every primary of a cluster, or of one after the other, and what their
// answers are together.
//
//   KEYS                 all of them                        DBSIZE       their sum
//   FLUSHALL, FLUSHDB    OK, or the first error             RANDOMKEY    of any that has one
//   SCAN                 primary by primary: a cursor is the primary's own times kMostNodes, plus the primary's number
//
// Errors:    an error of one primary is that of all; a call that failed is the first such failure. Of what writes
//            it is connection_lost, the outcome unknown, where one primary has executed it, or may have.
// Threads:   parts may be answered on any threads, at once.
// Lifetime:  shared by its parts; it owns the call until all of them are answered.
// Cost:      a call for each primary that is asked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/cohere/call.h"

namespace nearlane::l2 {

enum class FanKind : std::uint8_t { keys, sum, ok, any_key, scan };

/// Null: the command is none of these.
[[nodiscard]] std::optional<FanKind> fan_kind(std::string_view name) noexcept;

/// A cursor of SCAN over all primaries.
struct ScanCursor {
  std::uint64_t of_node = 0;
  std::uint16_t node = 0;

  friend bool operator==(const ScanCursor&, const ScanCursor&) = default;
};
[[nodiscard]] std::optional<ScanCursor> read_cursor(std::string_view text) noexcept;
/// Null: the primary's own is too large to be told.
[[nodiscard]] std::optional<std::uint64_t> write_cursor(const ScanCursor& cursor) noexcept;

/// `nodes`: numbers of the primaries, ascending, at least one. `send` brings a call to that one.
void fan_out(std::unique_ptr<cohere::Call> call, FanKind kind, std::span<const std::uint16_t> nodes,
             const std::function<void(std::uint16_t node, std::unique_ptr<cohere::Call>)>& send);

}  // namespace nearlane::l2
