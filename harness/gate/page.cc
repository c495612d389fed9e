#include "harness/gate/page.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/report/tables.h"

namespace nearlane::gate {
namespace {

using Json = nlohmann::ordered_json;

std::string number(const std::optional<double>& value) {
  if (!value) return "-";
  // A count of nothing is nothing, whatever passed by time has left of it.
  return fmt::format("{:.{}f}", *value, *value >= 1000 ? 0 : *value >= 100 ? 1 : 2);
}

/// A program, and what it was built from.
std::string program(const std::string& path, const std::string& revision) {
  return revision.empty() ? fmt::format("`{}`", path) : fmt::format("`{}` ({})", path, revision);
}

std::string percent(const std::optional<double>& ratio) {
  return ratio ? fmt::format("{:+.2f} %", (*ratio - 1) * 100) : "-";
}

std::string interval(const Finding& finding) {
  if (!finding.low || !finding.high) return "";
  return fmt::format("{} to {}", percent(finding.low), percent(finding.high));
}

std::string xml(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        // XML 1.0 has no other control characters, not even escaped.
        safe += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return safe;
}

std::string junit_case(const Finding& finding) {
  std::string out =
      fmt::format("  <testcase classname=\"nearlane.gate\" name=\"{}\">", xml(finding.id));
  if (finding.decision == Decision::fail) {
    out += fmt::format("<failure message=\"{}\"/>", xml(finding.reason));
  } else if (finding.decision != Decision::pass) {
    out += fmt::format("<skipped message=\"{}: {}\"/>", to_string(finding.decision),
                       xml(finding.reason));
  }
  return out + "</testcase>\n";
}

Json optional(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

std::string to_markdown(const About& about, const Verdict& verdict) {
  std::string out =
      fmt::format("# Gate: {}\n\n{} against base {}, {}, {}, {}; {:.0f} s.\nMargins: {}.\n",
                  to_string(verdict.outcome), program(about.head, about.head_revision),
                  program(about.base, about.base_revision), about.cpu, about.kernel, about.date,
                  about.elapsed_s, about.margins);
  if (!verdict.reasons.empty()) out += "\n";
  for (const auto& reason : verdict.reasons)
    out += fmt::format("- {}\n", reason.substr(0, reason.find('\n')));
  for (const auto& note : about.notes) out += fmt::format("\n{}\n", note);
  std::vector<std::vector<std::string>> grid = {{"what one request takes", "base", "head",
                                                 "head / base", "95 % of the ratio", "limit",
                                                 "decision"}};
  for (const auto& finding : verdict.findings) {
    grid.push_back({finding.id, number(finding.base), number(finding.head), percent(finding.ratio),
                    interval(finding), percent(finding.limit),
                    std::string(to_string(finding.decision))});
  }
  return out + "\n" + harness::aligned(grid);
}

std::string to_junit(const About& about, const Verdict& verdict) {
  const auto count = [&](auto of) { return std::ranges::count_if(verdict.findings, of); };
  const auto failures = count([](const Finding& f) { return f.decision == Decision::fail; });
  const auto passed = count([](const Finding& f) { return f.decision == Decision::pass; });
  const bool invalid = verdict.outcome == Outcome::invalid_host;
  const auto all = static_cast<std::ptrdiff_t>(verdict.findings.size());
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"nearlane-gate\" tests=\"{}\" "
      "failures=\"{}\" "
      "errors=\"{}\" skipped=\"{}\" time=\"{:.1f}\">\n",
      all + (invalid ? 1 : 0), failures, invalid ? 1 : 0, all - failures - passed, about.elapsed_s);
  if (invalid) {
    out += fmt::format(
        "  <testcase classname=\"nearlane.gate\" name=\"host\"><error "
        "message=\"{}\"/></testcase>\n",
        xml(verdict.reasons.front()));
  }
  for (const auto& finding : verdict.findings) out += junit_case(finding);
  return out + "</testsuite>\n";
}

std::string to_json(const About& about, const Measured& measured, const Verdict& verdict) {
  Json findings = Json::array();
  for (const auto& finding : verdict.findings) {
    findings.push_back({{"id", finding.id},
                        {"what", finding.what},
                        {"decision", to_string(finding.decision)},
                        {"base", optional(finding.base)},
                        {"head", optional(finding.head)},
                        {"ratio", optional(finding.ratio)},
                        {"ratio_low", optional(finding.low)},
                        {"ratio_high", optional(finding.high)},
                        {"limit", finding.limit},
                        {"reason", finding.reason}});
  }
  Json blocks = Json::object();
  for (const auto& timed : measured.timed) {
    Json all = Json::array();
    for (const auto& block : timed.blocks) {
      all.push_back({{"base_ns", block.base}, {"head_ns", block.head}, {"log_ratio", block.ratio}});
    }
    blocks[timed.id] = all;
  }
  const auto revision = [](const std::string& said) { return said.empty() ? Json() : Json(said); };
  const Json document = {{"schema", kGateSchema},
                         {"verdict", to_string(verdict.outcome)},
                         {"reasons", verdict.reasons},
                         {"base", about.base},
                         {"head", about.head},
                         {"base_revision", revision(about.base_revision)},
                         {"head_revision", revision(about.head_revision)},
                         {"machine", {{"cpu", about.cpu}, {"kernel", about.kernel}}},
                         {"date", about.date},
                         {"margins", about.margins},
                         {"elapsed_s", about.elapsed_s},
                         {"voided_blocks", measured.voided},
                         {"findings", findings},
                         {"blocks", blocks}};
  // A reason may quote a program's bytes, which need not be UTF-8.
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace nearlane::gate
