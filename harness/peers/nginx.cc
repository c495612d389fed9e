// nginx with static files: one process and no log, file descriptors kept open, compressed forms taken from the files
// beside the value. Without sendfile head and file leave in one call, which is cheaper for small files; with it, and
// tcp_nopush as Debian has it, pipelined answers also wait 40 ms for a delayed acknowledgement.
#include <fmt/format.h>

#include "harness/peers/http_peer.h"
#include "harness/report/files.h"

namespace nearlane::harness {
namespace {

constexpr const char* kConfig = R"(
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
load_module /usr/lib/nginx/modules/ngx_http_brotli_static_module.so;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  sendfile off;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  open_file_cache max={files} inactive=1h;
  open_file_cache_valid 1h;
  gzip_static on;
  gzip_vary on;
  brotli_static on;
  server {{
    listen {endpoint};
    root {root};
  }}
}}
)";

}  // namespace

HttpPeerResult start_nginx(const Site& site, Coding) {
  return start_on_free_port(
      site,
      [&site](const std::filesystem::path& folder, const Endpoint& endpoint) -> Result<ChildSpec> {
        const auto file = folder / "nginx.conf";
        const auto config = fmt::format(kConfig, fmt::arg("folder", folder.string()),
                                        fmt::arg("endpoint", endpoint.to_string()),
                                        fmt::arg("root", site.root().string()),
                                        // A value and two forms, which are looked for too.
                                        fmt::arg("files", 4 * site.pages().size()));
        if (const auto written = write_file(file, config); !written) return written.error();
        return ChildSpec{.name = "nginx",
                         .argv = {"/usr/sbin/nginx", "-p", folder, "-e", "stderr", "-c", file}};
      });
}

}  // namespace nearlane::harness
