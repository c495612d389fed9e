// The values that the harness writes: a JSON document that knows its key and version, so that
// whoever reads it back can tell whether it is the right one, whole and unchanged.
//
// Layout:   {"key":"<16 hex>","version":"<16 hex>","check":"<16 hex>","state":"<words>"}
//           key is a hash of the key's name, check a hash of everything else. The words come from a
//           seeded text that compresses about as session state does.
// Units:    sizes in bytes, kMinDocumentBytes at least.
// Threads:  write and verify from any thread. Cost: one copy and one XXH3 pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::harness {

inline constexpr std::size_t kMinDocumentBytes = 96;

/// Makes `out` the document of `key` in `version`, of exactly max(bytes, kMinDocumentBytes) bytes.
void write_document(std::string_view key, std::uint64_t version, std::size_t bytes,
                    std::string& out);

/// The version of a document. Errors: protocol, when it is no document of `key` or not as it was
/// written.
[[nodiscard]] Result<std::uint64_t> verify_document(std::string_view key, std::string_view value);

}  // namespace nearlane::harness
