#include "harness/bench/gate_command.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "core/base/clock.h"
#include "harness/gate/blocks.h"
#include "harness/gate/counts.h"
#include "harness/gate/page.h"
#include "harness/gate/recording.h"
#include "harness/report/files.h"
#include "harness/report/provenance.h"

namespace nearlane::harness {
namespace {

using gate::Block;
using gate::Program;
using gate::Side;

constexpr int kCannot = 2;
constexpr int kUndecided = 3;
/// Blocks take at most so long, so that a gate on a slow machine ends within the eight minutes that it may take.
constexpr auto kBlocksWithin = std::chrono::minutes(4);
/// Disturbed blocks are measured again, up to so many in all.
constexpr std::size_t kMostBlocks = gate::kLastLook * 3 / 2;
constexpr unsigned kEstimateRounds = 1000;

struct Flags {
  std::string base;
  std::string head;
  std::string base_revision;
  std::string head_revision;
  std::string out = "build/gate/verdict";
  std::string margins;
  std::string record;
  std::string slowed;
  std::string estimate;
  std::size_t blocks = 60;
  unsigned injected = 5;
  bool quick = false;
};

int cannot(const Error& error) {
  fmt::print(stderr, "nearlane-bench gate: {}\n", error.detail);
  return kCannot;
}

void tell(std::string_view what) { fmt::print(stderr, "gate: {}\n", what); }

Result<Program> program_at(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return Error{Errc::invalid_argument, fmt::format("'{}': no such program", path)};
  }
  const auto whole = std::filesystem::absolute(path);
  return Program{.server = whole, .micro = whole.parent_path() / "nearlane-micro"};
}

// ---- recording

int record(const Flags& flags) {
  const auto base = program_at(flags.base);
  if (!base) return cannot(base.error());
  const auto slowed = program_at(flags.slowed);
  if (!slowed) return cannot(slowed.error());
  const auto here = provenance();
  gate::Recording recording{.revision = here.revision,
                            .cpu = here.cpu,
                            .kernel = here.kernel,
                            .date = here.date,
                            .injected = flags.injected};
  const Side plain{.program = *base};
  const Side slower{.program = {.server = base->server, .micro = slowed->micro},
                    .injected = flags.injected};
  for (std::size_t number = 0; number < flags.blocks; ++number) {
    tell(fmt::format("block {} of {}, A/A and A/B", number + 1, flags.blocks));
    auto same = gate::time_block(plain, plain, number);
    if (!same) return cannot(same.error());
    auto other = gate::time_block(plain, slower, number);
    if (!other) return cannot(other.error());
    recording.same.push_back(std::move(*same));
    recording.slower.push_back(std::move(*other));
    // After each, so that what was measured is not lost with the program.
    if (const auto written = gate::write_recording(recording, flags.record); !written) {
      return cannot(written.error());
    }
  }
  return 0;
}

int estimate(const Flags& flags) {
  const auto recording = gate::read_recording(flags.estimate);
  if (!recording) return cannot(recording.error());
  const auto good = gate::undisturbed(recording->same);
  fmt::print("{} A/A and {} A/B blocks ({} % injected) of {}, {}; {} and {} undisturbed\n",
             recording->same.size(), recording->slower.size(), recording->injected,
             recording->revision, recording->cpu, good.size(),
             gate::undisturbed(recording->slower).size());
  const auto found = gate::estimate(*recording, kEstimateRounds);
  if (!found) return cannot({found.error().code, flags.estimate + ": " + found.error().detail});
  fmt::print(
      "of {} gates drawn from them: false alarms {:.1f} %, undecided without a change {:.1f} %\n",
      found->rounds, found->false_alarms * 100, found->inconclusive * 100);
  for (const auto& [id, margin] : gate::margins(good)) {
    const auto caught = found->caught.find(id);
    fmt::print("{:20} margin {:.1f} %, caught {}\n", id, margin * 100,
               caught == found->caught.end()
                   ? fmt::format("not known: fewer than {} such blocks", gate::kFewestBlocks)
                   : fmt::format("{:.1f} %", caught->second * 100));
  }
  return 0;
}

// ---- the gate

/// Margins, and where they come from.
Result<std::string> put_margins(const Flags& flags, std::vector<gate::Timed>& timed) {
  if (flags.margins.empty()) {
    gate::put_margins({}, timed);
    return fmt::format("{:.0f} %, by rule: no recording was given", gate::kUnknownMargin * 100);
  }
  const auto recording = gate::read_recording(flags.margins);
  if (!recording) return recording.error();
  gate::put_margins(gate::margins(gate::undisturbed(recording->same)), timed);
  const bool same_machine = recording->cpu == provenance().cpu;
  return fmt::format(
      "from {} A/A blocks of {} ({})", recording->same.size(), recording->date,
      same_machine ? "this kind of CPU"
                   : fmt::format("another CPU, {}: record this machine's own", recording->cpu));
}

void say_absent(const Program& base, const Program& head, std::vector<gate::Timed>& timed) {
  const auto why = gate::micro_absent(base, head);
  for (auto& metric : timed) {
    if (metric.id.starts_with("l1_get")) metric.absent = why;
  }
}

gate::Measured with_blocks(const gate::Measured& measured, const std::vector<Block>& blocks) {
  auto now = measured;
  const auto good = gate::undisturbed(blocks);
  gate::put_blocks(good, now.timed);
  now.voided = blocks.size() - good.size();
  return now;
}

/// Blocks until the verdict stands, at the two looks, or there is no more time.
Result<gate::Measured> time_both(const Program& base, const Program& head,
                                 const gate::Measured& counted, bool quick) {
  const auto end = Clock::now() + kBlocksWithin;
  std::vector<Block> blocks;
  std::size_t look = gate::kFirstLook;
  const std::size_t most = quick ? 1 : kMostBlocks;
  while (blocks.size() < most && Clock::now() < end) {
    tell(fmt::format("block {}, at most {}", blocks.size() + 1, most));
    auto block = gate::time_block({.program = base}, {.program = head}, blocks.size());
    if (!block) return block.error();
    blocks.push_back(std::move(*block));
    if (gate::undisturbed(blocks).size() < look) continue;
    if (look == gate::kLastLook || !gate::undecided(gate::judge(with_blocks(counted, blocks))))
      break;
    look = gate::kLastLook;
  }
  return with_blocks(counted, blocks);
}

int exit_code(gate::Outcome outcome) {
  if (outcome == gate::Outcome::pass) return 0;
  return outcome == gate::Outcome::fail ? 1 : kUndecided;
}

int report(const Flags& flags, const gate::About& about, const gate::Measured& measured) {
  const auto verdict = gate::judge(measured);
  const auto page = gate::to_markdown(about, verdict);
  const std::filesystem::path folder(flags.out);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  for (const auto& [name, text] : {std::pair{"gate.md", page},
                                   {"gate.xml", gate::to_junit(about, verdict)},
                                   {"gate.json", gate::to_json(about, measured, verdict)}}) {
    if (const auto written = write_file(folder / name, text); !written)
      return cannot(written.error());
  }
  fmt::print("{}\nWritten to {}/gate.md, gate.xml (JUnit) and gate.json\ngate: {}\n", page,
             flags.out, gate::to_string(verdict.outcome));
  return exit_code(verdict.outcome);
}

int decide(const Flags& flags) {
  const auto begin = Clock::now();
  const auto base = program_at(flags.base);
  if (!base) return cannot(base.error());
  const auto head = program_at(flags.head);
  if (!head) return cannot(head.error());
  gate::Measured measured{.timed = gate::timed_metrics()};
  const auto margins = put_margins(flags, measured.timed);
  if (!margins) return cannot(margins.error());
  say_absent(*base, *head, measured.timed);
  measured.counted = gate::count_both(*base, *head, tell, flags.quick);
  const auto timed = time_both(*base, *head, measured, flags.quick);
  // What is known already stands, also where a server crashes before anything of it is timed.
  if (!timed && gate::judge(measured).outcome != gate::Outcome::fail) return cannot(timed.error());
  const auto here = provenance();
  gate::About about{.base = flags.base,
                    .head = flags.head,
                    .base_revision = flags.base_revision,
                    .head_revision = flags.head_revision,
                    .cpu = here.cpu,
                    .kernel = here.kernel,
                    .date = here.date,
                    .margins = *margins};
  about.elapsed_s = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!timed) about.notes.push_back("Nothing was timed: " + timed.error().detail);
  return report(flags, about, timed ? *timed : measured);
}

