#include "servers/resp/client_registry.h"

#include <fmt/format.h>

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

std::string ClientRegistry::list(TimePoint now) const {
  std::string out;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, info] : clients_) out += line(info, now);
  return out;
}

}  // namespace nearlane::resp
