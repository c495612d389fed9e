#include "core/l2/redis/redis_url.h"

#include <charconv>
#include <iterator>
#include <utility>

#include <boost/url/parse.hpp>
#include <boost/url/src.hpp>
#include <boost/url/url_view.hpp>

#include "core/base/key.h"
#include "core/protocol/integer.h"

namespace nearlane::l2 {
namespace {

constexpr std::string_view kPlain = "redis://";
constexpr std::string_view kTls = "rediss://";
constexpr std::string_view kSentinel = "redis+sentinel://";
constexpr std::string_view kCluster = "redis+cluster://";
constexpr std::string_view kRedisPort = "6379";
constexpr std::string_view kSentinelPort = "26379";

Error wrong(std::string_view what) {
  return {
      Errc::invalid_argument,
      "l2: " + std::string(what) +
          "; a Redis URL is redis://[[user]:password@]host[:port][/db], rediss:// the same for "
          "TLS, redis+sentinel://[[user]:password@]host[:port],host[:port]/name[/db] where "
          "sentinels know the master, redis+cluster://[[user]:password@]host[:port],host[:port] "
          "where these are nodes of a cluster"};
}

Result<Endpoint> read_endpoint(const boost::urls::url_view& url, std::string_view default_port) {
  Endpoint endpoint{.host = url.host_address(), .port = std::string(default_port)};
  if (endpoint.host.empty()) return wrong("the host is missing");
  if (endpoint.host.find(',') != std::string::npos)
    return wrong("only redis+sentinel:// and redis+cluster:// have several hosts");
  if (url.has_port() && !url.port().empty()) {
    if (url.port_number() == 0) return wrong("the port is not between 1 and 65535");
    endpoint.port = std::string(url.port());
  }
  return endpoint;
}

Result<std::uint32_t> read_db(const std::string& text) {
  std::uint32_t db = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), db);
  if (error != std::errc() || end != text.data() + text.size() || db >= kDatabases)
    return wrong("the database is not a number from 0 to 63");
  return db;
}

/// A URL of one host.
Result<RedisUrl> read_one(const std::string& text) {
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return wrong("the URL cannot be read");
  const boost::urls::url_view& url = *parsed;
  const bool sentinel = text.starts_with(kSentinel);
  const bool cluster = text.starts_with(kCluster);
  if (url.has_query() || url.has_fragment())
    return wrong("a query or fragment has no meaning here");

  RedisUrl result{.tls = text.starts_with(kTls)};
  auto endpoint = read_endpoint(url, sentinel ? kSentinelPort : kRedisPort);
  if (!endpoint) return endpoint.error();
  if (sentinel) {
    result.sentinels.push_back(std::move(*endpoint));
  } else if (cluster) {
    result.nodes.push_back(std::move(*endpoint));
  } else {
    result.server = std::move(*endpoint);
  }
  if (url.has_userinfo()) {
    result.user = url.user();
    result.password = url.password();
    if (!url.has_password()) return wrong("there is a user but no password");
  }
  // What follows a port that is no number is taken for a path.
  if (!url.encoded_path().empty() && !url.encoded_path().starts_with('/'))
    return wrong("the port is not between 1 and 65535");
  const auto segments = url.segments();
  std::vector<std::string> path(segments.begin(), segments.end());
  if (sentinel) {
    if (path.empty() || path.front().empty()) return wrong("the name of the master is missing");
    result.master = std::move(path.front());
    path.erase(path.begin());
  }
  if (path.size() > 1) return wrong("the path says more than the database");
  if (path.empty() || path.front().empty()) return result;
  if (cluster) return wrong("a cluster has no databases to choose from");
  const auto db = read_db(path.front());
  if (!db) return db.error();
  result.db = *db;
  return result;
}

}  // namespace

std::uint16_t Endpoint::port_number() const noexcept {
  const auto number = protocol::read_integer(port);
  return number && *number > 0 && *number <= UINT16_MAX ? static_cast<std::uint16_t>(*number) : 0;
}

std::string Endpoint::to_string() const {
  const bool bare_v6 = host.find(':') != std::string::npos;
  return (bare_v6 ? "[" + host + "]" : host) + ":" + port;
}

Result<RedisUrl> parse_redis_url(std::string_view text) {
  // A URL without an authority can make Boost's parser fail an assertion of its own.
  if (text.starts_with(kPlain) || text.starts_with(kTls)) return read_one(std::string(text));
  const std::string_view scheme = text.starts_with(kCluster) ? kCluster : kSentinel;
  if (!text.starts_with(scheme))
    return wrong("the scheme is none of redis, rediss, redis+sentinel, redis+cluster");
  // What URLs do not have: several hosts. Each is read as the only one.
  const std::size_t begin = scheme.size();
  const std::size_t end = std::min(text.find_first_of("/?#", begin), text.size());
  const std::size_t at = text.substr(0, end).rfind('@');
  const std::size_t hosts = at == std::string_view::npos || at < begin ? begin : at + 1;
  std::string_view rest = text.substr(hosts, end - hosts);
  RedisUrl result;
  std::vector<Endpoint> named;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    auto one = read_one(std::string(text.substr(0, hosts)) + std::string(rest.substr(0, comma)) +
                        std::string(text.substr(end)));
    if (!one) return one.error();
    if (named.size() == kMostHosts) return wrong("more than 64 hosts are named");
    result = std::move(*one);
    named.push_back((scheme == kCluster ? result.nodes : result.sentinels).front());
    rest.remove_prefix(more ? comma + 1 : rest.size());
  }
  (scheme == kCluster ? result.nodes : result.sentinels) = std::move(named);
  return result;
}

}  // namespace nearlane::l2
