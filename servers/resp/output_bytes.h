// output_bytes: what is in an Output, as one string. For tests alone.
#pragma once

#include <array>
#include <string>

#include "servers/resp/output.h"

namespace nearlane::resp {

/// Takes at most `bytes` from the front, `pieces` at a time.
inline std::string take_bytes(Output& output, std::size_t bytes = std::string::npos,
                              std::size_t pieces = 16) {
  std::string taken;
  std::array<iovec, 16> room;
  while (taken.size() < bytes && !output.empty()) {
    std::size_t sent = 0;
    for (std::size_t i = 0; i < output.gather(std::span(room).first(pieces)); ++i) {
      const std::size_t part = std::min(room[i].iov_len, bytes - taken.size());
      taken.append(static_cast<const char*>(room[i].iov_base), part);
      sent += part;
    }
    output.drop_front(sent);
  }
  return taken;
}

}  // namespace nearlane::resp
