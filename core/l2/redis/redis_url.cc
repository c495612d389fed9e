#include "core/l2/redis/redis_url.h"

#include <charconv>

#include <boost/url/parse.hpp>
#include <boost/url/src.hpp>
#include <boost/url/url_view.hpp>

#include "core/base/key.h"

namespace nearlane::l2 {
namespace {

Error wrong(std::string_view what) {
  return {Errc::invalid_argument,
          "l2: " + std::string(what) +
              "; a Redis URL is redis://[[user]:password@]host[:port][/db], or rediss:// for TLS"};
}

}  // namespace

std::string Endpoint::to_string() const {
  const bool bare_v6 = host.find(':') != std::string::npos;
  return (bare_v6 ? "[" + host + "]" : host) + ":" + port;
}

Result<RedisUrl> parse_redis_url(std::string_view text) {
  const auto parsed = boost::urls::parse_uri(boost::core::string_view(text.data(), text.size()));
  if (!parsed) return wrong("the URL cannot be read");
  const boost::urls::url_view& url = *parsed;
  if (url.scheme() != "redis" && url.scheme() != "rediss")
    return wrong("the scheme is neither redis nor rediss");
  if (url.has_query() || url.has_fragment())
    return wrong("a query or fragment has no meaning here");

  RedisUrl result;
  result.tls = url.scheme() == "rediss";
  result.server.host = url.host_address();
  if (result.server.host.empty()) return wrong("the host is missing");
  if (url.has_port() && !url.port().empty()) {
    if (url.port_number() == 0) return wrong("the port is not between 1 and 65535");
    result.server.port = std::string(url.port());
  }
  if (url.has_userinfo()) {
    result.user = url.user();
    result.password = url.password();
    if (!url.has_password()) return wrong("there is a user but no password");
  }
  std::string path = url.path();
  if (path.starts_with('/')) path.erase(0, 1);
  if (!path.empty()) {
    const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), result.db);
    if (error != std::errc() || end != path.data() + path.size() || result.db >= kDatabases) {
      return wrong("the database is not a number from 0 to 63");
    }
  }
  return result;
}

}  // namespace nearlane::l2
