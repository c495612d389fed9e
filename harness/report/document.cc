#include "harness/report/document.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "harness/report/result.h"

namespace nearlane::harness {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Result<std::string> read_text(const std::string& directory, const std::string& name) {
  std::ifstream in(fs::path(directory) / name, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) {
    return Error{Errc::invalid_argument, fmt::format("{}/{}: cannot be read", directory, name)};
  }
  return text;
}

Result<Document> parse_document(const std::string& text, const std::string& name) {
  auto document = Json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object() || document.empty() ||
      document.begin().key() != "schema" || document.begin().value() != kResultSchema) {
    return Error{Errc::protocol,
                 fmt::format("{}: not a result (its first key must be \"schema\": \"{}\")", name,
                             kResultSchema)};
  }
  return Document{std::move(document)};
}

Result<void> write_page(const std::string& directory, const std::string& name,
                        const std::string& text) {
  std::ofstream out(fs::path(directory) / name, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out)
    return Error{Errc::invalid_argument, fmt::format("{}/{}: cannot be written", directory, name)};
  return {};
}

std::string heading(const Json& provenance) {
  const auto& machine = provenance.at("machine");
  return fmt::format("{}{}, {} build ({}), {} on {} cores, {}, huge pages {}",
                     provenance.at("revision").get<std::string>().substr(0, 12),
                     provenance.at("dirty").get<bool>() ? " with uncommitted changes" : "",
                     provenance.at("build_type").get<std::string>(),
                     provenance.at("compiler").get<std::string>(),
                     machine.at("cpu").get<std::string>(), machine.at("cores").get<int>(),
                     machine.at("kernel").get<std::string>(),
                     machine.at("transparent_huge_pages").get<std::string>());
}

}  // namespace nearlane::harness
