// The peers that are programs of ours.
#include "harness/peers/http_peer.h"

namespace nearlane::harness {

HttpPeerResult start_beast(const Site& site, Coding) {
  return start_own("nearlane-peer-beast", {site.root() / "cache"});
}

HttpPeerResult start_canned(const Site& site, Coding coding) {
  return start_own("nearlane-peer-canned",
                   {site.file_of(site.pages().front(), coding), std::string(name_of(coding))});
}

}  // namespace nearlane::harness
