#include "harness/report/page.h"

#include <filesystem>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "harness/report/claims.h"
#include "harness/report/document.h"
#include "harness/report/drawings.h"
#include "harness/report/files.h"
#include "harness/report/svg.h"
#include "harness/report/tables.h"

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;

// Plots are drawn on white; here they take the page's colours.
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --page: #fff; --soft: #59636e; --line: #d8dee4; --row: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --page: #0d1117; --soft: #9198a1; --line: #3d444d; --row: #161b22; }
  svg [stroke="#003f5c"] { stroke: #7cc7e8; } svg [fill="#003f5c"] { fill: #7cc7e8; }
  svg [stroke="#58508d"] { stroke: #b9b0f0; } svg [fill="#58508d"] { fill: #b9b0f0; }
}
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--page); }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
.soft, .clocks { color: var(--soft); } .clocks { font-size: 13px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: left; vertical-align: top; }
th, tr:nth-child(even) td { background: var(--row); }
.good { color: #1a7f37; } .bad { color: #cf222e; }
@media (prefers-color-scheme: dark) { .good { color: #3fb950; } .bad { color: #ff7b72; } }
svg { max-width: 100%; height: auto; margin: .5rem 0; display: block; }
svg > rect:first-of-type { fill: none; } svg text { fill: var(--ink); } svg line[stroke="#ddd"] { stroke: var(--line); }
)";

constexpr std::string_view kLimits =
    "Limits first. All processes share one machine and reach each other over loopback, so a "
    "network is not part of "
    "any figure unless its row says so. Absolute rates drift on a shared machine: compare only "
    "figures of one run. A "
    "figure is the median of its repetitions, with the smallest and largest behind it. A row with "
    "more processes at "
    "work than there are cores is functional: it shows that something works, and its times are not "
    "a measurement.";

std::string html_table(const std::vector<std::vector<std::string>>& grid) {
  std::string out = "<div class=\"wide\"><table>\n";
  const char* cell = "th";
  for (const auto& row : grid) {
    out += "<tr>";
    for (const auto& text : row) out += fmt::format("<{0}>{1}</{0}>", cell, xml(text));
    out += "</tr>\n";
    cell = "td";
  }
  return out + "</table></div>\n";
}

std::string list_of(const Json& texts) {
  if (texts.empty()) return "";
  std::string out = "<ul>\n";
  for (const auto& text : texts) out += fmt::format("<li>{}</li>\n", xml(text.get<std::string>()));
  return out + "</ul>\n";
}

std::string inputs_of(const Json& document) {
  std::string out;
  for (const auto& input : document.at("inputs")) {
    out += fmt::format("<p>Input {}: {}.", xml(input.at("workload").get<std::string>()),
                       xml(input.at("origin").get<std::string>()));
    if (!input.at("absent").is_null()) {
      out += fmt::format(" <strong>Not available: trace {}.</strong>",
                         xml(input.at("absent").get<std::string>()));
    }
    out += "</p>\n";
  }
  return out;
}

std::string clocks_of(const Laid& laid) {
  if (laid.clocks.empty()) return "";
  std::string out = "<details class=\"clocks\"><summary>Clocks</summary><ul>\n";
  for (const auto& clock : laid.clocks) {
    out += fmt::format("<li>{}: {}</li>\n", xml(clock.how),
                       xml(fmt::format("{}", fmt::join(clock.measures, ", "))));
  }
  return out + "</ul></details>\n";
}

std::string section(const Json& document, const Laid& laid, const std::vector<std::string>& drawn,
                    const std::string& file) {
  const auto text = [&](const char* key) { return xml(document.at(key).get<std::string>()); };
  const auto& provenance = document.at("provenance");
  const auto named = [&](const char* key) { return xml(provenance.at(key).get<std::string>()); };
  std::string out = fmt::format(
      "<h2 id=\"{0}\">{0}</h2>\n<p>{1}</p>\n<p class=\"soft\">{2}; {3:.0f} s; seed {4}; "
      "scenario {5}; from <a href=\"{6}\">{6}</a>; claims: {7}</p>\n",
      text("scenario"), text("title"), named("date"), provenance.at("elapsed_s").get<double>(),
      provenance.at("seed").get<std::uint64_t>(), named("scenario_hash"), xml(file),
      xml(fmt::format("{}",
                      fmt::join(document.at("claims").get<std::vector<std::string>>(), ", "))));
  if (!document.at("passed").get<bool>()) {
    out += "<p class=\"bad\"><strong>This scenario failed:</strong></p>\n" +
           list_of(document.at("failures"));
  }
  out += inputs_of(document);
  for (const auto& sheet : laid.tables)
    out += fmt::format("<h3>{}</h3>\n{}", xml(sheet.title), html_table(sheet.grid));
  out += list_of(document.at("notes")) + clocks_of(laid);
  for (const auto& svg : drawn) out += svg;
  return out;
}

/// A link to each scenario, with how it ended.
std::string link_to(const Json& document) {
  const bool passed = document.at("passed").get<bool>();
  return fmt::format("<li><a href=\"#{0}\">{0}</a>: {1} <span class=\"{2}\">{3}</span></li>\n",
                     xml(document.at("scenario").get<std::string>()),
                     xml(document.at("title").get<std::string>()), passed ? "good" : "bad",
                     passed ? "passed" : "failed");
}

}  // namespace

Result<std::string> render_page(const std::string& directory) {
  const auto claims = judge_claims(directory);
  if (!claims) return claims.error();
  std::string links;
  std::string sections;
  std::string label;
  for (const auto& name : find_results(directory)) {
    const auto text = read_file(std::filesystem::path(directory) / name);
    if (!text) return text.error();
    const auto document = parse_document(*text, name);
    if (!document) return document.error();
    const auto laid = lay_out(*text, name);
    if (!laid) return laid.error();
    const auto drawn = draw_all(*text, name);
    if (!drawn) return drawn.error();
    try {
      label = xml(document->json.at("provenance").at("label").get<std::string>());
      links += link_to(document->json);
      sections += section(document->json, *laid, *drawn, name);
    } catch (const Json::exception& wrong) {
      return Error{Errc::protocol, fmt::format("{}: {}", name, wrong.what())};
    }
  }
  std::string builds;
  for (const auto& build : claims->builds)
    builds += fmt::format("<p>Built from {}.</p>\n", xml(build));
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; img-src data:\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>Nearlane: {0}</title>\n<style>{1}</style>\n"
      "</head>\n<body>\n<h1>Results: {0}</h1>\n{2}{3}<p>{4}</p>\n<ul>\n"
      "<li><a href=\"#claims\">Every published claim</a>: {5}</li>\n{6}</ul>\n"
      "<h2 id=\"claims\">Every published claim, and what came of it here</h2>\n{7}{8}"
      "</body>\n</html>\n",
      label, kStyle, builds,
      claims->quick ? "<p>This was a quick run: fewer and shorter repetitions.</p>\n" : "", kLimits,
      xml(claims->tally), links, html_table(claims->grid), sections);
}

Result<void> write_page(const std::string& directory) {
  const auto page = render_page(directory);
  if (!page) return page.error();
  return write_file(std::filesystem::path(directory) / "REPORT.html", *page);
}

}  // namespace nearlane::harness