int run(const Flags& flags) {
  if (!flags.estimate.empty()) return estimate(flags);
  if (!flags.record.empty()) return record(flags);
  if (flags.head.empty()) return cannot({Errc::invalid_argument, "--head is missing"});
  return decide(flags);
}

}  // namespace

std::function<int()> add_gate_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("gate", "is one server program slower than another");
  command->add_option("--base", flags->base,
                      "the server to compare with; nearlane-micro is looked for beside it");
  command->add_option("--head", flags->head, "the server that may be slower; likewise");
  command->add_option("--base-revision", flags->base_revision,
                      "what --base was built from, for the verdict's heading");
  command->add_option("--head-revision", flags->head_revision, "likewise");
  command->add_option("--out", flags->out, "folder for gate.md, gate.xml and gate.json")
      ->capture_default_str();
  command->add_option("--margins", flags->margins,
                      "recording of blocks that the margins come from");
  command->add_flag("--quick", flags->quick, "one count and one block: shows that it works");
  command->add_option("--record", flags->record,
                      "record blocks of --base into this file, instead of a verdict");
  command->add_option("--slowed", flags->slowed,
                      "server beside a slowed nearlane-micro, for --record");
  command->add_option("--injected", flags->injected, "percent that --slowed is slower by")
      ->capture_default_str();
  command->add_option("--blocks", flags->blocks, "of each kind, to record")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--estimate", flags->estimate, "false alarms and power, from a recording");
  return [command, flags] { return command->parsed() ? run(*flags) : 0; };
}

}  // namespace nearlane::harness
