// Toxiproxy's JSON for proxies and toxics, read and written.
//
// As with Toxiproxy a field that is null or missing keeps its default, a field of the wrong type is refused, and one
// that nobody knows is passed over: its clients send back whole what they were given. Unlike with Toxiproxy, a value that
// can mean nothing is refused too: a negative time, slices of nothing, a toxicity of 2.
//
// Errors:   a Refusal, whose status and text are the answer's.
// Threads:  any.
// Source:   https://github.com/Shopify/toxiproxy#http-api and api.go there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/system/result.hpp>
#include <nlohmann/json.hpp>

#include "harness/topology/endpoint.h"
#include "harness/topology/toxic.h"

namespace nearlane::harness {

/// Why something was not done: an HTTP status, and Toxiproxy's words where it has some.
struct Refusal {
  static constexpr unsigned kBadRequest = 400;

  Refusal() = default;
  /// Said, because an aggregate would take a number that an Outcome holds for its status.
  Refusal(unsigned number, std::string text) : status(number), error(std::move(text)) {}

  unsigned status = 0;
  std::string error;

  friend bool operator==(const Refusal&, const Refusal&) = default;
};
[[noreturn]] void throw_exception_from_error(const Refusal& refusal,
                                             const boost::source_location& where);

template <class T>
using Outcome = boost::system::result<T, Refusal>;

/// Fields stand in the order in which they were put.
using OrderedJson = nlohmann::ordered_json;

/// A proxy as it is asked for, or as it is.
struct ProxyFields {
  std::string name;
  std::string listen;
  std::string upstream;
  bool enabled = true;
};

/// Why there can be no such proxy: it has no name, or no upstream.
[[nodiscard]] std::optional<Refusal> missing_field(const ProxyFields& proxy);
/// The fields that are there replace those of `fields`.
[[nodiscard]] Outcome<ProxyFields> read_proxy(std::string_view body, ProxyFields fields);
/// A list of proxies. None of them is without a name or an upstream.
[[nodiscard]] Outcome<std::vector<ProxyFields>> read_proxies(std::string_view body);
[[nodiscard]] Outcome<Toxic> read_toxic(std::string_view body);
/// Its attributes and its toxicity may change.
[[nodiscard]] Outcome<Toxic> read_toxic_update(std::string_view body, Toxic toxic);

[[nodiscard]] OrderedJson to_json(const Toxic& toxic);
/// Those to the server first.
[[nodiscard]] OrderedJson to_json(const std::vector<Toxic>& toxics);
[[nodiscard]] OrderedJson to_json(const ProxyFields& proxy, const std::vector<Toxic>& toxics);
[[nodiscard]] OrderedJson to_json(const Refusal& refusal);

/// HOST:PORT, of which the host may be a name, in brackets, or nothing, which is 127.0.0.1, as is localhost; 0 is a port
/// here. Text that is not this is refused, `field` being what it was given as.
[[nodiscard]] Outcome<Endpoint> read_address(std::string_view text, std::string_view field);
/// With brackets around an IPv6 address.
[[nodiscard]] std::string address_text(const Endpoint& endpoint);

}  // namespace nearlane::harness
