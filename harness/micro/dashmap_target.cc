// DashMap (dashmap/src/lib.rs) as a target.
//
// Huge pages are something that a program asks for, and ours does (core/base/allocator.h). A program with a DashMap
// and without such a request has pages of 4 KiB, so that is what the peer is measured in; and in huge ones too, so that
// it can be told what they are worth to it.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <sys/prctl.h>

#include "harness/micro/order.h"
#include "harness/micro/parts.h"

namespace nearlane::micro {

#ifdef NEARLANE_DASHMAP

extern "C" {
void* nearlane_dashmap_new(bool fast, std::size_t keys, const char* value, std::size_t value_bytes);
std::size_t nearlane_dashmap_fill(void* table, const Name* names, std::size_t count);
void nearlane_dashmap_run(void* table, const Work* work, Tally* tally);
void nearlane_dashmap_sample(void* table, const Work* work, std::uint32_t* ticks, Tally* tally);
void nearlane_dashmap_free(void* table);
}

namespace {

struct Form {
  std::string_view name;
  bool fast;
  bool huge_pages;
};
constexpr std::array kForms = {Form{"dashmap", false, false}, Form{"dashmap-fast", true, false},
                               Form{"dashmap-huge", false, true},
                               Form{"dashmap-fast-huge", true, true}};
/// Names that are handed over at a time while filling.
constexpr std::uint64_t kChunk = 1 << 16U;

/// While it lives, memory that the process touches for the first time comes in pages of 4 KiB. The kernel may
/// still make huge ones of them later, a few MiB a second.
class OrdinaryPages {
 public:
  explicit OrdinaryPages(bool wanted) : wanted_(wanted) {
    if (wanted_) prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  }
  ~OrdinaryPages() {
    if (wanted_) prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
  }
  OrdinaryPages(const OrdinaryPages&) = delete;
  OrdinaryPages& operator=(const OrdinaryPages&) = delete;

 private:
  const bool wanted_;
};

class DashMapTarget final : public Target {
 public:
  DashMapTarget(const Form& form, const Fill& fill) {
    const OrdinaryPages pages(!form.huge_pages);
    const std::string value(fill.value_bytes, 'v');
    table_ = nearlane_dashmap_new(form.fast, fill.keys, value.data(), value.size());
    std::vector<Name> names;
    for (std::uint64_t key = 0; key < fill.keys; key += names.size()) {
      names.clear();
      const std::uint64_t end = std::min(fill.keys, key + kChunk);
      for (std::uint64_t next = key; next < end; ++next) names.push_back(name_of(next));
      entries_ = nearlane_dashmap_fill(table_, names.data(), names.size());
    }
  }
  ~DashMapTarget() override { nearlane_dashmap_free(table_); }
  DashMapTarget(const DashMapTarget&) = delete;
  DashMapTarget& operator=(const DashMapTarget&) = delete;

  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }
  [[nodiscard]] bool holds() const noexcept override { return true; }
  Tally run(const Work& work) override {
    Tally tally;
    nearlane_dashmap_run(table_, &work, &tally);
    return tally;
  }
  Tally sample(const Work& work, std::uint32_t* ticks) override {
    Tally tally;
    nearlane_dashmap_sample(table_, &work, ticks, &tally);
    return tally;
  }

 private:
  void* table_ = nullptr;
  std::uint64_t entries_ = 0;
};

}  // namespace

std::vector<std::string_view> dashmap_names() {
  std::vector<std::string_view> names;
  names.reserve(kForms.size());
  for (const Form& form : kForms) names.push_back(form.name);
  return names;
}
std::string_view dashmap_build() { return NEARLANE_DASHMAP; }

std::unique_ptr<Target> make_dashmap_target(std::string_view name, const Fill& fill) {
  const auto* const form = std::ranges::find(kForms, name, &Form::name);
  if (form == kForms.end()) return nullptr;
  auto target = std::make_unique<DashMapTarget>(*form, fill);
  if (target->entries() != fill.keys) return nullptr;
  return target;
}

#else

std::vector<std::string_view> dashmap_names() { return {}; }
std::string_view dashmap_build() { return {}; }
std::unique_ptr<Target> make_dashmap_target(std::string_view, const Fill&) { return nullptr; }

#endif

}  // namespace nearlane::micro
