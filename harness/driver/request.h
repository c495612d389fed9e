// What a generator sends and what comes back: the vocabulary between workloads, drivers and checkers.
//
// Units:    times are offsets from the run's start.
// Lifetime: views in a Completion are valid during the checker's call only.
// Threads:  a source and a checker are called on the generator's thread.
// Cost:     a Request is reused from call to call, so its strings keep their capacity.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "harness/workload/trace.h"

namespace nearlane::harness {

inline constexpr std::array kOps = {Op::get, Op::set, Op::touch, Op::erase};

/// Any connection with room takes it: the generator goes round.
inline constexpr std::uint32_t kAnyConnection = UINT32_MAX;

struct Request {
  Duration at{};  // intended start; a closed loop ignores it
  Op kind = Op::get;
  std::string key = {};
  std::string value = {};                     // of a set
  std::chrono::milliseconds ttl{0};           // of a set (0 = none) and of a touch
  std::uint64_t tag = 0;                      // handed back with the completion
  std::uint32_t connection = kAnyConnection;  // modulo the number of connections: keeps an order
};

/// Where operations come from, in the order of their intended starts.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  /// Fills `into` with the next request; false when there are no more. What it held before is left over
  /// from earlier requests, except that `tag` is 0 and `connection` any.
  virtual bool next(Request& into) = 0;
};

enum class Outcome : std::uint8_t {
  hit,     // a value, and the protocol does not say from where
  hit_l1,  // X-Cache: L1
  hit_l2,  // X-Cache: L2
  stale,   // X-Cache: STALE
  miss,    // no such key, for every kind of operation
  ok,      // a set, touch or erase that took effect
  error,   // see Failure
};
inline constexpr std::array kOutcomes = {Outcome::hit,   Outcome::hit_l1, Outcome::hit_l2,
                                         Outcome::stale, Outcome::miss,   Outcome::ok,
                                         Outcome::error};

enum class Failure : std::uint8_t {
  none,
  not_sent,      // no connection took it within the timeout, or the queue was full
  lost,          // the connection ended before the reply: a write's outcome is unknown
  timeout,       // no reply in time: a write's outcome is unknown
  protocol,      // the reply could not be read
  server_error,  // an error reply, or HTTP 5xx
  rejected,      // HTTP 4xx other than 404
  wrong_value,   // the checker says so
};
inline constexpr std::size_t kFailures = 8;

[[nodiscard]] std::string_view to_string(Outcome outcome) noexcept;
[[nodiscard]] std::string_view to_string(Failure failure) noexcept;

/// The end of one operation, however it ended.
struct Completion {
  Op kind;
  std::string_view key;
  std::uint64_t tag;
  std::uint32_t connection;  // kAnyConnection when it was never sent
  Outcome outcome;
  Failure failure;
  std::string_view value;  // of a hit; of an error its text
  Duration intended;       // when it was due
  Duration sent;           // when its bytes were given to the kernel; `done` when never sent
  Duration done;           // when its reply had been received
};

/// Sees every completion; false makes a completion without failure a `wrong_value`.
using Checker = std::function<bool(const Completion&)>;

}  // namespace nearlane::harness
