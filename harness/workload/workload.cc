#include "harness/workload/workload.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <xxhash.h>

#include "harness/workload/document.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

constexpr std::uint64_t kMaxValue = std::uint64_t{64} << 20U;  // the server's own default limit
constexpr std::uint64_t kSecond = 1'000'000'000;

std::size_t size_of(const WorkloadSpec& spec, std::uint64_t key_hash) {
  double at = static_cast<double>(mix64(key_hash ^ spec.seed) >> 11U) * 0x1p-53;
  for (const auto& [bytes, share] : spec.sizes) {
    if (at < share) return bytes;
    at -= share;
  }
  return spec.sizes.back().first;
}

std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

/// When the next request is due.
class Arrivals {
 public:
  explicit Arrivals(const WorkloadSpec& spec)
      : random_(spec.seed ^ 0xa441),
        gap_ns_(spec.rate > 0 ? 1e9 / spec.rate : 0),
        poisson_(spec.poisson) {}

  Duration next() {
    const Duration due(static_cast<std::int64_t>(at_ns_));
    if (gap_ns_ > 0) at_ns_ += poisson_ ? random_.exponential(gap_ns_) : gap_ns_;
    return due;
  }

 private:
  Random random_;
  double gap_ns_;
  bool poisson_;
  double at_ns_ = 0;
};

class Generated final : public Workload {
 public:
  explicit Generated(const WorkloadSpec& spec) : spec_(spec), random_(spec.seed), arrivals_(spec) {
    if (spec_.distribution == "zipf") zipf_.emplace(spec_.keys, spec_.theta);
  }

  Result<bool> next(Operation& operation) override {
    if (done_ == spec_.operations) return false;
    ++done_;
    operation.at = arrivals_.next();
    const std::uint64_t number = zipf_                              ? (*zipf_)(random_)
                                 : spec_.distribution == "constant" ? 0
                                                                    : random_.below(spec_.keys);
    write_key_name(spec_.prefix, number, operation.key);
    operation.op = draw_op();
    operation.value_bytes = operation.op == Op::set ? value_bytes_of(spec_, number) : 0;
    const bool expires = operation.op == Op::set || operation.op == Op::touch;
    operation.ttl = expires ? spec_.ttl : Duration::zero();
    return true;
  }

 private:
  Op draw_op() {
    double at = random_.real();
    for (const Op op : {Op::get, Op::set, Op::touch}) {
      if (at < spec_.mix[static_cast<std::size_t>(op)]) return op;
      at -= spec_.mix[static_cast<std::size_t>(op)];
    }
    return spec_.mix[static_cast<std::size_t>(Op::erase)] > 0 ? Op::erase : Op::get;
  }

  WorkloadSpec spec_;
  Random random_;
  Arrivals arrivals_;
  std::optional<Zipf> zipf_;
  std::uint64_t done_ = 0;
};

/// One day of a web server's sessions, drawn whole at the start and then read like a trace.
class SessionDay final : public TraceReader {
 public:
  static constexpr std::uint64_t kClients = 2365;
  static constexpr std::uint64_t kSessions = 2989;
  static constexpr double kSeconds = 12.9 * 3600;
  static constexpr long kMostRequests = 338;
  static constexpr double kExpiry = 1800;  // a longer gap would be two sessions

  explicit SessionDay(std::uint64_t seed) {
    Random random(seed);
    for (std::uint64_t session = 0; session < kSessions; ++session) {
      const auto client = session < kClients ? session : random.below(kClients);
      double at = random.real() * kSeconds;
      const double drawn = random.lognormal(6, 1.0138);  // p90 22
      const auto requests = std::clamp<long>(std::lround(drawn), 1, kMostRequests);
      for (long i = 0; i < requests && at < kSeconds; ++i) {
        visits_.emplace_back(at, client);
        at += std::min(random.lognormal(3, 2.458), kExpiry - 1);  // p90 70 s
      }
    }
    std::sort(visits_.begin(), visits_.end());
  }

