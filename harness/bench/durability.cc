// Scenario kind `durability`: an instance on its embedded store is killed under a load of writes, again and again, in each
// fsync mode: whatever it acknowledged is there when it is back, and how soon that is; and what it costs to read what
// neither L1 nor the store's own cache has (claims B2 and B4).
//
// A kill takes the process, and the system keeps what it was handed. What a cut of the power takes is tested with files
// that forget it (core/l2/rocksdb/faulty_files.h).
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "harness/bench/caller.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/check/batch_client.h"
#include "harness/driver/generator.h"
#include "harness/topology/instance.h"
#include "harness/topology/pinned.h"
#include "harness/topology/temp_dir.h"
#include "harness/workload/document.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// What is promised of a read that only the disk, or the system's cache of it, can answer.
constexpr double kColdWithinNs = 1e6;
/// Or so many times what a read from L1 took, where the machine has more to do than this.
constexpr double kMachinesShare = 2;

constexpr Duration kPatience = 2min;  // for the writes of one round
constexpr std::size_t kBatch = 64;
/// So often is a key written, on average.
constexpr std::uint64_t kVersions = 4;
constexpr const char* kModes[] = {"always", "everysec", "no"};

struct Plan {
  bool on_disk = true;  // false: in memory, to show that a loss is noticed
  int kills = 0;
  std::uint64_t writes = 0;  // in each mode
  std::uint64_t value_bytes = 0;
  std::uint32_t connections = 0;
  std::uint32_t pipeline = 0;
  std::uint64_t cold_keys = 0;
  std::uint64_t cold_bytes = 0;
  std::uint64_t cold_reads = 0;
};

/// Writes of many keys, each the next version of its key, one of a key at a time, and what became of them.
///
/// Threads: the generator's, but for acknowledged().
class Writes final : public RequestSource {
 public:
  Writes(std::uint64_t keys, std::uint64_t value_bytes, std::uint64_t seed)
      : value_bytes_(value_bytes), random_(seed), keys_(keys) {}

  bool next(Request& into) override {
    std::uint64_t key = random_.below(keys_.size());
    while (keys_[key].under_way) key = (key + 1) % keys_.size();
    Key& chosen = keys_[key];
    chosen.under_way = true;
    ++chosen.newest;
    if (!std::exchange(chosen.of_round, true)) of_round_.push_back(key);
    into.kind = Op::set;
    into.key = name(key);
    into.ttl = {};
    into.tag = key;
    write_document(into.key, chosen.newest, value_bytes_, into.value);
    return true;
  }
  /// To be the generator's Checker.
  bool judge(const Completion& completion) {
    Key& key = keys_[completion.tag];
    key.under_way = false;
    if (completion.outcome == Outcome::ok) {
      key.certain = key.newest;
      ++acknowledged_;
    } else if (completion.failure == Failure::server_error && refusal_.empty()) {
      refusal_ = completion.value;
    }
    return true;
  }

  static std::string name(std::uint64_t key) { return fmt::format("durable:{:08}", key); }
  [[nodiscard]] std::vector<std::uint64_t> all() const {
    std::vector<std::uint64_t> numbers(keys_.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
  }
  /// Of all rounds.
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }
  /// Why a write was refused, the first time; empty: none was.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
  /// Those that were written since the last call.
  [[nodiscard]] std::vector<std::uint64_t> take_round() {
    for (const std::uint64_t key : of_round_) keys_[key].of_round = false;
    return std::exchange(of_round_, {});
  }

  enum class Found : std::uint8_t { fine, lost, damaged };
  /// What a key has after a kill; from then on it may not go back behind that.
  Found check(std::uint64_t number, std::string_view value) {
    Key& key = keys_[number];
    std::uint64_t version = 0;
    if (!value.empty()) {
      const auto verified = verify_document(name(number), value);
      if (!verified || *verified > key.newest) return Found::damaged;
      version = *verified;
    }
    const bool lost = version < key.certain;
    key.certain = version;
    return lost ? Found::lost : Found::fine;
  }

