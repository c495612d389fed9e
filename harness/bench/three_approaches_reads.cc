// What one read of a session costs its client: hot, first and second elsewhere, and by size.
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/server_reads.h"
#include "harness/bench/three_approaches.h"
#include "harness/check/batch_client.h"
#include "harness/workload/document.h"

namespace nearlane::harness::three_approaches {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kBatchBytes = std::size_t{1} << 20U;
constexpr Duration kPatience = std::chrono::seconds(10);

struct Target {
  std::string id;
  std::string what;
  Protocol protocol;
  Endpoint peer;
};

std::vector<Target> targets(const Stage& stage, std::size_t instance) {
  const auto& nearlane = stage.fleet.instances[instance];
  return {{"resp/redis", "raw Redis over RESP", Protocol::resp, stage.fleet.raw.endpoint()},
          {"resp/nearlane", "Nearlane over RESP", Protocol::resp, nearlane.resp()},
          {"http/nearlane", "Nearlane over HTTP", Protocol::http, nearlane.http()}};
}

void keep_measures(Stage& stage, std::vector<Measure>& measures) {
  for (auto& measure : measures) stage.bench.result.measure(std::move(measure));
}

/// Writes or deletes all, many at once: neither is timed.
Result<void> send_all(const Target& target, Op kind, const std::vector<std::string>& keys,
                      std::size_t bytes) {
  const std::size_t batch = std::clamp<std::size_t>(kBatchBytes / bytes, 1, kBatch);
  BatchClient client(target.protocol, target.peer, kPatience);
  std::vector<Request> requests(batch);
  std::optional<Error> failed;  // the first one
  for (std::size_t from = 0; from < keys.size() && !failed; from += batch) {
    const auto count = std::min(batch, keys.size() - from);
    for (std::size_t i = 0; i < count; ++i) {
      requests[i].kind = kind;
      requests[i].key = keys[from + i];
      if (kind == Op::set) write_document(requests[i].key, 1, bytes, requests[i].value);
    }
    client.exchange(
        std::span(requests).first(count), [&](std::size_t i, const Reply& reply, TimePoint) {
          // What is deleted need not have been there.
          const bool done =
              reply.outcome == Outcome::ok || (kind == Op::erase && reply.outcome == Outcome::miss);
          if (done || failed) return;
          failed = Error{
              Errc::protocol,
              fmt::format("{} of {}: {} {} {}", kind == Op::set ? "set" : "delete", requests[i].key,
                          to_string(reply.outcome), to_string(reply.failure), reply.text)};
        });
  }
  if (failed) return *failed;
  return {};
}

/// Sessions written through one instance and read through the other, twice. Raw Redis has no instances:
/// there the reader is merely another connection.
Result<void> read_elsewhere(const Target& writer, const Target& reader, std::string_view prefix,
                            std::uint64_t count, std::size_t bytes, Histogram& first,
                            Histogram& second) {
  std::vector<std::string> keys(count);
  for (std::uint64_t number = 0; number < count; ++number)
    write_key_name(prefix, number, keys[number]);
  if (const auto done = send_all(writer, Op::set, keys, bytes); !done) return done.error();
  Caller to(reader.protocol, reader.peer);
  if (const auto done = read_keys(to, keys, first); !done) return done.error();
  if (const auto done = read_keys(to, keys, second); !done) return done.error();
  (void)send_all(writer, Op::erase, keys, bytes);  // only to give the memory back
  return {};
}

}  // namespace

Result<void> hot_reads(Stage& stage) {
  std::vector<Measure> measures;
  for (const auto& target : targets(stage, 0)) {
    measures.push_back(client_measure("hot_read/" + target.id, "hot session, " + target.what, 2));
  }
  for (int i = 0; i < stage.bench.repetitions; ++i) {
    for (std::size_t t = 0; t < measures.size(); ++t) {
      stage.bench.meter.phase("hot reads");
      const auto target = targets(stage, 0)[t];
      Caller caller(target.protocol, target.peer);
      const auto keys = fill(caller, "hot:", stage.plan.hot_keys, stage.plan.value_bytes);
      if (!keys) return keys.error();
      Histogram warm;
      Histogram took;
      if (const auto done = read_keys(caller, *keys, warm); !done) return done.error();
      const auto wanted = draw(*keys, stage.bench.scaled(stage.plan.hot_requests),
                               stage.bench.seed + static_cast<std::uint64_t>(i));
      if (const auto done = read_keys(caller, wanted, took); !done) return done.error();
      measures[t].repetitions.emplace_back().add("", took);
      stage.bench.meter.advance();
    }
  }
  keep_measures(stage, measures);
  return {};
}

Result<void> cold_reads(Stage& stage) {
  std::vector<Measure> measures;
  for (const auto& target : targets(stage, 1)) {
    const int processes = target.id == "resp/redis" ? 2 : 3;
    measures.push_back(client_measure("cold_read/" + target.id,
                                      "first read by another client, " + target.what, processes));
    measures.push_back(
        client_measure("second_read/" + target.id, "its second read, " + target.what, 2));
  }
  for (int i = 0; i < stage.bench.repetitions; ++i) {
    for (std::size_t t = 0; 2 * t < measures.size(); ++t) {
      stage.bench.meter.phase("cold reads");
      Histogram first;
      Histogram second;
      if (const auto done =
              read_elsewhere(targets(stage, 0)[t], targets(stage, 1)[t],
                             "cold:", stage.plan.cold_keys, stage.plan.value_bytes, first, second);
          !done) {
        return done.error();
      }
      measures[2 * t].repetitions.emplace_back().add("", first);
      measures[2 * t + 1].repetitions.emplace_back().add("", second);
      stage.bench.meter.advance();
    }
  }
  keep_measures(stage, measures);
  return {};
}

Result<void> cold_reads_by_size(Stage& stage) {
  for (const auto bytes : stage.plan.sizes) {
    stage.bench.meter.phase(fmt::format("cold reads of {} bytes", bytes));
    for (std::size_t t = 0; t < 2; ++t) {
      const auto target = targets(stage, 1)[t];
      auto measure =
          client_measure(fmt::format("cold_read_of/{}/{}", bytes, target.id),
                         fmt::format("first read of {} bytes elsewhere", bytes), t == 0 ? 2 : 3);
      auto again = client_measure(fmt::format("second_read_of/{}/{}", bytes, target.id),
                                  fmt::format("second read of {} bytes", bytes), 2);
      Histogram first;
      Histogram second;
      if (const auto done = read_elsewhere(targets(stage, 0)[t], target,
                                           "size:", stage.plan.size_samples, bytes, first, second);
          !done) {
        return done.error();
      }
      measure.repetitions.emplace_back().add("", first);
      again.repetitions.emplace_back().add("", second);
      stage.bench.result.measure(std::move(measure));
      stage.bench.result.measure(std::move(again));
    }
    stage.bench.meter.advance();
  }
  return {};
}

}  // namespace nearlane::harness::three_approaches
