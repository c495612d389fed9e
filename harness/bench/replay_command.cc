#include "harness/bench/replay_command.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#define XXH_INLINE_ALL
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include "core/base/key.h"
#include "harness/bench/progress.h"
#include "harness/replay/page.h"
#include "harness/replay/reference.h"
#include "harness/replay/replay.h"
#include "harness/replay/rows.h"
#include "harness/report/files.h"
#include "harness/report/provenance.h"
#include "harness/workload/settings.h"
#include "harness/workload/trace.h"

namespace nearlane::harness {
namespace {

/// Sketches and shards go by the hash; with a seed of its own each run would find other figures.
constexpr std::uint64_t kHashSeed = 1;

struct Flags {
  std::vector<std::string> traces;
  std::string directory;
  std::vector<std::string> policies;
  std::vector<std::string> objects;
  std::vector<std::string> bytes;
  std::vector<double> fractions;
  std::vector<std::string> maps = {"mutex"};
  std::string reference;
  std::string out;
  bool json = false;
};

struct TraceFile {
  std::string name;
  std::string path;
};

Result<TraceFile> find(const std::string& given, const std::string& directory) {
  std::error_code error;
  if (std::filesystem::is_regular_file(given, error)) return TraceFile{trace_name(given), given};
  if (auto path = find_trace(directory, given, TraceForm::oracle_general); !path.empty()) {
    return TraceFile{trace_name(path), std::move(path)};
  }
  if (directory.empty()) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}: no such file, and no folder of traces was named (--traces or "
                             "NEARLANE_TRACES)",
                             given)};
  }
  const auto names = trace_names(directory);
  return Error{Errc::invalid_argument,
               fmt::format("{}: no such file, nor a trace in {}; there are {}", given, directory,
                           names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")))};
}

Result<std::string> hash_file(const std::string& path) {
  const auto file = open_file(path);
  if (!file) return file.error();
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  std::vector<char> chunk(std::size_t{1} << 20U);
  for (;;) {
    const auto got = (*file)->read(chunk);
    if (!got) return got.error();
    if (*got == 0) return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
    XXH3_64bits_update(state.get(), chunk.data(), *got);
  }
}

/// Not left to the command line's own parser: it takes -1 for the largest number there is.
Result<std::uint64_t> parse_objects(const std::string& text) {
  std::uint64_t objects = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), objects);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    return Error{Errc::invalid_argument, fmt::format("--objects: '{}' is no number", text)};
  }
  if (error != std::errc{} || objects > LogLimits{}.requests) {
    return Error{
        Errc::invalid_argument,
        fmt::format("--objects: {} is over the limit of {}, as many as a trace can request", text,
                    LogLimits{}.requests)};
  }
  return objects;
}

class ReplayRun {
 public:
  explicit ReplayRun(const Flags& flags) : flags_(flags) {
    const auto found = provenance();
    revision_ = found.revision + (found.dirty ? "+" : "");
  }

  Result<std::vector<ReplayRow>> rows() {
    if (const auto ready = prepare(); !ready) return ready.error();
    for (const auto& file : files_) {
      if (const auto done = replay(file); !done) return done.error();
    }
    return std::move(rows_);
  }

 private:
  /// What can be wrong without a trace. What is wrong with one is found when its turn comes, as
  /// only one at a time is held in memory.
  Result<void> prepare() {
    policies_ = flags_.policies.empty() ? default_policies() : flags_.policies;
    for (const auto& map : flags_.maps) {
      for (const auto& policy : policies_) {
        if (auto known = check_names({.map = map, .policy = policy}); !known) return known;
      }
    }
    for (const auto& given : flags_.traces) {
      auto file = find(given, flags_.directory);
      if (!file) return file.error();
      if (std::ranges::find(files_, file->name, &TraceFile::name) != files_.end()) {
        return Error{Errc::invalid_argument, fmt::format("{}: named twice", file->name)};
      }
      files_.push_back(std::move(*file));
    }
    if (!flags_.reference.empty()) {
      auto read = Reference::read(flags_.reference);
      if (!read) return read.error();
      reference_ = std::move(*read);
    }
    for (const auto& text : flags_.bytes) {
      const auto size = parse_bytes(text);
      if (!size) return size.error();
      bytes_.push_back(*size);
    }
    for (const auto& text : flags_.objects) {
      const auto count = parse_objects(text);
      if (!count) return count.error();
      objects_.push_back(*count);
    }
    if (std::ranges::count(bytes_, 0U) + std::ranges::count(objects_, 0U) > 0) {
      return Error{Errc::invalid_argument, "a cache of no capacity; none below 1 can be replayed"};
    }
    for (const auto fraction : flags_.fractions) {
      if (!(fraction > 0) || fraction > 1) {
        return Error{Errc::invalid_argument,
                     fmt::format("{} is no fraction; they lie above 0, up to 1", fraction)};
      }
    }
    return {};
  }

