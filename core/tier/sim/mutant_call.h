// MutantCall: a call of the tier's as a mistaken tier would have made it.
//
// Lifetime:  like any call; the backend outlives it.
// Threads:   one owner.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/cohere/call.h"
#include "core/tier/sim/simulated_backend.h"

namespace nearlane::sim {

class MutantCall final : public cohere::Call {
 public:
  MutantCall(SimulatedBackend& backend, std::unique_ptr<cohere::Call> proper);
  ~MutantCall() override;

  void settle(const cohere::Answer& answer) noexcept override;
  void complete(cohere::Answer answer) noexcept override;

  const TimePoint began;
  std::vector<tier::TieredCache::GetHandler> joined;

 private:
  /// The answer with the times that the mutant believes in.
  [[nodiscard]] cohere::Answer believed(const cohere::Answer& answer) const;
  /// Puts what was read or written into L1, whatever has happened to the key meanwhile.
  void install(const cohere::Answer& answer);

  SimulatedBackend& backend_;
  const std::unique_ptr<cohere::Call> proper_;
};

}  // namespace nearlane::sim
