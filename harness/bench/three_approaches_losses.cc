// What is lost when an instance is killed, and when all are restarted in turn.
#include <algorithm>
#include <atomic>
#include <span>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "harness/bench/approach.h"
#include "harness/bench/session_app.h"
#include "harness/bench/three_approaches.h"

namespace nearlane::harness::three_approaches {
namespace {

WorkloadSpec writing(const Stage& stage) {
  WorkloadSpec spec;
  spec.name = "failover";
  spec.source = "generated";
  spec.seed = stage.bench.seed;
  spec.operations = stage.bench.scaled(stage.plan.failover_requests);
  spec.sizes = {{stage.plan.value_bytes, 1.0}};
  spec.ttl = std::chrono::minutes(30);
  spec.keys = 2000;
  spec.distribution = "uniform";
  spec.mix = {0.5, 0.5, 0, 0};
  spec.prefix = "fail:";
  return spec;
}

void add_lost(Measure& measure, const SessionApp& app, const SessionApp::ReadBack& read) {
  auto& values = measure.repetitions.emplace_back().values;
  values["acknowledged_count"] = static_cast<double>(read.acknowledged);
  values["lost_count"] = static_cast<double>(read.lost);
  values["unread_count"] = static_cast<double>(read.failed);
  values["retried_count"] = static_cast<double>(app.counts().retried);
  values["failed_count"] = static_cast<double>(app.counts().failed);
  values["stale_count"] = static_cast<double>(app.counts().stale);
}

/// An application that retries notices nothing, and finds all that was acknowledged.
void fail_on_losses(Stage& stage, std::string_view when, const SessionApp& app,
                    const SessionApp::ReadBack& read) {
  if (read.lost + read.failed + app.counts().failed == 0) return;
  stage.bench.result.failures.push_back(fmt::format(
      "{}: {} acknowledged sessions lost, {} could not be read, {} requests failed meanwhile", when,
      read.lost, read.failed, app.counts().failed));
}

}  // namespace

Result<void> failure(Stage& stage) {
  stage.bench.meter.phase("kill -9 of one instance");
  const auto spec = writing(stage);
  {
    LocalMaps maps(kInstances);
    SessionApp app(maps, Balance::affinity, stage.bench.seed);
    app.log_in(spec);
    maps.lose(0);
    // Affinity would now send everyone to the instance that is left.
    auto measure = count_measure("failure/sticky", "one of two local maps is gone", 1);
    add_lost(measure, app, app.read_back(1));
    stage.bench.result.measure(std::move(measure));
  }
  {
    Remote redis(Protocol::resp, {stage.fleet.raw.endpoint(), stage.fleet.raw.endpoint()});
    SessionApp app(redis, Balance::random, stage.bench.seed);
    app.log_in(spec);
    auto measure =
        count_measure("failure/redis", "one of two clients is gone; Redis itself stays", 2);
    add_lost(measure, app, app.read_back(1));
    stage.bench.result.measure(std::move(measure));
  }
  Remote nearlane(Protocol::http, stage.fleet.doors(Protocol::http));
  SessionApp app(nearlane, Balance::random, stage.bench.seed);
  app.log_in(spec);
  app.forget_counts();
  auto opened = open_workload(spec, "");
  if (!opened) return opened.error();
  // The kill comes from another thread, so that it also falls between a request and its reply.
  std::atomic<bool> half_way{false};
  std::thread killer([&] {
    half_way.wait(false);
    stage.fleet.instances[0].kill();
  });
  const auto done = app.run(*opened->stream, [&] {
    if (app.counts().requests == spec.operations / 2) {
      half_way.store(true);
      half_way.notify_one();
    }
    return true;
  });
  half_way.store(true);
  half_way.notify_one();
  killer.join();
  if (!done) return done.error();
  const auto first = app.read_back(1);
  const auto second = app.read_back(1);
  auto measure = count_measure("failure/nearlane", "one of two instances is killed", 4);
  add_lost(measure, app, first);
  const auto acknowledged = static_cast<double>(std::max<std::uint64_t>(second.acknowledged, 1));
  measure.repetitions[0].values["rebuilt_l1_share"] = static_cast<double>(second.l1) / acknowledged;
  stage.bench.result.measure(std::move(measure));
  fail_on_losses(stage, "failure", app, first);
  stage.bench.meter.advance();
  return {};
}

Result<void> rolling_restart(Stage& stage) {
  stage.bench.meter.phase("rolling restart");
  auto spec = writing(stage);
  spec.operations = UINT64_MAX;  // until the restarts are over
  {
    LocalMaps maps(kInstances);
    SessionApp app(maps, Balance::affinity, stage.bench.seed);
    app.log_in(spec);
    for (std::size_t i = 0; i < kInstances; ++i) maps.lose(i);
    auto measure = count_measure("rolling/sticky", "every local map is restarted in turn", 1);
    add_lost(measure, app, app.read_back(0));
    stage.bench.result.measure(std::move(measure));
  }
  if (const auto again = stage.fleet.instances[0].restart(); !again) return again.error();
  Remote nearlane(Protocol::http, stage.fleet.doors(Protocol::http));
  SessionApp app(nearlane, Balance::random, stage.bench.seed);
  app.log_in(spec);
  app.forget_counts();
  auto opened = open_workload(spec, "");
  if (!opened) return opened.error();
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> sent{0};
  Result<void> restarted;
  std::thread deployer([&] {
    const auto traffic = [&sent, more = stage.plan.rolling_requests] {
      const auto until = sent.load() + more;
      for (auto seen = sent.load(); seen < until; seen = sent.load()) sent.wait(seen);
    };
    const std::span all(stage.fleet.instances);
    const std::size_t together = stage.plan.restarts_all_at_once ? all.size() : 1;
    for (std::size_t from = 0; from < all.size(); from += together) {
      traffic();
      for (auto& instance : all.subspan(from, together)) {
        if (const auto drained = instance.drain(); !drained) restarted = drained.error();
      }
      for (auto& instance : all.subspan(from, together)) {
        if (const auto again = instance.restart(); !again) restarted = again.error();
      }
    }
    traffic();
    over.store(true);
  });
  const auto done = app.run(*opened->stream, [&] {
    ++sent;
    sent.notify_one();
    return !over.load();
  });
  // An application that ended early must not leave the other thread waiting for its requests.
  sent.store(UINT64_MAX);
  sent.notify_one();
  deployer.join();
  if (!done) return done.error();
  if (!restarted) return restarted.error();
  auto measure = count_measure("rolling/nearlane", "every instance is restarted in turn", 4);
  const auto read = app.read_back(0);
  add_lost(measure, app, read);
  measure.repetitions[0].values["requests_count"] = static_cast<double>(app.counts().requests);
  stage.bench.result.measure(std::move(measure));
  fail_on_losses(stage, "rolling restart", app, read);
  stage.bench.meter.advance();
  return {};
}

}  // namespace nearlane::harness::three_approaches
