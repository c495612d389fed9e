// A workload as requests: names its keys, writes its documents, and checks them when they come back.
//
// Values:   document.h's, of the key; the version is a number that this source never gives twice. A request's
//           tag is that version (0 of what writes nothing).
// Errors:   a trace that breaks off ends the stream and is kept in error().
// Threads:  the generator's. Lifetime: the workload must outlive the source.
// Cost:     a set writes its document when it is due (about 1 us for 3.5 KB).
#pragma once

#include <cstdint>
#include <optional>

#include "harness/driver/request.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {

class WorkloadSource final : public RequestSource {
 public:
  explicit WorkloadSource(Workload& workload, std::uint64_t first_version = 1) noexcept
      : workload_(workload), version_(first_version) {}

  bool next(Request& into) override;
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

 private:
  Workload& workload_;
  std::uint64_t version_;
  Operation operation_;
  std::optional<Error> error_;
};

/// Whether a hit is a whole document of its key; true of everything that is not a hit.
[[nodiscard]] bool document_of_its_key(const Completion& completion);

}  // namespace nearlane::harness
