#include "core/l2/redis/cluster_map.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nearlane::l2 {
namespace {

using protocol::Reply;

const Endpoint kAsked{"asked", "1"};

Reply node(Reply host, std::int64_t port) {
  return Reply::array({std::move(host), Reply::number(port), Reply::bulk("0123456789abcdef"),
                       Reply::array({Reply::bulk("hostname"), Reply::bulk("h")})});
}
Reply node(const std::string& host, std::int64_t port) { return node(Reply::bulk(host), port); }
Reply range(std::int64_t first, std::int64_t last, std::vector<Reply> nodes) {
  nodes.insert(nodes.begin(), {Reply::number(first), Reply::number(last)});
  return Reply::array(std::move(nodes));
}

TEST(SlotMap, IsWhatClusterSlotsSays) {
  const auto map = read_slot_map(
      Reply::array({range(0, 99, {node("a", 1), node("a", 2)}), range(100, 100, {node("b", 1)}),
                    range(102, 16383, {node("a", 1)})}),
      kAsked);
  ASSERT_TRUE(map) << map.error().detail;
  EXPECT_EQ(map->primaries, (std::vector<Endpoint>{{"a", "1"}, {"b", "1"}}));
  EXPECT_EQ(map->replicas, (std::vector<Endpoint>{{"a", "2"}}));
  EXPECT_EQ(*map->owner(0), (Endpoint{"a", "1"}));
  EXPECT_EQ(*map->owner(99), (Endpoint{"a", "1"}));
  EXPECT_EQ(*map->owner(100), (Endpoint{"b", "1"}));
  EXPECT_EQ(map->owner(101), nullptr);
  EXPECT_EQ(*map->owner(16383), (Endpoint{"a", "1"}));
}

TEST(SlotMap, TakesTheHostThatWasAskedWhereNoneIsSaid) {
  const auto map =
      read_slot_map(Reply::array({range(0, 1, {node(Reply::null(), 7)}), range(2, 3, {node("", 8)}),
                                  range(4, 5, {node("?", 9)})}),
                    kAsked);
  ASSERT_TRUE(map) << map.error().detail;
  EXPECT_EQ(*map->owner(0), (Endpoint{"asked", "7"}));
  EXPECT_EQ(*map->owner(2), (Endpoint{"asked", "8"}));
  EXPECT_EQ(map->owner(4), nullptr) << "not known";
}

TEST(SlotMap, SaysWhatIsWrong) {
  const auto says = [](const Reply& reply) {
    const auto map = read_slot_map(reply, kAsked);
    return map ? "a map" : map.error().detail;
  };
  using testing::HasSubstr;
  EXPECT_THAT(says(Reply::ok()), HasSubstr("it is no list"));
  EXPECT_THAT(says(Reply::array({})), HasSubstr("no slot of the cluster has an owner"));
  EXPECT_THAT(says(Reply::array({Reply::ok()})), HasSubstr("a range is no list"));
  EXPECT_THAT(says(Reply::array({range(0, 16384, {node("a", 1)})})), HasSubstr("no slots"));
  EXPECT_THAT(says(Reply::array({range(-1, 0, {node("a", 1)})})), HasSubstr("no slots"));
  EXPECT_THAT(says(Reply::array({range(2, 1, {node("a", 1)})})), HasSubstr("no slots"));
  EXPECT_THAT(says(Reply::array({range(0, 1, {node("a", 65536)})})), HasSubstr("a port is none"));
  EXPECT_THAT(says(Reply::array({range(0, 1, {node(Reply::number(1), 1)})})),
              HasSubstr("a host is no text"));
  EXPECT_THAT(says(Reply::array({range(0, 1, {Reply::number(1)})})),
              HasSubstr("a node is no list"));
  std::vector<Reply> many;
  for (int port = 1; port <= 1025; ++port) many.push_back(range(0, 1, {node("a", port)}));
  EXPECT_THAT(says(Reply::array(many)), HasSubstr("more than 1,024 nodes"));
}

TEST(SlotMap, TakesASlotThatMoved) {
  auto map = read_slot_map(Reply::array({range(0, 16383, {node("a", 1)})}), kAsked).value();
  map.move(5, {"b", "2"});
  EXPECT_EQ(*map.owner(5), (Endpoint{"b", "2"}));
  EXPECT_EQ(*map.owner(6), (Endpoint{"a", "1"}));
}

RC_GTEST_PROP(SlotMapProperty, ReadsBackWhatItWasMadeOf, ()) {
  const auto cuts = *rc::gen::container<std::set<int>>(rc::gen::inRange(1, 16383));
  std::vector<Reply> ranges;
  std::vector<std::int64_t> ports(cohere::kSlots);
  std::int64_t from = 0;
  const auto close = [&](std::int64_t next) {
    const auto port = *rc::gen::inRange<std::int64_t>(1, 9);
    ranges.push_back(range(from, next - 1, {node("a", port)}));
    std::fill(ports.begin() + from, ports.begin() + next, port);
    from = next;
  };
  for (const int cut : cuts) close(cut);
  close(static_cast<std::int64_t>(cohere::kSlots));
  const auto map = read_slot_map(Reply::array(ranges), kAsked);
  RC_ASSERT(map.has_value());
  for (std::size_t slot = 0; slot < cohere::kSlots; ++slot)
    RC_ASSERT(map->owner(static_cast<cohere::Slot>(slot))->port == std::to_string(ports[slot]));
}

TEST(ReadRedirection, SaysWhereTo) {
  using Kind = Redirection::Kind;
  EXPECT_EQ(read_redirection("MOVED 3999 127.0.0.1:6381"),
            (Redirection{Kind::moved, 3999, {"127.0.0.1", "6381"}}));
  EXPECT_EQ(read_redirection("ASK 0 cache-1:1"), (Redirection{Kind::ask, 0, {"cache-1", "1"}}));
  EXPECT_EQ(read_redirection("MOVED 16383 ::1:7000"),
            (Redirection{Kind::moved, 16383, {"::1", "7000"}}));
  EXPECT_EQ(read_redirection("MOVED 1 :7000"), (Redirection{Kind::moved, 1, {"", "7000"}}))
      << "the host that answered";
  EXPECT_EQ(read_redirection("TRYAGAIN Multiple keys request during rehashing of slot"),
            (Redirection{.kind = Kind::try_again}));
}

TEST(ReadRedirection, TakesNothingElseForOne) {
  for (const std::string_view text :
       {"", "MOVED", "MOVED 1", "MOVED x a:1", "MOVED 16384 a:1", "MOVED -1 a:1", "MOVED 1 a",
        "MOVED 1 a:", "MOVED 1 a:0", "MOVED 1 a:65536", "MOVED 1 a:1 b", "MOVEDX 1 a:1",
        "ERR MOVED 1 a:1", "CROSSSLOT Keys in request don't hash to the same slot",
        "CLUSTERDOWN The cluster is down"})
    EXPECT_EQ(read_redirection(text), std::nullopt) << text;
}

}  // namespace
}  // namespace nearlane::l2
