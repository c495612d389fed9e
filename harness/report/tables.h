// Markdown tables and plots made from result documents, and from nothing else.
//
// Errors:   invalid_argument for a folder without results, protocol for a file that is no result
//           document of our schema; detail names the file.
// Threads:  any.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace nearlane::harness {

/// A cell's text as it may stand in a Markdown table: it must not end its own cell, or the table.
[[nodiscard]] std::string escaped(const std::string& cell);
/// Markdown of a table, its first row the headings, that also reads as one where nothing renders it. Its cells are
/// Markdown already.
[[nodiscard]] std::string aligned(const std::vector<std::vector<std::string>>& grid);

/// Every result document below `directory`, relative to it, sorted.
[[nodiscard]] std::vector<std::string> find_results(const std::string& directory);

/// A table with its figures looked up, the first row its headings.
struct Sheet {
  std::string title;
  std::vector<std::vector<std::string>> grid;
};
/// The measures that share a clock.
struct Clocked {
  std::string how;
  std::vector<std::string> measures;
};
struct Laid {
  std::vector<Sheet> tables;
  std::vector<Clocked> clocks;
};
/// What TABLES.md shows of a document, in plain text, for pages of another form.
[[nodiscard]] Result<Laid> lay_out(const std::string& document, const std::string& name);

/// The page for one folder of results. Each figure links to the document that it came from, unless
/// `links` is false, as for a terminal.
[[nodiscard]] Result<std::string> render_tables(const std::string& directory, bool links = true);

/// Writes DIRECTORY/TABLES.md, beside each document that has histograms their percentile plots, and
/// its curves; answers the page's text.
[[nodiscard]] Result<std::string> write_tables(const std::string& directory);

/// The curves of every table of a document that is to be drawn, as SVG. Errors: as render_tables.
[[nodiscard]] Result<std::vector<std::string>> render_curves(const std::string& document,
                                                             const std::string& name);

/// The latency percentiles of every measure of a document as SVG, as many at once as a plot can
/// tell apart; none when it has no histograms.
[[nodiscard]] Result<std::vector<std::string>> render_percentiles(const std::string& document,
                                                                  const std::string& name);

}  // namespace nearlane::harness
