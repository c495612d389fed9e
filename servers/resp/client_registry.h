// ClientRegistry: who is connected over RESP, for CLIENT LIST.
//
// Threads:   any; one lock, taken when a connection comes, goes, or changes its name, database,
//            version or subscriptions.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "core/base/clock.h"

namespace nearlane::resp {

struct ClientInfo {
  std::uint64_t id = 0;
  std::string address = {};
  std::string local_address = {};
  std::string name = {};
  std::string library = {};
  std::string library_version = {};
  TimePoint since = {};
  std::uint32_t db = 0;
  int version = 2;
  std::size_t channels = 0;  // that it has subscribed to
  std::size_t patterns = 0;
  bool authenticated = false;
};

class ClientRegistry {
 public:
  /// Gives the client its id.
  std::uint64_t add(ClientInfo info) {
    const std::lock_guard lock(mutex_);
    info.id = ++last_id_;
    clients_.emplace(info.id, std::move(info));
    return last_id_;
  }
  void update(const ClientInfo& info) {
    const std::lock_guard lock(mutex_);
    clients_[info.id] = info;
  }
  void remove(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    clients_.erase(id);
  }
  /// One line a client, as CLIENT LIST prints them.
  [[nodiscard]] std::string list(TimePoint now) const;
  [[nodiscard]] static std::string line(const ClientInfo& info, TimePoint now);

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, ClientInfo> clients_;
  std::uint64_t last_id_ = 0;
};

}  // namespace nearlane::resp
