// Counts: what one request takes that a clock does not show, counted by tools over a fixed number of requests.
//
// Each figure is a difference: a run that is longer by some thousand requests of one kind, less the run without them. So starting,
// filling and stopping are in neither, and no name of a function needs to be known.
//
// Errors:   a count that one of the programs or this machine cannot give is absent, and says why.
// Threads:  one. Cost: about a second a run under a tool, some forty runs.
// Source:   valgrind(1): callgrind, dhat; strace(1); setpriv(1), of util-linux; Redis's INFO commandstats.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "harness/gate/verdict.h"

namespace nearlane::gate {

/// A server's program and the micro-benchmark beside it.
struct Program {
  std::filesystem::path server;
  std::filesystem::path micro;
};

/// The row of nearlane-micro that is counted and timed; a regular expression.
inline constexpr std::string_view kMicroRow =
    "^L1Get/native/keys:1000/value:1024/uniform/ref/threads:1";

/// Why two programs gave no figure, from what came instead.
[[nodiscard]] Absent absent_of(const std::optional<Error>& base, const std::optional<Error>& head);

/// What counts system calls into `file`; the program's command line follows. However it ends, the program goes with it.
[[nodiscard]] std::vector<std::string> strace_command(const std::string& file);

/// What is being done, for a person who waits.
using Tell = std::function<void(std::string_view)>;

/// `quick`: the instructions of a read of the map and nothing else.
[[nodiscard]] std::vector<Counted> count_both(const Program& base, const Program& head,
                                              const Tell& tell, bool quick = false);

}  // namespace nearlane::gate