 private:
  struct Key {
    std::uint64_t newest = 0;   // version that was sent
    std::uint64_t certain = 0;  // acknowledged, or seen
    bool under_way = false;
    bool of_round = false;
  };

  const std::uint64_t value_bytes_;
  Random random_;
  std::vector<Key> keys_;
  std::vector<std::uint64_t> of_round_;
  std::string refusal_;
  std::atomic<std::uint64_t> acknowledged_{0};
};

/// Of one fsync mode.
struct Losses {
  std::uint64_t compared = 0;
  std::uint64_t lost = 0;
  std::uint64_t damaged = 0;
  std::uint64_t control = 0;  // lost with an empty directory
};

/// The files' bytes are on the disk alone.
void forget_pages(const std::filesystem::path& directory) {
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    (void)::fdatasync(fd);
    (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)::close(fd);
  }
}

class Durability {
 public:
  Durability(const Plan& plan, Bench& bench) : plan_(plan), bench_(bench) {}

  Result<void> run() {
    bench_.meter.begin(bench_.result.scenario,
                       std::size(kModes) * static_cast<std::uint64_t>(plan_.kills) + 2);
    for (const char* mode : kModes) {
      if (const auto done = kill_again_and_again(mode); !done) return done.error();
    }
    add_totals();
    add_kill_tables();
    if (const auto done = cold(); !done) return done.error();
    add_cold_table();
    return {};
  }

 private:
  [[nodiscard]] Result<Instance> start(const TempDir& folder, const std::string& mode) const {
    const std::string directory = (folder.path() / "data").string();
    return Instance::start(
        {.l2 = plan_.on_disk ? "rocksdb:" + directory : "memory:",
         .flags = {"--threads", "1", "--l1-bytes", "256MiB", "--l2-fsync", mode}});
  }

  // Kills -------------------------------------------------------------------------------------------------------

  Result<void> kill_again_and_again(const std::string& mode) {
    auto folder = TempDir::make();
    if (!folder) return folder.error();
    auto instance = start(*folder, mode);
    if (!instance) return instance.error();
    const std::uint64_t wanted = bench_.scaled(plan_.writes);
    Writes writes(std::max<std::uint64_t>(wanted / kVersions,
                                          std::uint64_t{2} * plan_.connections * plan_.pipeline),
                  plan_.value_bytes, bench_.seed);
    Losses losses;
    Histogram latency;
    std::vector<Duration> restarts;
    Duration loaded{};
    const auto kills = static_cast<std::uint64_t>(plan_.kills);
    for (std::uint64_t round = 1; round <= kills; ++round) {
      bench_.meter.phase(fmt::format("fsync {}: kill {}", mode, round));
      const auto took = write_until_killed(*instance, writes, wanted * round / kills, latency);
      if (!took) return took.error();
      loaded += *took;
      const auto restarted = restart(*instance);
      if (!restarted) return restarted.error();
      restarts.push_back(*restarted);
      if (const auto done = compare(*instance, writes, writes.take_round(), losses); !done)
        return done.error();
      bench_.meter.advance();
    }
    // Also what no later round has touched.
    if (const auto done = compare(*instance, writes, writes.all(), losses); !done)
      return done.error();
    const auto noticed = control(mode, writes);
    if (!noticed) return noticed.error();
    losses.control = *noticed;
    add_measures(mode, writes, losses, latency, loaded, std::move(restarts));
    return {};
  }

