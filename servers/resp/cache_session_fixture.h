// CacheSessionTest: a session of the RESP door without sockets, bytes in and bytes out, over the embedded store whose
// answers a test may hold back, for the order of commands and replies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "core/l1/l1_map.h"
#include "core/l2/forwarding_backend.h"
#include "servers/resp/cache_session.h"
#include "servers/resp/output_bytes.h"

namespace nearlane::resp {

/// A store that executes nothing until it is told to, in the order in which commands came.
class HeldBackend final : public l2::ForwardingBackend {
 public:
  /// `slots`: of a cluster of two lanes; null: it is none.
  explicit HeldBackend(std::unique_ptr<l2::L2Backend> behind, const cohere::SlotLanes* slots)
      : ForwardingBackend(std::move(behind)), slots_(slots) {
    for (auto& view : views_) view.set_lease(kForever);
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
    return slots_ == nullptr ? ForwardingBackend::lanes() : views_;
  }
  [[nodiscard]] const cohere::SlotLanes* slots() const noexcept override { return slots_; }

  /// As if others had copies for so long after L2 has announced nothing to them.
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    l2::Capabilities mine = ForwardingBackend::capabilities();
    mine.lease = lease;
    return mine;
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (open_) {
      behind_->submit(std::move(call));
    } else {
      held_.push_back(std::move(call));
    }
  }
  void stop() noexcept override {
    for (; !held_.empty(); held_.pop_front()) {
      l2::Answer ended{.error = Error{Errc::shutting_down}};
      held_.front()->settle(ended);
      held_.front()->complete(std::move(ended));
    }
    behind_->stop();
  }

  void hold() { open_ = false; }
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  /// So many calls fail, as where nothing can be sent.
  void fail(std::size_t count) {
    for (; count > 0 && !held_.empty(); --count) {
      auto call = std::move(held_.front());
      held_.pop_front();
      l2::Answer failed{.error = Error{Errc::unavailable}};
      call->settle(failed);
      call->complete(std::move(failed));
    }
  }
  void release(std::size_t count) {
    for (; count > 0 && !held_.empty(); --count) {
      auto call = std::move(held_.front());
      held_.pop_front();
      behind_->submit(std::move(call));
    }
  }

  Duration lease{};

 private:
  const cohere::SlotLanes* slots_;
  std::array<cohere::LaneView, 2> views_;
  std::deque<std::unique_ptr<l2::Call>> held_;
  bool open_ = true;
};

class CacheSessionTest : public testing::Test, public Session::Host {
 protected:
  CacheSessionTest() : CacheSessionTest("") {}
  explicit CacheSessionTest(std::string password, const cohere::SlotLanes* slots = nullptr)
      : password_(std::move(password)) {
    auto memory = l2::make_l2({.url = "memory:"}, {});
    auto held = std::make_unique<HeldBackend>(std::move(*memory), slots);
    l2_ = held.get();
    auto l1 = l1::make_l1({.bytes = std::uint64_t{64} << 20U});
    tier_ = std::make_unique<tier::TieredCache>(
        tier::TierConfig{.prefixes = {{.match = "s:", .rules = {.max_stale = Duration::zero()}}},
                         .after =
                             [this](Duration wait, std::function<void()> task) {
                               waits_.emplace_back(wait, std::move(task));
                             }},
        std::move(*l1), std::move(held));
    tier_->start();
    context_ = std::make_unique<SessionContext>(SessionContext{.tier = *tier_,
                                                               .home = loop_,
                                                               .stats = stats_,
                                                               .clients = clients_,
                                                               .channels = channels_,
                                                               .password = password_,
                                                               .info = info_});
    session_ = CacheSession::make(*context_, *this, ClientInfo{});
  }
  ~CacheSessionTest() override {
    tier_->stop();
    loop_.context().poll();
    session_->detach();
  }

  /// Bytes in, bytes out.
  std::string serve(std::string_view bytes) {
    input_ += bytes;
    loop_.post([this] { go_on(); });
    return settle();
  }
  /// Runs what L2's answers posted home.
  std::string settle() {
    loop_.context().restart();
    loop_.context().poll();
    return take_bytes(session_->output());
  }
  void go_on() {
    session_->refill();
    input_.erase(0, session_->serve(input_, Clock::now()));
  }
  void answered() noexcept override { go_on(); }

  struct Client;
  std::unique_ptr<Client> second();

  static std::string get(std::string_view key) {
    return "*2\r\n$3\r\nGET\r\n$" + std::to_string(key.size()) + "\r\n" + std::string(key) + "\r\n";
  }

  std::string password_;
  loop::Loop loop_{0};
  loop::DoorStats stats_{commands().size()};
  ClientRegistry clients_;
  Channels channels_;
  std::function<std::string(std::string_view)> info_ = [](std::string_view section) {
    return "# " + std::string(section) + "\r\n";
  };
  std::deque<std::pair<Duration, std::function<void()>>> waits_;  // of strict revocations
  HeldBackend* l2_ = nullptr;
  std::unique_ptr<tier::TieredCache> tier_;
  std::unique_ptr<SessionContext> context_;
  std::shared_ptr<CacheSession> session_;
  std::string input_;
};

/// Another client of the same loop.
struct CacheSessionTest::Client final : Session::Host {
  explicit Client(CacheSessionTest& home)
      : test(home), session(CacheSession::make(*home.context_, *this, ClientInfo{})) {}
  ~Client() override { session->detach(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string serve(std::string_view bytes) {
    input += bytes;
    test.loop_.post([this] { answered(); });
    return settle();
  }
  std::string settle() {
    test.loop_.context().restart();
    test.loop_.context().poll();
    return take_bytes(session->output());
  }
  void answered() noexcept override {
    session->refill();
    input.erase(0, session->serve(input, Clock::now()));
  }

  CacheSessionTest& test;
  std::shared_ptr<CacheSession> session;
  std::string input;
};

inline std::unique_ptr<CacheSessionTest::Client> CacheSessionTest::second() {
  return std::make_unique<Client>(*this);
}

struct Exchange {
  std::string_view in;
  std::string_view out;
};

}  // namespace nearlane::resp
