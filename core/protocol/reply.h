// A RESP reply as a value: what L2 answered, or what a command executor says.
//
// Errors:    an error reply is a Reply like any other (Type::error); only a peer that breaks the
//            protocol is an Error.
// Lifetime:  owns its bytes.
// Threads:   a plain value.
// Cost:      one allocation for a bulk too long for std::string's own buffer, one for an
//            aggregate's elements.
// Source:    redis.io/docs/reference/protocol-spec (RESP2 and RESP3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearlane::protocol {

enum class Type : std::uint8_t {
  null,           // RESP3 "_", RESP2 "$-1" and "*-1"
  simple_string,  // "+OK"
  error,          // "-ERR …", and RESP3's blob error "!"
  integer,        // ":1"
  bulk_string,    // "$3"
  array,          // "*2"
  map,            // "%1": elements are key, value, key, value …
  set,            // "~2"
  push,           // ">2": out of band
  boolean,        // "#t": integer is 0 or 1
  number,         // ",1.5": text is kept as it was sent
  big_number,     // "(123…": text
  verbatim,       // "=7 txt:abc": text with its three-letter format and colon
};

struct Reply {
  Type type = Type::null;
  std::int64_t integer = 0;  // integer, boolean
  std::string text = {};  // simple_string, error (without '-'), bulk_string, number, verbatim …
  std::vector<Reply> elements = {};  // array, map, set, push

  [[nodiscard]] bool is_null() const noexcept { return type == Type::null; }
  [[nodiscard]] bool is_error() const noexcept { return type == Type::error; }
  [[nodiscard]] bool is_ok() const noexcept { return type == Type::simple_string && text == "OK"; }

  static Reply null() { return {}; }
  static Reply ok() { return {.type = Type::simple_string, .text = "OK"}; }
  static Reply simple(std::string text) {
    return {.type = Type::simple_string, .text = std::move(text)};
  }
  static Reply error(std::string text) { return {.type = Type::error, .text = std::move(text)}; }
  static Reply number(std::int64_t value) { return {.type = Type::integer, .integer = value}; }
  static Reply bulk(std::string text) {
    return {.type = Type::bulk_string, .text = std::move(text)};
  }
  static Reply array(std::vector<Reply> elements) {
    return {.type = Type::array, .elements = std::move(elements)};
  }

  friend bool operator==(const Reply&, const Reply&) = default;
};

}  // namespace nearlane::protocol
