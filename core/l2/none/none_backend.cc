#include "core/l2/none/none_backend.h"

#include <array>
#include <charconv>
#include <utility>

namespace nearlane::l2 {
namespace {

using protocol::Reply;

/// Milliseconds that "PX n" among the arguments asks for, else no expiry.
std::int64_t ttl_of(const std::vector<std::string>& args) {
  for (std::size_t i = 0; i + 1 < args.size(); ++i) {
    if (args[i] != "PX") continue;
    std::int64_t ttl = -1;
    std::from_chars(args[i + 1].data(), args[i + 1].data() + args[i + 1].size(), ttl);
    return ttl;
  }
  return -1;
}

class NoneBackend final : public L2Backend {
 public:
  NoneBackend() { lane_[0].set_lease(kForever); }

  [[nodiscard]] std::string_view name() const noexcept override { return "none"; }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    return {.coherence = "none", .stores = false};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return lane_; }
  [[nodiscard]] Health health() const override {
    return {.ready = true, .lanes = 1, .lanes_up = 1, .detail = "no L2: nothing is stored"};
  }
  void start(Listener&) override {}
  void stop() noexcept override {}

  void submit(std::unique_ptr<Call> call) noexcept override {
    const Command& command = call->command;
    Answer answer;
    answer.sent_at = Clock::now();
    answer.epoch = lane_[0].epoch();
    switch (command.op) {
      case Op::fetch:
        answer.pttl = -2;
        break;
      case Op::transact:
        if (command.value) {
          answer.reply = Reply::ok();
          answer.pttl = ttl_of(command.args);
        } else {
          answer.reply = Reply::number(0);
          answer.pttl = -2;
        }
        if (command.ask_existed) answer.existed = false;
        break;
      case Op::compare:
        answer.existed = false;
        answer.held = command.holds(std::nullopt);
        if (answer.held) answer.reply = command.value ? Reply::ok() : Reply::number(0);
        break;
      case Op::confirm:
      case Op::announce:
        break;
      case Op::watch:
      case Op::exec:
        answer = Answer::failed(Errc::unsupported, "a transaction needs a store");
        break;
      case Op::raw:
        if (command.args[0] == "DEL" || command.args[0] == "UNLINK") {
          answer.reply = Reply::number(0);
        } else {
          answer.reply = Reply::error("ERR '" + command.args[0] +
                                      "' needs a store; this server has --l2 none:");
        }
        break;
    }
    call->settle(answer);
    call->complete(std::move(answer));
  }

 private:
  std::array<cohere::LaneView, 1> lane_;
};

}  // namespace

std::unique_ptr<L2Backend> make_none_backend() { return std::make_unique<NoneBackend>(); }

}  // namespace nearlane::l2
