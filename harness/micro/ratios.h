// RatioTable: one map against the others and the peers, as measured in interleaved rounds; and its forms.
//
// Threads: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/micro/micro.h"
#include "harness/micro/pauses.h"
#include "harness/micro/rows.h"
#include "harness/report/provenance.h"

namespace nearlane::micro {

/// What is compared of a case.
enum class Metric : std::uint8_t { ns_per_op, ops_per_s, p99_ns };
inline constexpr std::array<std::string_view, 3> kMetricNames{"ns_per_op", "ops_per_s", "p99_ns"};

/// "N times as fast, at least", by the columns of the page; 0 where nobody has set a limit.
struct Limits {
  double default_peer = 0;
  double tuned_peer = 0;
  double best_other = 0;
};

struct TableCase {
  std::string_view label;  // for people, at full size
  Case what;
  Metric metric = Metric::ns_per_op;
  Limits limits = {};
};

/// One round of one group of maps that were filled together.
struct Round {
  std::vector<double> values;  // in the order of Group::names
  double foreign_share = 0;    // of the machine's time, used by others meanwhile
};

struct Group {
  std::vector<std::string> names;  // the compared map first
  std::vector<Round> rounds = {};  // those that count
  unsigned disturbed = 0;          // rounds that were measured again, or had to count nevertheless
};

struct CaseResult {
  TableCase asked;
  std::vector<Group> groups;
};

/// The compared map under the policy `none`, among the names of a group: what the policy costs is the
/// difference.
inline constexpr std::string_view kNoPolicy = "no policy";

/// What a filled map has taken from malloc beside the bytes of its keys and values.
struct Overhead {
  std::string map;
  Fill fill;
  double bytes_per_entry = 0;
};

struct RatioTable {
  RatioOptions options;
  harness::Provenance provenance;
  double block_s = 0;
  double clock_ns = 0;
  std::vector<std::string> others = {};  // maps of the registry that it is compared with
  std::vector<CaseResult> cases = {};
  std::vector<Overhead> overheads = {};  // one for each time that a map was filled
  std::vector<Pauses> pauses = {};
};

[[nodiscard]] std::string ratios_json(const RatioTable& table);
[[nodiscard]] std::string ratios_markdown(const RatioTable& table);

}  // namespace nearlane::micro
