// Connection: carries the bytes of one RESP client between its socket and its Session.
//
// One recv, every complete command served, one send. What comes is read into a small buffer of the
// connection's own: where nothing has come yet, a read costs less than a wait, which would begin with an
// epoll_ctl. The rest of a longer batch goes into the loop's scratch memory, and replies into its spare buffer: a connection owns more only while half a command
// is waiting in it, or a reply for the peer to take it.
//
// A peer that trickles is given up, by what ConnectionLimits says. One that is gone without a word (its machine, or the
// road to it) is found by the kernel, which asks for it as Redis has it asked.
//
// Threads:   its loop's.
// Errors:    the peer's are answered by the session; the socket's close the connection.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/generic/stream_protocol.hpp>

#include "servers/loop/connection.h"
#include "servers/loop/loop.h"
#include "servers/resp/session.h"

namespace nearlane::resp {

struct ConnectionLimits {
  /// A peer that takes none of the bytes that wait for it for so long is given up, and so is one whose command is not
  /// complete so long after its first byte, and a second for each kSlowestBytes that have come of it. Time in which
  /// nothing is read from it, or in which it takes replies that wait for it, does not count for that.
  std::chrono::milliseconds transfer{30'000};
  /// One that says nothing for so long, takes nothing, and waits for nothing; 0: it may, as with Redis's `timeout`.
  std::chrono::milliseconds idle{0};
};

class Connection final : public loop::Connection, private Session::Host {
 public:
  /// What a connection reads without the loop's scratch memory: sixteen GETs of the usual key.
  static constexpr std::size_t kReadBytes = 1024;
  static constexpr std::size_t kSlowestBytes = std::size_t{64} * 1024;  // a second, as over HTTP

  using MakeSession = std::function<std::shared_ptr<Session>(Session::Host&)>;

  Connection(loop::Loop& home, int socket, ConnectionLimits limits,
             const MakeSession& make_session);

  void start() override;
  void drain() noexcept override;
  void close() noexcept override;

 private:
  void answered() noexcept override;
  void wait_readable();
  void wait_writable();
  void receive(std::size_t size);
  std::size_t receive_more(char* into, std::size_t room) noexcept;
  void peer_ended();
  void serve(std::string_view input, TimePoint received);
  void serve_held();
  void move_on();
  [[nodiscard]] TimePoint resumes_at() noexcept;
  [[nodiscard]] TimePoint input_due() const noexcept;
  bool send();
  [[nodiscard]] std::shared_ptr<Connection> self() {
    return std::static_pointer_cast<Connection>(shared_from_this());
  }

  loop::Loop& home_;
  boost::asio::generic::stream_protocol::socket socket_;
  const ConnectionLimits limits_;
  std::shared_ptr<Session> session_;
  std::array<char, kReadBytes> read_;
  std::string input_;      // what is not served yet
  TimePoint active_at_{};  // when something came or went last; the latter with limits_.idle alone
  TimePoint began_at_{};   // when the first byte of input_ came, or reading went on after a pause
  bool paused_ = false;    // what the peer sends is not read, or it has replies to take first
  bool waits_to_read_ = false;
  bool waits_to_write_ = false;
  bool draining_ = false;
  bool ended_ = false;  // the peer sends no more; what it asked for is still answered
};

}  // namespace nearlane::resp
