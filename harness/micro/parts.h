// The kinds of target that targets.cc puts together.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "harness/micro/target.h"

namespace nearlane::micro {

/// A map of the registry, read as the tier reads it.
[[nodiscard]] std::unique_ptr<Target> make_l1_target(std::string_view map, std::string_view policy,
                                                     const Fill& fill);

/// DashMap, where it was built: as it comes, and tuned.
[[nodiscard]] std::vector<std::string_view> dashmap_names();
[[nodiscard]] std::string_view dashmap_build();
[[nodiscard]] std::unique_ptr<Target> make_dashmap_target(std::string_view name, const Fill& fill);

}  // namespace nearlane::micro
