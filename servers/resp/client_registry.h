// ClientRegistry: who is connected over RESP, for CLIENT LIST and CLIENT KILL.
//
// Threads:   any; one lock, taken when a connection comes, goes, or changes its name, database,
//            version or subscriptions.
// Lifetime:  clients are asked to hang up between introduce and remove alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

/// Which clients are meant: those that all of it says.
struct ClientFilter {
  enum class Type : std::uint8_t { normal, pubsub, replication };  // of the last there are none
  /// In Redis's words; none: there is no such type.
  [[nodiscard]] static std::optional<Type> type_of(std::string_view word);
  [[nodiscard]] bool takes(const ClientInfo& info) const;

  std::optional<std::uint64_t> id = {};
  std::optional<Type> type = {};
  std::optional<std::string_view> address = {};
  std::optional<std::string_view> local_address = {};
  std::uint64_t skipped = 0;  // a client's id
};

class ClientRegistry {
 public:
  class Client {
   public:
    virtual ~Client() = default;
    /// From any thread, under the registry's lock: it goes soon, and nothing more is sent to it.
    virtual void hang_up() noexcept = 0;
  };

  /// Gives the client its id.
  std::uint64_t add(ClientInfo info) {
    const std::lock_guard lock(mutex_);
    info.id = ++last_id_;
    clients_.emplace(last_id_, Known{.info = std::move(info)});
    return last_id_;
  }
  /// From now on it may be asked to hang up.
  void introduce(std::uint64_t id, Client& client) {
    const std::lock_guard lock(mutex_);
    clients_.at(id).client = &client;
  }
  void update(const ClientInfo& info) {
    const std::lock_guard lock(mutex_);
    const auto known = clients_.find(info.id);
    if (known != clients_.end()) known->second.info = info;
  }
  void remove(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    clients_.erase(id);
  }
  struct HungUp {
    std::size_t count = 0;  // the asker among them
    bool asker = false;     // it is meant as well, and hangs up itself
  };
  HungUp hang_up(const ClientFilter& which, std::uint64_t asker);
  /// One line a client, as CLIENT LIST prints them.
  [[nodiscard]] std::string list(const ClientFilter& which, TimePoint now) const;
  /// Empty: there is no such client.
  [[nodiscard]] std::string line_of(std::uint64_t id, TimePoint now) const;
  [[nodiscard]] static std::string line(const ClientInfo& info, TimePoint now);

 private:
  struct Known {
    ClientInfo info;
    Client* client = nullptr;
  };

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Known> clients_;
  std::uint64_t last_id_ = 0;
};

}  // namespace nearlane::resp
