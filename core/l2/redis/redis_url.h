// Reads redis://[[user]:password@]host[:port][/db].
//
// Errors:    invalid_argument, saying which part of the URL is wrong; the password is never part of
//            a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::l2 {

struct RedisUrl {
  std::string host = "127.0.0.1";
  std::string port = "6379";
  std::string user = {};
  std::string password = {};
  std::uint32_t db = 0;
};

[[nodiscard]] Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace nearlane::l2
