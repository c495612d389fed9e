// Content codings: what a client accepts, and making them.
//
// Errors:    compress: nullopt when the library refuses; the value is then sent as it is.
// Threads:   plain functions.
// Cost:      compress: a pass over the value, tens of microseconds a KiB; so never on a hit of the
//            head profile.
// Source:    RFC 9110 section 12.5.3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nearlane::http {

enum class Coding : std::uint8_t {
  identity,
  gzip,
  br,
  none
};  // none: the client accepts none that we have

/// "" for identity, as entity_tag and Content-Encoding want it.
[[nodiscard]] std::string_view name_of(Coding coding) noexcept;

/// The coding to answer in. `may_compress`: br and gzip are on offer. An absent header accepts all.
[[nodiscard]] Coding choose_coding(std::optional<std::string_view> accept, bool may_compress);

[[nodiscard]] std::optional<std::string> compress(std::string_view value, Coding coding);

}  // namespace nearlane::http
