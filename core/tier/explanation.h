// Explanation: why a key is answered as it is: what L1 has, whether it would serve that and why not, what L2 says, and
// what befell the key lately. Holds no byte of the value.
//
// Units:     time on the monotonic clock; `at` is when it was made.
// Threads:   a plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/audit/recorder.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/entry/entry.h"
#include "core/tier/prefix_table.h"

namespace nearlane::tier {

struct Explanation {
  /// What a read of the key would meet now.
  enum class Service : std::uint8_t {
    served,    // L1 serves its copy
    absent,    // L1 has none
    disowned,  // the lane's epoch has changed since it was read
    expired,   // its deadline has passed
    lapsed,    // only the lease has run out: one small command to L2, and it is served
  };
  struct Copy {
    bool negative = false;
    std::size_t bytes = 0;     // of the value
    std::size_t br_bytes = 0;  // of its forms; 0: there is none
    std::size_t gzip_bytes = 0;
    Epoch epoch = 0;
    TimePoint deadline{};
  };
  struct InL2 {
    std::optional<Error> error = {};  // L2 did not answer, or with an error: nothing below is known
    bool exists = false;
    std::optional<Duration> ttl = {};  // none: it has no end
    std::optional<bool> same = {};     // as L1's copy, as far as was compared (audit::kWindow)
  };

  TimePoint at{};
  std::uint64_t hash = 0;  // names the key in the log
  std::size_t lane = 0;
  Epoch lane_epoch = 0;
  TimePoint lease_until{};
  KeyRules rules = {};
  bool sampled = false;  // hits of it are audited
  Service service = Service::absent;
  std::optional<Copy> copy = {};
  InL2 in_l2 = {};
  std::vector<audit::Happened> events = {};   // of the key and of its lane, oldest first
  TimePoint events_since = TimePoint::min();  // what happened before may be missing
};

[[nodiscard]] std::string_view name_of(Explanation::Service service) noexcept;

}  // namespace nearlane::tier
