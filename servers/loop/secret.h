// Compares what a client sent with a secret, in a time that tells nothing of where they differ.
//
// Cost:    linear in what was sent. The length of the secret is not hidden.
#pragma once

#include <string_view>

namespace nearlane::loop {

[[nodiscard]] inline bool equals_secret(std::string_view sent, std::string_view secret) noexcept {
  unsigned char difference = sent.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const char expected = secret.empty() ? '\0' : secret[i % secret.size()];
    difference = static_cast<unsigned char>(difference | (sent[i] ^ expected));
  }
  return difference == 0;
}

}  // namespace nearlane::loop
