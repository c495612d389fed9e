#include "harness/gate/counts.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "core/base/result.h"
#include "harness/gate/requests.h"
#include "harness/gate/tool_output.h"
#include "harness/report/files.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::gate {
namespace {

/// By which a run is longer: enough that what passes by time (timers, a lease) is lost among them.
constexpr std::size_t kCounted = 16'384;
/// Likewise where they go one by one, which takes longer.
constexpr std::size_t kCountedOneByOne = 4096;
/// Before them, of every kind, in every run: tables grow and buffers are made in these.
constexpr std::size_t kWarm = kKeys;
/// Requests in one send. One by one, a server that was held up finds the next request there and saves a turn of its loop: on a
/// busy machine that moved instructions by up to 0.7 %. System calls are a matter of those turns, so they are counted one by one,
/// with a tolerance of a quarter of a call.
constexpr std::size_t kTogether = 32;
/// Reads of the micro-benchmark by which its run is longer.
constexpr std::size_t kDraws = 262'144;
constexpr Duration kMicroWithin = std::chrono::seconds(120);
constexpr unsigned kLanes = 32;

constexpr std::array kKinds = {kRespGet, kHttpGet, kRespSet};

/// A count and how far it may rise. The tolerances are several times what two runs of one program differ by.
struct What {
  std::string_view id;
  std::string_view what;
  double tolerance;
  double slack;
};

/// One tool, what it leaves behind, and how that is read.
struct Tool {
  What what;
  std::size_t burst;                 // requests in one send
  std::size_t requests;              // by which the longer run is longer
  std::vector<std::string> command;  // FILE stands for where it shall write
  std::function<Result<double>(std::string_view)> read;
};

template <class Total>
Result<double> as_double(const Result<Total>& total) {
  if (!total) return total.error();
  return static_cast<double>(*total);
}

Result<double> dhat(std::string_view log, bool bytes) {
  const auto total = dhat_total(log);
  if (!total) return total.error();
  return static_cast<double>(bytes ? total->bytes : total->blocks);
}

std::vector<Tool> tools() {
  return {
      {{"instructions", "instructions in user space", 0.01, 0},
       kTogether,
       kCounted,
       {"valgrind", "--tool=callgrind", "--callgrind-out-file=FILE"},
       [](std::string_view text) { return as_double(callgrind_total(text)); }},
      {{"allocations", "allocations", 0.01, 0.05},
       kTogether,
       kCounted,
       {"valgrind", "--tool=dhat", "--dhat-out-file=/dev/null", "--log-file=FILE"},
       [](std::string_view text) { return dhat(text, false); }},
      {{"copied_bytes", "bytes that memcpy and its kin copy in user space", 0.01, 1},
       kTogether,
       kCounted,
       {"valgrind", "--tool=dhat", "--mode=copy", "--dhat-out-file=/dev/null", "--log-file=FILE"},
       [](std::string_view text) { return dhat(text, true); }},
      {{"system_calls", "system calls", 0, 0.25},
       1,
       kCountedOneByOne,
       strace_command("FILE"),
       [](std::string_view text) { return as_double(strace_total(text)); }},
  };
}

std::vector<std::string> command_of(const Tool& tool, const std::filesystem::path& file) {
  auto command = tool.command;
  for (auto& word : command) {
    if (const auto at = word.find("FILE"); at != std::string::npos)
      word.replace(at, 4, file.string());
  }
  return command;
}

/// Sets every key and reads it by both doors, then `requests` more of one kind.
Result<void> exercise(const Server& server, std::size_t burst, const Kind* kind,
                      std::size_t requests) {
  for (const Kind& each : {kRespSet, kRespGet, kHttpGet}) {
    auto line = Line::open(each, server.endpoint(each.protocol), burst);
    if (!line) return line.error();
    if (auto done = line->send(kWarm); !done) return done.error();
    if (kind == nullptr || kind->id != each.id) continue;
    if (auto done = line->send(requests); !done) return done.error();
  }
  return {};
}

/// The tool's count of a whole run.
Result<double> run_under(const Tool& tool, const std::filesystem::path& program, const Kind* kind) {
  const auto folder = harness::TempDir::make();
  if (!folder) return folder.error();
  const auto file = folder->path() / "count";
  auto server = Server::start({.program = program, .under = command_of(tool, file)});
  if (!server) return server.error();
  if (auto done = exercise(*server, tool.burst, kind, tool.requests); !done) return done.error();
  if (auto stopped = server->stop(); !stopped) return stopped.error();
  const auto said = harness::read_file(file);
  if (!said) return said.error();
  return tool.read(*said);
}

/// What one request of each kind takes.
Result<std::map<std::string_view, double>> per_request(const Tool& tool,
                                                       const std::filesystem::path& program) {
  const auto without = run_under(tool, program, nullptr);
  if (!without) return without.error();
  std::map<std::string_view, double> counts;
  for (const Kind& kind : kKinds) {
    const auto with = run_under(tool, program, &kind);
    if (!with) return with.error();
    counts[kind.id] = (*with - *without) / static_cast<double>(tool.requests);
  }
  return counts;
}

/// Of what a program said last. Unit: bytes.
constexpr std::size_t kMostOfReason = 400;

/// Never empty, which would say that there is a figure.
std::string why(const Error& error) {
  if (error.detail.empty()) return std::string(to_string(error.code));
  auto end = std::min(error.detail.size(), kMostOfReason);
  // Not within a character of UTF-8.
  while (end > 0 && end < error.detail.size() &&
         (static_cast<unsigned char>(error.detail[end]) & 0xC0U) == 0x80U) {
    --end;
  }
  return error.detail.substr(0, end);
}

Counted counted_as(std::string_view of, std::string_view of_what, const What& what) {
  return {.id = fmt::format("{}/{}", of, what.id),
          .what = fmt::format("{}: {}", of_what, what.what),
          .tolerance = what.tolerance,
          .slack = what.slack};
}

void put(Counted& counted, const Result<double>& base, const Result<double>& head) {
  if (base) counted.base = *base;
  if (head) counted.head = *head;
  counted.absent = absent_of(base ? std::nullopt : std::optional(base.error()),
                             head ? std::nullopt : std::optional(head.error()));
}

void count_servers(const Tool& tool, const Program& base, const Program& head,
                   std::vector<Counted>& all) {
  const auto before = per_request(tool, base.server);
  const auto after = per_request(tool, head.server);
  for (const Kind& kind : kKinds) {
    auto counted = counted_as(kind.id, kind.what, tool.what);
    const auto of = [&](const auto& counts) -> Result<double> {
      if (!counts) return counts.error();
      return counts->at(kind.id);
    };
    put(counted, of(before), of(after));
    all.push_back(std::move(counted));
  }
}

// ---- reads of the map alone

Result<double> micro_total(const Tool& tool, const std::filesystem::path& micro,
                           std::size_t draws) {
  const auto folder = harness::TempDir::make();
  if (!folder) return folder.error();
  const auto file = folder->path() / "count";
  auto command = command_of(tool, file);
  command.push_back(micro.string());
  command.push_back(fmt::format("--benchmark_filter={}/iterations", kMicroRow));
  command.push_back(fmt::format("--draws={}", draws));
  const auto child = harness::Child::start({.name = micro.string(),
                                            .argv = std::move(command),
                                            .env = {"GLIBC_TUNABLES=glibc.malloc.hugetlb=0"}});
  if (!child) return child.error();
  const auto status = child->wait(kMicroWithin);
  if (!status) return status.error();
  if (*status != harness::ExitStatus{}) {
    return Error{Errc::unavailable, fmt::format("nearlane-micro --draws: {}: {}",
                                                status->to_string(), child->last_output(3))};
  }
  const auto said = harness::read_file(file);
  if (!said) return said.error();
  return tool.read(*said);
}

Result<double> micro_per_read(const Tool& tool, const std::filesystem::path& micro) {
  const auto once = micro_total(tool, micro, kDraws);
  if (!once) return once.error();
  const auto twice = micro_total(tool, micro, 2 * kDraws);
  if (!twice) return twice.error();
  return (*twice - *once) / static_cast<double>(kDraws);
}

// ---- what a request asks of L2

struct L2Work {
  std::string_view id;
  std::string_view what;
};
constexpr std::array kL2Works = {
    L2Work{"resp_get", "GET of a key in L1"}, L2Work{"resp_miss", "GET of a key that only L2 has"},
    L2Work{"resp_set", "SET"}, L2Work{"resp_touch", "EXPIRE of a key in L1"}};
constexpr std::size_t kL2Requests = 500;

Result<void> all_of(harness::RedisClient& client, std::string_view work, std::string_view prefix) {
  for (std::size_t i = 0; i < kL2Requests; ++i) {
    const auto key = fmt::format("{}{}", prefix, i);
    const auto reply = work == "resp_set"     ? client.command({"SET", key, "value"})
                       : work == "resp_touch" ? client.command({"EXPIRE", key, "1000"})
                                              : client.command({"GET", key});
    if (!reply) return reply.error();
    if (reply->is_error() || reply->is_nil()) {
      return Error{Errc::protocol,
                   fmt::format("{} of {} was answered '{}'", work, key, reply->text)};
    }
  }
  return {};
}

Result<double> commands_of(harness::RedisServer& redis, harness::RedisClient& client,
                           const L2Work& work) {
  auto direct = redis.client();
  // What is counted as a miss was put there by somebody else.
  const std::string prefix = work.id == "resp_miss" ? "foreign:" : "own:";
  if (work.id == "resp_miss") {
    if (auto filled = all_of(direct, "resp_set", prefix); !filled) return filled.error();
  }
  if (const auto reset = direct.command({"CONFIG", "RESETSTAT"}); !reset) return reset.error();
  if (auto done = all_of(client, work.id, prefix); !done) return done.error();
  const auto stats = direct.command({"INFO", "commandstats"});
  if (!stats) return stats.error();
  return static_cast<double>(redis_commands(stats->text)) / static_cast<double>(kL2Requests);
}

Result<std::map<std::string_view, double>> l2_commands(const std::filesystem::path& program) {
  auto redis = harness::RedisServer::start();
  if (!redis) return redis.error();
  auto instance =
      harness::Instance::start({.l2 = redis->url(),
                                .flags = {"--threads", "1", "--pool", std::to_string(kLanes)},
                                .program = program});
  if (!instance) return instance.error();
  if (auto up = instance->lanes_up_within(kLanes, std::chrono::seconds(10)); !up) return up.error();
  harness::RedisClient client(instance->resp());
  // Each key is set and read once before anything is counted.
  for (const auto* work : {"resp_set", "resp_get"}) {
    if (auto done = all_of(client, work, "own:"); !done) return done.error();
  }
  std::map<std::string_view, double> counts;
  for (const auto& work : kL2Works) {
    const auto found = commands_of(*redis, client, work);
    if (!found) return found.error();
    counts[work.id] = *found;
  }
  return counts;
}

void count_l2(const Program& base, const Program& head, std::vector<Counted>& all) {
  constexpr What kCommands{"l2_commands", "commands that Redis is sent", 0.01, 0.02};
  const auto before = l2_commands(base.server);
  const auto after = l2_commands(head.server);
  for (const auto& work : kL2Works) {
    auto counted = counted_as(work.id, work.what, kCommands);
    const auto of = [&](const auto& counts) -> Result<double> {
      if (!counts) return counts.error();
      return counts->at(work.id);
    };
    put(counted, of(before), of(after));
    all.push_back(std::move(counted));
  }
}

}  // namespace