  /// Until so many writes of all rounds have been acknowledged; how long that took.
  Result<Duration> write_until_killed(Instance& instance, Writes& writes, std::uint64_t wanted,
                                      Histogram& latency) const {
    GeneratorOptions generator;
    generator.protocol = Protocol::resp;
    generator.targets = {instance.resp()};
    generator.connections = plan_.connections;
    generator.pipeline = plan_.pipeline;
    std::atomic<bool> stop{false};
    RunOptions run;
    run.open_loop = false;
    run.duration = 1h;  // until it is told to stop
    run.stop = &stop;
    run.check = [&](const Completion& completion) { return writes.judge(completion); };
    Result<RunReport> report = Error{Errc::unavailable, "it did not run"};
    const TimePoint begun = Clock::now();
    std::thread generating([&] { report = generate(writes, generator, run); });
    const TimePoint patience = begun + kPatience;
    while (writes.acknowledged() < wanted && Clock::now() < patience)
      std::this_thread::sleep_for(1ms);
    const bool enough = writes.acknowledged() >= wanted;
    instance.kill();
    const Duration took = Clock::now() - begun;
    stop = true;
    generating.join();
    if (!report) return report.error();
    if (!writes.refusal().empty()) return Error{Errc::l2_error, writes.refusal()};
    if (!enough) return Error{Errc::timeout, "too few writes were acknowledged"};
    latency.merge(report->service_time);
    return took;
  }

  /// Until it answers for a key.
  static Result<Duration> restart(Instance& instance) {
    const TimePoint begun = Clock::now();
    if (const auto again = instance.restart(); !again) return again.error();
    Caller caller(Protocol::resp, instance.resp());
    const auto answer = caller.call({.key = Writes::name(0)});
    if (answer.outcome == Outcome::error)
      return Error{Errc::unavailable, "after its restart: " + std::string(answer.value)};
    return Clock::now() - begun;
  }

  static Result<void> compare(const Instance& instance, Writes& writes,
                              const std::vector<std::uint64_t>& keys, Losses& losses) {
    std::string trouble;
    BatchClient client(Protocol::resp, instance.resp(), kPatience);
    std::vector<Request> requests;
    for (std::size_t from = 0; from < keys.size(); from += kBatch) {
      requests.clear();
      for (std::size_t i = from; i < std::min(from + kBatch, keys.size()); ++i)
        requests.push_back({.key = Writes::name(keys[i])});
      client.exchange(requests, [&](std::size_t at, const Reply& reply, TimePoint) {
        if (reply.outcome == Outcome::error)
          trouble = fmt::format("{} {}", to_string(reply.failure), reply.text);
        const auto found =
            writes.check(keys[from + at], reply.outcome == Outcome::hit ? reply.text : "");
        ++losses.compared;
        losses.lost += found == Writes::Found::lost ? 1 : 0;
        losses.damaged += found == Writes::Found::damaged ? 1 : 0;
      });
      if (!trouble.empty()) return Error{Errc::unavailable, "a read failed: " + trouble};
    }
    return {};
  }

  /// How many keys a store would have lost that forgets: to show that it would be noticed.
  Result<std::uint64_t> control(const std::string& mode, Writes& writes) {
    auto empty = TempDir::make();
    if (!empty) return empty.error();
    const auto instance = start(*empty, mode);
    if (!instance) return instance.error();
    Losses losses;
    if (const auto done = compare(*instance, writes, writes.all(), losses); !done)
      return done.error();
    if (losses.lost == 0)
      bench_.result.failures.emplace_back("it was not noticed that all was lost");
    return losses.lost;
  }

