// KeyspaceTest: commands over every store of test_stores.h, at a time that the test sets.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/embedded/test_stores.h"

namespace nearlane::l2::embedded {

using Words = std::vector<std::string_view>;

class KeyspaceTest : public testing::TestWithParam<std::string> {
 protected:
  explicit KeyspaceTest(std::uint64_t max_bytes = kPlenty, std::size_t max_value = kMaxValue,
                        std::size_t max_answer = kMaxAnswer)
      : stored(make_test_store(GetParam(), max_bytes)),
        keyspace(stored->store(), max_value, max_answer) {}

  protocol::Reply run(const Words& words) {
    protocol::Reply reply = keyspace.execute(db, words, now);
    stored->end_command();
    return reply;
  }
  std::size_t expire(std::size_t max) {
    stored->commit();
    const std::size_t erased = stored->store().sweep(unix_ms(), max);
    stored->commit();
    return erased;
  }
  std::size_t size() const { return stored->store().size(); }
  std::string error(const Words& words) {
    const protocol::Reply reply = run(words);
    return reply.is_error() ? reply.text : "no error: " + reply.text;
  }
  std::int64_t number(const Words& words) {
    const protocol::Reply reply = run(words);
    EXPECT_EQ(reply.type, protocol::Type::integer) << reply.text;
    return reply.integer;
  }
  std::int64_t unix_ms() const { return now.time_since_epoch().count(); }

  WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
  std::uint32_t db = 0;
  std::unique_ptr<TestStore> stored;
  Keyspace keyspace;
};

inline std::string store_name(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

}  // namespace nearlane::l2::embedded
