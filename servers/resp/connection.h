// Connection: carries the bytes of one RESP client between its socket and its Session.
//
// One recv, every complete command served, one send. It waits with async_wait and calls recv
// itself, because Asio's own read tries once too often. Bytes are received into the loop's scratch
// memory and answered from its spare buffer: a connection owns one only while half a command is waiting
// in it, or a reply for the peer to take it.
//
// Threads:   its loop's.
// Errors:    the peer's are answered by the session; the socket's close the connection.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "servers/loop/connection.h"
#include "servers/loop/loop.h"
#include "servers/resp/session.h"

namespace nearlane::resp {

class Connection final : public loop::Connection, private Session::Host {
 public:
  using MakeSession = std::function<std::shared_ptr<Session>(Session::Host&)>;

  /// A peer that takes none of the bytes that wait for it for so long is given up.
  static constexpr auto kSlowReader = std::chrono::seconds(30);

  Connection(loop::Loop& home, int socket, const MakeSession& make_session);

  void start() override { wait_readable(); }
  void drain() noexcept override;
  void close() noexcept override;

 private:
  void answered() noexcept override;
  void wait_readable();
  void wait_writable();
  void receive();
  void serve(std::string_view input, TimePoint received);
  void serve_held();
  void move_on();
  bool send();
  [[nodiscard]] std::shared_ptr<Connection> self() {
    return std::static_pointer_cast<Connection>(shared_from_this());
  }

  loop::Loop& home_;
  boost::asio::posix::stream_descriptor socket_;
  std::shared_ptr<Session> session_;
  std::string input_;  // what is not served yet
  bool waits_to_read_ = false;
  bool waits_to_write_ = false;
  bool draining_ = false;
  bool ended_ = false;  // the peer sends no more; what it asked for is still answered
};

}  // namespace nearlane::resp
