// Both lanes answer alike: a server with the fast lane and one without are sent the same bytes in one connection. The
// first byte says where these are cut in two.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "servers/http/test_server.h"

namespace {

using nearlane::http::put_request;
using nearlane::http::TestServer;

/// As if nothing had been sent before.
void fill(TestServer& server) {
  if (!server.converse(put_request("a", "value") + put_request("b:1", std::string(700, 'b')))
           .starts_with("HTTP/1.1 20")) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static TestServer fast({});
  static TestServer slow({.fast_lane = false});
  fill(fast);
  fill(slow);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t cut =
      bytes.empty() ? 0 : static_cast<unsigned char>(bytes.front()) % bytes.size();
  if (!bytes.empty()) bytes.erase(0, 1);
  // Tells what was left behind.
  bytes += "GET /cache/a HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::vector<std::string_view> pieces = {std::string_view(bytes).substr(0, cut),
                                                std::string_view(bytes).substr(cut)};
  const std::string with = nearlane::http::without_dates(fast.converse(pieces));
  const std::string without = nearlane::http::without_dates(slow.converse(pieces));
  if (with != without) std::abort();
  return 0;
}
