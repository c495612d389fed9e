// How a call that may fail says so: Result<T> is a value or an Error, never an exception.
//
// Errors:    every Errc is listed here once, is never renumbered, and has a test that provokes it.
// Threads:   plain values.
// Cost:      an error through three awaitables was 65 ns as a value and about 6 us as an exception.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

namespace nearlane {

enum class Errc : std::uint8_t {
  timeout = 1,      // the deadline passed before L2 answered; the outcome of a write is unknown
  unavailable,      // no connection to L2, and nothing was sent
  connection_lost,  // sent, but the connection ended before the reply; a write's outcome is unknown
  protocol,         // the peer broke its protocol; detail says where
  too_large,        // a key, value or frame is over a limit that the configuration names
  busy,             // a queue or pool that the configuration names is full, and nothing was sent
  l2_error,  // L2 answered with an error; detail is its text, verbatim, without the leading '-'
  invalid_argument,  // a text could not be read (URL, number, option); detail says which and why
  unsupported,       // this backend has no such command
  shutting_down,     // stop() was called
  refused,           // the configuration does not offer this; detail says what would
};

/// The name of an Errc, as metrics and logs write it ("connection_lost").
[[nodiscard]] std::string_view to_string(Errc code) noexcept;

struct Error {
  Errc code;
  std::string detail = {};

  friend bool operator==(const Error&, const Error&) = default;
};

/// Called by boost::system::result when value() is asked of an error: a programmer's mistake.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& loc);

template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace nearlane
