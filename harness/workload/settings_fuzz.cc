#include <cstddef>
#include <cstdint>
#include <string_view>

#include "harness/workload/settings.h"
#include "harness/workload/workload.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nearlane::harness::Settings;
  auto settings = Settings::parse({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  if (!settings) return 0;
  auto root = settings->root();
  for (auto& section : root.sections("workload")) {
    (void)nearlane::harness::read_workload(section);
  }
  (void)root.text("name", "");
  (void)settings->finish();
  return 0;
}
