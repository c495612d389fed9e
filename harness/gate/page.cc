#include "harness/gate/page.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

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

/// How many bytes the character at the front takes in UTF-8; 0: they are none that XML may hold
/// (overlong, a surrogate, beyond Unicode, cut off, U+FFFE or U+FFFF). RFC 3629; XML 1.0, 2.2.
/// `text` is not empty.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(text[i]) & 0xFFU; };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xC2   ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  std::uint32_t point = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
    point = point << 6U | (byte(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  const bool none = point == 0xFFFE || point == 0xFFFF || point > 0x10FFFF;
  return overlong || surrogate || none ? 0 : length;
}

/// A program's last words may be any bytes; a character that is none becomes U+FFFD.
std::string xml(std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string safe;
  while (!text.empty()) {
    const char c = text.front();
    const auto length = character(text);
    if (length != 1) {
      safe += length == 0 ? kReplacement : text.substr(0, length);
    } else if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '"') {
      safe += "&quot;";
    } else {
      // XML 1.0 has no other control characters, not even escaped.
      safe += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
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
