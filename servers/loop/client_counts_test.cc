#include "servers/loop/client_counts.h"

#include <gtest/gtest.h>

namespace nearlane::loop {
namespace {

TEST(ClientCounts, GivesEachClientItsShare) {
  ClientCounts counts(2);
  const auto one = *client_at("192.0.2.1");
  const auto other = *client_at("192.0.2.2");
  EXPECT_TRUE(counts.take(one));
  EXPECT_TRUE(counts.take(one));
  EXPECT_FALSE(counts.take(one));
  EXPECT_TRUE(counts.take(other));
  counts.give_back(one);
  EXPECT_TRUE(counts.take(one));
  EXPECT_FALSE(counts.take(one));
}

TEST(ClientCounts, KnowsAClientByWhatItCannotChangeAtWill) {
  EXPECT_NE(client_at("192.0.2.1"), client_at("192.0.2.2"));
  EXPECT_EQ(client_at("::ffff:192.0.2.1"), client_at("192.0.2.1"));
  EXPECT_EQ(client_at("2001:db8:1:2::1"), client_at("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  EXPECT_NE(client_at("2001:db8:1:2::1"), client_at("2001:db8:1:3::1"));
  EXPECT_NE(client_at("c000:201::"), client_at("192.0.2.1")) << "the same bytes, of another kind";
  EXPECT_EQ(client_at("localhost"), std::nullopt);
}

}  // namespace
}  // namespace nearlane::loop
