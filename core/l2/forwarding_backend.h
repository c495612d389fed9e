// ForwardingBackend: an L2Backend that hands everything on to another one. What tests put in a store's
// way overrides what it changes.
//
// Threads, lifetime, errors:  those of the backend behind it.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "core/l2/l2_backend.h"

namespace nearlane::l2 {

class ForwardingBackend : public L2Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<L2Backend> behind) : behind_(std::move(behind)) {}

  [[nodiscard]] std::string_view name() const noexcept override { return behind_->name(); }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    return behind_->capabilities();
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
    return behind_->lanes();
  }
  [[nodiscard]] const cohere::SlotLanes* slots() const noexcept override {
    return behind_->slots();
  }
  [[nodiscard]] const cohere::BulkLanes* bulk() const noexcept override { return behind_->bulk(); }
  [[nodiscard]] Health health() const override { return behind_->health(); }
  void start(Listener& listener) override { behind_->start(listener); }
  void submit(std::unique_ptr<Call> call) noexcept override { behind_->submit(std::move(call)); }
  void hint(std::string_view what) noexcept override { behind_->hint(what); }
  [[nodiscard]] std::shared_ptr<Route> route() const noexcept override { return behind_->route(); }
  [[nodiscard]] ClusterRoutes* cluster() noexcept override { return behind_->cluster(); }
  void stop() noexcept override { behind_->stop(); }

 protected:
  std::unique_ptr<L2Backend> behind_;
};

}  // namespace nearlane::l2
