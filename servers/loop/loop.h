// Loop: one thread's io_context and the connections that live on it.
//
// Threads:   context(), index() and post() from any thread, the rest on the loop's own.
// Lifetime:  outlives its connections; LoopGroup owns it.
// Cost:      a connection costs one set entry; nothing here is on the path of a request.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "servers/loop/connection.h"

namespace nearlane::loop {

class Loop {
 public:
  /// Bytes that one recv takes at most, unless a larger value is on its way.
  static constexpr std::size_t kScratchBytes = std::size_t{64} * 1024;

  explicit Loop(std::size_t index) : index_(index) {}
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }
  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  void post(std::function<void()> task);

  /// Memory that a handler may use until it returns, so that idle connections need no buffers.
  [[nodiscard]] std::span<char> scratch() noexcept { return *scratch_; }
  /// A buffer for whoever has something to send, who gives one back when it is sent: most connections have nothing
  /// most of the time, and what is used next is warm.
  [[nodiscard]] std::string& spare() noexcept { return spare_; }

  /// Owns the connection and starts it; `on_gone` is called when it has left.
  void add(std::shared_ptr<Connection> connection, std::function<void()> on_gone = {});
  void remove(Connection& connection) noexcept;
  [[nodiscard]] std::size_t connections() const noexcept { return connections_.size(); }

  /// Retires every connection, and those that are still to come.
  void retire() noexcept;
  /// Drains every connection, and calls `done` once when the last one has gone.
  void drain(std::function<void()> done);
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  void close_overdue(TimePoint now);

 private:
  std::vector<std::shared_ptr<Connection>> snapshot() const;

  boost::asio::io_context context_{1};
  std::size_t index_;
  std::unique_ptr<std::array<char, kScratchBytes>> scratch_ =
      std::make_unique<std::array<char, kScratchBytes>>();
  std::string spare_;
  std::unordered_map<std::shared_ptr<Connection>, std::function<void()>> connections_;
  bool retiring_ = false;
  bool draining_ = false;
  std::function<void()> drained_;
};

}  // namespace nearlane::loop
