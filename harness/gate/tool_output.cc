#include "harness/gate/tool_output.h"

#include <array>
#include <charconv>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nearlane::gate {
namespace {

/// Calls `see(line)` for every line, until it says that it has seen enough.
template <class See>
bool each_line(std::string_view text, See see) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (see(text.substr(0, end))) return true;
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return false;
}

/// The number that the text begins with, blanks before it and commas within it aside; takes it off the text.
bool take_number(std::string_view& text, std::uint64_t& number) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::string digits;
  std::size_t at = 0;
  for (; at < text.size() && (text[at] == ',' || (text[at] >= '0' && text[at] <= '9')); ++at) {
    if (text[at] != ',') digits += text[at];
  }
  text.remove_prefix(at);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && !digits.empty();
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

Error lacks(std::string_view what) { return {Errc::protocol, fmt::format("no {}", what)}; }

}  // namespace

Result<std::uint64_t> callgrind_total(std::string_view file) {
  std::uint64_t total = 0;
  const bool found = each_line(file, [&](std::string_view line) {
    return take(line, "totals:") && take_number(line, total);
  });
  if (!found) return lacks("'totals:' in callgrind's file");
  return total;
}

Result<DhatTotal> dhat_total(std::string_view log) {
  DhatTotal total;
  const bool found = each_line(log, [&](std::string_view line) {
    const auto at = line.find(" Total:");
    if (at == std::string_view::npos) return false;
    line.remove_prefix(at + 7);
    return take_number(line, total.bytes) && take(line, " bytes in") &&
           take_number(line, total.blocks) && take(line, " blocks");
  });
  if (!found) return lacks("'Total: N bytes in M blocks' in DHAT's log");
  return total;
}

Result<std::uint64_t> strace_total(std::string_view table) {
  std::uint64_t calls = 0;
  const bool found = each_line(table, [&](std::string_view line) {
    if (!line.ends_with(" total")) return false;
    // % time, seconds, usecs/call, calls, and errors where there were any.
    for (int column = 0; column < 3; ++column) {
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      line.remove_prefix(std::min(line.find(' '), line.size()));
    }
    return take_number(line, calls);
  });
  if (!found) return lacks("line 'total' in strace's table");
  return calls;
}

std::uint64_t redis_commands(std::string_view commandstats) {
  static constexpr std::array<std::string_view, 4> kOthers = {"ping:", "role:", "info:", "config|"};
  std::uint64_t all = 0;
  each_line(commandstats, [&](std::string_view line) {
    if (!take(line, "cmdstat_")) return false;
    for (const auto other : kOthers) {
      if (line.starts_with(other)) return false;
    }
    const auto at = line.find(":calls=");
    if (at == std::string_view::npos) return false;
    line.remove_prefix(at + 7);
    std::uint64_t calls = 0;
    if (take_number(line, calls)) all += calls;
    return false;
  });
  return all;
}

Result<std::vector<double>> benchmark_ns(std::string_view json) {
  // What precedes the document is for people.
  json.remove_prefix(std::min(json.find("{\n"), json.size()));
  const auto document = nlohmann::json::parse(json, nullptr, false);
  std::vector<double> times;
  if (!document.is_object() || !document.contains("benchmarks") ||
      !document["benchmarks"].is_array()) {
    return lacks("Google Benchmark document");
  }
  for (const auto& row : document["benchmarks"]) {
    if (!row.is_object() || row.value("run_type", nlohmann::json()) != "iteration") continue;
    const auto time = row.find("cpu_time");
    if (time == row.end() || !time->is_number() || !(time->get<double>() > 0)) {
      return lacks("cpu_time in a row of Google Benchmark");
    }
    times.push_back(time->get<double>());
  }
  if (times.empty()) return lacks("row in the Google Benchmark document");
  return times;
}

}  // namespace nearlane::gate
