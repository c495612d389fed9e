#include "core/l2/redis/connect_rate.h"

namespace nearlane::l2 {

bool ConnectRate::take(const std::string& server, TimePoint now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(full_at_, [now](const auto& bucket) { return bucket.second <= now; });
  TimePoint& full_at = full_at_.try_emplace(server, now).first->second;
  if (full_at + kOneEvery > now + kAtOnce * kOneEvery) return false;
  full_at += kOneEvery;
  return true;
}

}  // namespace nearlane::l2
