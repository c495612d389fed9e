#include "harness/bench/checked_keys.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/check/batch_client.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

constexpr std::uint16_t kFiller = UINT16_MAX - 1;  // nobody else
constexpr std::uint64_t kBatch = 64;
constexpr Duration kPatience = std::chrono::seconds(30);

}  // namespace

Result<void> fill_keys(std::uint64_t keys, std::size_t value_bytes, History& history,
                       const SetKey& set) {
  std::string value;
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::string key = checked_key(i);
    const auto version = history.begin_set(key, kFiller, kStore, Clock::now());
    write_document(key, version, value_bytes, value);
    if (const auto done = set(i, value); !done) return done.error();
    history.end_write(key, version, Effect::happened, Clock::now());
  }
  return {};
}

Result<void> fill_keys(std::uint64_t keys, std::size_t value_bytes, History& history,
                       const Endpoint& redis) {
  BatchClient client(Protocol::resp, redis, kPatience);
  std::vector<Request> requests(kBatch);
  std::vector<std::uint64_t> versions(kBatch);
  std::optional<Error> failed;  // the first one
  for (std::uint64_t from = 0; from < keys && !failed; from += kBatch) {
    const auto count = std::min(kBatch, keys - from);
    for (std::uint64_t i = 0; i < count; ++i) {
      Request& request = requests[i];
      request.kind = Op::set;
      request.key = checked_key(from + i);
      versions[i] = history.begin_set(request.key, kFiller, kStore, Clock::now());
      write_document(request.key, versions[i], value_bytes, request.value);
    }
    client.exchange(
        std::span(requests).first(count), [&](std::size_t i, const Reply& reply, TimePoint at) {
          const bool written = reply.outcome == Outcome::ok;
          if (!written && !failed) {
            failed = Error{Errc::unavailable, fmt::format("{} could not be written: {} {} {}",
                                                          requests[i].key, to_string(reply.outcome),
                                                          to_string(reply.failure), reply.text)};
          }
          history.end_write(requests[i].key, versions[i],
                            written ? Effect::happened : Effect::unknown, at);
        });
  }
  if (failed) return *failed;
  return {};
}

void read_keys(std::uint64_t keys, const Endpoint& http) {
  BatchClient client(Protocol::http, http, kPatience);
  std::vector<Request> requests(kBatch);
  for (std::uint64_t from = 0; from < keys; from += kBatch) {
    const auto count = std::min(kBatch, keys - from);
    for (std::uint64_t i = 0; i < count; ++i) requests[i].key = checked_key(from + i);
    client.exchange(std::span(requests).first(count), [](std::size_t, const Reply&, TimePoint) {});
  }
}

Result<void> add_control(const std::string& what, int processes, History& history,
                         ScenarioResult& result, const std::function<Result<void>()>& forget,
                         const std::function<Result<Settled>()>& settle) {
  if (const auto done = forget(); !done) return done.error();
  if (const auto settled = settle(); !settled) return settled.error();
  const auto lost = history.take_report().violation_count();
  Measure measure = counting("control", "for comparison, " + what, processes);
  measure.repetitions.back().values["lost_count"] = static_cast<double>(lost);
  result.measure(std::move(measure));
  if (lost == 0) result.failures.emplace_back("the checker did not notice that all was lost");
  return {};
}

Result<void> add_control(RedisClient redis, int processes, History& history, ScenarioResult& result,
                         const std::function<Result<Settled>()>& settle) {
  const auto flush = [&redis]() -> Result<void> {
    const auto flushed = redis.command({"FLUSHALL"});
    if (!flushed) return flushed.error();
    return {};
  };
  return add_control("Redis emptied behind everybody's back", processes, history, result, flush,
                     settle);
}

}  // namespace nearlane::harness
