// Channels: who has subscribed to which channel, and PUBLISH, where no Redis is behind us: one process, all its loops.
//
// Errors:    none; what a subscriber does not take in time is its own affair (Subscriber::hear).
// Threads:   any; one lock. A message is handed to all its subscribers under it, so that everybody hears what is published in
//            one order.
// Lifetime:  a subscriber leaves before it ends, or ends when nobody publishes any more.
// Cost:      publish: a look-up, a comparison with each pattern that anybody has, and a call a subscriber.
// Source:    Redis 7.0, pubsub.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace nearlane::resp {

class Channels {
 public:
  enum class Kind : std::uint8_t { channel, pattern };

  struct Message {
    std::string channel;
    std::string text;
  };

  class Subscriber {
   public:
    virtual ~Subscriber() = default;
    /// On any thread and under the lock: short, and calls nothing here. `name`: of the subscription, which is the
    /// pattern or the channel.
    virtual void hear(Kind kind, const std::string& name,
                      const std::shared_ptr<const Message>& message) noexcept = 0;
  };

  void subscribe(Subscriber& who, Kind kind, std::string_view name);
  void unsubscribe(Subscriber& who, Kind kind, std::string_view name) noexcept;

  /// How many subscriptions have heard it.
  std::size_t publish(std::string_view channel, std::string_view text);

  /// Names of channels that somebody has subscribed to by name; with a pattern, those that match it: the empty name
  /// matches none, not even *.
  [[nodiscard]] std::vector<std::string> names(std::optional<std::string_view> pattern = {}) const;
  [[nodiscard]] std::size_t subscribers(std::string_view channel) const;
  [[nodiscard]] std::size_t patterns() const;

 private:
  using Names = std::map<std::string, std::set<Subscriber*>, std::less<>>;
  [[nodiscard]] Names& of(Kind kind) noexcept {
    return kind == Kind::channel ? channels_ : patterns_;
  }

  mutable std::mutex lock_;
  Names channels_;
  Names patterns_;
};

}  // namespace nearlane::resp
