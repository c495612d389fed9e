#include "harness/gate/counts.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill() is POSIX, not C++
#include <sys/wait.h>
#include <unistd.h>
extern "C" {
#include <sys/pidfd.h>  // Debian 12's header forgets that C++ may include it
}

#include "harness/gate/requests.h"

namespace nearlane::gate {
namespace {

constexpr int kGoneWithinMs = 5000;

std::filesystem::path server() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" /
         "nearlane";
}

/// A gate that counts system calls: says which process is the server's, and waits for its own end.
[[noreturn]] void count_for_ever(int tell) {
  const auto started = Server::start({.program = server(), .under = strace_command("/dev/null")});
  const int pid = started ? started->pid() : 0;
  if (!started) (void)::fprintf(stderr, "%s\n", started.error().detail.c_str());
  [[maybe_unused]] const auto told = ::write(tell, &pid, sizeof pid);
  for (;;) ::pause();
}

TEST(GateCounts, LeaveNoServerBehindWhenTheyAreKilled) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread here
  if (std::system("strace -o /dev/null true") != 0) GTEST_SKIP() << "nobody may trace here";
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t gate = ::fork();
  ASSERT_GE(gate, 0);
  if (gate == 0) count_for_ever(pipe[1]);
  ::close(pipe[1]);
  int pid = 0;
  ASSERT_EQ(::read(pipe[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  // By its descriptor, as its number may be another's once it is gone.
  const int left = pid > 0 ? ::pidfd_open(pid, 0) : -1;
  ::kill(gate, SIGKILL);
  ::waitpid(gate, nullptr, 0);
  ASSERT_GE(left, 0);
  pollfd ended{.fd = left, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, kGoneWithinMs), 1) << "the server, " << pid << ", is still there";
  ::pidfd_send_signal(left, SIGKILL, nullptr, 0);
  ::close(left);
  ::close(pipe[0]);
}

TEST(GateCounts, TellAProgramThatTookTooLongFromOneThatFailed) {
  const Error crashed{Errc::unavailable, "killed by signal 11"};
  const auto failed = absent_of(std::nullopt, crashed);
  EXPECT_EQ(failed.base, "");
  EXPECT_EQ(failed.head, "killed by signal 11");
  EXPECT_FALSE(failed.head_timed_out);
  EXPECT_TRUE(absent_of(std::nullopt, Error{Errc::timeout}).head_timed_out);
  EXPECT_EQ(absent_of(std::nullopt, Error{Errc::timeout}).head, "timeout");
  EXPECT_FALSE(absent_of(Error{Errc::timeout, "late"}, std::nullopt).head_timed_out);
}

TEST(GateCounts, CutAReasonBetweenCharacters) {
  const auto cut = [](std::size_t before) {
    const Error said{Errc::unavailable, std::string(before, 'x') + "\u20AC and more"};  // 3 bytes
    return absent_of(said, std::nullopt).base.size();
  };
  EXPECT_EQ(cut(397), 400U);
  EXPECT_EQ(cut(398), 398U);
  EXPECT_EQ(cut(399), 399U);
  EXPECT_EQ(cut(400), 400U);
}

}  // namespace
}  // namespace nearlane::gate
