#include "harness/faults/proxy_api.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

constexpr unsigned kCreated = 201;
constexpr unsigned kNoContent = 204;
constexpr unsigned kNotFound = 404;
constexpr unsigned kNoSuchMethod = 405;
constexpr unsigned kConflict = 409;
constexpr unsigned kFailed = 500;

/// Of Toxiproxy's API; its clients look at it before they use what is newer.
constexpr std::string_view kVersion = "2.12.0";

ApiAnswer refused(const Refusal& refusal) {
  return {.status = refusal.status, .body = to_json(refusal).dump() + "\n"};
}
ApiAnswer refused(unsigned status, std::string error) {
  return refused(Refusal{status, std::move(error)});
}
ApiAnswer no_such_method(std::string allow) {
  auto answer = refused(kNoSuchMethod, "no such method here; there are: " + allow);
  answer.allow = std::move(allow);
  return answer;
}
ApiAnswer told(const OrderedJson& json, unsigned status = 200) {
  return {.status = status, .body = json.dump()};
}

const Refusal kNoProxy{kNotFound, "proxy not found"};
const Refusal kNoToxic{kNotFound, "toxic not found"};

bool is_update(std::string_view method) { return method == "POST" || method == "PATCH"; }

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The segments between slashes, decoded; nothing where a percent sign stands for no byte.
std::optional<std::vector<std::string>> segments(std::string_view target) {
  target = target.substr(0, target.find('?'));
  std::vector<std::string> found;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target[i] == '/') {
      found.emplace_back();
      continue;
    }
    if (found.empty()) return std::nullopt;
    char c = target[i];
    if (c == '%') {
      if (i + 2 >= target.size()) return std::nullopt;
      const int high = hex(target[i + 1]);
      const int low = hex(target[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    found.back() += c;
  }
  return found;
}

/// Where a proxy leads to, which is no port of the system's choice.
Outcome<Endpoint> read_upstream(const std::string& text) {
  auto upstream = read_address(text, "upstream");
  if (upstream && upstream->port == 0) {
    return Refusal{Refusal::kBadRequest,
                   fmt::format("bad request body: upstream: '{}' has no port", text)};
  }
  return upstream;
}

/// What a FaultProxy would not do, although it was asked for something that can be.
Refusal failed(const Error& error) {
  return {error.code == Errc::invalid_argument ? Refusal::kBadRequest : kFailed, error.detail};
}

}  // namespace

Outcome<void> ProxyApi::Named::start() {
  if (running) return {};
  const auto listen = read_address(fields.listen, "listen");
  if (!listen) return listen.error();
  const auto upstream = read_upstream(fields.upstream);
  if (!upstream) return upstream.error();
  auto started = FaultProxy::start(*upstream, *listen);
  if (!started) return failed(started.error());
  for (const auto& toxic : toxics) {
    if (const auto added = started->add(toxic); !added) return failed(added.error());
  }
  fields.listen = address_text(started->endpoint());
  fields.enabled = true;
  running = std::make_unique<FaultProxy>(std::move(*started));
  return {};
}

void ProxyApi::Named::stop() noexcept {
  running.reset();
  fields.enabled = false;
}

Outcome<bool> ProxyApi::differs(const ProxyFields& there, const ProxyFields& wanted) {
  const auto now = read_address(there.listen, "listen");
  if (!now) return now.error();
  const auto listen = read_address(wanted.listen, "listen");
  if (!listen) return listen.error();
  const auto upstream = read_upstream(wanted.upstream);
  if (!upstream) return upstream.error();
  return *now != *listen || there.upstream != wanted.upstream;
}

Outcome<void> ProxyApi::Named::update(const ProxyFields& wanted) {
  const auto other = differs(fields, wanted);
  if (!other) return other.error();
  if (*other) {
    stop();
    fields.listen = wanted.listen;
    fields.upstream = wanted.upstream;
  }
  if (wanted.enabled) return start();
  stop();
  return {};
}

std::vector<Toxic>::iterator ProxyApi::Named::find(std::string_view toxic) {
  return std::ranges::find(toxics, toxic, &Toxic::name);
}

ApiAnswer ProxyApi::answer(std::string_view method, std::string_view target,
                           std::string_view body) {
  const auto path = segments(target);
  if (path && !path->empty()) {
    const auto& first = path->front();
    if (first == "proxies" && path->size() == 1) return answer_proxies(method, body);
    if (first == "proxies") return answer_proxy(method, *path, body);
    if (first == "reset" && path->size() == 1) {
      return method == "POST" ? reset() : no_such_method("POST");
    }
    if (first == "populate" && path->size() == 1) {
      return method == "POST" ? answer_populate(body) : no_such_method("POST");
    }
    if (first == "version" && path->size() == 1) {
      if (method != "GET") return no_such_method("GET");
      return told({{"version", kVersion}, {"implementation", "nearlane-bench proxy"}});
    }
  }
  return refused(kNotFound, "no such page; there are /proxies, /populate, /reset and /version");
}

ApiAnswer ProxyApi::answer_proxies(std::string_view method, std::string_view body) {
  if (method == "POST") return create(body);
  if (method != "GET") return no_such_method("GET, POST");
  auto all = OrderedJson::object();
  for (const auto& [name, proxy] : proxies_) all[name] = proxy.json();
  return told(all);
}

