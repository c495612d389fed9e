// The null twin of L2: it remembers nothing and acknowledges everything, so that what L2 costs is a
// subtraction.
//
// With it, L1 is all there is: a SET is installed in L1 with the expiry that it carries, a miss is
// a miss.
// Threads:   any.
// Errors:    unsupported for commands whose answer depends on stored data.
#pragma once

#include <memory>

#include "core/l2/l2_backend.h"

namespace nearlane::l2 {

[[nodiscard]] std::unique_ptr<L2Backend> make_none_backend();

}  // namespace nearlane::l2
