// Any bytes, parsed whole and split at a point that the first byte chooses: the same commands, the
// same error.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/protocol/command_parser.h"

namespace {

using nearlane::protocol::CommandLimits;
using nearlane::protocol::CommandParser;

// Small enough that inputs of a few KiB come up against each.
constexpr CommandLimits kLimits{.max_arguments = 64,
                                .max_bulk_bytes = 1024,
                                .max_inline_bytes = 256,
                                .max_command_bytes = 2048};

struct Stream {
  // False: the stream has ended in an error.
  bool feed(std::string_view bytes) {
    buffer += bytes;
    while (error.empty() && !buffer.empty()) {
      const auto status = parser.parse(buffer);
      if (!status) {
        error = status.error().detail;
        if (error.empty()) __builtin_trap();
      } else if (*status == CommandParser::Status::need_more) {
        if (parser.missing() == 0) __builtin_trap();
        return true;
      } else {
        commands.emplace_back(parser.args().begin(), parser.args().end());
        if (parser.consumed() == 0 || parser.consumed() > buffer.size()) __builtin_trap();
        buffer.erase(0, parser.consumed());
      }
    }
    return error.empty();
  }

  CommandParser parser{kLimits};
  std::string buffer;
  std::vector<std::vector<std::string>> commands;
  std::string error;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = data[0] % bytes.size();
  Stream whole;
  whole.feed(bytes);
  Stream split;
  if (split.feed(bytes.substr(0, cut))) split.feed(bytes.substr(cut));
  if (whole.commands != split.commands || whole.error != split.error) __builtin_trap();
  return 0;
}
