// A result document as JSON: what tables, claims and plots are made from.
//
// Errors:   protocol for what is no result document of our schema, or has a table whose rows are
//           not as long as its headings; detail names the file.
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

[[nodiscard]] Result<Document> parse_document(const std::string& text, const std::string& name);
/// "revision, build, machine", and the suite where it was not the standard one: where the figures of a document come
/// from, for people.
[[nodiscard]] std::string heading(const nlohmann::ordered_json& provenance);

}  // namespace nearlane::harness
