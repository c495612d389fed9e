// Recording: blocks that were kept, and what they say of the gate itself: how far one program has been seen to disagree
// with itself (the margins), and how often the gate would have been wrong.
//
// Errors:   invalid_argument for a file that cannot be read or written, protocol for one that is no recording.
// Threads:  any. Cost: estimate: some ms a round.
// Source:   results/gate; docs/benchmarks.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/gate/verdict.h"

namespace nearlane::gate {

inline constexpr std::string_view kRecordingSchema = "nearlane-gate-blocks/1";

/// The least margin: below it a difference is not worth a person's time. Unit: log ratio.
inline constexpr double kLeastMargin = 0.015;
/// Of what nothing is recorded. Unit: log ratio.
inline constexpr double kUnknownMargin = 0.03;

struct Recording {
  std::string revision;
  std::string cpu;
  std::string kernel;
  std::string date;                // UTC, of the first block
  unsigned injected = 0;           // percent, into head of `slower`
  std::vector<Block> same = {};    // A/A: one program twice
  std::vector<Block> slower = {};  // A/B: the same, head slowed down
};

[[nodiscard]] std::string to_json(const Recording& recording);
/// From a document's text.
[[nodiscard]] Result<Recording> parse_recording(std::string_view text);
[[nodiscard]] Result<Recording> read_recording(const std::string& path);
[[nodiscard]] Result<void> write_recording(const Recording& recording, const std::string& path);

/// The blocks that were not disturbed.
[[nodiscard]] std::vector<Block> undisturbed(const std::vector<Block>& blocks);
/// `timed` with those blocks' samples.
void put_blocks(const std::vector<Block>& blocks, std::vector<Timed>& timed);

/// For each metric: how far kFirstLook blocks of one program disagree in all but one judgement in 200, at least kLeastMargin.
[[nodiscard]] std::map<std::string, double> margins(const std::vector<Block>& same);
void put_margins(const std::map<std::string, double>& margins, std::vector<Timed>& timed);

/// How the gate would have done, by drawing blocks with replacement, looks and margins included. The margins
/// come from the one half of the A/A blocks and the draws from the other, then the other way round.
struct Estimate {
  unsigned rounds = 0;
  double false_alarms = 0;  // share of A/A gates that fail
  double inconclusive = 0;  // share of A/A gates that cannot decide
  /// Share of gates that fail a slowdown of this metric alone; none where fewer than kFewestBlocks
  /// slower blocks have it.
  std::map<std::string, double> caught = {};
};
/// Undisturbed blocks of a kind below which nothing is said: as many as a gate's first look takes.
inline constexpr std::size_t kFewestBlocks = kFirstLook;
/// invalid_argument for fewer A/A blocks than that.
[[nodiscard]] Result<Estimate> estimate(const Recording& recording, unsigned rounds);

}  // namespace nearlane::gate
