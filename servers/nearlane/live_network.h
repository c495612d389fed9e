// Clients of either door that stay connected, and a road between an instance and Redis on which things go
// wrong: for live tests.
//
// Threads:   a Road has one of its own; hold() and release() from the test's.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {

using SteadyClock = std::chrono::steady_clock;

/// One client connection of either door, kept open.
class Client {
 public:
  explicit Client(int port) : fd_(dial(port)) {}
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) const {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Whether anything comes within so long.
  [[nodiscard]] bool hears_within(std::chrono::milliseconds patience) const {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    return !read_.empty() || ::poll(&waiting, 1, static_cast<int>(patience.count())) > 0;
  }
  /// A RESP2 reply that is no array, as it came.
  std::string reply() {
    std::string text = through("\r\n");
    if (text.starts_with('$') && !text.starts_with("$-")) {
      text += take(static_cast<std::size_t>(std::atoi(text.c_str() + 1)) + 2);
    }
    return text;
  }
  std::string resp(const std::string& command) {
    send(command + "\r\n");
    return reply();
  }

  struct Response {
    std::string status;
    std::string head;
    std::string body;
    [[nodiscard]] bool from_l1() const { return head.find("X-Cache: L1") != std::string::npos; }
  };
  static std::string request(const std::string& method, const std::string& target) {
    return method + " " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  }
  Response response() {
    Response got;
    got.head = through("\r\n\r\n");
    got.status = got.head.substr(0, 12).substr(std::min<std::size_t>(9, got.head.size()));
    const std::size_t length = got.head.find("Content-Length: ");
    if (length != std::string::npos) {
      got.body = take(static_cast<std::size_t>(std::atoi(got.head.c_str() + length + 16)));
    }
    return got;
  }
  Response http(const std::string& method, const std::string& target) {
    send(request(method, target));
    return response();
  }

 private:
  bool receive() {
    std::array<char, 4096> chunk{};
    const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (got > 0) read_.append(chunk.data(), static_cast<std::size_t>(got));
    return got > 0;
  }
  std::string take(std::size_t size) {
    while (read_.size() < size && receive()) {
    }
    std::string out = read_.substr(0, size);
    read_.erase(0, size);
    return out;
  }
  std::string through(std::string_view end) {
    std::size_t at = read_.find(end);
    while (at == std::string::npos && receive()) at = read_.find(end);
    return take(at == std::string::npos ? read_.size() : at + end.size());
  }

  int fd_;
  std::string read_;
};

/// The road from an instance to Redis. A deaf one loses the pushes of Redis and nothing else, as no network
/// does: it stands for a store that says it tracks and does not. While a road is held, what the instance says arrives, and what Redis
/// says does not: nothing is lost or reordered, as when the network stalls.
class Road {
 public:
  explicit Road(int redis, bool deaf = false)
      : redis_(redis), deaf_(deaf), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&any), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &size);
    port = ntohs(any.sin_port);
    thread_ = std::thread([this] { carry(); });
  }
  ~Road() {
    ended_ = true;
    thread_.join();
    ::close(listener_);
    for (const auto& [instance, redis] : pairs_) {
      ::close(instance);
      ::close(redis);
    }
  }
  Road(const Road&) = delete;
  Road& operator=(const Road&) = delete;

  /// Returns when nothing is under way on the road any more.
  void hold() {
    held_ = true;
    const unsigned now = turns_;
    while (turns_ < now + 2) std::this_thread::yield();
  }
  void release() { held_ = false; }

  int port = 0;

 private:
  void carry() {
    while (!ended_) {
      std::vector<pollfd> waits = {{.fd = listener_, .events = POLLIN, .revents = 0}};
      const bool held = held_;
      for (const auto& [instance, redis] : pairs_) {
        waits.push_back({.fd = instance, .events = POLLIN, .revents = 0});
        waits.push_back({.fd = held ? -1 : redis, .events = POLLIN, .revents = 0});
      }
      ::poll(waits.data(), waits.size(), 1);
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        if (waits[1 + 2 * i].revents != 0) forward(pairs_[i].first, pairs_[i].second, false);
        if (waits[2 + 2 * i].revents != 0) forward(pairs_[i].second, pairs_[i].first, deaf_);
      }
      if (waits[0].revents != 0)
        pairs_.emplace_back(::accept(listener_, nullptr, nullptr), dial(redis_));
      ++turns_;
    }
  }
  static void forward(int from, int to, bool deaf) {
    std::array<char, 65536> chunk{};
    const ssize_t got = ::recv(from, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got == 0) ::shutdown(to, SHUT_RDWR);
    if (got <= 0) return;
    std::string bytes(chunk.data(), static_cast<std::size_t>(got));
    if (deaf) drop_pushes(bytes);
    ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  /// Redis sends a push of one key in one piece.
  static void drop_pushes(std::string& bytes) {
    constexpr std::string_view kHead = ">2\r\n$10\r\ninvalidate\r\n";
    for (std::size_t at = bytes.find(kHead); at != std::string::npos; at = bytes.find(kHead, at)) {
      std::size_t end = at + kHead.size();
      for (int line = 0; line < 3; ++line) end = bytes.find("\r\n", end) + 2;  // *1, $N, the name
      bytes.erase(at, end - at);
    }
  }

  int redis_;
  bool deaf_;
  int listener_;
  std::vector<std::pair<int, int>> pairs_;  // the instance's socket, Redis's
  std::atomic<bool> held_{false};
  std::atomic<bool> ended_{false};
  std::atomic<unsigned> turns_{0};
  std::thread thread_;
};

inline std::string redis_url(int port) { return "redis://127.0.0.1:" + std::to_string(port); }

}  // namespace nearlane::live
