// nearlane-auth-timing: what scenario http/auth tells of the server's inline auth, in one line of JSON. A program of its own,
// because the harness does not know the servers' code.
#include <cstddef>
#include <cstdint>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "servers/http/auth_timing.h"

int main(int argc, char** argv) {
  std::size_t keys = 4;
  std::size_t samples = 100'000;
  std::uint64_t seed = 42;
  CLI::App app("Times the check of API keys", "nearlane-auth-timing");
  app.add_option("--keys", keys, "that are accepted")->check(CLI::Range(2, 1000));
  app.add_option("--samples", samples, "of each figure")->check(CLI::Range(1000, 100'000'000));
  app.add_option("--seed", seed, "of the keys and the order of samples");
  CLI11_PARSE(app, argc, argv);
  using namespace nearlane::http;
  const AuthTiming timing(random_keys(keys, seed), samples, seed);
  fmt::print(R"({{"first_ns":{},"remembered_ns":{},"position_t":{},"key_t":{},"early_exit_t":{}}})"
             "\n",
             timing.first_ns(), timing.remembered_ns(), timing.t_of_position(), timing.t_of_key(),
             timing.t_of_early_exit());
  return 0;
}
