#include "servers/http/http_date.h"

#include <ctime>

#include <fmt/chrono.h>

namespace nearlane::http {

const std::string& http_date() {
  struct Cached {
    std::time_t second = 0;
    std::string text = {};
  };
  thread_local Cached cached;
  const std::time_t now = std::time(nullptr);
  if (now != cached.second) {
    cached.second = now;
    cached.text = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));
  }
  return cached.text;
}

}  // namespace nearlane::http
