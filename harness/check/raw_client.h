// A blocking RESP connection that hands out the bytes as they came, to be compared byte for byte.
//
// Errors:   unavailable (no connection), timeout, connection_lost (the peer closed), protocol.
// Threads:  one user at a time.
// Cost:     one recv for each piece that arrives; for tests, never for measuring.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/protocol/reply.h"
#include "core/protocol/reply_parser.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct RawReply {
  std::string bytes;
  protocol::Reply reply;
};

class RawClient {
 public:
  [[nodiscard]] static Result<RawClient> connect(const Endpoint& endpoint);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&& other) noexcept;

  /// Takes in what the peer sends meanwhile, so that a peer that stops reading until its replies are
  /// taken cannot stop us both.
  [[nodiscard]] Result<void> send(std::string_view bytes,
                                  Duration limit = std::chrono::seconds(10));
  /// Sends, and reads nothing, until the peer has taken nothing for `patience`; how much was sent.
  [[nodiscard]] std::size_t send_until_stalled(std::string_view bytes, Duration patience);
  [[nodiscard]] Result<RawReply> read(Duration limit = std::chrono::seconds(10));
  /// All that comes until the peer closes.
  [[nodiscard]] Result<std::string> read_to_end(Duration limit = std::chrono::seconds(10));
  /// Says that nothing more will be sent; replies can still be read.
  void finish_sending() const noexcept;

 private:
  explicit RawClient(int fd) noexcept : fd_(fd) {}
  Result<short> wait_for(short events, TimePoint deadline) const;
  Result<void> receive(TimePoint deadline);

  int fd_;
  protocol::ReplyParser parser_;
  std::string received_;  // not handed out yet
};

}  // namespace nearlane::harness
