// Servers that are measured beside Nearlane over HTTP: each answers GET /cache/KEY with what a Site has, in the coding
// that the client accepts, on a loopback port of its own and with one thread of work.
//
// A page each: nginx.cc, h2o.cc, varnish.cc (as Debian has them), and two programs of ours: beast.cc (what Boost.Beast's
// examples lead to) and canned.cc (one ready answer whatever is asked: what the kernel alone costs).
//
// Errors:   invalid_argument where a program is missing, unavailable where it would not start, timeout; with its last
//           lines.
// Threads:  start from one thread, which is not pinned. The server runs on kServersCore (pinned.h).
// Lifetime: the processes go with the object. The site outlives it.
// Cost:     10 ms to start, Varnish some seconds: it compiles its configuration.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "harness/peers/site.h"
#include "harness/topology/child.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

class HttpPeer {
 public:
  virtual ~HttpPeer() = default;
  [[nodiscard]] virtual const Endpoint& http() const noexcept = 0;
  /// The process that does the work, or has started those that do.
  [[nodiscard]] virtual pid_t pid() const noexcept = 0;
};
using HttpPeerResult = Result<std::unique_ptr<HttpPeer>>;

struct HttpPeerKind {
  std::string_view id;
  std::string_view what;
  /// `coding`: in which clients will ask; of interest to who has one answer only.
  HttpPeerResult (*start)(const Site& site, Coding coding);
  bool one_answer = false;  // that of the site's first page
};

[[nodiscard]] HttpPeerResult start_nginx(const Site& site, Coding coding);
[[nodiscard]] HttpPeerResult start_h2o(const Site& site, Coding coding);
[[nodiscard]] HttpPeerResult start_varnish(const Site& site, Coding coding);
[[nodiscard]] HttpPeerResult start_beast(const Site& site, Coding coding);
[[nodiscard]] HttpPeerResult start_canned(const Site& site, Coding coding);

/// All of them.
[[nodiscard]] std::span<const HttpPeerKind> http_peers() noexcept;

// For the pages.

/// One child process, and the files that it needs.
class ChildPeer final : public HttpPeer {
 public:
  ChildPeer(TempDir folder, Child child, Endpoint endpoint)
      : folder_(std::move(folder)), child_(std::move(child)), endpoint_(std::move(endpoint)) {}
  [[nodiscard]] const Endpoint& http() const noexcept override { return endpoint_; }
  [[nodiscard]] pid_t pid() const noexcept override { return child_.pid(); }

 private:
  TempDir folder_;  // before child_: removed after the process has gone
  Child child_;
  Endpoint endpoint_;
};

/// What to start, once its files are in the folder.
using SpecOf =
    std::function<Result<ChildSpec>(const std::filesystem::path& folder, const Endpoint& endpoint)>;
/// Starts it on a free port, on another one where it ends (which is what they do where the port was taken in between),
/// and returns when it answers for the site's first page.
[[nodiscard]] HttpPeerResult start_on_free_port(const Site& site, const SpecOf& spec);
/// Starts a program of ours, which picks its port itself and says so: "PROGRAM ready http=HOST:PORT".
[[nodiscard]] HttpPeerResult start_own(std::string_view program,
                                       const std::vector<std::string>& arguments);

}  // namespace nearlane::harness
