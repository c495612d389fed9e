// One page for one folder of results: the verdicts, and of each scenario its tables and what can be drawn of them.
//
// The page is made from the documents alone and holds all that it shows: it loads nothing and runs no script. What
// comes of a document is escaped.
//
// Errors:   invalid_argument for a folder without results or a page that cannot be written, protocol for a file that
//           is no result document; detail names the file.
// Threads:  any.
#pragma once

#include <string>

#include "core/base/result.h"

namespace nearlane::harness {

[[nodiscard]] Result<std::string> render_page(const std::string& directory);
/// Writes DIRECTORY/REPORT.html.
[[nodiscard]] Result<void> write_page(const std::string& directory);

}  // namespace nearlane::harness
