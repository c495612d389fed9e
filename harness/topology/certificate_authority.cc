#include "harness/topology/certificate_authority.h"

#include <utility>
#include <vector>

#include "harness/topology/child.h"

namespace nearlane::harness {
namespace {

Result<void> openssl(std::vector<std::string> arguments) {
  std::vector<std::string> argv = {"openssl", "req", "-x509", "-days", "2", "-nodes"};
  argv.insert(argv.end(), {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"});
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto child = Child::start({.name = "openssl", .argv = std::move(argv)});
  if (!child) return child.error();
  const auto ended = child->wait(std::chrono::seconds(20));
  if (!ended) return ended.error();
  if (*ended != ExitStatus{})
    return Error{Errc::unavailable, "openssl " + ended->to_string() + ": " + child->last_output()};
  return {};
}

}  // namespace

Result<CertificateAuthority> CertificateAuthority::make() {
  auto folder = TempDir::make();
  if (!folder) return folder.error();
  CertificateAuthority made(std::move(*folder));
  const auto ready = openssl(
      {"-subj", "/CN=an authority of tests", "-keyout", made.key(), "-out", made.certificate()});
  if (!ready) return ready.error();
  return made;
}

Result<TlsFiles> CertificateAuthority::sign(const std::string& name,
                                            const std::string& alternatives) const {
  TlsFiles files{.authority = certificate(),
                 .certificate = folder_.path() / (name + ".crt"),
                 .key = folder_.path() / (name + ".key")};
  const auto ready =
      openssl({"-CA", certificate(), "-CAkey", key(), "-subj", "/CN=" + name, "-addext",
               "subjectAltName=" + alternatives, "-addext", "basicConstraints=critical,CA:FALSE",
               "-keyout", files.key, "-out", files.certificate});
  if (!ready) return ready.error();
  return files;
}

}  // namespace nearlane::harness
