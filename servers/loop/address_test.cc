#include "servers/loop/address.h"

#include <gtest/gtest.h>

namespace nearlane::loop {
namespace {

TEST(Address, ReadsEachKindAndWritesItBack) {
  for (const char* text :
       {"off", "127.0.0.1:6380", "0.0.0.0:0", "[::1]:65535", "unix:/run/x.sock"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->to_text(), text);
  }
  EXPECT_EQ(parse_address("localhost:1")->to_text(), "127.0.0.1:1");
}

TEST(Address, KnowsWhatOnlyThisMachineCanReach) {
  for (const char* text : {"off", "127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "unix:x"}) {
    EXPECT_TRUE(parse_address(text)->local_only()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_FALSE(parse_address(text)->local_only()) << text;
  }
}

TEST(Address, RefusesWhatItCannotReadAndSaysWhy) {
  for (const char* text : {"", "6380", "host:1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x",
                           "127.0.0.1:-1", "unix:", "[::1:1", "256.0.0.1:1"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address.has_error()) << text;
    EXPECT_EQ(address.error().code, Errc::invalid_argument);
    EXPECT_NE(address.error().detail.find(text), std::string::npos);
  }
  EXPECT_TRUE(parse_address("unix:" + std::string(200, 'x')).has_error());
}

}  // namespace
}  // namespace nearlane::loop
