// Replays a request log against the L1 code that ships, and counts what it misses.
//
// A read is a find under an epoch guard, and a hit if the entry's deadline has not passed; a miss puts
// what the store holds. A write puts, a touch finds and moves the deadline, a delete erases. Time is the
// trace's own: it is what deadlines are compared with, and each second of it that passes sweeps as
// many entries as a server's second does.
//
// Units:     capacity in objects: entries of one small value, with a byte budget that never is the limit.
//            In bytes: the recorded values under a byte budget, which counts keys and overheads too, so
//            it holds less than a simulator's; and it counts them as the allocator gives them, so
//            counts differ by a few in a thousand from run to run. In objects they never do.
// Errors:    invalid_argument naming the maps or policies there are; too_large, naming file and
//            record, for values over kMostValueBytes in bytes.
// Threads:   one at a time: retired memory, which counts against a byte budget, is the process's.
// Cost:      about 0.1 us a request and 0.2 us a miss; the cache's own memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "harness/replay/belady.h"
#include "harness/replay/request_log.h"

namespace nearlane::harness {

/// What names the offline optimum where a policy is asked for.
inline constexpr std::string_view kBelady = "belady";
/// And what it is called in bytes, where it is a greedy stand-in.
inline constexpr std::string_view kBeladySize = "belady-size";
/// In bytes every value is really written. Unit: bytes.
inline constexpr std::uint32_t kMostValueBytes = std::uint32_t{256} << 20U;

enum class Unit : std::uint8_t { objects, bytes };
[[nodiscard]] std::string_view to_string(Unit unit) noexcept;

struct ReplayCase {
  std::string map;
  std::string policy;  // one of the registry's, or kBelady
  Unit unit = Unit::objects;
  std::uint64_t capacity = 0;
};

struct ReplayCount {
  std::uint64_t misses = 0;
  std::uint64_t rejections = 0;  // puts that the map refused
};

/// All online policies that the registry names, then kBelady.
[[nodiscard]] std::vector<std::string> default_policies();

/// Whether map and policy exist. Errors: invalid_argument, with the names that do.
[[nodiscard]] Result<void> check_names(const ReplayCase& wanted);

/// One trace and what is worked out from it once.
class Replayer {
 public:
  explicit Replayer(RequestLog log) : log_(std::move(log)) {}

  [[nodiscard]] const RequestLog& log() const noexcept { return log_; }
  [[nodiscard]] Result<ReplayCount> run(const ReplayCase& wanted);

 private:
  [[nodiscard]] Result<ReplayCount> run_online(const ReplayCase& wanted) const;
  [[nodiscard]] Result<ReplayCount> run_belady(const ReplayCase& wanted);

  RequestLog log_;
  std::vector<std::uint32_t> uses_;  // empty until belady asks
};

}  // namespace nearlane::harness
