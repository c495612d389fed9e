#include "servers/resp/errors.h"

#include <fmt/format.h>

namespace nearlane::resp {

std::string error_text(const Error& error, bool writes, std::chrono::milliseconds l2_timeout) {
  const char* outcome = writes ? "; the outcome of this write is unknown" : "";
  const std::string why = error.detail.empty() ? "" : ": " + error.detail;
  switch (error.code) {
    case Errc::l2_error:
      return error.detail;
    case Errc::timeout:
      return fmt::format("ERR nearlane: L2 did not answer within {} ms{}", l2_timeout.count(),
                         outcome);
    case Errc::unavailable:
      return fmt::format("ERR nearlane: L2 cannot be reached; nothing was sent{}", why);
    case Errc::connection_lost:
      return fmt::format("ERR nearlane: the connection to L2 was lost{}", outcome);
    case Errc::protocol:
      return fmt::format("ERR nearlane: L2 broke the protocol{}{}", outcome, why);
    case Errc::too_large:
      return fmt::format("ERR nearlane: over a configured limit{}", why);
    case Errc::busy:
      return fmt::format("ERR nearlane: a cap is reached; nothing was sent{}", why);
    case Errc::invalid_argument:
      return fmt::format("ERR {}", error.detail.empty() ? "syntax error" : error.detail);
    case Errc::unsupported:
      return fmt::format("ERR {}",
                         error.detail.empty() ? "this L2 has no such command" : error.detail);
    case Errc::shutting_down:
      return fmt::format("ERR nearlane: the server is shutting down{}", outcome);
    case Errc::refused:
      return fmt::format("ERR nearlane: {}", error.detail);
  }
  return "ERR nearlane: internal error";
}

}  // namespace nearlane::resp
