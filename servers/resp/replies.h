// Replies that several commands have in common, beside those of core/protocol/writer.h.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/protocol/writer.h"

namespace nearlane::resp {

inline void append_set_header(std::string& out, std::size_t count, protocol::Version version) {
  if (version == protocol::Version::resp2) return protocol::append_array_header(out, count);
  fmt::format_to(std::back_inserter(out), "~{}\r\n", count);
}

/// What is for people to read: RESP3 says so, and what it is written in.
inline void append_text(std::string& out, std::string text, protocol::Version version) {
  const protocol::Reply reply{.type = protocol::Type::verbatim, .text = "txt:" + std::move(text)};
  protocol::append_reply(out, reply, version);
}

}  // namespace nearlane::resp
