#include "harness/bench/approach.h"

namespace nearlane::harness {

Answer LocalMaps::call(std::size_t instance, const Request& request) {
  auto& map = maps_.at(instance);
  const auto begin = Clock::now();
  Answer answer{.outcome = Outcome::miss};
  switch (request.kind) {
    case Op::get:
      if (const auto at = map.find(request.key); at != map.end()) {
        answer.outcome = Outcome::hit;
        answer.value = at->second;
      }
      break;
    case Op::set:
      map[request.key] = request.value;
      answer.outcome = Outcome::ok;
      break;
    case Op::touch:  // nothing expires within a run
      answer.outcome = map.contains(request.key) ? Outcome::ok : Outcome::miss;
      break;
    case Op::erase:
      answer.outcome = map.erase(request.key) != 0 ? Outcome::ok : Outcome::miss;
      break;
  }
  answer.took = Clock::now() - begin;
  return answer;
}

Remote::Remote(Protocol protocol, const std::vector<Endpoint>& peers) {
  for (const auto& peer : peers) callers_.emplace_back(protocol, peer);
}

}  // namespace nearlane::harness