  void add_measures(const std::string& mode, const Writes& writes, const Losses& losses,
                    const Histogram& latency, Duration loaded, std::vector<Duration> restarts) {
    const auto acknowledged = static_cast<double>(writes.acknowledged());
    Measure load{.id = "write/" + mode,
                 .what = fmt::format("writes until a kill, {} under way",
                                     std::uint64_t{plan_.connections} * plan_.pipeline),
                 .boundary = "client",
                 .clock_starts = "the request is sent",
                 .clock_stops = "whole reply parsed",
                 .processes = 2};
    auto& repetition = load.repetitions.emplace_back();
    repetition.add("", latency);
    repetition.values["rate_per_s"] = acknowledged / std::chrono::duration<double>(loaded).count();
    bench_.result.measure(std::move(load));

    Measure killed = counting("killed/" + mode, "after each kill, and all once more in the end", 2);
    killed.clock_starts = "the process is started";
    killed.clock_stops = "it has answered a read";
    auto& values = killed.repetitions.back().values;
    values["kills_count"] = static_cast<double>(restarts.size());
    values["acknowledged_count"] = acknowledged;
    values["compared_count"] = static_cast<double>(losses.compared);
    values["lost_count"] = static_cast<double>(losses.lost);
    values["damaged_count"] = static_cast<double>(losses.damaged);
    values["control_lost_count"] = static_cast<double>(losses.control);
    std::ranges::sort(restarts);
    values["restart_median_ns"] = static_cast<double>(restarts[restarts.size() / 2].count());
    values["restart_max_ns"] = static_cast<double>(restarts.back().count());
    bench_.result.measure(std::move(killed));
    if (losses.lost + losses.damaged > 0) {
      bench_.result.failures.push_back(fmt::format(
          "fsync {}: of {} acknowledged writes {} keys lost theirs, {} came back damaged", mode,
          writes.acknowledged(), losses.lost, losses.damaged));
    }
  }

  void add_totals() {
    Measure all = counting("killed/all", "all modes together", 2);
    auto& values = all.repetitions.back().values;
    for (const char* count : {"kills_count", "acknowledged_count", "lost_count", "damaged_count"}) {
      double sum = 0;
      for (const Measure& measure : bench_.result.measures) {
        if (measure.id.starts_with("killed/"))
          sum += measure.repetitions.back().values.at(count).value_or(0);
      }
      values[count] = sum;
    }
    bench_.result.measure(std::move(all));
  }

  void add_kill_tables() {
    Table table;
    table.title = fmt::format(
        "{} acknowledged writes of {} bytes in each mode, and kill -9 of the process {} times "
        "meanwhile",
        bench_.scaled(plan_.writes), plan_.value_bytes, plan_.kills);
    table.columns = {"--l2-fsync",
                     "acknowledged",
                     "a second",
                     "p50",
                     "p99",
                     "lost (allowed: 0)",
                     "damaged (0)",
                     "keys compared",
                     "lost in the control (must not be 0)",
                     "restart until the first answer, median",
                     "longest"};
    for (const std::string mode : kModes) {
      const std::string killed = "killed/" + mode;
      const std::string write = "write/" + mode;
      table.rows.push_back({{Cell::of(mode)},
                            {Cell::of(killed, "acknowledged_count")},
                            {Cell::of(write, "rate_per_s")},
                            {Cell::of(write, "p50_ns")},
                            {Cell::of(write, "p99_ns")},
                            {Cell::of(killed, "lost_count")},
                            {Cell::of(killed, "damaged_count")},
                            {Cell::of(killed, "compared_count")},
                            {Cell::of(killed, "control_lost_count")},
                            {Cell::of(killed, "restart_median_ns")},
                            {Cell::of(killed, "restart_max_ns")}});
    }
    bench_.result.tables.push_back(std::move(table));
    bench_.result.notes.emplace_back(
        "A kill ends the process, not the system: what it costs to lose the power is a test of the "
        "store with files that forget what was not synced. A key that came back with an older "
        "value "
        "than an acknowledged one is lost, too. The directory lies where the system has its "
        "temporary "
        "files: where that is memory, syncing costs nothing.");
  }

  // Cold reads --------------------------------------------------------------------------------------------------

  static std::string cold_name(std::uint64_t key) { return fmt::format("cold:{:08}", key); }

