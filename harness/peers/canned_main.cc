// nearlane-peer-canned FILE CODING: answers every request head with the same ready bytes.
//
// A head is what ends in an empty line; it is not looked at.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "harness/peers/canned_server.h"

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::size_t kMostHead = std::size_t{64} << 10U;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: nearlane-peer-canned FILE CODING\n", stderr);
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::string body((std::istreambuf_iterator<char>(file)), {});
  const std::string_view coding = argv[2];
  const std::string coded =
      coding == "identity"
          ? ""
          : fmt::format("Content-Encoding: {}\r\nVary: Accept-Encoding\r\n", coding);
  const std::string ready = fmt::format(
      "HTTP/1.1 200 OK\r\nServer: canned\r\nContent-Type: application/octet-stream\r\n"
      "ETag: \"0123456789abcdef\"\r\n{}Content-Length: {}\r\n\r\n{}",
      coded, body.size(), body);
  const auto answer = [&ready](std::string_view in,
                               std::string& out) -> std::optional<std::size_t> {
    std::string_view left = in;
    // memmem is vectorised, find is not.
    while (const void* end = ::memmem(left.data(), left.size(), kHeadEnd.data(), kHeadEnd.size())) {
      left.remove_prefix(static_cast<std::size_t>(static_cast<const char*>(end) - left.data()) +
                         kHeadEnd.size());
      out.append(ready);
    }
    return in.size() - left.size();
  };
  const auto canned =
      std::make_unique<nearlane::harness::CannedServer<decltype(answer)>>(answer, kMostHead);
  const int port = canned->listen();
  if (!file || port == 0) {
    std::perror("nearlane-peer-canned");
    return 1;
  }
  fmt::print("nearlane-peer-canned ready http=127.0.0.1:{}\n", port);
  std::fflush(stdout);
  canned->run();
}
