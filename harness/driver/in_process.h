// The same run without a network: each request is one call on this thread, such as TieredCache::find.
//
// Threads:  the caller's. Cost: two clock readings a request (about 40 ns), which the times include; for what
//           is shorter than that, time batches instead.
#pragma once

#include <string_view>
#include <utility>

#include "harness/driver/recorder.h"
#include "harness/driver/run.h"

namespace nearlane::harness {

/// `call(request, value)` does the work and returns its Outcome; it may set `value` to the bytes of a hit,
/// which need to live until the next call. Waiting for a due time is busy.
template <class Call>
[[nodiscard]] RunReport run_in_process(RequestSource& source, const RunOptions& options,
                                       Call&& call) {
  Recorder recorder(options);
  const auto now = [&] { return Clock::now() - recorder.start(); };
  constexpr Duration kProgressEvery = std::chrono::milliseconds(200);
  Duration told{};
  Duration ended{};
  Request request;
  for (std::uint64_t issued = 0; issued < options.max_operations; ++issued) {
    if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) break;
    if (!source.next(request)) break;
    auto sent = now();
    if (options.open_loop) {
      if (request.at >= options.duration) {
        ended = options.duration;
        break;
      }
      while (sent < request.at) sent = now();
    } else {
      request.at = sent;
      if (sent >= options.duration) break;
    }
    ended = request.at;
    recorder.scheduled(request.at);
    std::string_view value;
    const Outcome outcome = call(std::as_const(request), value);
    const auto done = now();
    recorder.completed(
        {.kind = request.kind,
         .key = request.key,
         .tag = request.tag,
         .connection = kAnyConnection,
         .outcome = outcome,
         .failure = outcome == Outcome::error ? Failure::server_error : Failure::none,
         .value = value,
         .intended = request.at,
         .sent = sent,
         .done = done},
        request.at, true);
    if (done - told >= kProgressEvery) {
      told = done;
      recorder.tell_progress(done);
    }
  }
  return recorder.finish(ended, 0, 0, 0);
}

}  // namespace nearlane::harness
