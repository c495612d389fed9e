// `nearlane-bench replay TRACE…`: miss ratios of the L1 policies on recorded traces.
//
// Exit code: 0 when every replay ran, 2 when one could not be: no such trace, policy or map, a
//            malformed file, a folder that cannot be written.
// Threads:   one.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace nearlane::harness {

/// Adds the subcommand to `app`, which must outlive what is returned: replays if it was asked for by the command
/// line that was parsed since, and gives the exit code.
[[nodiscard]] std::function<int()> add_replay_command(CLI::App& app);

}  // namespace nearlane::harness
