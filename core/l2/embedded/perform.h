// What a call of the tier (core/cohere/call.h) means to a Keyspace: which commands it executes, and what of
// their replies is its answer. The same for every embedded backend.
//
// Threads:   as Store.
// Cost:      the commands'.
#pragma once

#include <functional>

#include "core/base/clock.h"
#include "core/cohere/call.h"
#include "core/l2/embedded/keyspace.h"

namespace nearlane::l2::embedded {

/// Fills in reply, pttl and existed; the rest is the backend's. `after` is called behind each command of Op::exec with
/// its reply.
void perform(Keyspace& keyspace, const cohere::Command& command, WallTime now,
             cohere::Answer& answer, const std::function<void(protocol::Reply&)>& after = {});

}  // namespace nearlane::l2::embedded
