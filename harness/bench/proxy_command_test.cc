// The real program, as a person would run it.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGINT is POSIX, not C++

#include "harness/check/http_client.h"
#include "harness/topology/child.h"
#include "harness/topology/endpoint.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string kReady = "nearlane-bench proxy ready api=http://";

Result<Child> start(const std::vector<std::string>& arguments) {
  const auto program = find_beside("nearlane-bench");
  if (!program) return program.error();
  ChildSpec spec{.name = "nearlane-bench", .argv = {program->string(), "proxy"}};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  return Child::start(std::move(spec));
}

std::string output_of(const std::vector<std::string>& arguments, const std::string& status) {
  auto child = start(arguments);
  if (!child) return child.error().detail;
  const auto ended = child->wait(60s);
  EXPECT_TRUE(ended && ended->to_string() == status) << child->last_output(80);
  return child->last_output(80);
}

TEST(ProxyCommand, SaysWhereItIsAndRunsUntilASignal) {
  const auto folder = TempDir::make().value();
  const auto file = folder.path() / "proxies.json";
  std::ofstream(file) << R"([{"name": "a", "upstream": "127.0.0.1:1"}])";
  for (const int signal : {SIGINT, SIGTERM}) {
    auto proxy = start({"--api", "127.0.0.1:0", "--populate", file.string()});
    ASSERT_TRUE(proxy) << proxy.error().detail;
    const auto line = proxy->wait_line(kReady, 60s);
    ASSERT_TRUE(line) << line.error().detail;
    EXPECT_THAT(*line, HasSubstr(" proxies=1"));
    const auto address =
        line->substr(kReady.size(), line->find(' ', kReady.size()) - kReady.size());
    HttpClient api(Endpoint::parse(address).value());
    EXPECT_THAT(api.exchange("GET", "/proxies").body, HasSubstr(R"("name":"a")"));
    ASSERT_TRUE(proxy->signal(signal));
    const auto ended = proxy->wait(60s);
    ASSERT_TRUE(ended) << ended.error().detail;
    EXPECT_EQ(ended->to_string(), "exit code 0");
    EXPECT_EQ(proxy->last_output(80), *line) << "one line, and no other";
  }
}

TEST(ProxyCommand, SaysWhatToDoNext) {
  const auto help = output_of({"--help"}, "exit code 0");
  EXPECT_THAT(help, HasSubstr("127.0.0.1:8474"));
  EXPECT_THAT(help, HasSubstr("curl -d '{\"type\": \"latency\""));
  EXPECT_THAT(help, HasSubstr("cut_at_frame"));
}

TEST(ProxyCommand, ExitsWith2WhenItCannotRun) {
  const auto folder = TempDir::make().value();
  const auto path = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder.path() / name) << text;
    return (folder.path() / name).string();
  };
  const std::string wrong = "exit code 2";
  EXPECT_THAT(output_of({"--api", "nonsense"}, wrong), HasSubstr("is not HOST:PORT"));
  EXPECT_THAT(output_of({"--api", "0.0.0.0:0"}, wrong), HasSubstr("this machine alone"));
  EXPECT_THAT(
      output_of({"--api", "127.0.0.1:0", "--populate", (folder.path() / "none").string()}, wrong),
      HasSubstr("none"));
  EXPECT_THAT(output_of({"--api", "127.0.0.1:0", "--populate", path("empty", "")}, wrong),
              HasSubstr("it is empty"));
  EXPECT_THAT(output_of({"--api", "127.0.0.1:0", "--populate", path("text", "text")}, wrong),
              HasSubstr("populate: bad request body: not JSON"));
  EXPECT_THAT(output_of({"--no-such-flag"}, wrong), HasSubstr("no-such-flag"));
}

}  // namespace
}  // namespace nearlane::harness
