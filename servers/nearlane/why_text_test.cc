#include "servers/nearlane/why_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nearlane::server {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json page() {
  return json::parse(R"({
    "key": "session:1", "db": 0, "hash": "00000000000000ff", "tier": "l1", "service": "served",
    "reason": "L1 serves its copy",
    "l1": {"negative": false, "bytes": 120, "epoch": 7, "deadline_ms": 90000},
    "lane": {"number": 3, "of": 32, "set": "shared", "epoch": 7, "lease_ms": 180.5},
    "l2": {"exists": true, "ttl_ms": 90001, "as_in_l1": true},
    "rules": {"l1": true, "l1_ttl_ms": null, "negative_ttl_ms": 0, "max_stale_ms": 60000,
              "touch_coalescing": false, "refresh": false, "prefetch": false, "secret": false},
    "coherence": {"mode": "lanes", "bound_ms": 250},
    "audited": false,
    "last_ms_ago": {"fill": 2100, "push": null, "write": null, "bump": 400000},
    "events": [{"event": "fill", "ago_ms": 2100, "epoch": 7}],
    "complete_for_ms": null})");
}
std::string text_of(const json& of) {
  const auto text = why_text(of.dump());
  return text ? text->text : "error: " + text.error().detail;
}

TEST(WhyText, SaysWhatAServedKeyRestsOn) {
  EXPECT_EQ(text_of(page()),
            "key       \"session:1\" in database 0, hash 00000000000000ff\n"
            "answer    from L1: L1 serves its copy\n"
            "L1        120 bytes, of epoch 7, its lane's\n"
            "deadline  in 90.0 s\n"
            "lane      number 3 of 32, shared, epoch 7, lease runs 180.5 ms more\n"
            "L2        has it, for 90.0 s more; L1's copy is the same\n"
            "rules     l1 true, l1_ttl none, negative_ttl 0, max_stale 60.0 s\n"
            "audited   no: its hash is not in the sample\n"
            "last      fill 2.1 s ago, push not known of, write not known of, bump 6.7 min ago\n"
            "events    all since the start\n"
            "         2.1 s ago  fill (epoch 7)\n");
}

TEST(WhyText, NamesWhatAPrefixHasOptedInTo) {
  json other = page();
  other["rules"]["touch_coalescing"] = true;
  other["rules"]["prefetch"] = true;
  other["rules"]["secret"] = true;
  EXPECT_THAT(text_of(other), HasSubstr("max_stale 60.0 s, touch_coalescing, prefetch, secret\n"));
}

TEST(WhyText, SaysWhoseLaneItIs) {
  json other = page();
  other["lane"]["set"] = "bulk";
  EXPECT_THAT(text_of(other), HasSubstr("lane      number 3 of 32, bulk, epoch 7, "));
}

TEST(WhyText, SaysWhyACopyIsNotServed) {
  json other = page();
  other["lane"]["epoch"] = 8;
  other["lane"]["lease_ms"] = nullptr;
  other["l1"]["deadline_ms"] = -1500;
  other["l2"]["as_in_l1"] = false;
  const std::string text = text_of(other);
  EXPECT_THAT(text, HasSubstr("of epoch 7, while its lane's is 8"));
  EXPECT_THAT(text, HasSubstr("epoch 8, which has no lease"));
  EXPECT_THAT(text, HasSubstr("passed 1.5 s ago"));
  EXPECT_THAT(text, HasSubstr("L1's copy is another"));
  other["lane"]["lease_ms"] = -20;
  EXPECT_THAT(text_of(other), HasSubstr("lease ran out 20.0 ms ago"));
}

TEST(WhyText, KnowsAKeyThatNobodyHas) {
  json none = page();
  EXPECT_TRUE(why_text(none.dump())->known);
  none["l1"] = nullptr;
  EXPECT_TRUE(why_text(none.dump())->known);
  none["l2"] = {{"exists", false}};
  EXPECT_FALSE(why_text(none.dump())->known);
  none["l2"] = {{"error", "timeout: x"}};
  EXPECT_TRUE(why_text(none.dump())->known) << "nobody can say";
  EXPECT_THAT(text_of(none), HasSubstr("L2        did not say: timeout: x\n"));
}

TEST(WhyText, ShowsNoControlBytes) {
  json odd = page();
  odd["key"] = "a\x1b[2J\n\"";
  EXPECT_THAT(text_of(odd), HasSubstr("\"a\\x1b[2J\\x0a\\x22\" in database"));
}

TEST(WhyText, RefusesWhatItDoesNotKnow) {
  EXPECT_TRUE(why_text("<html>").has_error());
  EXPECT_TRUE(why_text("{}").has_error());
  EXPECT_TRUE(why_text("[]").has_error());
  json wrong = page();
  wrong["l1"]["bytes"] = "many";
  EXPECT_TRUE(why_text(wrong.dump()).has_error());
}

TEST(WhyText, EncodesWhatAPathMayNotHold) {
  EXPECT_EQ(percent_encode("a-Z.0_~"), "a-Z.0_~");
  EXPECT_EQ(percent_encode("a/b?c %\xff"), "a%2Fb%3Fc%20%25%FF");
}

}  // namespace
}  // namespace nearlane::server