  [[nodiscard]] Unit unit() const { return bytes_.empty() ? Unit::objects : Unit::bytes; }

  [[nodiscard]] std::vector<std::uint64_t> asked_for(const TraceFile& file,
                                                     const RequestLog& log) const {
    if (!bytes_.empty()) return bytes_;
    if (!objects_.empty()) return objects_;
    if (reference_ && flags_.fractions.empty()) {
      auto known = reference_->capacities(file.name, Unit::objects);
      if (!known.empty()) return known;
    }
    constexpr std::array kUsual{0.01, 0.1, 0.25};
    auto fractions = flags_.fractions;
    if (fractions.empty()) fractions.assign(kUsual.begin(), kUsual.end());
    std::vector<std::uint64_t> found;
    for (const auto fraction : fractions) {
      const double objects = std::nearbyint(fraction * static_cast<double>(log.keys.size()));
      found.push_back(static_cast<std::uint64_t>(std::max(objects, 1.0)));
    }
    return found;
  }

  /// Each once, in the order in which they were asked for: of a small trace several fractions are
  /// the same number of objects.
  [[nodiscard]] std::vector<std::uint64_t> capacities(const TraceFile& file,
                                                      const RequestLog& log) const {
    std::vector<std::uint64_t> once;
    for (const auto capacity : asked_for(file, log)) {
      if (std::ranges::find(once, capacity) == once.end()) once.push_back(capacity);
    }
    return once;
  }

  static void warn(const RequestLog& log) {
    if (log.backward_records == 0) return;
    fmt::print(
        stderr,
        "nearlane-bench replay: warning: {}: record {} is earlier than one before it, the first "
        "of {} that are; each is replayed at the latest time so far\n",
        log.trace, log.first_backward, log.backward_records);
  }

  Result<void> replay(const TraceFile& file) {
    const auto hash = hash_file(file.path);
    if (!hash) return hash.error();
    const auto trace = open_trace(file.path);
    if (!trace) return trace.error();
    auto log = load_log(**trace, std::filesystem::path(file.path).filename().string());
    if (!log) return log.error();
    warn(*log);
    Replayer replayer(std::move(*log));
    const auto sizes = capacities(file, replayer.log());
    meter_.begin(file.name, sizes.size() * policies_.size() * flags_.maps.size());
    for (const auto& map : flags_.maps) {
      for (const auto capacity : sizes) {
        for (const auto& policy : policies_) {
          meter_.advance();
          // What knows the future needs no map.
          if (policy == kBelady && map != flags_.maps.front()) continue;
          meter_.phase(fmt::format("{} in {} at {}", policy, map, capacity));
          const auto started = Clock::now();
          const auto count =
              replayer.run({.map = map, .policy = policy, .unit = unit(), .capacity = capacity});
          if (!count) return count.error();
          add_row(file, *hash, replayer.log(), map, policy, capacity, *count,
                  std::chrono::duration<double>(Clock::now() - started).count());
        }
      }
    }
    meter_.end("done");
    return {};
  }

  void add_row(const TraceFile& file, const std::string& hash, const RequestLog& log,
               const std::string& map, const std::string& policy, std::uint64_t capacity,
               const ReplayCount& count, double seconds) {
    const bool offline = policy == kBelady;
    ReplayRow row{
        .trace = file.name,
        .policy = offline && unit() == Unit::bytes ? std::string(kBeladySize) : policy,
        .capacity = capacity,
        .unit = unit(),
        .requests = log.reads,
        .misses = count.misses,
        .map = map,
        .offline = offline,
        .rejections = count.rejections,
        .keys = log.keys.size(),
        .file = std::filesystem::path(file.path).filename().string(),
        .file_hash = hash,
        .revision = revision_,
        .seconds = seconds,
        .reference = {},
    };
    if (reference_) reference_->compare(row);
    rows_.push_back(std::move(row));
  }

