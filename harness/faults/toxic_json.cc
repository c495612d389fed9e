#include "harness/faults/toxic_json.h"

#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kKilobyte = 1000;  // what Toxiproxy makes of its KB/s

Refusal bad_body(std::string_view why) {
  return {Refusal::kBadRequest, fmt::format("bad request body: {}", why)};
}

/// Fields of one JSON object. The first that is of the wrong type is remembered, and later ones are not looked at.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  void read(const char* name, std::string& value) {
    if (const Json* found = find(name); found != nullptr) {
      if (!found->is_string()) return refuse(name, "a string");
      value = found->get<std::string>();
    }
  }
  void read(const char* name, bool& value) {
    if (const Json* found = find(name); found != nullptr) {
      if (!found->is_boolean()) return refuse(name, "true or false");
      value = found->get<bool>();
    }
  }
  void read(const char* name, double& value) {
    if (const Json* found = find(name); found != nullptr) {
      if (!found->is_number()) return refuse(name, "a number");
      value = found->get<double>();
    }
  }
  template <class Unsigned>
  requires std::is_unsigned_v<Unsigned>
  void read(const char* name, Unsigned& value, std::uint64_t unit = 1) {
    const auto most = std::numeric_limits<Unsigned>::max() / unit;
    if (const auto number = whole(name, most); number) {
      value = static_cast<Unsigned>(*number * unit);
    }
  }
  template <class Unit>
  void read_time(const char* name, Duration& value) {
    const auto most = std::chrono::duration_cast<Unit>(Toxic::kLongest).count();
    if (const auto number = whole(name, static_cast<std::uint64_t>(most)); number) {
      value = Unit(static_cast<typename Unit::rep>(*number));
    }
  }
  [[nodiscard]] const std::optional<Refusal>& refused() const noexcept { return refused_; }

 private:
  const Json* find(const char* name) const {
    if (refused_) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<std::uint64_t> whole(const char* name, std::uint64_t most) {
    const Json* found = find(name);
    if (found == nullptr) return std::nullopt;
    if (!found->is_number_unsigned() || found->get<std::uint64_t>() > most) {
      refuse(name, fmt::format("a whole number from 0 to {}", most));
      return std::nullopt;
    }
    return found->get<std::uint64_t>();
  }
  void refuse(std::string_view name, std::string_view kind) {
    refused_ = bad_body(fmt::format("'{}' must be {}", name, kind));
  }

  const Json& object_;
  std::optional<Refusal> refused_;
};

Outcome<Json> parse(std::string_view body) {
  auto json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return bad_body(body.empty() ? "it is empty" : "not JSON");
  // It would turn into a Refusal as well.
  return Outcome<Json>(boost::system::in_place_value, std::move(json));
}

Outcome<Json> parse_object(std::string_view body) {
  auto json = parse(body);
  if (json && !json->is_object()) return bad_body("not a JSON object");
  return json;
}

Outcome<ProxyFields> proxy_of(const Json& json, ProxyFields fields) {
  if (!json.is_object()) return bad_body("not a JSON object");
  Fields given(json);
  given.read("name", fields.name);
  given.read("listen", fields.listen);
  given.read("upstream", fields.upstream);
  given.read("enabled", fields.enabled);
  if (given.refused()) return *given.refused();
  return fields;
}

using std::chrono::microseconds;
using std::chrono::milliseconds;