  Result<bool> next(TraceRecord& record) override {
    if (at_ == visits_.size()) return false;
    const auto& [second, client] = visits_[at_++];
    record.second = static_cast<std::uint64_t>(second);
    write_key_name("sess:", client, record.key);
    record.bytes = 0;
    record.op = Op::get;
    record.ttl_s = 0;
    return true;
  }

 private:
  std::vector<std::pair<double, std::uint64_t>> visits_;
  std::size_t at_ = 0;
};

class Replay final : public Workload {
 public:
  Replay(const WorkloadSpec& spec, std::unique_ptr<TraceReader> reader)
      : spec_(spec), arrivals_(spec), reader_(std::move(reader)) {}

  Result<bool> next(Operation& operation) override {
    if (follows_) {
      follows_ = false;
      operation = follower_;
      return true;
    }
    for (;;) {
      if (spec_.operations != 0 && done_ == spec_.operations) return false;
      const auto more = reader_->next(record_);
      if (!more) return more.error();
      if (!*more) return false;
      const bool sessions = spec_.session_ttl > Duration::zero();
      if (sessions && record_.op != Op::get) continue;  // derived again below, by our own rule
      ++done_;
      operation.at = arrivals_.next();
      operation.op = record_.op;
      operation.key = record_.key;
      operation.value_bytes = 0;
      operation.follows = false;
      operation.ttl = Duration::zero();
      if (sessions) {
        as_request(operation);
      } else if (record_.op == Op::set) {
        // A recorded size of 0 or 1 means that none was recorded.
        operation.value_bytes = record_.bytes > 1 ? std::min(record_.bytes, kMaxValue)
                                                  : size_of(spec_, hash_of(record_.key));
      }
      if (record_.ttl_s != 0 && !sessions) {
        operation.ttl = std::chrono::seconds(std::min<std::uint64_t>(record_.ttl_s, 1U << 30U));
      }
      return true;
    }
  }

 private:
  struct Session {
    std::uint64_t last_second = 0;
    std::uint32_t generation = 0;
  };

  void as_request(Operation& get) {
    const auto [found, first] = sessions_.try_emplace(record_.key);
    Session& session = found->second;
    const auto ttl_s = static_cast<std::uint64_t>(spec_.session_ttl.count()) / kSecond;
    const bool expired = !first && record_.second > session.last_second + ttl_s;
    if (expired) ++session.generation;
    session.last_second = std::max(session.last_second, record_.second);
    if (session.generation != 0) {
      fmt::format_to(std::back_inserter(get.key), ".{}", session.generation);
    }
    follower_ = get;
    follower_.op = first || expired ? Op::set : Op::touch;
    follower_.ttl = spec_.ttl;
    follower_.follows = true;
    follower_.value_bytes = follower_.op == Op::set ? size_of(spec_, hash_of(get.key)) : 0;
    follows_ = true;
  }

  WorkloadSpec spec_;
  Arrivals arrivals_;
  std::unique_ptr<TraceReader> reader_;
  TraceRecord record_;
  std::unordered_map<std::string, Session> sessions_;
  Operation follower_;
  bool follows_ = false;
  std::uint64_t done_ = 0;
};

}  // namespace

std::size_t value_bytes_of(const WorkloadSpec& spec, std::uint64_t number) {
  return size_of(spec, number);
}

void write_key_name(std::string_view prefix, std::uint64_t number, std::string& out) {
  out.assign(prefix);
  fmt::format_to(std::back_inserter(out), "{:016x}", mix64(number));
}

