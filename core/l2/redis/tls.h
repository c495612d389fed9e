// What an outgoing connection over TLS insists on: a certificate that a trusted authority has signed for the host that
// was asked for, and TLS 1.2 or later.
//
// Errors:    invalid_argument: the file of authorities cannot be read.
// Threads:   a context is shared by all connections of all loops once it is made.
// Source:    RFC 9325 (versions), RFC 9525 (names), SSL_set1_host(3).
#pragma once

#include <memory>
#include <string>

#include <boost/asio/ssl/context.hpp>

#include "core/base/result.h"

namespace nearlane::l2 {

using TlsContext = boost::asio::ssl::context;

/// Trusts the authorities of `ca_file` (PEM) and no other; empty: those that the system trusts.
[[nodiscard]] Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string& ca_file);

/// The peer has to prove that it is `host`, and is told which host is meant (SNI) where that is a name. False: it is
/// neither a name nor an address that a certificate could have.
[[nodiscard]] bool expect_peer(SSL* session, const std::string& host);

/// Why the handshake failed, for people.
[[nodiscard]] std::string handshake_trouble(const SSL* session,
                                            const boost::system::error_code& error);

}  // namespace nearlane::l2
