// A result document as JSON: what tables, claims and plots are made from.
//
// Errors:   invalid_argument for a file that cannot be read, protocol for what is no result document of our
//           schema; detail names the file.
// Threads:  any.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "core/base/result.h"

namespace nearlane::harness {

// Json turns into anything, so as a bare value it would make Result's constructors ambiguous.
struct Document {
  nlohmann::ordered_json json;
};

/// The text of DIRECTORY/name; errors say `name`.
[[nodiscard]] Result<std::string> read_text(const std::string& directory, const std::string& name);
[[nodiscard]] Result<Document> parse_document(const std::string& text, const std::string& name);
/// Writes DIRECTORY/name anew.
[[nodiscard]] Result<void> write_page(const std::string& directory, const std::string& name,
                                      const std::string& text);
/// "revision, build, machine": where the figures of a document come from, for people.
[[nodiscard]] std::string heading(const nlohmann::ordered_json& provenance);

}  // namespace nearlane::harness
