// An authority of its own that signs certificates, made by openssl in a folder that goes with it.
//
// Errors:   invalid_argument (openssl is not installed), unavailable (it failed), timeout; with its last lines.
// Threads:  one.
// Cost:     two keys and two processes, some 20 ms.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {

/// PEM, all of them. `authority` is who has signed `certificate`.
struct TlsFiles {
  std::filesystem::path authority;
  std::filesystem::path certificate;
  std::filesystem::path key;
};

class CertificateAuthority {
 public:
  [[nodiscard]] static Result<CertificateAuthority> make();

  /// Whom to trust.
  [[nodiscard]] std::filesystem::path certificate() const { return folder_.path() / "ca.crt"; }
  /// A server's, for the names that openssl's subjectAltName lists: "DNS:localhost,IP:127.0.0.1".
  [[nodiscard]] Result<TlsFiles> sign(const std::string& name,
                                      const std::string& alternatives) const;

 private:
  explicit CertificateAuthority(TempDir folder) : folder_(std::move(folder)) {}
  [[nodiscard]] std::filesystem::path key() const { return folder_.path() / "ca.key"; }

  TempDir folder_;
};

}  // namespace nearlane::harness
