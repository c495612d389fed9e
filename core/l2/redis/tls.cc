#include "core/l2/redis/tls.h"

#include <boost/asio/ip/address.hpp>
#include <openssl/x509_vfy.h>

namespace nearlane::l2 {

namespace asio = boost::asio;
using boost::system::error_code;

Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string& ca_file) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  error_code failed;
  if (ca_file.empty()) {
    context->set_default_verify_paths(failed);
  } else {
    context->load_verify_file(ca_file, failed);
  }
  if (failed) {
    const std::string whose = ca_file.empty() ? "of the system" : "in " + ca_file;
    return Error{Errc::invalid_argument,
                 "cannot read the certificates " + whose + ": " + failed.message()};
  }
  context->set_verify_mode(asio::ssl::verify_peer, failed);
  return context;
}

bool expect_peer(SSL* session, const std::string& host) {
  error_code is_name;
  asio::ip::make_address(host, is_name);
  if (!is_name) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) == 1;
  SSL_set_hostflags(session,
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return SSL_set1_host(session, host.c_str()) == 1 &&
         SSL_set_tlsext_host_name(session, host.c_str()) == 1;
}

std::string handshake_trouble(const SSL* session, const error_code& error) {
  const long verdict = SSL_get_verify_result(session);
  if (verdict == X509_V_OK) return error.message();
  return std::string("its certificate was not accepted: ") + X509_verify_cert_error_string(verdict);
}

}  // namespace nearlane::l2
