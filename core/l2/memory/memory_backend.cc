#include "core/l2/memory/memory_backend.h"

#include <array>
#include <mutex>
#include <utility>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/embedded/perform.h"
#include "core/l2/memory/map_store.h"

namespace nearlane::l2 {
namespace {

/// Overdue entries dropped beside each command, those of a transaction counted: more than one can add, so they never pile
/// up.
constexpr std::size_t kExpireBeside = 4;

class MemoryBackend final : public L2Backend {
 public:
  MemoryBackend(std::uint64_t max_bytes, std::size_t max_value)
      : store_(max_bytes), keyspace_(store_, max_value) {
    lane_[0].set_lease(kForever);
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "memory"; }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    return {.coherence = "local", .transactions = true};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return lane_; }
  [[nodiscard]] Health health() const override {
    const std::lock_guard lock(mutex_);
    return {
        .ready = true,
        .lanes = 1,
        .lanes_up = 1,
        .detail = std::to_string(store_.size()) + " keys in memory, gone when this process ends"};
  }
  void start(Listener&) override {}
  void stop() noexcept override {}

  void submit(std::unique_ptr<Call> call) noexcept override {
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      answer.sent_at = Clock::now();
      answer.epoch = lane_[0].epoch();
      const WallTime now = wall_now();
      (void)store_.sweep(now.time_since_epoch().count(),
                         kExpireBeside * (1 + call->command.queued.size()));
      embedded::perform(keyspace_, call->command, now, answer);
      if (call->command.undeclared) {
        lane_[0].bump_for_good();
        lane_[0].set_lease(kForever);
      }
      call->settle(answer);
    }
    call->complete(std::move(answer));
  }

 private:
  mutable std::mutex mutex_;
  memory::MapStore store_;
  embedded::Keyspace keyspace_;
  std::array<cohere::LaneView, 1> lane_;
};

}  // namespace

std::unique_ptr<L2Backend> make_memory_backend(std::uint64_t max_bytes, std::size_t max_value) {
  return std::make_unique<MemoryBackend>(max_bytes, max_value);
}

}  // namespace nearlane::l2
