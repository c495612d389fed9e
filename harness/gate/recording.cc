#include "harness/gate/recording.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/gate/statistics.h"
#include "harness/report/files.h"

namespace nearlane::gate {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kSeed = 7;
constexpr double kMarginQuantile = 0.995;

Json blocks_json(const std::vector<Block>& blocks) {
  Json all = Json::array();
  for (const auto& block : blocks) {
    Json samples = Json::object();
    for (const auto& [id, sample] : block.samples) {
      samples[id] = {
          {"base_ns", sample.base}, {"head_ns", sample.head}, {"log_ratio", sample.ratio}};
    }
    all.push_back(
        {{"sentinel_ns", {block.sentinel.before, block.sentinel.after}}, {"samples", samples}});
  }
  return all;
}

/// Throws nlohmann's exceptions, which parse_recording catches: the document's shape is checked nowhere else.
std::vector<Block> blocks_of(const Json& json) {
  std::vector<Block> blocks;
  for (const auto& each : json) {
    Block block;
    block.sentinel = {.before = each.at("sentinel_ns").at(0).get<double>(),
                      .after = each.at("sentinel_ns").at(1).get<double>()};
    for (const auto& [id, sample] : each.at("samples").items()) {
      block.samples[id] = {.base = sample.at("base_ns").get<double>(),
                           .head = sample.at("head_ns").get<double>(),
                           .ratio = sample.at("log_ratio").get<double>()};
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

std::vector<double> ratios_of(const std::vector<Block>& blocks, const std::string& id) {
  std::vector<double> ratios;
  for (const auto& block : blocks) {
    if (const auto found = block.samples.find(id); found != block.samples.end()) {
      ratios.push_back(found->second.ratio);
    }
  }
  return ratios;
}

std::vector<std::string> ids_of(const std::vector<Block>& blocks) {
  std::vector<std::string> ids;
  if (blocks.empty()) return ids;
  for (const auto& [id, sample] : blocks.front().samples) ids.push_back(id);
  return ids;
}

/// Every second block, from the first or the second on.
std::vector<Block> half_of(const std::vector<Block>& blocks, std::size_t from) {
  std::vector<Block> half;
  for (std::size_t i = from; i < blocks.size(); i += 2) half.push_back(blocks[i]);
  return half;
}

/// One gate over drawn blocks: of `slowed` from the slower ones, of everything else from the same.
class Rerun {
 public:
  Rerun(const std::vector<Block>& same, const std::vector<Block>& slower,
        const std::map<std::string, double>& margins)
      : same_(same), slower_(slower), margins_(margins) {}

  Verdict operator()(const std::string& slowed, harness::Random& random) const {
    std::vector<Block> drawn;
    Verdict verdict;
    for (const std::size_t look : {kFirstLook, kLastLook}) {
      while (drawn.size() < look) drawn.push_back(draw(slowed, random));
      Measured measured;
      // What is counted is not drawn: it passes.
      measured.counted.push_back({.id = "counted", .what = "", .base = 1, .head = 1});
      for (const auto& id : ids_of(same_)) measured.timed.push_back({.id = id, .what = ""});
      put_blocks(drawn, measured.timed);
      put_margins(margins_, measured.timed);
      verdict = judge(measured);
      if (!undecided(verdict)) break;
    }
    return verdict;
  }

 private:
  Block draw(const std::string& slowed, harness::Random& random) const {
    Block block = same_[random.below(same_.size())];
    if (!slowed.empty()) {
      const auto& other = slower_[random.below(slower_.size())].samples;
      if (const auto found = other.find(slowed); found != other.end())
        block.samples[slowed] = found->second;
    }
    return block;
  }

  const std::vector<Block>& same_;
  const std::vector<Block>& slower_;
  const std::map<std::string, double>& margins_;
};

bool failed(const Verdict& verdict, const std::string& id) {
  return std::ranges::any_of(verdict.findings, [&](const Finding& finding) {
    return finding.id == id && finding.decision == Decision::fail;
  });
}

}  // namespace

std::string to_json(const Recording& recording) {
  const Json document = {{"schema", kRecordingSchema},
                         {"revision", recording.revision},
                         {"cpu", recording.cpu},
                         {"kernel", recording.kernel},
                         {"date", recording.date},
                         {"injected_percent", recording.injected},
                         {"same", blocks_json(recording.same)},
                         {"slower", blocks_json(recording.slower)}};
  return document.dump(1) + "\n";
}

Result<Recording> parse_recording(std::string_view text) {
  const auto json = Json::parse(text, nullptr, false);
  try {
    if (json.at("schema") != kRecordingSchema)
      return Error{Errc::protocol, "not a recording of blocks"};
    return Recording{.revision = json.at("revision").get<std::string>(),
                     .cpu = json.at("cpu").get<std::string>(),
                     .kernel = json.at("kernel").get<std::string>(),
                     .date = json.at("date").get<std::string>(),
                     .injected = json.at("injected_percent").get<unsigned>(),
                     .same = blocks_of(json.at("same")),
                     .slower = blocks_of(json.at("slower"))};
  } catch (const nlohmann::json::exception& wrong) {
    return Error{Errc::protocol, fmt::format("not a recording of blocks: {}", wrong.what())};
  }
}

Result<Recording> read_recording(const std::string& path) {
  const auto text = harness::read_file(path);
  if (!text) return text.error();
  auto recording = parse_recording(*text);
  if (!recording) return Error{recording.error().code, path + ": " + recording.error().detail};
  return recording;
}

Result<void> write_recording(const Recording& recording, const std::string& path) {
  return harness::write_file(path, to_json(recording));
}

std::vector<Block> undisturbed(const std::vector<Block>& blocks) {
  std::vector<Sentinel> sentinels;
  sentinels.reserve(blocks.size());
  for (const auto& block : blocks) sentinels.push_back(block.sentinel);
  const auto bad = disturbed(sentinels);
  std::vector<Block> good;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (!bad[i]) good.push_back(blocks[i]);
  }
  return good;
}

void put_blocks(const std::vector<Block>& blocks, std::vector<Timed>& timed) {
  for (auto& metric : timed) {
    metric.blocks.clear();
    for (const auto& block : blocks) {
      if (const auto found = block.samples.find(metric.id); found != block.samples.end()) {
        metric.blocks.push_back(found->second);
      }
    }
  }
}

std::map<std::string, double> margins(const std::vector<Block>& same) {
  constexpr std::size_t kCount = 4000;
  std::map<std::string, double> found;
  harness::Random random(kSeed);
  for (const auto& id : ids_of(same)) {
    auto means = resampled(ratios_of(same, id), kFirstLook, kCount, random);
    for (double& mean : means) mean = std::abs(mean);
    std::ranges::sort(means);
    found[id] = std::max(kLeastMargin, quantile(means, kMarginQuantile));
  }
  return found;
}

void put_margins(const std::map<std::string, double>& margins, std::vector<Timed>& timed) {
  for (auto& metric : timed) {
    const auto found = margins.find(metric.id);
    metric.margin = found == margins.end() ? kUnknownMargin : found->second;
  }
}

Result<Estimate> estimate(const Recording& recording, unsigned rounds) {
  const auto same = undisturbed(recording.same);
  const auto slower = undisturbed(recording.slower);
  if (same.size() < kFewestBlocks) {
    return Error{Errc::invalid_argument,
                 fmt::format("too few blocks: {} undisturbed of one program twice, needs {}",
                             same.size(), kFewestBlocks)};
  }
  Estimate found{.rounds = rounds};
  std::vector<std::string> slowed;
  for (const auto& id : ids_of(same)) {
    if (ratios_of(slower, id).size() >= kFewestBlocks) slowed.push_back(id);
  }
  const std::array halves = {half_of(same, 0), half_of(same, 1)};
  const std::array limits = {margins(halves[0]), margins(halves[1])};
  harness::Random random(kSeed);
  for (unsigned round = 0; round < rounds; ++round) {
    const Rerun rerun(halves[round % 2], slower, limits[1 - round % 2]);
    const auto alone = rerun("", random);
    found.false_alarms += alone.outcome == Outcome::fail ? 1.0 / rounds : 0;
    found.inconclusive += undecided(alone) ? 1.0 / rounds : 0;
    for (const auto& id : slowed) {
      found.caught[id] += failed(rerun(id, random), id) ? 1.0 / rounds : 0;
    }
  }
  return found;
}

}  // namespace nearlane::gate
