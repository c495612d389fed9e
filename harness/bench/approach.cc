#include "harness/bench/approach.h"

namespace nearlane::harness {

Answer LocalMaps::call(std::size_t instance, const Request& request) {
  auto& map = maps_.at(instance);
  const auto begin = Clock::now();
  Answer answer{.outcome = Outcome::miss};
  const auto end = request.ttl.count() > 0 ? begin + request.ttl : kForever;
  if (request.kind == Op::set) {
    map[request.key] = {request.value, end};
    answer.outcome = Outcome::ok;
  } else if (const auto at = map.find(request.key); at != map.end()) {
    if (begin >= at->second.end) {
      map.erase(at);
    } else if (request.kind == Op::get) {
      answer.outcome = Outcome::hit;
      answer.value = at->second.value;
    } else if (request.kind == Op::touch) {
      at->second.end = end;
      answer.outcome = Outcome::ok;
    } else {
      map.erase(at);
      answer.outcome = Outcome::ok;
    }
  }
  answer.took = Clock::now() - begin;
  return answer;
}

Remote::Remote(Protocol protocol, const std::vector<Endpoint>& peers) {
  for (const auto& peer : peers) callers_.emplace_back(protocol, peer);
}

}  // namespace nearlane::harness
