// What the live tests of the server are made of: child processes, a redis-server, the server itself, and
// sockets and command lines to speak to it with.
//
// Lifetime:  a child is killed and reaped with its object, and dies with the test.
// Errors:    what does not start fails the test; output that does not come is empty.
#pragma once

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nearlane::live {

using namespace std::chrono_literals;

inline constexpr auto kPatience = 20s;  // for what takes milliseconds unless something is wrong

/// A child process whose standard output is read; killed and reaped with this object.
class Child {
 public:
  explicit Child(std::vector<std::string> args) {
    std::array<int, 2> out{};
    EXPECT_EQ(::pipe2(out.data(), O_CLOEXEC), 0);
    std::vector<char*> argv;
    argv.reserve(args.size() + 1);
    for (auto& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(out[1], STDOUT_FILENO);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out[1]);
    out_ = out[0];
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// The first line that holds `text`; empty: the output ended, or nothing came for long.
  std::string line_with(std::string_view text) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (true) {
      for (std::size_t end = read_.find('\n'); end != std::string::npos; end = read_.find('\n')) {
        std::string line = read_.substr(0, end);
        read_.erase(0, end + 1);
        if (line.find(text) != std::string::npos) return line;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - std::chrono::steady_clock::now());
      pollfd waiting{.fd = out_, .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return "";
      std::array<char, 4096> chunk{};
      const ssize_t got = ::read(out_, chunk.data(), chunk.size());
      if (got <= 0) return "";
      read_.append(chunk.data(), static_cast<std::size_t>(got));
    }
  }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  /// Its exit code; -1: it was killed by a signal.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  std::string read_;
};

inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof any;
  (void)::bind(fd, reinterpret_cast<sockaddr*>(&any), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size);
  ::close(fd);
  return ntohs(any.sin_port);
}

struct Redis {
  explicit Redis(int wanted = 0, const std::vector<std::string>& more = {}) {
    // Somebody else may take the port between our looking and its binding.
    for (int attempt = 0; attempt < 5; ++attempt) {
      port = wanted != 0 ? wanted : free_port();
      std::vector<std::string> args = {
          "redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1",
          "--save",       "",       "--appendonly",       "no"};
      args.insert(args.end(), more.begin(), more.end());
      child = std::make_unique<Child>(args);
      if (!child->line_with("eady to accept connections").empty()) return;
    }
    ADD_FAILURE() << "redis-server does not start";
  }
  int port = 0;
  std::unique_ptr<Child> child;
};

/// Runs a command line; its output, and "exit N" behind it when it failed.
inline std::string run(const std::string& line) {
  FILE* pipe = ::popen(("timeout 110 " + line + " 2>&1").c_str(), "r");
  std::string out;
  std::array<char, 4096> chunk{};
  for (std::size_t got = 0; (got = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
    out.append(chunk.data(), got);
  }
  const int status = ::pclose(pipe);
  if (status != 0) out += "exit " + std::to_string(WEXITSTATUS(status));
  return out;
}

/// Runs a command line until it prints `wanted`, or for long; what it printed last.
inline std::string run_until(const std::string& line, const std::string& wanted) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::string out;
  do {
    out = run(line);
  } while (out != wanted && std::chrono::steady_clock::now() < until);
  return out;
}

/// A place for one store on disk, removed at the end.
class Directory {
 public:
  Directory() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string url() const { return "rocksdb:" + path_ + "/data"; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "nearlane-disk-XXXXXX";
};

struct Nearlane {
  explicit Nearlane(const std::string& l2, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {
        NEARLANE_BINARY, "--resp", "127.0.0.1:0", "--http", "127.0.0.1:0",
        "--l2",          l2,       "--l1-bytes",  "64MiB"};
    args.insert(args.end(), more.begin(), more.end());
    child = std::make_unique<Child>(args);
    const std::string ready = child->line_with("nearlane ready");
    EXPECT_EQ(std::sscanf(ready.c_str(), "nearlane ready resp=127.0.0.1:%d http=127.0.0.1:%d",
                          &resp, &http),
              2)
        << ready;
    // The doors accept before the connections to L2 stand; a busy machine takes its time.
    run_until("curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1:" +
                  std::to_string(http) + "/readyz",
              "200");
  }
  int resp = 0;
  int http = 0;
  std::unique_ptr<Child> child;
};

inline int dial(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

/// Sends all, says that no more comes, and returns all that was answered until the server closed.
inline std::string converse(int port, std::string_view bytes) {
  const int fd = dial(port);
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;  // it closed already: that is an answer, too
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  ::shutdown(fd, SHUT_WR);
  std::string out;
  std::array<char, 65536> chunk{};
  for (ssize_t got = 0; (got = ::recv(fd, chunk.data(), chunk.size(), 0)) > 0;) {
    out.append(chunk.data(), static_cast<std::size_t>(got));
  }
  ::close(fd);
  return out;
}

inline std::string url(const Nearlane& server, std::string_view path) {
  return "'http://127.0.0.1:" + std::to_string(server.http) + std::string(path) + "'";
}

}  // namespace nearlane::live
