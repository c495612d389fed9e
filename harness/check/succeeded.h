// succeeded: a test's assertion of a Result says why where it does not hold. For tests alone.
#pragma once

#include <gtest/gtest.h>

#include "core/base/result.h"

namespace nearlane::harness {

inline testing::AssertionResult succeeded(const Result<void>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().detail;
}

}  // namespace nearlane::harness
