// `nearlane-bench gate --base BIN --head BIN`: is head slower than base, as far as this machine can tell.
//
// Exit code: 0 pass, 1 a regression, 2 it could not be run, 3 neither could be said (inconclusive, invalid host).
// Threads:   one. Cost: some minutes.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace nearlane::harness {

/// Adds the subcommand to `app`, which must outlive what is returned: runs the gate if it was asked for by the command line
/// that was parsed since, and gives the exit code.
[[nodiscard]] std::function<int()> add_gate_command(CLI::App& app);

}  // namespace nearlane::harness
