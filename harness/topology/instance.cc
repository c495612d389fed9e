#include "harness/topology/instance.h"

#include <cstdlib>
#include <sstream>
#include <utility>

#include "harness/topology/redis_client.h"

namespace nearlane::harness {
namespace {

constexpr std::string_view kReady = "nearlane ready ";

Result<Endpoint> parse_door(std::string_view text) {
  if (text == "off") return Endpoint{};
  return Endpoint::parse(text);
}

}  // namespace

Result<ReadyLine> parse_ready_line(std::string_view line) {
  const Error bad{Errc::protocol, "not a ready line: '" + std::string(line) + "'"};
  if (!line.starts_with(kReady)) return bad;
  ReadyLine ready;
  bool resp_seen = false;
  bool http_seen = false;
  std::istringstream words{std::string(line.substr(kReady.size()))};
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) return bad;
    const auto value = std::string_view(word).substr(equals + 1);
    if (word.starts_with("resp=")) {
      auto endpoint = parse_door(value);
      if (!endpoint) return bad;
      ready.resp = *endpoint;
      resp_seen = true;
    } else if (word.starts_with("http=")) {
      auto endpoint = parse_door(value);
      if (!endpoint) return bad;
      ready.http = *endpoint;
      http_seen = true;
    }
  }
  if (!resp_seen || !http_seen) return bad;
  return ready;
}

Result<std::filesystem::path> find_server() {
  const char* named = ::secure_getenv("NEARLANE_BIN");
  if (named != nullptr && *named != '\0') {
    auto found = find_in_path(named);
    if (found) return found;
    return Error{Errc::invalid_argument, "NEARLANE_BIN: " + found.error().detail};
  }
  auto found = find_beside("nearlane");
  if (found) return found;
  return Error{Errc::invalid_argument, found.error().detail + ", or name it in NEARLANE_BIN"};
}

Instance::Instance(InstanceOptions options, Child child, Endpoint resp, Endpoint http)
    : options_(std::move(options)),
      child_(std::move(child)),
      resp_(std::move(resp)),
      http_(std::move(http)) {}

Result<Instance> Instance::start(InstanceOptions options) {
  return launch(std::move(options), "127.0.0.1:0", "127.0.0.1:0");
}

Result<Instance> Instance::launch(InstanceOptions options, const std::string& resp,
                                  const std::string& http) {
  if (options.program.empty()) {
    auto found = find_server();
    if (!found) return found.error();
    options.program = *found;
  }
  ChildSpec spec{
      .name = options.name,
      .argv = {options.program.string(), "--resp", resp, "--http", http, "--l2", options.l2},
      .env = options.env,
      .log = options.log};
  spec.argv.insert(spec.argv.end(), options.flags.begin(), options.flags.end());
  // Behind what is asked for, which wins: what Redis is asked is counted, and nobody waits for a balancer here.
  spec.env.insert(spec.env.end(), {"NEARLANE_WARMUP=false", "NEARLANE_DRAIN_DELAY=0"});
  auto child = Child::start(std::move(spec));
  if (!child) return child.error();
  auto line = child->wait_line(kReady, options.ready_within);
  if (!line) return line.error();
  auto ready = parse_ready_line(*line);
  if (!ready) return ready.error();
  return Instance(std::move(options), std::move(*child), std::move(ready->resp),
                  std::move(ready->http));
}

Result<void> Instance::lanes_up_within(unsigned lanes, Duration limit) const {
  const std::string wanted = std::to_string(lanes);
  RedisClient client(resp_);
  std::string seen;
  auto up = child_.wait_ready(
      [&] {
        const auto answer = client.info("nearlane", "l2_lanes_up");
        seen = answer ? *answer + " lanes are up, of " + wanted : answer.error().detail;
        return answer && *answer == wanted;
      },
      limit);
  if (up || !child_.running()) return up;
  return Error{Errc::timeout, options_.name + ": " + seen};
}

Result<ExitStatus> Instance::drain(Duration limit) { return child_.terminate(limit); }

Result<void> Instance::restart() {
  child_.kill();
  const auto door = [](const Endpoint& endpoint) {
    return endpoint.port == 0 ? std::string("off") : endpoint.to_string();
  };
  auto again = launch(options_, door(resp_), door(http_));
  if (!again) return again.error();
  *this = std::move(*again);
  return {};
}

}  // namespace nearlane::harness
