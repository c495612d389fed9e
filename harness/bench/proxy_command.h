// `nearlane-bench proxy`: fault proxies that are told what to do over Toxiproxy's HTTP API.
//
// Exit code: 0 when it was ended by SIGINT or SIGTERM, 2 when it could not be run: an address that cannot be had or that
//            others reach, a file that cannot be read or holds no list of proxies.
// Threads:   one for the API and one a proxy.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace nearlane::harness {

/// Adds the subcommand to `app`, which must outlive what is returned: runs the proxies if it was asked for by the command
/// line that was parsed since, and gives the exit code.
[[nodiscard]] std::function<int()> add_proxy_command(CLI::App& app);

}  // namespace nearlane::harness
