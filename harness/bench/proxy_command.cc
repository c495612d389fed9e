#include "harness/bench/proxy_command.h"

#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigwait() is POSIX, not C++

#include "harness/faults/api_server.h"
#include "harness/faults/toxic_json.h"
#include "harness/report/files.h"

namespace nearlane::harness {
namespace {

struct Flags {
  std::string api{ApiServer::kUsualAddress};
  std::string populate;
};

constexpr const char* kWhatNext = R"(Then, in another terminal:

  curl -d '{"name": "redis", "listen": "127.0.0.1:26379", "upstream": "127.0.0.1:6379"}' 127.0.0.1:8474/proxies
  curl -d '{"type": "latency", "attributes": {"latency": 200}}' 127.0.0.1:8474/proxies/redis/toxics
  redis-cli -p 26379 ping
  curl -X POST 127.0.0.1:8474/reset

Any client of Toxiproxy 2 does. Toxics: latency, bandwidth, slow_close, timeout, reset_peer, slicer, limit_data, and for
RESP drop_pushes, delay_pushes, cut_at_frame. A file for --populate is a list of what is posted to /proxies above.)";

int failed(const Error& error) {
  fmt::print(stderr, "nearlane-bench proxy: {}\n", error.detail);
  return 2;
}

int run(const Flags& flags) {
  std::string populate;
  if (!flags.populate.empty()) {
    auto read = read_file(flags.populate);
    if (!read) return failed(read.error());
    if (read->empty()) {
      return failed({Errc::invalid_argument, fmt::format("{}: it is empty", flags.populate)});
    }
    populate = std::move(*read);
  }
  // Blocked before there are threads, which inherit that, so that the signals come to sigwait() alone.
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGINT);
  ::sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const auto server = ApiServer::start(flags.api, populate);
  if (!server) return failed(server.error());
  fmt::print("nearlane-bench proxy ready api=http://{} proxies={}\n",
             address_text(server->endpoint()), server->populated());
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&ends, &signal);
  ::pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);  // a second one ends the program at once
  return 0;
}

}  // namespace

std::function<int()> add_proxy_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand(
      "proxy", "fault proxies, told what to do over Toxiproxy's HTTP API, until SIGINT or SIGTERM");
  command
      ->add_option("--api", flags->api,
                   "HOST:PORT of this machine alone, where the API is; port 0: any")
      ->capture_default_str();
  command->add_option("--populate", flags->populate, "JSON file of the proxies to begin with");
  command->footer(kWhatNext);
  return [command, flags] { return command->parsed() ? run(*flags) : 0; };
}

}  // namespace nearlane::harness
