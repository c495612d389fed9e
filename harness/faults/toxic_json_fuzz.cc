#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "harness/faults/proxy_api.h"
#include "harness/faults/toxic_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::harness;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)read_proxy(text, {});
  (void)read_proxies(text);
  if (const auto toxic = read_toxic(text)) {
    // What was read is what is written.
    const auto written = to_json(*toxic).dump();
    const auto again = read_toxic(written);
    if (!again || to_json(*again).dump() != written) std::abort();
    (void)read_toxic_update(text, *toxic);
  }
  if (const auto address = read_address(text, "listen")) {
    const auto again = read_address(address_text(*address), "listen");
    if (!again || *again != *address) std::abort();
  }
  // No proxy is there, so that whatever the path is nothing is opened.
  ProxyApi api;
  const auto answer = api.answer("GET", text, "");
  if (answer.body.empty()) std::abort();
  (void)api.answer("DELETE", text, text);
  return 0;
}