  Result<void> cold() {
    if (!plan_.on_disk) return {};
    bench_.meter.phase("filling for cold reads");
    auto folder = TempDir::make();
    if (!folder) return folder.error();
    auto instance = start(*folder, "everysec");
    if (!instance) return instance.error();
    const std::uint64_t keys = bench_.scaled(plan_.cold_keys);
    if (const auto filled = fill(*instance, keys); !filled) return filled.error();
    if (const auto idle = wait_until_idle(*instance); !idle) return idle.error();
    bench_.meter.advance();
    bench_.meter.phase("cold reads");
    std::vector<std::uint64_t> order(keys);
    std::iota(order.begin(), order.end(), 0);
    Random random(bench_.seed);
    for (std::uint64_t i = keys - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    const auto reads = std::span(order).first(std::min(plan_.cold_reads, keys));
    for (const bool cached : {true, false}) {
      const auto ended = instance->drain(kPatience);
      if (!ended) return ended.error();
      if (!cached) forget_pages(folder->path());
      if (const auto again = restart_pinned(*instance); !again) return again.error();
      if (const auto idle = wait_until_idle(*instance); !idle) return idle.error();
      if (const auto done = time_cold(*instance, reads, cached); !done) return done.error();
    }
    bench_.meter.advance();
    return {};
  }

  static Result<void> restart_pinned(Instance& instance) {
    const Pinned there(kServersCore);
    return instance.restart();
  }
  /// Until the store has done with compacting what was written, whose core the reads would share.
  static Result<void> wait_until_idle(const Instance& instance) {
    constexpr Duration kLook = 500ms;
    constexpr Duration kLittle = 10ms;  // of CPU, in that time
    for (const TimePoint end = Clock::now() + kPatience; Clock::now() < end;) {
      const Duration before = instance.child().usage().cpu();
      std::this_thread::sleep_for(kLook);
      if (instance.child().usage().cpu() - before <= kLittle) return {};
    }
    return Error{Errc::timeout, "the store did not come to rest"};
  }

  Result<void> fill(const Instance& instance, std::uint64_t keys) const {
    std::uint64_t failed = 0;
    BatchClient client(Protocol::resp, instance.resp(), kPatience);
    std::vector<Request> requests;
    for (std::uint64_t from = 0; from < keys; from += kBatch) {
      requests.resize(std::min<std::uint64_t>(kBatch, keys - from));
      for (std::size_t i = 0; i < requests.size(); ++i) {
        requests[i].kind = Op::set;
        requests[i].key = cold_name(from + i);
        write_document(requests[i].key, 1, plan_.cold_bytes, requests[i].value);
      }
      client.exchange(requests, [&](std::size_t, const Reply& reply, TimePoint) {
        failed += reply.outcome == Outcome::ok ? 0 : 1;
      });
    }
    if (failed > 0) return Error{Errc::unavailable, fmt::format("{} writes failed", failed)};
    return {};
  }

  Result<void> time_cold(const Instance& instance, std::span<const std::uint64_t> keys,
                         bool cached) {
    const auto cold = time_reads(instance, keys, cached ? "cold/system" : "cold/disk",
                                 cached ? "a new process, the files in the system's memory"
                                        : "a new process, the files on the disk alone");
    if (!cold) return cold.error();
    const auto stats = read_stats(instance.http());
    if (!stats) return stats.error();
    if (stats->l1_hits != 0 || stats->l2_hits != keys.size()) {
      bench_.result.failures.push_back(fmt::format("of {} cold reads L1 answered {}, L2 {}",
                                                   keys.size(), stats->l1_hits, stats->l2_hits));
    }
    if (!cached) return {};
    const auto again = time_reads(instance, keys, "again/system", "the same once more, from L1");
    if (!again) return again.error();
    if (*cold && *again && **cold > std::max(kColdWithinNs, kMachinesShare * **again)) {
      bench_.result.failures.push_back(fmt::format(
          "a cold read took {:.2f} ms (p99; allowed: 1 ms, or twice the {:.2f} ms of one from L1)",
          **cold / 1e6, **again / 1e6));
    }
    return {};
  }

  /// One at a time; their p99, if there are enough of them.
  Result<std::optional<double>> time_reads(const Instance& instance,
                                           std::span<const std::uint64_t> keys, const char* id,
                                           const char* what) {
    Measure measure{.id = id,
                    .what = what,
                    .boundary = "client",
                    .clock_starts = "the request's bytes are given to the kernel",
                    .clock_stops = "whole reply parsed",
                    .processes = 2,
                    .parameters = {{"keys", std::to_string(bench_.scaled(plan_.cold_keys))}}};
    Histogram times;
    // It polls, and would keep a thread of the server's waiting that the system gave the same core.
    const Pinned here(kClientsCore);
    Caller caller(Protocol::resp, instance.resp());
    for (const std::uint64_t key : keys) {
      const std::string name = cold_name(key);
      const auto answer = caller.call({.key = name});
      if (answer.outcome != Outcome::hit || !verify_document(name, answer.value)) {
        return Error{Errc::protocol,
                     fmt::format("{} did not come whole: {}", name, to_string(answer.outcome))};
      }
      times.record(answer.took);
    }
    auto& repetition = measure.repetitions.emplace_back();
    repetition.add("", times);
    const auto p99 = repetition.values["p99_ns"];
    bench_.result.measure(std::move(measure));
    return p99;
  }

  void add_cold_table() {
    if (!plan_.on_disk) return;
    Table table;
    table.title = fmt::format("Cold reads over RESP, one at a time, of {} sessions of {} bytes",
                              bench_.scaled(plan_.cold_keys), plan_.cold_bytes);
    table.columns = {"", "reads", "p50", "p99 (allowed: 1 ms, or twice L1's)", "longest"};
    for (const auto& [id, what] :
         {std::pair{"cold/system", "files that the system has in memory"},
          std::pair{"again/system", "the same once more, from L1 (nothing is promised)"},
          std::pair{"cold/disk", "files on the disk alone (nothing is promised)"}}) {
      table.rows.push_back({{Cell::of(what)},
                            {Cell::of(id, "count")},
                            {Cell::of(id, "p50_ns")},
                            {Cell::of(id, "p99_ns")},
                            {Cell::of(id, "max_ns")}});
    }
    bench_.result.tables.push_back(std::move(table));
    bench_.result.notes.emplace_back(
        "Each key is read once cold, by a process that has just started: neither L1 nor the "
        "store's "
        "own cache has it. Server and client have a core each, and the store has done with "
        "compacting. A million sessions are those of suite full; the others have fewer.");
  }

  const Plan& plan_;
  Bench& bench_;
};

}  // namespace

Body read_durability(Section& file) {
  Plan plan;
  auto kills = file.section("kills");
  plan.on_disk = kills.choice("store", "rocksdb", {"rocksdb", "memory"}) == "rocksdb";
  plan.kills = static_cast<int>(kills.integer("count", 20, 1, 1000));
  plan.writes = static_cast<std::uint64_t>(kills.integer("writes", 50'000, 1, 100'000'000));
  plan.value_bytes = kills.bytes("value_bytes", 1024, kMinDocumentBytes, 1U << 20U);
  plan.connections = static_cast<std::uint32_t>(kills.integer("connections", 8, 1, 1024));
  plan.pipeline = static_cast<std::uint32_t>(kills.integer("pipeline", 16, 1, 1024));
  auto cold = file.section("cold");
  plan.cold_keys = static_cast<std::uint64_t>(cold.integer("keys", 50'000, 1, 100'000'000));
  plan.cold_bytes = cold.bytes("value_bytes", 3500, kMinDocumentBytes, 1U << 20U);
  plan.cold_reads = static_cast<std::uint64_t>(cold.integer("reads", 12'000, 1, 10'000'000));
  return [plan](Bench& bench) { return Durability(plan, bench).run(); };
}

}  // namespace nearlane::harness
