#include "harness/report/document.h"

#include <fmt/format.h>

#include "harness/report/result.h"

namespace nearlane::harness {

using Json = nlohmann::ordered_json;

namespace {

/// What is wrong with a document's tables; empty: nothing. Whoever reads the fields refuses those
/// of a wrong type.
std::string misshapen(const Json& document) {
  const auto tables = document.find("tables");
  if (tables == document.end() || !tables->is_array()) return {};
  for (const auto& table : *tables) {
    if (!table.is_object() || !table.contains("columns") || !table.contains("rows")) continue;
    const auto headings = table.at("columns").size();
    for (const auto& row : table.at("rows")) {
      if (row.is_array() && row.size() != headings)
        return fmt::format("a table has a row of {} cells under {} headings", row.size(), headings);
    }
  }
  return {};
}

}  // namespace

Result<Document> parse_document(const std::string& text, const std::string& name) {
  auto document = Json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object() || document.empty() ||
      document.begin().key() != "schema" || document.begin().value() != kResultSchema) {
    return Error{Errc::protocol,
                 fmt::format("{}: not a result (its first key must be \"schema\": \"{}\")", name,
                             kResultSchema)};
  }
  if (const auto wrong = misshapen(document); !wrong.empty())
    return Error{Errc::protocol, fmt::format("{}: {}", name, wrong)};
  return Document{std::move(document)};
}

std::string heading(const Json& provenance) {
  const auto& machine = provenance.at("machine");
  // Documents from before suites were said say none.
  const auto suite = provenance.value("suite", "standard");
  return fmt::format("{}{}, {} build ({}), {} on {} cores, {}, huge pages {}{}",
                     provenance.at("revision").get<std::string>().substr(0, 12),
                     provenance.at("dirty").get<bool>() ? " with uncommitted changes" : "",
                     provenance.at("build_type").get<std::string>(),
                     provenance.at("compiler").get<std::string>(),
                     machine.at("cpu").get<std::string>(), machine.at("cores").get<int>(),
                     machine.at("kernel").get<std::string>(),
                     machine.at("transparent_huge_pages").get<std::string>(),
                     suite == "standard" ? "" : fmt::format(", suite {}", suite));
}

}  // namespace nearlane::harness