void read_into(Latency& kind, Fields& given) {
  given.read_time<milliseconds>("latency", kind.latency);
  given.read_time<milliseconds>("jitter", kind.jitter);
}
void read_into(Bandwidth& kind, Fields& given) { given.read("rate", kind.bytes_per_s, kKilobyte); }
void read_into(SlowClose& kind, Fields& given) {
  given.read_time<milliseconds>("delay", kind.delay);
}
void read_into(Timeout& kind, Fields& given) {
  given.read_time<milliseconds>("timeout", kind.timeout);
}
void read_into(ResetPeer& kind, Fields& given) {
  given.read_time<milliseconds>("timeout", kind.timeout);
}
void read_into(Slicer& kind, Fields& given) {
  given.read("average_size", kind.average);
  given.read("size_variation", kind.variation);
  given.read_time<microseconds>("delay", kind.delay);
}
void read_into(LimitData& kind, Fields& given) { given.read("bytes", kind.bytes); }
void read_into(DropPushes& /*kind*/, Fields& /*given*/) {}
void read_into(DelayPushes& kind, Fields& given) {
  given.read_time<milliseconds>("delay", kind.delay);
}
void read_into(CutAtFrame& kind, Fields& given) { given.read("frame", kind.frame); }

template <class Unit>
auto in(Duration time) {
  return std::chrono::duration_cast<Unit>(time).count();
}

OrderedJson attributes(const Latency& kind) {
  return {{"latency", in<milliseconds>(kind.latency)}, {"jitter", in<milliseconds>(kind.jitter)}};
}
OrderedJson attributes(const Bandwidth& kind) { return {{"rate", kind.bytes_per_s / kKilobyte}}; }
OrderedJson attributes(const SlowClose& kind) { return {{"delay", in<milliseconds>(kind.delay)}}; }
OrderedJson attributes(const Timeout& kind) {
  return {{"timeout", in<milliseconds>(kind.timeout)}};
}
OrderedJson attributes(const ResetPeer& kind) {
  return {{"timeout", in<milliseconds>(kind.timeout)}};
}
OrderedJson attributes(const Slicer& kind) {
  return {{"average_size", kind.average},
          {"size_variation", kind.variation},
          {"delay", in<microseconds>(kind.delay)}};
}
OrderedJson attributes(const LimitData& kind) { return {{"bytes", kind.bytes}}; }
OrderedJson attributes(const DropPushes& /*kind*/) { return OrderedJson::object(); }
OrderedJson attributes(const DelayPushes& kind) {
  return {{"delay", in<milliseconds>(kind.delay)}};
}
OrderedJson attributes(const CutAtFrame& kind) { return {{"frame", kind.frame}}; }

template <std::size_t Index = 0>
std::optional<ToxicKind> kind_named(std::string_view type) {
  if constexpr (Index < std::variant_size_v<ToxicKind>) {
    ToxicKind kind(std::in_place_index<Index>);
    if (type_of(kind) == type) return kind;
    return kind_named<Index + 1>(type);
  } else {
    return std::nullopt;
  }
}

