// nearlane-peer-canned-resp BYTES: answers RESP requests with a ready value of so many bytes.
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "harness/driver/sequence.h"
#include "harness/peers/canned_resp.h"
#include "harness/peers/canned_server.h"

namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20U;  // of the value
constexpr std::size_t kMostHeld = std::size_t{16} << 20U;

/// 0: it is no number, or too large.
std::size_t value_bytes(std::string_view text) {
  std::size_t bytes = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  const bool whole = wrong == std::errc{} && end == text.data() + text.size();
  return whole && bytes <= kMostBytes ? bytes : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t bytes = argc == 2 ? value_bytes(argv[1]) : 0;
  if (bytes == 0) {
    std::fputs("usage: nearlane-peer-canned-resp BYTES\n", stderr);
    return 2;
  }
  std::string value;
  nearlane::harness::append_bulk_string(std::string(bytes, nearlane::harness::kCannedByte), value);
  const auto answer = [&value](std::string_view in, std::string& out) {
    return nearlane::harness::answer_canned(in, value, out);
  };
  const auto canned =
      std::make_unique<nearlane::harness::CannedServer<decltype(answer)>>(answer, kMostHeld);
  const int port = canned->listen();
  if (port == 0) {
    std::perror("nearlane-peer-canned-resp");
    return 1;
  }
  fmt::print("nearlane-peer-canned-resp ready resp=127.0.0.1:{}\n", port);
  std::fflush(stdout);
  canned->run();
}