ApiAnswer ProxyApi::answer_proxy(std::string_view method, const Path& path, std::string_view body) {
  const bool toxics = path.size() > 2 && path[2] == "toxics";
  if (path.size() > 4 || (path.size() > 2 && !toxics)) {
    return refused(kNotFound, "no such page; a proxy has /toxics and /toxics/{toxic}");
  }
  const auto found = proxies_.find(path[1]);
  if (found == proxies_.end()) return refused(kNoProxy);
  Named& proxy = found->second;
  if (path.size() == 4) return answer_toxic(proxy, method, path[3], body);
  if (toxics) return answer_toxics(proxy, method, body);
  if (method == "DELETE") {
    proxies_.erase(found);
    return {.status = kNoContent};
  }
  if (is_update(method)) {
    const auto wanted = read_proxy(body, proxy.fields);
    if (!wanted) return refused(wanted.error());
    if (const auto done = proxy.update(*wanted); !done) return refused(done.error());
  } else if (method != "GET") {
    return no_such_method("GET, POST, PATCH, DELETE");
  }
  return told(proxy.json());
}

ApiAnswer ProxyApi::answer_toxics(Named& proxy, std::string_view method, std::string_view body) {
  if (method == "GET") return told(to_json(proxy.toxics));
  if (method != "POST") return no_such_method("GET, POST");
  const auto toxic = read_toxic(body);
  if (!toxic) return refused(toxic.error());
  if (proxy.find(toxic->name) != proxy.toxics.end()) {
    return refused(kConflict, "toxic already exists");
  }
  if (proxy.toxics.size() >= FaultProxy::kMaxToxics) {
    return refused(Refusal::kBadRequest,
                   fmt::format("a proxy has {} toxics at most", FaultProxy::kMaxToxics));
  }
  if (proxy.running) {
    if (const auto added = proxy.running->add(*toxic); !added) {
      return refused(failed(added.error()));
    }
  }
  proxy.toxics.push_back(*toxic);
  return told(to_json(*toxic));
}

ApiAnswer ProxyApi::answer_toxic(Named& proxy, std::string_view method, const std::string& name,
                                 std::string_view body) {
  const auto there = proxy.find(name);
  if (there == proxy.toxics.end()) return refused(kNoToxic);
  if (method == "DELETE") {
    if (proxy.running) (void)proxy.running->remove(name);
    proxy.toxics.erase(there);
    return {.status = kNoContent};
  }
  if (is_update(method)) {
    const auto changed = read_toxic_update(body, *there);
    if (!changed) return refused(changed.error());
    if (proxy.running) {
      if (const auto done = proxy.running->update(*changed); !done) {
        return refused(failed(done.error()));
      }
    }
    *there = *changed;
  } else if (method != "GET") {
    return no_such_method("GET, POST, PATCH, DELETE");
  }
  return told(to_json(*there));
}

ApiAnswer ProxyApi::create(std::string_view body) {
  const auto fields = read_proxy(body, {});
  if (!fields) return refused(fields.error());
  if (const auto missing = missing_field(*fields); missing) return refused(*missing);
  if (proxies_.contains(fields->name)) return refused(kConflict, "proxy already exists");
  const auto made = put(*fields);
  return made ? told((*made)->json(), kCreated) : refused(made.error());
}

Outcome<ProxyApi::Named*> ProxyApi::put(const ProxyFields& fields) {
  const auto found = proxies_.find(fields.name);
  if (found != proxies_.end()) {
    const auto other = differs(found->second.fields, fields);
    if (!other) return other.error();
    if (!*other) return &found->second;
    found->second.stop();
  } else if (proxies_.size() >= kMaxProxies) {
    return Refusal{Refusal::kBadRequest, fmt::format("there are {} proxies at most", kMaxProxies)};
  }
  Named proxy{.fields = fields, .toxics = {}, .running = nullptr};
  proxy.fields.enabled = false;
  // A proxy that is not enabled is asked for its addresses as well.
  if (const auto good = differs(fields, fields); !good) return good.error();
  if (fields.enabled) {
    if (const auto started = proxy.start(); !started) return started.error();
  }
  return &proxies_.insert_or_assign(fields.name, std::move(proxy)).first->second;
}

ApiAnswer ProxyApi::reset() {
  for (auto& [name, proxy] : proxies_) {
    if (const auto started = proxy.start(); !started) return refused(started.error());
    proxy.running->heal();
    proxy.toxics.clear();
  }
  return {.status = kNoContent};
}

Outcome<void> ProxyApi::populate(std::string_view body, std::vector<Named*>& done) {
  const auto wanted = read_proxies(body);
  if (!wanted) return wanted.error();
  for (const auto& fields : *wanted) {
    const auto made = put(fields);
    if (!made) return made.error();
    done.push_back(*made);
  }
  return {};
}

Outcome<std::size_t> ProxyApi::populate(std::string_view body) {
  std::vector<Named*> done;
  if (const auto all = populate(body, done); !all) return all.error();
  return done.size();
}

ApiAnswer ProxyApi::answer_populate(std::string_view body) {
  std::vector<Named*> done;
  const auto all = populate(body, done);
  auto json = all ? OrderedJson::object() : to_json(all.error());
  auto& list = json["proxies"] = OrderedJson::array();
  for (const Named* proxy : done) list.push_back(proxy->json());
  return told(json, all ? kCreated : all.error().status);
}

}  // namespace nearlane::harness
