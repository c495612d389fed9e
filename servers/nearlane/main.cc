// The nearlane server: reads its configuration, says that it is ready, serves until it is told to
//                      end.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "core/base/allocator.h"
#include "servers/nearlane/config.h"
#include "servers/nearlane/server.h"
#include "servers/nearlane/version.h"
#include "servers/nearlane/why.h"

namespace {

constexpr int kBadConfiguration = 2;

int run(const std::vector<std::string>& args) {
  using namespace nearlane::server;
  // There is one thread yet, and nobody sets the environment.
  const Environment environment = [](const char* name) -> const char* {
    return std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  };
  if (!args.empty() && args.front() == "why") {
    return why({args.begin() + 1, args.end()}, environment);
  }
  const auto invocation = read_config(args, environment);
  if (invocation.has_error()) {
    fmt::print(stderr, "nearlane: {}\n", invocation.error().detail);
    return kBadConfiguration;
  }
  if (!invocation->answer.empty()) {
    fmt::print("{}", invocation->answer);
    return 0;
  }
  auto server = Server::make(invocation->config);
  if (server.has_error()) {
    fmt::print(stderr, "nearlane: {}\n", server.error().detail);
    return kBadConfiguration;
  }
  fmt::print("{}\n", (*server)->ready_line());
  std::fflush(stdout);
  return (*server)->run() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  nearlane::prefer_huge_pages(argv);
  nearlane::keep_large_values_apart();
  // A peer that goes away is an error of its own send, not the end of the server.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    spdlog::set_default_logger(spdlog::stderr_color_mt("nearlane"));
    return run({argv + 1, argv + argc});
  } catch (const std::exception& failed) {
    fmt::print(stderr, "nearlane: {}\n", failed.what());
    return 1;
  }
}
