#include "harness/micro/slowed.h"

#include <utility>

namespace nearlane::micro {
namespace {

class Slowed final : public Target {
 public:
  Slowed(std::unique_ptr<Target> target, unsigned percent)
      : target_(std::move(target)), percent_(percent) {}

  [[nodiscard]] bool holds() const noexcept override { return target_->holds(); }
  Tally sample(const Work& work, std::uint32_t* ticks) override {
    return target_->sample(work, ticks);
  }

  Tally run(const Work& work) override {
    const Tally tally = target_->run(work);
    Work again = work;
    again.count = work.count * percent_ / 100 / kBatch * kBatch;
    (void)target_->run(again);
    return tally;
  }

 private:
  std::unique_ptr<Target> target_;
  unsigned percent_;
};

}  // namespace

std::unique_ptr<Target> slowed(std::unique_ptr<Target> target, unsigned percent) {
  if (!target) return nullptr;
  return std::make_unique<Slowed>(std::move(target), percent);
}

}  // namespace nearlane::micro
