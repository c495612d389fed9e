#include "servers/resp/client_registry.h"

#include <fmt/format.h>

#include "servers/resp/set_options.h"

namespace nearlane::resp {

std::string ClientRegistry::line(const ClientInfo& info, TimePoint now) {
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - info.since).count();
  return fmt::format(
      "id={} addr={} laddr={} fd=-1 name={} age={} idle=0 flags={} db={} sub={} psub={} ssub=0 "
      "multi=-1 "
      "resp={} lib-name={} lib-ver={} user=default\n",
      info.id, info.address, info.local_address, info.name, age,
      info.channels + info.patterns == 0 ? 'N' : 'P', info.db, info.channels, info.patterns,
      info.version, info.library, info.library_version);
}

std::optional<ClientFilter::Type> ClientFilter::type_of(std::string_view word) {
  if (equals_ignoring_case(word, "normal")) return Type::normal;
  if (equals_ignoring_case(word, "pubsub")) return Type::pubsub;
  for (const std::string_view other : {"master", "replica", "slave"}) {
    if (equals_ignoring_case(word, other)) return Type::replication;
  }
  return std::nullopt;
}

bool ClientFilter::takes(const ClientInfo& info) const {
  const Type its_type = info.channels + info.patterns == 0 ? Type::normal : Type::pubsub;
  return info.id != skipped && (!id || *id == info.id) && (!type || *type == its_type) &&
         (!address || *address == info.address) &&
         (!local_address || *local_address == info.local_address);
}

ClientRegistry::HungUp ClientRegistry::hang_up(const ClientFilter& which, std::uint64_t asker) {
  HungUp hung_up;
  const std::lock_guard lock(mutex_);
  for (auto at = clients_.begin(); at != clients_.end();) {
    const auto& [id, known] = *at;
    const bool taken = known.client != nullptr && which.takes(known.info);
    hung_up.count += taken ? 1 : 0;
    if (!taken || id == asker) {
      hung_up.asker = hung_up.asker || taken;
      ++at;
    } else {
      known.client->hang_up();
      at = clients_.erase(at);  // nobody sees it again, though its own loop may take its time
    }
  }
  return hung_up;
}

std::string ClientRegistry::list(const ClientFilter& which, TimePoint now) const {
  std::string out;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, known] : clients_) {
    if (which.takes(known.info)) out += line(known.info, now);
  }
  return out;
}

std::string ClientRegistry::line_of(std::uint64_t id, TimePoint now) const {
  const std::lock_guard lock(mutex_);
  const auto known = clients_.find(id);
  return known == clients_.end() ? std::string() : line(known->second.info, now);
}

}  // namespace nearlane::resp
