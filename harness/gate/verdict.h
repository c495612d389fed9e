// Verdict: what the gate says of two revisions, from what was counted and timed. No I/O, no clock.
//
// What is counted hardly moves, so it is compared as it is. What is timed comes in blocks, each with both programs in it;
// a slowdown is called one when the resampled mean of the blocks' ratios lies above a margin, which is how far
// blocks of one and the same program have been seen to disagree.
//
// Units:    a count or a time is of one request or read; a ratio is a logarithm (statistics.h).
// Errors:   none. What only head lacks is a failure, or inconclusive where it may be the machine's
//           doing; what base lacks is not_comparable.
// Threads:  any.
// Source:   docs/benchmarks.md; docs/decisions/0022-how-the-gate-decides.md.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nearlane::gate {

/// Why a program gave no figure; empty: it did, or nobody has said.
struct Absent {
  std::string base = {};
  std::string head = {};
  bool head_timed_out = false;  // it took too long, which a busy machine may have done to it
};

/// What one request takes, by how it was counted: the same for both programs or nothing.
struct Counted {
  std::string id;  // "resp_get/instructions"
  std::string what;
  std::optional<double> base = {};
  std::optional<double> head = {};
  double tolerance = 0;  // relative: a rise above it is a regression
  double slack = 0;      // absolute, beside it: background work that the run's length decides
  Absent absent = {};
};

/// One block: both programs, measured in turn.
struct Sample {
  double base = 0;   // ns
  double head = 0;   // ns
  double ratio = 0;  // of the pairs within the block, log(head / base)
};

struct Timed {
  std::string id;  // "resp_get/cpu_ns"
  std::string what;
  std::vector<Sample> blocks = {};  // those that count
  double margin = 0;                // log ratio
  Absent absent = {};               // why there are no blocks
};

enum class Decision : unsigned char { pass, fail, inconclusive, not_comparable };
[[nodiscard]] std::string_view to_string(Decision decision) noexcept;

struct Finding {
  std::string id;
  std::string what;
  Decision decision = Decision::not_comparable;
  std::optional<double> base = {};
  std::optional<double> head = {};
  std::optional<double> ratio = {};  // head / base, no logarithm; so are the next three
  std::optional<double> low = {};    // of the interval, for what is timed
  std::optional<double> high = {};
  double limit = 0;  // above which it is a regression
  std::string reason = {};
};

/// As good as pass or fail, or why neither can be said.
enum class Outcome : unsigned char { pass, fail, inconclusive, invalid_host };
[[nodiscard]] std::string_view to_string(Outcome outcome) noexcept;

struct Verdict {
  Outcome outcome = Outcome::inconclusive;
  std::vector<std::string> reasons = {};
  std::vector<Finding> findings = {};
};

struct Measured {
  std::vector<Counted> counted = {};
  std::vector<Timed> timed = {};
  std::size_t voided = 0;  // blocks that were disturbed
};

/// Chance of calling anything timed a regression when the margins are exact, over all looks.
inline constexpr double kAlpha = 0.01;
/// Blocks after which the gate looks. The first look decides where it can, and spends half of kAlpha.
inline constexpr std::size_t kFirstLook = 12;
inline constexpr std::size_t kLastLook = 24;
/// More disturbed blocks than this share of all: the host is no place to time anything.
inline constexpr double kMostVoided = 0.2;
/// Of the means in one judgement. At 2,000 the smallest p is 0.0005, below kAlpha / 2 / 3.
inline constexpr std::size_t kResamples = 2000;

[[nodiscard]] Verdict judge(const Measured& measured);
/// Whether more blocks could still change what is said of the timed.
[[nodiscard]] bool undecided(const Verdict& verdict);

/// Which blocks were disturbed, by how long a fixed piece of work took before and after each (ns): those where either took
/// kDisturbed times as long as it usually does in this run. A host that is slow throughout is not disturbed.
struct Sentinel {
  double before = 0;
  double after = 0;
};
inline constexpr double kDisturbed = 1.25;
[[nodiscard]] std::vector<bool> disturbed(const std::vector<Sentinel>& sentinels);

/// Both programs timed once, in everything.
struct Block {
  std::map<std::string, Sample> samples;  // by metric
  Sentinel sentinel;
};

}  // namespace nearlane::gate
