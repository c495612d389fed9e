// What the HTTP peers serve: documents, each as it is and in the forms that it has in Nearlane's L1. In memory for who
// compares answers, and as files for who serves them: ROOT/cache/KEY, KEY.gz and KEY.br.
//
// Errors:   invalid_argument where documents of this size have no such forms, or a file cannot be written.
// Threads:  plain values. Lifetime: the folder goes with the object.
// Cost:     some 0.1 ms a KiB to make. The folder is in memory where the system has such a place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/entry/entry.h"
#include "harness/driver/request.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {

struct Page {
  std::string key;  // of characters that a URL takes as they are
  std::string value;
  Variants forms;

  [[nodiscard]] std::string_view form(Coding coding) const noexcept;
};

/// As Accept-Encoding names it.
[[nodiscard]] std::string_view name_of(Coding coding) noexcept;

class Site {
 public:
  [[nodiscard]] static Result<Site> make(std::uint64_t pages, std::size_t bytes);

  [[nodiscard]] const std::vector<Page>& pages() const noexcept { return pages_; }
  [[nodiscard]] const std::filesystem::path& root() const noexcept { return folder_.path(); }
  [[nodiscard]] std::filesystem::path file_of(const Page& page, Coding coding) const;

 private:
  explicit Site(TempDir folder) : folder_(std::move(folder)) {}

  TempDir folder_;
  std::vector<Page> pages_;
};

/// A read of each page once; a request's tag is its page's number. The site outlives it.
class AllPages final : public RequestSource {
 public:
  explicit AllPages(const Site& site) : pages_(site.pages()) {}
  bool next(Request& into) override {
    if (at_ == pages_.size()) return false;
    into.kind = Op::get;
    into.tag = at_;
    into.key = pages_[at_++].key;
    return true;
  }

 private:
  const std::vector<Page>& pages_;
  std::size_t at_ = 0;
};

}  // namespace nearlane::harness
