// The policies that exist. Adding one: its header, and its name in the list.
#pragma once

#include "core/l1/policy/adaptive.h"
#include "core/l1/policy/clock.h"
#include "core/l1/policy/lru.h"
#include "core/l1/policy/none.h"
#include "core/l1/policy/s3fifo.h"
#include "core/l1/policy/sieve.h"
#include "core/l1/policy/wtinylfu.h"

namespace nearlane::l1 {

template <Policy... P>
struct Policies {
  static constexpr std::size_t kCount = sizeof...(P);
  /// Calls visit.template operator()<P>() for each.
  template <class Visit>
  static void each(Visit visit) {
    (visit.template operator()<P>(), ...);
  }
};

using AllPolicies = Policies<NoPolicy, Lru, Clock, Sieve, S3Fifo, WTinyLfu, Adaptive>;

}  // namespace nearlane::l1
