#include "servers/loop/address.h"

#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

namespace nearlane::loop {

namespace {

bool is_v6(const std::string& host) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

bool is_v4(const std::string& host) {
  in_addr parsed{};
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1;
}

Error unreadable(std::string_view text, std::string_view why) {
  return {Errc::invalid_argument,
          fmt::format("cannot listen on \"{}\": {}; write ADDR:PORT, unix:PATH or off", text, why)};
}

}  // namespace

bool Address::local_only() const {
  if (kind != Kind::tcp) return true;
  return host == "::1" || host.starts_with("127.");
}

std::string Address::to_text() const {
  switch (kind) {
    case Kind::off:
      return "off";
    case Kind::unix_path:
      return "unix:" + path;
    case Kind::tcp:
      break;
  }
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<Address> parse_address(std::string_view text) {
  Address address;
  if (text == "off") return address;
  if (text.starts_with("unix:")) {
    address.kind = Address::Kind::unix_path;
    address.path = text.substr(5);
    if (address.path.empty()) return unreadable(text, "the path is empty");
    if (address.path.size() >= sizeof(sockaddr_un::sun_path)) {
      return unreadable(text, "the path is too long for a socket");
    }
    return address;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return unreadable(text, "there is no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  address.kind = Address::Kind::tcp;
  address.host = host;
  if (!is_v4(address.host) && !is_v6(address.host)) {
    return unreadable(text, "the address must be a number, such as 127.0.0.1 or [::1]");
  }
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (failed != std::errc() || end != port.data() + port.size()) {
    return unreadable(text, "the port must be a number from 0 to 65535");
  }
  return address;
}

}  // namespace nearlane::loop
