#include "harness/peers/canned_resp.h"

#include <iterator>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

constexpr std::size_t kMostWords = 1U << 20U;
constexpr std::size_t kMostBytes = 1U << 30U;  // of a word

enum class Read : std::uint8_t { done, more, wrong };

/// A line of `mark` and a number: "*3\r\n".
Read read_number(std::string_view in, std::size_t& at, char mark, std::size_t most,
                 std::size_t& number) {
  if (at == in.size()) return Read::more;
  if (in[at] != mark) return Read::wrong;
  number = 0;
  for (std::size_t i = at + 1; i < in.size(); ++i) {
    const char c = in[i];
    if (c == '\r') {
      at = i + 2;
      return at <= in.size() ? Read::done : Read::more;
    }
    if (c < '0' || c > '9') return Read::wrong;
    number = number * 10 + static_cast<std::size_t>(c - '0');
    if (number > most) return Read::wrong;
  }
  return Read::more;
}

struct Request {
  std::string_view name;
  std::size_t words = 0;
};

Read read_request(std::string_view in, std::size_t& at, Request& request) {
  if (const Read read = read_number(in, at, '*', kMostWords, request.words); read != Read::done)
    return read;
  if (request.words == 0) return Read::wrong;
  for (std::size_t word = 0; word < request.words; ++word) {
    std::size_t bytes = 0;
    if (const Read read = read_number(in, at, '$', kMostBytes, bytes); read != Read::done)
      return read;
    if (in.size() - at < bytes + 2) return Read::more;
    if (word == 0) request.name = in.substr(at, bytes);
    at += bytes + 2;
  }
  return Read::done;
}

void answer(const Request& request, std::string_view value, std::string& out) {
  const std::string_view name = request.name;
  if ((name.size() == 3 && name[0] == 'G') || name == "HGET") {
    out.append(value);
  } else if (name == "MGET") {
    fmt::format_to(std::back_inserter(out), "*{}\r\n", request.words - 1);
    for (std::size_t key = 1; key < request.words; ++key) out.append(value);
  } else {
    out.append("+OK\r\n");
  }
}

}  // namespace

std::optional<std::size_t> answer_canned(std::string_view in, std::string_view value,
                                         std::string& out) {
  std::size_t taken = 0;
  while (taken < in.size()) {
    std::size_t at = taken;
    Request request;
    const Read read = read_request(in, at, request);
    if (read == Read::wrong) return std::nullopt;
    if (read == Read::more) break;
    answer(request, value, out);
    taken = at;
  }
  return taken;
}

}  // namespace nearlane::harness
