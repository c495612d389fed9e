#include "servers/resp/channels.h"

#include "core/l2/embedded/glob.h"

namespace nearlane::resp {

void Channels::subscribe(Subscriber& who, Kind kind, std::string_view name) {
  const std::lock_guard guard(lock_);
  of(kind)[std::string(name)].insert(&who);
}

void Channels::unsubscribe(Subscriber& who, Kind kind, std::string_view name) noexcept {
  const std::lock_guard guard(lock_);
  Names& names = of(kind);
  const auto found = names.find(name);
  if (found == names.end()) return;
  found->second.erase(&who);
  if (found->second.empty()) names.erase(found);
}

std::size_t Channels::publish(std::string_view channel, std::string_view text) {
  const std::lock_guard guard(lock_);
  std::shared_ptr<const Message> message;
  std::size_t heard = 0;
  const auto tell = [&](Kind kind, const auto& named) {
    if (!message) {
      message = std::make_shared<const Message>(
          Message{.channel = std::string(channel), .text = std::string(text)});
    }
    for (Subscriber* who : named.second) who->hear(kind, named.first, message);
    heard += named.second.size();
  };
  if (const auto found = channels_.find(channel); found != channels_.end())
    tell(Kind::channel, *found);
  for (const auto& named : patterns_) {
    if (l2::embedded::glob_matches(named.first, channel)) tell(Kind::pattern, named);
  }
  return heard;
}

std::vector<std::string> Channels::names(std::optional<std::string_view> pattern) const {
  const std::lock_guard guard(lock_);
  std::vector<std::string> names;
  for (const auto& [name, subscribers] : channels_) {
    if (!pattern || l2::embedded::glob_matches(*pattern, name)) names.push_back(name);
  }
  return names;
}

std::size_t Channels::subscribers(std::string_view channel) const {
  const std::lock_guard guard(lock_);
  const auto found = channels_.find(channel);
  return found == channels_.end() ? 0 : found->second.size();
}

std::size_t Channels::patterns() const {
  const std::lock_guard guard(lock_);
  return patterns_.size();
}

}  // namespace nearlane::resp
