// A protocol as the generator sees it: requests to bytes, bytes to replies. No I/O.
//
// Errors:   feed and next answer protocol or too_large for what the peer must not send; the connection is
//           then of no more use.
// Threads:  one codec a connection, one thread.
// Lifetime: a Reply's text is valid until the next call of feed or next.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "harness/driver/request.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct Reply {
  Outcome outcome = Outcome::error;
  Failure failure = Failure::none;
  std::string_view text = {};  // the value of a hit, or what the error says
  bool closes = false;         // the peer closes the connection after it
};

class Codec {
 public:
  virtual ~Codec() = default;
  virtual void encode(const Request& request, std::string& out) = 0;
  /// Takes bytes as they came.
  [[nodiscard]] virtual Result<void> feed(std::string_view bytes) = 0;
  /// The next whole reply, to a request of this kind; false when more bytes are needed.
  [[nodiscard]] virtual Result<bool> next(Op kind, Reply& reply) = 0;
  /// A new connection: forget what was fed.
  virtual void reset() = 0;
};

enum class Protocol : std::uint8_t { resp, http };
/// How a read is asked for over HTTP: with its value, or the head of such an answer alone.
enum class HttpReads : std::uint8_t { get, head };

/// `headers`: lines that each HTTP request carries besides Host, each ending in CRLF; RESP ignores them, and `reads`.
[[nodiscard]] std::unique_ptr<Codec> make_codec(Protocol protocol, const Endpoint& peer,
                                                std::string_view headers = {},
                                                HttpReads reads = HttpReads::get);

}  // namespace nearlane::harness
