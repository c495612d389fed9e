// Options of SET and SETEX, from words that a client sends: what is accepted must be a time in the
//                                                           future.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "servers/resp/command_table.h"
#include "servers/resp/set_options.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> args = {"SET", "key", "value"};
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find(' ', from), text.size());
    args.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  for (const auto& set :
       {resp::parse_set(args), resp::parse_setex(args, false), resp::parse_setex(args, true)}) {
    if (!set) continue;
    const auto& expiry = set->options.expiry;
    const bool timed =
        expiry.kind == tier::Expiry::Kind::in || expiry.kind == tier::Expiry::Kind::at;
    if (timed != (expiry.milliseconds > 0)) std::abort();
  }
  static_cast<void>(resp::find_command(text));
  return 0;
}
