// Somebody else's miss ratios for the same traces, to hold ours against.
//
// Format:   CSV with a header line; the columns trace, mode (objects or bytes), cache_size, policy and
//           miss_ratio are found by their names, note where there is one, others are ignored. A field may
//           be quoted. A row with a note says of itself that it is special: it is compared with nothing
//           by name.
// Errors:   invalid_argument for a file that cannot be opened, protocol for what is malformed, naming
//           the line.
// Threads:  read-only once read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "harness/replay/rows.h"

namespace nearlane::harness {

class Reference {
 public:
  [[nodiscard]] static Result<Reference> read(const std::string& path);
  [[nodiscard]] static Result<Reference> parse(std::string_view text, const std::string& name);

  /// The capacities that it has for the trace, ascending.
  [[nodiscard]] std::vector<std::uint64_t> capacities(std::string_view trace, Unit unit) const;
  /// Adds what it says of the row's trace and capacity, if anything.
  void compare(ReplayRow& row) const;

 private:
  struct Line {
    std::string trace;
    Unit unit = Unit::objects;
    std::uint64_t capacity = 0;
    std::string policy;
    double miss_ratio = 0;
    bool noted = false;
  };
  std::vector<Line> lines_;
};

/// Our name of a simulator's policy: its own in lower case, but for those that are spelled otherwise.
[[nodiscard]] std::string our_name(std::string_view policy);

}  // namespace nearlane::harness
