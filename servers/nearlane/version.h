// The version of the server; CMake's project() is the one place that says it.
#pragma once

#ifndef NEARLANE_VERSION
#error "the target must define NEARLANE_VERSION"
#endif

namespace nearlane::server {

inline constexpr const char* kVersion = NEARLANE_VERSION;

}  // namespace nearlane::server