/// The attributes and the toxicity that are in `json`.
Outcome<Toxic> change(Toxic toxic, const Json& json) {
  Fields given(json);
  given.read("toxicity", toxic.toxicity);
  if (given.refused()) return *given.refused();
  if (const auto found = json.find("attributes"); found != json.end() && !found->is_null()) {
    if (!found->is_object()) return bad_body("'attributes' must be an object");
    Fields attributes(*found);
    std::visit([&](auto& kind) { read_into(kind, attributes); }, toxic.kind);
    if (attributes.refused()) return *attributes.refused();
  }
  if (const auto good = check(toxic); !good) return bad_body(good.error().detail);
  return toxic;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

void throw_exception_from_error(const Refusal& refusal, const boost::source_location& /*where*/) {
  throw std::logic_error(refusal.error);
}

std::optional<Refusal> missing_field(const ProxyFields& proxy) {
  for (const auto& [field, value] :
       {std::pair("name", &proxy.name), std::pair("upstream", &proxy.upstream)}) {
    if (!value->empty()) continue;
    return Refusal{Refusal::kBadRequest, fmt::format("missing required field: {}", field)};
  }
  return std::nullopt;
}

Outcome<ProxyFields> read_proxy(std::string_view body, ProxyFields fields) {
  const auto json = parse_object(body);
  if (!json) return json.error();
  return proxy_of(*json, std::move(fields));
}

Outcome<std::vector<ProxyFields>> read_proxies(std::string_view body) {
  const auto json = parse(body);
  if (!json) return json.error();
  if (!json->is_array()) return bad_body("not a list of proxies");
  std::vector<ProxyFields> all;
  for (const auto& element : *json) {
    auto proxy = proxy_of(element, {});
    if (!proxy) return proxy.error();
    if (auto missing = missing_field(*proxy); missing) {
      missing->error += fmt::format(" at proxy {}", all.size() + 1);
      return *missing;
    }
    all.push_back(std::move(*proxy));
  }
  return all;
}

Outcome<Toxic> read_toxic(std::string_view body) {
  const auto json = parse_object(body);
  if (!json) return json.error();
  Fields given(*json);
  std::string type;
  std::string stream = "downstream";
  Toxic toxic;
  given.read("name", toxic.name);
  given.read("type", type);
  given.read("stream", stream);
  if (given.refused()) return *given.refused();
  stream = lower(std::move(stream));
  if (stream != "upstream" && stream != "downstream") {
    return Refusal{Refusal::kBadRequest,
                   "stream was invalid, can be either upstream or downstream"};
  }
  auto kind = kind_named(type);
  if (!kind) return Refusal{Refusal::kBadRequest, "invalid toxic type"};
  toxic.kind = *kind;
  toxic.way = stream == "upstream" ? Way::to_server : Way::to_client;
  if (toxic.name.empty()) toxic.name = fmt::format("{}_{}", type, stream);
  return change(std::move(toxic), *json);
}

Outcome<Toxic> read_toxic_update(std::string_view body, Toxic toxic) {
  const auto json = parse_object(body);
  if (!json) return json.error();
  return change(std::move(toxic), *json);
}

OrderedJson to_json(const Toxic& toxic) {
  OrderedJson json;
  json["attributes"] = std::visit([](const auto& kind) { return attributes(kind); }, toxic.kind);
  json["name"] = toxic.name;
  json["type"] = std::string(type_of(toxic.kind));
  json["stream"] = std::string(stream_of(toxic.way));
  // As Toxiproxy writes it: 1, and not 1.0.
  if (toxic.toxicity == 0 || toxic.toxicity == 1) {
    json["toxicity"] = static_cast<int>(toxic.toxicity);
  } else {
    json["toxicity"] = toxic.toxicity;
  }
  return json;
}

OrderedJson to_json(const ProxyFields& proxy, const std::vector<Toxic>& toxics) {
  OrderedJson json;
  json["name"] = proxy.name;
  json["listen"] = proxy.listen;
  json["upstream"] = proxy.upstream;
  json["enabled"] = proxy.enabled;
  json["toxics"] = to_json(toxics);
  return json;
}

OrderedJson to_json(const std::vector<Toxic>& toxics) {
  auto list = OrderedJson::array();
  for (const Way way : {Way::to_server, Way::to_client}) {
    for (const auto& toxic : toxics) {
      if (toxic.way == way) list.push_back(to_json(toxic));
    }
  }
  return list;
}

OrderedJson to_json(const Refusal& refusal) {
  return {{"error", refusal.error}, {"status", refusal.status}};
}

Outcome<Endpoint> read_address(std::string_view text, std::string_view field) {
  const auto refused = bad_body(fmt::format("{}: '{}' is not HOST:PORT", field, text));
  if (text.empty()) return Endpoint{.host = "127.0.0.1"};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return refused;
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  Endpoint endpoint;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return refused;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Without brackets nobody can tell its port.
  constexpr std::string_view kNeverInside = "[] \t";
  if (host.find_first_of(kNeverInside) != std::string_view::npos ||
      (!bracketed && host.find(':') != std::string_view::npos)) {
    return refused;
  }
  endpoint.host = host.empty() || host == "localhost" ? "127.0.0.1" : std::string(host);
  return endpoint;
}

std::string address_text(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", endpoint.host, v6 ? "]" : "", endpoint.port);
}

}  // namespace nearlane::harness
