// h2o with static files: one thread, no log, compressed forms taken from the files beside the value.
#include <array>

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "harness/peers/http_peer.h"
#include "harness/report/files.h"

namespace nearlane::harness {
namespace {

constexpr const char* kConfig = R"(
user: {user}
num-threads: 1
max-connections: 4096
http1-request-timeout: 3600
listen:
  host: {host}
  port: {port}
hosts:
  default:
    paths:
      /cache:
        file.dir: {root}/cache
        file.send-compressed: ON
)";

/// Started by root it would give that up, and the files' folder is its owner's alone.
Result<std::string> own_name() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer;
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return Error{Errc::unavailable, "h2o: who runs this has no name"};
  }
  return std::string(found->pw_name);
}

}  // namespace

HttpPeerResult start_h2o(const Site& site, Coding) {
  const auto user = own_name();
  if (!user) return user.error();
  return start_on_free_port(
      site,
      [&](const std::filesystem::path& folder, const Endpoint& endpoint) -> Result<ChildSpec> {
        const auto file = folder / "h2o.conf";
        const auto config =
            fmt::format(kConfig, fmt::arg("user", *user), fmt::arg("host", endpoint.host),
                        fmt::arg("port", endpoint.port), fmt::arg("root", site.root().string()));
        if (const auto written = write_file(file, config); !written) return written.error();
        return ChildSpec{.name = "h2o", .argv = {"h2o", "-c", file}};
      });
}

}  // namespace nearlane::harness
