// `nearlane-bench load URL`: one load against a server that already runs.
//
// Exit code: 0 when the run counts, 1 when it is void or a value was wrong, 2 when it could not be run.
// Threads:   one; SIGINT ends the load early and what was found until then is told.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace nearlane::harness {

/// Adds the subcommand to `app`, which must outlive what is returned: runs the load if it was asked for by the
/// command line that was parsed since, and gives the exit code.
[[nodiscard]] std::function<int()> add_load_command(CLI::App& app);

}  // namespace nearlane::harness