  const Flags& flags_;
  std::string revision_;
  std::vector<std::string> policies_;
  std::vector<TraceFile> files_;
  std::vector<std::uint64_t> objects_;
  std::vector<std::uint64_t> bytes_;
  std::optional<Reference> reference_;
  std::vector<ReplayRow> rows_;
  Meter meter_;
};

/// What the rows say, on paper: made from their JSON, so that it can be made again.
Result<void> tell(const Flags& flags, const std::string& json) {
  const auto rows = rows_from_json(json);
  if (!rows) return rows.error();
  if (!flags.out.empty()) {
    const std::filesystem::path out(flags.out);
    if (auto done = write_file(out / "replay.json", json); !done) return done;
    if (auto done = write_file(out / "REPLAY.md", render_replay(*rows, true)); !done) return done;
    for (const auto& trace : traces_of(*rows)) {
      auto done = write_file(out / plot_file(trace), plot_replay(*rows, trace));
      if (!done) return done;
    }
  }
  fmt::print("{}", flags.json ? json : render_replay(*rows, false));
  return {};
}

int run(const Flags& flags) {
  set_hash_seed(kHashSeed);
  const auto rows = ReplayRun(flags).rows();
  const auto told = rows ? tell(flags, to_json(*rows)) : Result<void>(rows.error());
  if (told) return 0;
  fmt::print(stderr, "nearlane-bench replay: {}\n", told.error().detail);
  return 2;
}

}  // namespace

std::function<int()> add_replay_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand(
      "replay", "miss ratios of the L1 policies on recorded traces, in the process");
  command
      ->add_option(
          "trace", flags->traces,
          fmt::format(
              "files (.oracleGeneral, .csv, either with .zst), or names: NAME.oracleGeneral or "
              "NAME.twitter.csv, either with .zst, is looked for in --traces. A name takes the "
              "oracleGeneral form, reads alone, where both exist; a "
              "path takes that file, so name the .csv to replay its sets, touches, deletes and "
              "TTLs. At most {} requests of {} keys each, whose names have {} bytes together; all "
              "of it is "
              "held in memory",
              LogLimits{}.requests, LogLimits{}.keys, LogLimits{}.name_bytes))
      ->required();
  command->add_option("--traces", flags->directory, "folder of recorded traces")
      ->envname("NEARLANE_TRACES");
  const auto list = [&](const char* name, auto& values, const char* what) {
    return command->add_option(name, values, what)->delimiter(',')->allow_extra_args(false);
  };
  list("--policy", flags->policies,
       "L1 policies, and belady, which is none: the offline optimum. In bytes its rows are called "
       "belady-size and are a greedy stand-in's; that name cannot be asked for. Default: all of "
       "them");
  auto* objects = list("--objects", flags->objects, "capacities as numbers of entries");
  objects->type_name("UINT");
  auto* bytes =
      list("--bytes", flags->bytes,
           "capacities as byte budgets, like 64MiB, which keys and overheads count against");
  auto* fractions = list("--fraction", flags->fractions,
                         "capacities as parts of the trace's keys; default: 0.01,0.1,0.25");
  objects->excludes(bytes)->excludes(fractions);
  bytes->excludes(fractions);
  list("--map", flags->maps,
       "L1 maps; the tables are the first one's, the others' misses are compared with it. mutex is "
       "one shard, "
       "so policies are exact")
      ->capture_default_str();
  command->add_option("--reference", flags->reference,
                      "CSV of a simulator's miss ratios to compare with; its capacities are the "
                      "default");
  command->add_flag("--json", flags->json, "print the rows as JSON, and nothing else");
  command->add_option("--out", flags->out,
                      "folder for replay.json, REPLAY.md and a plot of each trace");
  return [command, flags] { return command->parsed() ? run(*flags) : 0; };
}

}  // namespace nearlane::harness
