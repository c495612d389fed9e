// Writes RESP: commands to L2, replies to clients. Appends to a caller's buffer and does nothing
// else.
//
// Threads:   free functions over the caller's buffer.
// Cost:      appends only; integers are formatted without allocation.
// Errors:    none; text of simple strings and errors has CR and LF replaced by spaces, so that it
//            cannot split a reply.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "core/protocol/reply.h"

namespace nearlane::protocol {

enum class Version : std::uint8_t { resp2 = 2, resp3 = 3 };

/// One command as an array of bulk strings.
void append_command(std::string& out, std::initializer_list<std::string_view> args);
void append_command(std::string& out, std::span<const std::string_view> args);
void append_command(std::string& out, std::span<const std::string> args);

void append_simple(std::string& out, std::string_view text);
void append_error(std::string& out, std::string_view text);  // text starts with its code, "ERR …"
void append_integer(std::string& out, std::int64_t value);
void append_bulk(std::string& out, std::string_view bytes);
void append_null(std::string& out, Version version);        // "$-1" or "_"
void append_null_array(std::string& out, Version version);  // "*-1" or "_"
void append_array_header(std::string& out, std::size_t count);
void append_map_header(std::string& out, std::size_t pairs,
                       Version version);  // RESP2: an array of twice as many

void append_push_header(std::string& out, std::size_t count, Version version);  // RESP2: an array

/// Any reply in the client's version: what RESP2 lacks becomes what Redis makes of it (map -> flat
/// array, boolean -> 0/1, double and big number -> bulk, null -> "$-1", push -> array).
void append_reply(std::string& out, const Reply& reply, Version version);

}  // namespace nearlane::protocol
