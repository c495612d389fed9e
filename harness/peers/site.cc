#include "harness/peers/site.h"

#include <utility>

#include <fmt/format.h>

#include "core/entry/precompress.h"
#include "harness/report/files.h"
#include "harness/workload/document.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {
namespace {

constexpr std::string_view kPrefix = "session-";
constexpr std::uint64_t kVersion = 1;

}  // namespace

std::string_view name_of(Coding coding) noexcept {
  switch (coding) {
    case Coding::gzip:
      return "gzip";
    case Coding::br:
      return "br";
    case Coding::identity:
      break;
  }
  return "identity";
}

std::string_view Page::form(Coding coding) const noexcept {
  switch (coding) {
    case Coding::gzip:
      return forms.gzip;
    case Coding::br:
      return forms.br;
    case Coding::identity:
      break;
  }
  return value;
}

std::filesystem::path Site::file_of(const Page& page, Coding coding) const {
  auto path = root() / "cache" / page.key;
  if (coding == Coding::gzip) path += ".gz";
  if (coding == Coding::br) path += ".br";
  return path;
}

Result<Site> Site::make(std::uint64_t pages, std::size_t bytes) {
  auto folder = TempDir::make_in_memory();
  if (!folder) return folder.error();
  Site site(std::move(*folder));
  for (std::uint64_t number = 0; number < pages; ++number) {
    Page& page = site.pages_.emplace_back();
    write_key_name(kPrefix, number, page.key);
    write_document(page.key, kVersion, bytes, page.value);
    page.forms = precompress(page.value);
    for (const Coding coding : {Coding::identity, Coding::gzip, Coding::br}) {
      const auto form = page.form(coding);
      if (form.empty()) {
        return Error{Errc::invalid_argument,
                     fmt::format("documents of {} B are not compressed", bytes)};
      }
      if (const auto done = write_file(site.file_of(page, coding), form); !done)
        return done.error();
    }
  }
  return site;
}

}  // namespace nearlane::harness
