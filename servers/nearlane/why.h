// nearlane why KEY: asks a running server, over its HTTP door, why it answers a key as it does.
//
// Errors:    one line on standard error that says what to mend. Exit codes: 0 the explanation was printed; 1 the
//            server did not give one, or neither L1 nor L2 has such a key; 2 the command line cannot be read.
// Threads:   one.
#pragma once

#include <string>
#include <vector>

#include "servers/nearlane/config.h"

namespace nearlane::server {

/// `args` without the program's name and "why"; the exit code.
int why(std::vector<std::string> args, const Environment& environment);

}  // namespace nearlane::server
