// Toxiproxy's HTTP API without HTTP: proxies by name, and what a request does to them.
//
// Errors:   answers whose status is 400 or more and whose body is {"error": ..., "status": ...}, as Toxiproxy's are.
// Threads:  one user at a time; each enabled proxy has a thread of its own.
// Lifetime: ends every proxy when it goes.
// Cost:     an answer waits for the threads of the proxies that it is about.
// Source:   api.go and proxy_collection.go of https://github.com/Shopify/toxiproxy, version 2.12.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/faults/toxic_json.h"
#include "harness/topology/fault_proxy.h"

namespace nearlane::harness {

struct ApiAnswer {
  unsigned status = 200;
  std::string body = {};   // JSON; empty with 204
  std::string allow = {};  // methods that there are instead, with 405
};

class ProxyApi {
 public:
  static constexpr std::size_t kMaxProxies = 64;
  static constexpr std::size_t kMaxBody = std::size_t{1}
                                          << 20U;  // bytes; who reads requests sees to it

  [[nodiscard]] ApiAnswer answer(std::string_view method, std::string_view target,
                                 std::string_view body);
  /// As POST /populate; how many proxies the list had.
  [[nodiscard]] Outcome<std::size_t> populate(std::string_view body);

 private:
  struct Named {
    ProxyFields fields;
    std::vector<Toxic> toxics;
    std::unique_ptr<FaultProxy> running;  // while it is enabled

    [[nodiscard]] Outcome<void> start();
    void stop() noexcept;
    [[nodiscard]] Outcome<void> update(const ProxyFields& wanted);
    [[nodiscard]] std::vector<Toxic>::iterator find(std::string_view toxic);
    [[nodiscard]] OrderedJson json() const { return to_json(fields, toxics); }
  };
  using Path = std::vector<std::string>;

  [[nodiscard]] static Outcome<bool> differs(const ProxyFields& there, const ProxyFields& wanted);
  [[nodiscard]] ApiAnswer answer_proxies(std::string_view method, std::string_view body);
  [[nodiscard]] ApiAnswer answer_proxy(std::string_view method, const Path& path,
                                       std::string_view body);
  [[nodiscard]] static ApiAnswer answer_toxics(Named& proxy, std::string_view method,
                                               std::string_view body);
  [[nodiscard]] static ApiAnswer answer_toxic(Named& proxy, std::string_view method,
                                              const std::string& name, std::string_view body);
  [[nodiscard]] ApiAnswer create(std::string_view body);
  [[nodiscard]] ApiAnswer reset();
  [[nodiscard]] ApiAnswer answer_populate(std::string_view body);
  [[nodiscard]] Outcome<Named*> put(const ProxyFields& fields);
  [[nodiscard]] Outcome<void> populate(std::string_view body, std::vector<Named*>& done);

  std::map<std::string, Named, std::less<>> proxies_;
};

}  // namespace nearlane::harness
