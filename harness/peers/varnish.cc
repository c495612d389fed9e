// Varnish with everything in its cache. What it caches it has from an nginx, which is gone before anything is
// measured: a miss would be a 503. It keeps a variant a coding, as any proxy does that has been told to Vary, and does not
// compress by itself (http_gzip_support): it knows no br, and would unpack gzip for who accepts none.
#include <fmt/format.h>

#include "harness/driver/generator.h"
#include "harness/peers/http_peer.h"
#include "harness/report/files.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr const char* kConfig = R"(
vcl 4.1;
backend origin {{ .host = "{host}"; .port = "{port}"; }}
sub vcl_backend_response {{ set beresp.ttl = 1d; }}
)";
/// Of a value beside its bytes. Unit: bytes.
constexpr std::size_t kOverhead = 4096;
constexpr std::uint32_t kConnections = 16;  // that fill it

Result<void> fill(const Site& site, Coding coding, const Endpoint& peer) {
  AllPages source(site);
  GeneratorOptions generator;
  generator.protocol = Protocol::http;
  generator.targets = {peer};
  generator.connections = kConnections;
  generator.http_headers = fmt::format("Accept-Encoding: {}\r\n", name_of(coding));
  RunOptions options;
  options.open_loop = false;
  options.duration = 60s;
  options.check = [](const Completion& done) { return done.outcome == Outcome::hit; };
  const auto report = generate(source, generator, options);
  if (!report) return report.error();
  if (report->failed != 0 || report->answered != site.pages().size()) {
    return Error{Errc::protocol,
                 fmt::format("varnish: {} of {} pages were cached",
                             report->answered - report->failed, site.pages().size())};
  }
  return {};
}

}  // namespace

HttpPeerResult start_varnish(const Site& site, Coding coding) {
  const auto origin = start_nginx(site, coding);
  if (!origin) return origin.error();
  const Endpoint& from = (*origin)->http();
  auto varnish = start_on_free_port(
      site,
      [&](const std::filesystem::path& folder, const Endpoint& endpoint) -> Result<ChildSpec> {
        const auto file = folder / "default.vcl";
        const auto config =
            fmt::format(kConfig, fmt::arg("host", from.host), fmt::arg("port", from.port));
        if (const auto written = write_file(file, config); !written) return written.error();
        const auto bytes =
            site.pages().size() * (site.pages().front().value.size() + kOverhead) + (64U << 20U);
        return ChildSpec{.name = "varnishd",
                         .argv = {"/usr/sbin/varnishd", "-F", "-j", "none", "-n", folder / "work",
                                  "-f", file, "-a", endpoint.to_string(), "-T", "none", "-s",
                                  fmt::format("malloc,{}", bytes), "-p", "http_gzip_support=off"}};
      });
  if (!varnish) return varnish;
  // In the words of who is going to ask, which its key is made of too.
  if (const auto filled = fill(site, coding, (*varnish)->http()); !filled) return filled.error();
  return varnish;
}

}  // namespace nearlane::harness
