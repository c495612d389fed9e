#include "servers/http/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "servers/http/text.h"

namespace nearlane::http {

ApiKeys::ApiKeys(std::span<const std::string> keys) {
  for (const std::string& key : keys) hashes_.push_back(hash_of(key));
}

ApiKeys::Hash ApiKeys::hash_of(std::string_view key) noexcept {
  Hash hash;
  static_assert(sizeof(Hash) == SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), hash.data());
  return hash;
}

bool ApiKeys::holds(std::string_view key) const noexcept {
  const Hash sent = hash_of(key);
  bool held = false;
  for (const Hash& hash : hashes_) {
    const bool same = CRYPTO_memcmp(hash.data(), sent.data(), sent.size()) == 0;
    held = held || same;
  }
  return held;
}

bool Caller::shows_key(std::string_view sent) {
  // Behind a proxy a connection has many callers, so this comparison must not tell anything either.
  if (!accepted_.empty() && sent.size() == accepted_.size() &&
      CRYPTO_memcmp(sent.data(), accepted_.data(), sent.size()) == 0) {
    return true;
  }
  if (!keys_.holds(sent)) return false;
  accepted_ = sent;
  return true;
}

bool Caller::admitted(std::optional<std::string_view> authorization,
                      std::optional<std::string_view> api_key) {
  if (!keys_.asked_for()) return true;
  // RFC 9110 sections 11.1 and 11.4: in letters of any case, and one space at least behind it.
  static constexpr std::string_view kScheme = "bearer";
  if (authorization && is_word(authorization->substr(0, kScheme.size()), kScheme)) {
    const std::string_view rest = authorization->substr(kScheme.size());
    if (rest.starts_with(' ') && shows_key(trim(rest))) return true;
  }
  return api_key && shows_key(*api_key);
}

}  // namespace nearlane::http
