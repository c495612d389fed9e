// Rows of the registry: a map's name and how it is made with each policy. Every map has a source of its own
// for its row, because each is compiled with every policy.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "core/l1/l1_map.h"
#include "core/l1/policy/all.h"

namespace nearlane::l1 {

struct MapRow {
  using Make = std::unique_ptr<L1Map> (*)(const L1Config&);
  std::string_view name;
  std::array<Make, AllPolicies::kCount> make{};  // in the order of AllPolicies
};

/// `Map` is a template over the policy.
template <template <class> class Map>
MapRow row_of(std::string_view name) {
  MapRow row{.name = name};
  auto* next = row.make.data();
  AllPolicies::each([&]<class P>() {
    *next++ = [](const L1Config& config) -> std::unique_ptr<L1Map> {
      return std::make_unique<Map<P>>(config);
    };
  });
  return row;
}

MapRow none_row();
MapRow mutex_row();
MapRow sharded_row();
MapRow native_row();
MapRow tbb_row();
MapRow cuckoo_row();

}  // namespace nearlane::l1
