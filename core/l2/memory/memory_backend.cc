#include "core/l2/memory/memory_backend.h"

#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "core/l2/memory/keyspace.h"

namespace nearlane::l2 {
namespace {

using protocol::Reply;
using protocol::Type;

/// Overdue entries dropped beside each command: more than one command can add, so they never pile
/// up.
constexpr std::size_t kExpireBeside = 4;

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(WallClock::now());
}

class MemoryBackend final : public L2Backend {
 public:
  explicit MemoryBackend(std::uint64_t max_bytes)
      : keyspace_(memory::KeyspaceConfig{.max_bytes = max_bytes}) {
    lane_[0].set_lease(kForever);
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "memory"; }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    return {.coherence = "local"};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return lane_; }
  [[nodiscard]] Health health() const override {
    const std::lock_guard lock(mutex_);
    return {.ready = true,
            .lanes = 1,
            .lanes_up = 1,
            .detail =
                std::to_string(keyspace_.size()) + " keys in memory, gone when this process ends"};
  }
  void start(Listener&) override {}
  void stop() noexcept override {}

  void submit(std::unique_ptr<Call> call) noexcept override {
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      answer.sent_at = Clock::now();
      answer.epoch = lane_[0].epoch();
      run(call->command, wall_now(), answer);
      call->settle(answer);
    }
    call->complete(std::move(answer));
  }

 private:
  void run(const Command& command, WallTime now, Answer& answer) {
    keyspace_.expire(now, kExpireBeside);
    const std::uint32_t db = command.key.db;
    switch (command.op) {
      case Op::fetch:
        answer.reply = keyspace_.execute(
            db, std::array{std::string_view("GET"), std::string_view(command.key.name)}, now);
        answer.pttl = pttl(command.key, now);
        break;
      case Op::transact:
        if (command.ask_existed) {
          const std::array exists{std::string_view("EXISTS"), std::string_view(command.key.name)};
          answer.existed = keyspace_.execute(db, exists, now).integer != 0;
        }
        answer.reply = execute(command, now);
        answer.pttl = pttl(command.key, now);
        break;
      case Op::raw:
        answer.reply = execute(command, now);
        if (command.undeclared) {
          lane_[0].bump();
          lane_[0].set_lease(kForever);
        }
        break;
      case Op::confirm:
        break;
    }
  }

  Reply execute(const Command& command, WallTime now) {
    std::vector<std::string_view> args(command.args.begin(), command.args.end());
    if (command.value) {
      args.insert(args.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, args.size())),
                  command.value->value());
    }
    return keyspace_.execute(command.key.db, args, now);
  }

  std::int64_t pttl(const Key& key, WallTime now) {
    const Reply reply = keyspace_.execute(
        key.db, std::array{std::string_view("PTTL"), std::string_view(key.name)}, now);
    return reply.type == Type::integer ? reply.integer : -2;
  }

  mutable std::mutex mutex_;
  memory::Keyspace keyspace_;
  std::array<cohere::LaneView, 1> lane_;
};

}  // namespace

std::unique_ptr<L2Backend> make_memory_backend(std::uint64_t max_bytes) {
  return std::make_unique<MemoryBackend>(max_bytes);
}

}  // namespace nearlane::l2
