#include "servers/ok/constant_session.h"

#include "core/protocol/writer.h"
#include "servers/resp/set_options.h"

namespace nearlane::ok {

namespace {

constexpr std::size_t kMaxOutput = std::size_t{1} << 20U;  // bytes; as the real session's

}  // namespace

std::size_t ConstantSession::serve(std::string_view input, TimePoint) {
  std::size_t taken = 0;
  blocked_ = false;
  while (!closing_) {
    if (out_.size() >= kMaxOutput) {
      blocked_ = true;
      break;
    }
    const auto parsed = parser_.parse(input.substr(taken));
    if (parsed.has_error()) {
      protocol::append_error(out_.text(), "ERR " + parsed.error().detail);
      closing_ = true;
      return input.size();
    }
    if (*parsed == protocol::CommandParser::Status::need_more) break;
    if (!parser_.args().empty()) answer();
    taken += parser_.consumed();
  }
  return taken;
}

void ConstantSession::answer() {
  const auto args = parser_.args();
  if (resp::equals_ignoring_case(args[0], "get")) {
    out_.text() += bulk_;
  } else if (resp::equals_ignoring_case(args[0], "ping")) {
    protocol::append_simple(out_.text(), "PONG");
  } else if (resp::equals_ignoring_case(args[0], "config") ||
             resp::equals_ignoring_case(args[0], "command")) {
    protocol::append_array_header(out_.text(), 0);
  } else {
    protocol::append_simple(out_.text(), "OK");
  }
}

}  // namespace nearlane::ok
