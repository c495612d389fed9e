// The published claims that we set out to reproduce, where each one's figures are in our results, and the page that
// says what came of them.
//
// A verdict is made from the documents below one folder and from nothing else:
//   beaten           better than published by more than a twentieth
//   met              as published, within a twentieth
//   missed           worse, not measured, or of a scenario that failed: the page says which
//   needs hardware   a time of more processes than there were cores, which is no measurement
// A claim of several figures has the verdict of the worst. Where all or nothing was published, nothing less will do, in
// any repetition.
//
// Errors:   invalid_argument for a folder without results or a page that cannot be written, protocol for a file that
//           is no result document; detail names the file.
// Threads:  any.
// Source:   the publications' case study (A) and session page (B).
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace nearlane::harness {

enum class Better : std::uint8_t { less, more };

/// How near to the published figure is as published.
enum class Match : std::uint8_t {
  nearly,   // within a twentieth, by the median
  exactly,  // by the worst repetition
};

/// A metric of a measure in a scenario's document.
struct Place {
  std::string_view scenario = {};
  std::string_view measure = {};
  std::string_view metric = {};
};

/// One figure of ours beside the published one. Where `over` is said the figure is `at` divided by it.
struct ClaimFigure {
  std::string_view what;
  Place at;
  Place over = {};
  Better better = Better::less;
  double published = 0;  // in the metric's unit, or times
  Match match = Match::nearly;

  /// Of what must not happen at all there is no median, and no twentieth.
  [[nodiscard]] bool exact() const { return match == Match::exactly || published == 0; }
};

struct Claim {
  std::string_view id;
  std::string_view what;
  std::string_view published;
  std::vector<ClaimFigure> figures = {};
  /// Why there are no figures.
  std::string_view otherwise = {};
};

/// Every claim, in the order of the publications.
[[nodiscard]] const std::vector<Claim>& claims();

/// A row for each claim, its verdict last; the first row is the headings.
struct ClaimsTable {
  std::vector<std::vector<std::string>> grid;
  std::string tally;  // how many of each verdict
  std::set<std::string> builds;
  bool quick = false;
};
[[nodiscard]] Result<ClaimsTable> judge_claims(const std::string& directory);
/// The page for one folder of results.
[[nodiscard]] Result<std::string> render_claims(const std::string& directory);
/// Writes DIRECTORY/CLAIMS.md.
[[nodiscard]] Result<void> write_claims(const std::string& directory);

}  // namespace nearlane::harness
