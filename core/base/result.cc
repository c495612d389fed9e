#include "core/base/result.h"

#include <stdexcept>

namespace nearlane {

std::string_view to_string(Errc code) noexcept {
  switch (code) {
    case Errc::timeout:
      return "timeout";
    case Errc::unavailable:
      return "unavailable";
    case Errc::connection_lost:
      return "connection_lost";
    case Errc::protocol:
      return "protocol";
    case Errc::too_large:
      return "too_large";
    case Errc::busy:
      return "busy";
    case Errc::l2_error:
      return "l2_error";
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::unsupported:
      return "unsupported";
    case Errc::shutting_down:
      return "shutting_down";
    case Errc::refused:
      return "refused";
  }
  return "unknown";
}

void throw_exception_from_error(const Error& error, const boost::source_location& loc) {
  throw std::logic_error(std::string(loc.file_name()) + ":" + std::to_string(loc.line()) +
                         ": value() of an error: " + std::string(to_string(error.code)) + " " +
                         error.detail);
}

}  // namespace nearlane
