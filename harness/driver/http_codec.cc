#include "harness/driver/http_codec.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr int kNoContent = 204;
constexpr int kNotModified = 304;

// ASCII only, whatever the locale.
constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_word(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
bool read_number(std::string_view text, Number& out) noexcept {
  const auto* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && stopped == end;
}

constexpr bool unreserved(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

Outcome tier(std::string_view cache) noexcept {
  if (same_word(cache, "L1")) return Outcome::hit_l1;
  if (same_word(cache, "L2")) return Outcome::hit_l2;
  if (same_word(cache, "STALE")) return Outcome::stale;
  return Outcome::hit;
}

}  // namespace

void append_percent_encoded(std::string_view bytes, std::string& out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : bytes) {
    if (unreserved(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[byte >> 4U]);
      out.push_back(kHex[byte & 15U]);
    }
  }
}

HttpCodec::HttpCodec(const Endpoint& peer, std::string_view headers, HttpReads reads)
    : common_(fmt::format("Host: {}\r\n{}", peer.to_string(), headers)), reads_(reads) {}

void HttpCodec::reset() {
  buffer_.clear();
  at_ = searched_ = 0;
}

void HttpCodec::encode(const Request& request, std::string& out) {
  const auto begin = [&](std::string_view method) {
    out.append(method).append(" /cache/");
    append_percent_encoded(request.key, out);
  };
  const auto end = [&] { out.append(" HTTP/1.1\r\n").append(common_).append("\r\n"); };
  switch (request.kind) {
    case Op::get:
      begin(reads_ == HttpReads::head ? "HEAD" : "GET");
      end();
      break;
    case Op::set:
      begin("PUT");
      if (request.ttl.count() > 0)
        fmt::format_to(std::back_inserter(out), "?px={}", request.ttl.count());
      fmt::format_to(std::back_inserter(out), " HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n", common_,
                     request.value.size());
      out.append(request.value);
      break;
    case Op::touch:
      begin("POST");
      fmt::format_to(std::back_inserter(out),
                     "/touch?px={} HTTP/1.1\r\n{}Content-Length: 0\r\n\r\n", request.ttl.count(),
                     common_);
      break;
    case Op::erase:
      begin("DELETE");
      end();
      break;
  }
}

Result<void> HttpCodec::feed(std::string_view bytes) {
  if (at_ == buffer_.size()) reset();
  // What was read moves away before the buffer would grow, so that it stays as large as one reply.
  if (at_ > 0 && buffer_.size() + bytes.size() > buffer_.capacity()) {
    buffer_.erase(0, at_);
    searched_ -= at_;
    at_ = 0;
  }
  buffer_.append(bytes);
  return {};
}

Result<void> HttpCodec::read_line(std::string_view line, Head& head) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return Error{Errc::protocol, fmt::format("not a header: '{}'", line.substr(0, 80))};
  }
  const auto name = line.substr(0, colon);
  const auto value = trim(line.substr(colon + 1));
  if (same_word(name, "content-length")) {
    std::size_t length = 0;
    if (!read_number(value, length) || (head.has_length && head.length != length)) {
      return Error{Errc::protocol, fmt::format("Content-Length '{}'", value.substr(0, 80))};
    }
    if (length > kMaxBodyBytes) return Error{Errc::too_large, "a body of more than 1 GiB"};
    head.has_length = true;
    head.length = length;
  } else if (same_word(name, "transfer-encoding")) {
    return Error{Errc::protocol, fmt::format("Transfer-Encoding '{}'", value.substr(0, 80))};
  } else if (same_word(name, "connection")) {
    head.closes = same_word(value, "close");
  } else if (same_word(name, "x-cache")) {
    head.cache = value;
  }
  return {};
}

Result<bool> HttpCodec::read_head(Head& head) {
  const auto from = std::max(at_, searched_ < 3 ? 0 : searched_ - 3);
  const auto found = buffer_.find(kHeadEnd, from);
  searched_ = buffer_.size();
  if (found == std::string::npos) {
    if (buffer_.size() - at_ > kMaxHeadBytes) {
      return Error{Errc::too_large, "a head of more than 64 KiB"};
    }
    return false;
  }
  if (found - at_ > kMaxHeadBytes) return Error{Errc::too_large, "a head of more than 64 KiB"};
  searched_ = at_;  // the next search is for the same end, or begins behind this reply
  const auto text = std::string_view(buffer_).substr(at_, found - at_);
  head = {};
  head.size = text.size() + kHeadEnd.size();
  const auto line_end = std::min(text.find("\r\n"), text.size());
  const auto status_line = text.substr(0, line_end);
  // HTTP/1.1 200 OK
  if (status_line.size() < 12 || !status_line.starts_with("HTTP/1.") || status_line[8] != ' ' ||
      !read_number(status_line.substr(9, 3), head.status) || head.status < 100) {
    return Error{Errc::protocol, fmt::format("not a status line: '{}'", status_line.substr(0, 80))};
  }
  head.closes = status_line[7] == '0';
  for (auto rest = text.substr(std::min(line_end + 2, text.size())); !rest.empty();) {
    const auto end = std::min(rest.find("\r\n"), rest.size());
    if (auto read = read_line(rest.substr(0, end), head); !read) return read.error();
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return true;
}

Result<bool> HttpCodec::next(Op kind, Reply& reply) {
  Head head;
  // Informational replies come before the one that is meant; bounded by what is in the buffer.
  while (true) {
    auto read = read_head(head);
    if (!read || !*read) return read;
    if (head.status >= 200) break;
    at_ += head.size;
  }
  const bool bodiless = head.status == kNoContent || head.status == kNotModified ||
                        (kind == Op::get && reads_ == HttpReads::head);
  if (!bodiless && !head.has_length) {
    return Error{Errc::protocol, fmt::format("status {} without Content-Length", head.status)};
  }
  const auto length = bodiless ? 0 : head.length;
  if (buffer_.size() - at_ - head.size < length) return false;
  const auto body = std::string_view(buffer_).substr(at_ + head.size, length);
  at_ += head.size + length;
  searched_ = at_;

  reply = {};
  reply.closes = head.closes;
  if (head.status == 404) {
    reply.outcome = Outcome::miss;
  } else if (head.status < 300 || (kind == Op::get && head.status == kNotModified)) {
    reply.outcome = kind == Op::get ? tier(head.cache) : Outcome::ok;
    reply.text = body;
  } else {
    reply.failure = head.status >= 500 ? Failure::server_error : Failure::rejected;
    reply.text = body;
  }
  return true;
}

}  // namespace nearlane::harness
