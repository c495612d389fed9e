#include "harness/topology/pinned.h"

#include <vector>

namespace nearlane::harness {

Pinned::Pinned(std::size_t nth) {
  CPU_ZERO(&before_);
  if (::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &before_)) cores.push_back(core);
  }
  if (cores.empty()) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cores[nth % cores.size()], &one);
  pinned_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
}

Pinned::~Pinned() {
  if (pinned_) ::sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace nearlane::harness
