#include "harness/micro/crew.h"

namespace nearlane::micro {
namespace {

/// Binds the calling thread to the `index`th of the allowed cores.
void bind(const cpu_set_t& allowed, unsigned index) {
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed)) continue;
    if (index-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

}  // namespace

Crew::Crew(unsigned threads, const std::function<void(unsigned)>& job) : job_(job) {
  CPU_ZERO(&allowed_);
  sched_getaffinity(0, sizeof allowed_, &allowed_);
  const bool enough = static_cast<unsigned>(CPU_COUNT(&allowed_)) >= threads;
  for (unsigned index = 1; index < threads; ++index) {
    helpers_.emplace_back([this, index, enough] {
      if (enough) bind(allowed_, index);
      ++ready_;
      while (!gate_) std::this_thread::yield();
      job_(index);
      ++done_;
    });
  }
  if (enough) bind(allowed_, 0);
  while (ready_ + 1 < threads) std::this_thread::yield();
}

Crew::~Crew() {
  gate_ = true;  // also when nobody said go
  for (auto& helper : helpers_) helper.join();
  sched_setaffinity(0, sizeof allowed_, &allowed_);
}

void Crew::go() {
  gate_ = true;
  job_(0);
  while (done_ < helpers_.size()) std::this_thread::yield();
}

}  // namespace nearlane::micro
