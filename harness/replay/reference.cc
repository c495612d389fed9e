#include "harness/replay/reference.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "harness/workload/trace.h"

namespace nearlane::harness {
namespace {

/// A reference is a table of figures; more is some other file. Unit: bytes.
constexpr std::size_t kMostBytes = std::size_t{64} << 20U;
/// Behind a policy's name: a second implementation of the same policy.
constexpr std::string_view kOwn = "(own)";

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kOtherSpellings = {
    {{"s3-fifo", "s3fifo"}, {"w-tinylfu-1%", "wtinylfu"}, {"beladysize", kBeladySize}}};

bool is_offline(std::string_view policy) { return our_name(policy).starts_with(kBelady); }

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

template <class T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

/// Where each column is that we read.
struct Columns {
  explicit Columns(const std::vector<std::string>& header) {
    for (std::size_t i = 0; i < header.size(); ++i) at.emplace(header[i], i);
  }
  [[nodiscard]] const char* missing() const {
    for (const auto* name : {"trace", "mode", "cache_size", "policy", "miss_ratio"}) {
      if (!at.contains(name)) return name;
    }
    return nullptr;
  }
  /// Empty where the line is too short.
  [[nodiscard]] std::string_view in(const std::vector<std::string>& fields,
                                    const char* column) const {
    const auto found = at.find(column);
    return found != at.end() && found->second < fields.size() ? fields[found->second]
                                                              : std::string_view();
  }
  std::map<std::string, std::size_t> at;
};

}  // namespace

std::string our_name(std::string_view policy) {
  std::string name(policy);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  if (name.ends_with(kOwn)) name.resize(name.size() - kOwn.size());
  for (const auto& [theirs, ours] : kOtherSpellings) {
    if (name == theirs) return std::string(ours);
  }
  return name;
}

Result<Reference> Reference::read(const std::string& path) {
  const auto file = open_file(path);
  if (!file) return file.error();
  std::string text;
  std::array<char, 65536> chunk;
  for (;;) {
    const auto got = (*file)->read(chunk);
    if (!got) return got.error();
    if (*got == 0) return parse(text, path);
    text.append(chunk.data(), *got);
    if (text.size() > kMostBytes) {
      return Error{Errc::too_large, fmt::format("{}: over {} bytes", path, kMostBytes)};
    }
  }
}

Result<Reference> Reference::parse(std::string_view text, const std::string& name) {
  Reference reference;
  std::optional<Columns> columns;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto fields = split(line);
    if (!columns) {
      columns.emplace(fields);
      if (const auto* missing = columns->missing(); missing != nullptr) {
        return Error{Errc::protocol, fmt::format("{}: no column '{}'", name, missing)};
      }
      continue;
    }
    Line read{.trace = std::string(columns->in(fields, "trace")),
              .policy = std::string(columns->in(fields, "policy")),
              .noted = !columns->in(fields, "note").empty()};
    const auto mode = columns->in(fields, "mode");
    const char* wrong = nullptr;
    if (read.policy.empty()) wrong = "policy is empty";
    if (mode == to_string(Unit::bytes)) {
      read.unit = Unit::bytes;
    } else if (mode != to_string(Unit::objects)) {
      wrong = "mode is neither objects nor bytes";
    }
    if (!read_number(columns->in(fields, "cache_size"), read.capacity)) {
      wrong = "cache_size is no number";
    } else if (read.capacity == 0) {
      wrong = "cache_size is 0, and none below 1 can be replayed";
    }
    if (!read_number(columns->in(fields, "miss_ratio"), read.miss_ratio)) {
      wrong = "miss_ratio is no number";
    } else if (!(read.miss_ratio >= 0 && read.miss_ratio <= 1)) {
      wrong = "miss_ratio is not between 0 and 1";
    }
    if (wrong != nullptr) {
      return Error{Errc::protocol, fmt::format("{}:{}: {}", name, number, wrong)};
    }
    reference.lines_.push_back(std::move(read));
  }
  if (!columns) return Error{Errc::protocol, fmt::format("{}: empty", name)};
  return reference;
}

std::vector<std::uint64_t> Reference::capacities(std::string_view trace, Unit unit) const {
  std::set<std::uint64_t> found;
  for (const auto& line : lines_) {
    if (line.trace == trace && line.unit == unit) found.insert(line.capacity);
  }
  return {found.begin(), found.end()};
}

void Reference::compare(ReplayRow& row) const {
  Comparison comparison;
  for (const auto& line : lines_) {
    if (line.trace != row.trace || line.unit != row.unit || line.capacity != row.capacity) continue;
    if (!is_offline(line.policy) &&
        (comparison.best_policy.empty() || line.miss_ratio < comparison.best)) {
      comparison.best = line.miss_ratio;
      comparison.best_policy = line.policy;
    }
    if (!line.noted && our_name(line.policy) == row.policy) {
      comparison.same[line.policy] = line.miss_ratio;
    }
  }
  if (comparison.best_policy.empty()) return;
  if (comparison.best > 0) {
    comparison.excess_percent = (row.miss_ratio() / comparison.best - 1) * 100;
  }
  row.reference = std::move(comparison);
}

}  // namespace nearlane::harness