Absent absent_of(const std::optional<Error>& base, const std::optional<Error>& head) {
  Absent absent;
  if (base) absent.base = why(*base);
  if (head) absent.head = why(*head);
  absent.head_timed_out = head && head->code == Errc::timeout;
  return absent;
}

std::vector<std::string> strace_command(const std::string& file) {
  // Killed, strace lets go of the program and no more; so the kernel is told to kill it, too. valgrind is the program.
  return {"strace", "-f", "-c", "-o", file, "setpriv", "--pdeathsig", "KILL"};
}

std::vector<Counted> count_both(const Program& base, const Program& head, const Tell& tell,
                                bool quick) {
  std::vector<Counted> all;
  const auto every = tools();
  tell("counting instructions of reads of the map");
  auto micro = counted_as("l1_get", "read of the map, nearlane-micro", every.front().what);
  const auto before = micro_per_read(every.front(), base.micro);
  put(micro, before, micro_per_read(every.front(), head.micro));
  all.push_back(std::move(micro));
  if (quick) return all;
  for (const Tool& tool : every) {
    tell(fmt::format("counting {}", tool.what.what));
    count_servers(tool, base, head, all);
  }
  tell("counting commands to L2");
  count_l2(base, head, all);
  return all;
}

}  // namespace nearlane::gate