WorkloadSpec read_workload(Section& section) {
  using std::chrono::hours;
  WorkloadSpec spec;
  spec.name = section.text("name", "");
  if (spec.name.empty()) section.problem("name", "is missing: it names the rows of the result");
  spec.source = section.choice("source", "generated", {"generated", "trace", "sessions"});
  spec.seed = static_cast<std::uint64_t>(section.integer("seed", 42, 0, INT64_MAX));
  spec.operations =
      static_cast<std::uint64_t>(section.integer("operations", 0, 0, 1'000'000'000'000));
  spec.rate = section.number("rate", 0, 0, 1e8);
  spec.poisson = section.choice("arrivals", "poisson", {"constant", "poisson"}) == "poisson";
  spec.ttl = section.duration("ttl", Duration::zero(), Duration::zero(), hours(24 * 366));
  spec.sizes = section.sizes("value_sizes", kMinDocumentBytes, kMaxValue);
  if (spec.sizes.empty()) {
    spec.sizes = {{section.bytes("value_bytes", 1024, kMinDocumentBytes, kMaxValue), 1.0}};
  } else {
    if (section.has("value_bytes")) section.problem("value_bytes", "contradicts value_sizes");
    double total = 0;
    for (const auto& [bytes, share] : spec.sizes) total += share;
    if (std::abs(total - 1) > 1e-6)
      section.problem("value_sizes", "must have shares that add to 1");
  }
  if (spec.source == "generated") {
    spec.keys = static_cast<std::uint64_t>(section.integer("keys", 1000, 1, 10'000'000'000));
    spec.distribution = section.choice("distribution", "zipf", {"constant", "uniform", "zipf"});
    spec.theta = section.number("theta", 0.99, 0.01, 10);
    spec.prefix = section.text("prefix", "key:");
    if (spec.prefix.size() > 1024) section.problem("prefix", "is longer than 1,024 bytes");
    auto mix = section.numbers("mix", {"get", "set", "touch", "delete"}, 0, 1);
    if (mix.empty()) mix["get"] = 1;
    spec.mix = {mix["get"], mix["set"], mix["touch"], mix["delete"]};
    const double total = spec.mix[0] + spec.mix[1] + spec.mix[2] + spec.mix[3];
    if (std::abs(total - 1) > 1e-6) section.problem("mix", "must add up to 1");
    if (spec.operations == 0) section.problem("operations", "is missing, and must be above 0");
  } else {
    if (spec.source == "trace") {
      spec.trace = section.text("trace", "");
      const bool plain = !spec.trace.empty() && spec.trace.find('/') == std::string::npos;
      if (!plain) section.problem("trace", "must be the name of a trace, without a directory");
      spec.stand_in = section.choice("stand_in", "none", {"none", "sessions"}) == "sessions";
    }
    spec.session_ttl =
        section.duration("session_ttl", Duration::zero(), Duration::zero(), hours(24 * 366));
  }
  // A touch of no length would delete what it touches.
  const bool touches =
      spec.mix[static_cast<std::size_t>(Op::touch)] > 0 || spec.session_ttl > Duration::zero();
  if (touches && spec.ttl == Duration::zero()) {
    section.problem("ttl", "is missing: touches need it");
  }
  return spec;
}

Result<OpenedWorkload> open_workload(const WorkloadSpec& spec, const std::string& traces) {
  OpenedWorkload opened;
  if (spec.source == "generated") {
    opened.stream = std::make_unique<Generated>(spec);
    opened.origin = fmt::format("generated: {} keys, {}", spec.keys, spec.distribution);
    return opened;
  }
  if (spec.source == "trace") {
    if (const auto path = find_trace(traces, spec.trace); !path.empty()) {
      auto reader = open_trace(path);
      if (!reader) return reader.error();
      opened.stream = std::make_unique<Replay>(spec, std::move(*reader));
      opened.origin = fmt::format("trace {}", spec.trace);
      return opened;
    }
    opened.absent = spec.trace;
    if (!spec.stand_in) {
      return Error{Errc::invalid_argument,
                   fmt::format("trace {} not found: give its directory with --traces or "
                               "NEARLANE_TRACES",
                               spec.trace)};
    }
  }
  opened.stream = std::make_unique<Replay>(spec, std::make_unique<SessionDay>(spec.seed));
  opened.origin = "generated: session-shaped requests of 2,365 clients";
  if (!opened.absent.empty()) {
    opened.origin += fmt::format(", because trace {} was not available", opened.absent);
  }
  return opened;
}

}  // namespace nearlane::harness
