// A verdict for people (Markdown), for CI (JUnit XML), and for programs (JSON).
//
// Errors:   none. Threads: any.
// Source:   https://github.com/testmoapp/junitxml for what CI systems read of JUnit's format.
#pragma once

#include <string>
#include <vector>

#include "harness/gate/verdict.h"

namespace nearlane::gate {

inline constexpr std::string_view kGateSchema = "nearlane-gate/1";

/// What was compared and where: said in every form of the verdict.
struct About {
  std::string base;  // path of the program
  std::string head;
  std::string base_revision = {};  // that it was built from; empty where nobody said
  std::string head_revision = {};
  std::string cpu;
  std::string kernel;
  std::string date;     // UTC
  std::string margins;  // where they come from
  std::vector<std::string> notes = {};
  double elapsed_s = 0;
};

[[nodiscard]] std::string to_markdown(const About& about, const Verdict& verdict);
/// A failure for each regression, a skip for what could not be compared or decided; an error of the whole for an invalid host.
[[nodiscard]] std::string to_junit(const About& about, const Verdict& verdict);
/// With every block, raw.
[[nodiscard]] std::string to_json(const About& about, const Measured& measured,
                                  const Verdict& verdict);

}  // namespace nearlane::gate
