#include "harness/topology/child.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGKILL and kill() are POSIX, not C++
#include <unistd.h>
extern "C" {
#include <sys/pidfd.h>  // Debian 12's header forgets that C++ may include it
}

#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kLimit = 20s;
constexpr const char* kOwnerFlag = "--own-a-redis";

Child start_shell(const std::string& script) {
  auto child = Child::start({.name = "shell", .argv = {"sh", "-c", script}});
  EXPECT_TRUE(child) << child.error().detail;
  return std::move(*child);
}

/// Waits for the end of a process that is not our child; false past the limit.
bool wait_gone(int pidfd, std::chrono::milliseconds limit) {
  pollfd wait{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, static_cast<int>(limit.count())) == 1;
}

TEST(Child, TellsTheExitCodeAndKeepsTheOutput) {
  auto child = start_shell("echo out; echo err >&2; exit 3");
  auto status = child.wait(kLimit);
  ASSERT_TRUE(status) << status.error().detail;
  EXPECT_EQ(*status, (ExitStatus{.signalled = false, .code = 3}));
  EXPECT_EQ(child.last_output(), "out\nerr");
  EXPECT_EQ(child.last_output(1), "err");
  EXPECT_FALSE(child.running());
  EXPECT_EQ(child.signal(SIGTERM).error().code, Errc::unavailable);
}

TEST(Child, ItsVariablesTakeThePlaceOfItsOwners) {
  auto child = Child::start({.name = "shell",
                             .argv = {"sh", "-c", "sh -c 'echo $HOME'; env | grep -c '^HOME='"},
                             .env = {"HOME=of the child"}});
  ASSERT_TRUE(child) << child.error().detail;
  ASSERT_TRUE(child->wait(kLimit));
  EXPECT_EQ(child->last_output(), "of the child\n1");
}

TEST(Child, NamesAProgramThatIsNotThere) {
  auto child = Child::start({.name = "x", .argv = {"no-such-program-anywhere"}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, Errc::invalid_argument);
  EXPECT_THAT(child.error().detail, HasSubstr("no-such-program-anywhere"));
}

TEST(Child, TellsWhyAProgramCannotBeExecuted) {
  auto folder = TempDir::make();
  ASSERT_TRUE(folder);
  const auto path = folder->path() / "not-a-program";
  std::ofstream(path) << "\x7f";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  auto child = Child::start({.name = "x", .argv = {path.string()}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, Errc::unavailable);
  EXPECT_THAT(child.error().detail, HasSubstr("Exec format error"));
}

TEST(Child, FindsTheReadyLineAndShowsTheLastLinesWhenThereIsNone) {
  auto child = start_shell("echo starting; echo 'ready port=7'; exec sleep 1000");
  auto line = child.wait_line("ready ", kLimit);
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "ready port=7");

  auto late = child.wait_line("never", 50ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timeout);

  auto dying = start_shell("echo 'cannot bind'; exit 1");
  auto none = dying.wait_line("ready ", kLimit);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::unavailable);
  EXPECT_THAT(none.error().detail, HasSubstr("exit code 1"));
  EXPECT_THAT(none.error().detail, HasSubstr("cannot bind"));
}

TEST(Child, TerminateKillsWhatIgnoresTheSignal) {
  auto child = start_shell("trap '' TERM; echo armed; while :; do sleep 1; done");
  ASSERT_TRUE(child.wait_line("armed", kLimit));
  auto status = child.terminate(100ms);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::timeout);
  EXPECT_EQ(*child.wait(kLimit), (ExitStatus{.signalled = true, .code = SIGKILL}));
}

TEST(Child, KillsItsGrandchildrenToo) {
  int grandchild = -1;
  {
    auto child = start_shell("sleep 1000 & echo \"grandchild $!\"; wait");
    auto line = child.wait_line("grandchild ", kLimit);
    ASSERT_TRUE(line) << line.error().detail;
    grandchild = ::pidfd_open(std::stoi(line->substr(line->find(' '))), 0);
    ASSERT_GE(grandchild, 0);
  }
  EXPECT_TRUE(wait_gone(grandchild, kLimit));
  ::close(grandchild);
}

TEST(Child, OutlivesTheThreadThatStartedIt) {
  Child child = [] {
    std::unique_ptr<Child> made;
    std::thread([&] {
      made = std::make_unique<Child>(start_shell("echo up; exec sleep 1000"));
    }).join();
    return std::move(*made);
  }();
  ASSERT_TRUE(child.wait_line("up", kLimit));
  EXPECT_FALSE(child.wait(100ms));  // timeout: nothing ended it
  EXPECT_TRUE(child.running());
}

TEST(Child, CutsALogAtItsCapAndSaysSo) {
  auto folder = TempDir::make();
  ASSERT_TRUE(folder);
  const auto log = folder->path() / "child.log";
  {
    auto child =
        Child::start({.name = "noisy",
                      .argv = {"sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end"},
                      .log = log,
                      .log_cap = 1000,
                      .output_cap = 500});
    ASSERT_TRUE(child);
    ASSERT_TRUE(child->wait(kLimit));
    EXPECT_EQ(child->last_output(1), "end") << "memory keeps the newest";
    EXPECT_LE(child->last_output(1000).size(), 500U);
  }
  std::ifstream file(log);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_LT(text.size(), 1100U);
  EXPECT_THAT(text, HasSubstr("the log's cap is 1000 bytes"));
}

TEST(Child, CountsProcessorTimeAndMemory) {
  auto child =
      start_shell("i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; echo done; kill -STOP $$");
  ASSERT_TRUE(child.wait_line("done", 60s));
  const auto used = child.usage();
  EXPECT_GT(used.cpu(), 20ms);
  EXPECT_LT(used.cpu(), 60s);
  EXPECT_GT(used.rss_bytes, 100'000U);
  child.kill();
  EXPECT_GE(child.usage().cpu() + 20ms, used.cpu()) << "what was used is known after the end";
  EXPECT_EQ(child.usage().rss_bytes, 0U);
}

// The owner is this same program with kOwnerFlag: it starts a redis-server and waits to be killed.
TEST(Child, DiesWithAnOwnerThatIsKilled) {
  auto owner = Child::start({.name = "owner", .argv = {"/proc/self/exe", kOwnerFlag}});
  ASSERT_TRUE(owner) << owner.error().detail;
  auto line = owner->wait_line("owned ", kLimit);
  ASSERT_TRUE(line) << line.error().detail;
  const int owned = ::pidfd_open(std::stoi(line->substr(line->find(' '))), 0);
  ASSERT_GE(owned, 0);
  EXPECT_FALSE(wait_gone(owned, 0ms)) << "it must be alive before";
  // Only the owner itself, not its group, so that what is tested is the kernel's signal.
  ASSERT_TRUE(owner->signal(SIGKILL));
  EXPECT_TRUE(wait_gone(owned, kLimit));
  ::close(owned);
}

int own_a_redis() {
  auto server = RedisServer::start();
  if (!server) {
    std::fputs(server.error().detail.c_str(), stderr);
    return 1;
  }
  std::printf("owned %d\n", server->child().pid());
  std::fflush(stdout);
  while (true) ::pause();
}

}  // namespace
}  // namespace nearlane::harness

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == nearlane::harness::kOwnerFlag) {
    return nearlane::harness::own_a_redis();
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
