// Clients that are slow on purpose, as slowhttptest makes them: each is hung up on when its time is over, and whoever else
// asks is answered meanwhile.
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

constexpr int kEach = 100;  // connections of each kind

/// So many connections, each of which does as little as it can every second, for much longer than it may.
std::vector<std::string> slow(const Nearlane& server, const std::string& path,
                              const std::vector<std::string>& how) {
  std::vector<std::string> line = {
      "slowhttptest", "-c", std::to_string(kEach), "-r", "100", "-i", "1", "-l", "60", "-u"};
  line.push_back("http://127.0.0.1:" + std::to_string(server.http) + path);
  line.insert(line.end(), how.begin(), how.end());
  return line;
}

/// Of all clients, the one that asks among them.
int connections(const Nearlane& server) {
  return std::atoi(
      run("curl -s -m 5 " + url(server, "/metrics") + " | sed -n 's/^nearlane_connections //p'")
          .c_str());
}

/// Asks as others do until so many are connected.
void ask_until_connected(const Nearlane& server, int least, int most) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  int connected = 0;
  do {
    ASSERT_EQ(run("curl -s -m 5 " + url(server, "/cache/k")), "value");
    connected = connections(server);
  } while ((connected < least || connected > most) && std::chrono::steady_clock::now() < until);
  EXPECT_GE(connected, least);
  EXPECT_LE(connected, most);
}

TEST(HttpSlow, WhoeverIsSlowIsCutOffAndOthersAreAnswered) {
  const Nearlane server("memory:",
                        {"--http-header-timeout", "3s", "--http-transfer-timeout", "3s"});
  ASSERT_EQ(run("curl -s -m 10 -X PUT -d value " + url(server, "/cache/k")), "");
  ASSERT_EQ(run("head -c 4000000 /dev/zero | curl -s -m 10 -T - " + url(server, "/cache/large")),
            "");
  Child headers(slow(server, "/cache/k", {"-H", "-x", "10"}));
  Child bodies(slow(server, "/cache/b", {"-B", "-t", "PUT", "-s", "4096", "-x", "10"}));
  Child readers(slow(server, "/cache/large", {"-X", "-z", "500", "-w", "10", "-y", "20"}));
  ask_until_connected(server, kEach, 4 * kEach);
  ask_until_connected(server, 1, 3);
  for (Child* each : {&headers, &bodies, &readers}) {
    EXPECT_THAT(each->line_with("Exit status"), testing::HasSubstr("No open connections left"));
  }
  EXPECT_EQ(run("curl -s -m 5 -o /dev/null -w '%{http_code}' " + url(server, "/cache/b")), "404");
}

}  // namespace
}  // namespace nearlane::live
