// Any bytes, parsed whole and split at a point that the first byte chooses: the same replies, the
// same error. What was read is written again in RESP3 and must be read as the same.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/protocol/reply_parser.h"
#include "core/protocol/writer.h"

namespace {

using nearlane::Errc;
using nearlane::protocol::append_reply;
using nearlane::protocol::Reply;
using nearlane::protocol::ReplyLimits;
using nearlane::protocol::ReplyParser;
using nearlane::protocol::Type;
using nearlane::protocol::Version;

// Small enough that inputs of a few KiB come up against each.
constexpr ReplyLimits kLimits{
    .max_bulk_bytes = 1024, .max_elements = 64, .max_depth = 6, .max_line_bytes = 256};

struct Stream {
  // False: the stream has ended in an error.
  bool feed(std::string_view bytes) {
    while (true) {
      auto next = parser.next(bytes);
      if (!next) {
        error = next.error().code;
        return false;
      }
      if (!next->has_value()) break;
      replies.push_back(std::move(**next));
    }
    if (!bytes.empty()) __builtin_trap();
    return true;
  }

  ReplyParser parser{kLimits};
  std::vector<Reply> replies;
  std::optional<Errc> error;
};

// A blob error may hold line breaks, which the writer replaces, or be longer than a line may be.
bool survives_writing(const Reply& reply) {
  if (reply.type == Type::error && reply.text.find_first_of("\r\n") != std::string::npos) {
    return false;
  }
  if (reply.type == Type::error && reply.text.size() + 2 > kLimits.max_line_bytes) return false;
  for (const Reply& element : reply.elements) {
    if (!survives_writing(element)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = data[0] % bytes.size();
  Stream whole;
  whole.feed(bytes);
  Stream split;
  if (split.feed(bytes.substr(0, cut))) split.feed(bytes.substr(cut));
  if (whole.replies != split.replies || whole.error != split.error) __builtin_trap();
  for (const Reply& reply : whole.replies) {
    if (!survives_writing(reply)) continue;
    std::string written;
    append_reply(written, reply, Version::resp3);
    Stream again;
    if (!again.feed(written) || again.replies != std::vector<Reply>{reply}) __builtin_trap();
  }
  return 0;
}
