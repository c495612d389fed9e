// What travels between the HTTP connection, the routes and the stages: Beast's request, and our
//                                                                      response.
//
// Lifetime:  a Response owns its body: a pinned entry, or text.
#pragma once

#include <string>
#include <string_view>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "core/entry/entry.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::http {

namespace beast_http = boost::beast::http;

using Request = beast_http::request<beast_http::string_body>;
using Status = beast_http::status;
using Field = beast_http::field;

/// Bodies up to this are copied and leave in one send with their head; larger ones are pinned and
/// gathered.
inline constexpr std::size_t kGatherBytes = std::size_t{16} * 1024;

/// Answers to pipelined requests leave when there are so many bytes of them.
inline constexpr std::size_t kFlushBytes = std::size_t{64} * 1024;

struct Response {
  beast_http::response<beast_http::empty_body> head;
  EntryPtr entry = {};  // keeps `part` alive, which is the body then; else the text is
  std::string_view part = {};
  std::string text = {};

  [[nodiscard]] std::string_view body() const noexcept {
    return entry ? part : std::string_view(text);
  }
};

/// What X-Cache says of where a read's answer came from.
[[nodiscard]] std::string_view x_cache(tier::Source source) noexcept;
/// Appends the status line and the fields, as they are sent.
void append_head(std::string& out, Response& response);
/// What is sent behind the head of a response to `request`.
[[nodiscard]] std::string_view sent_body(const Request& request, const Response& response);

}  // namespace nearlane::http
