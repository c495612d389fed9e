// What toxics do, without sockets and with a clock of the test's own.
#include "harness/topology/toxic_chain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

class Chain : public testing::Test {
 protected:
  void add(ToxicKind kind, double toxicity = 1, const std::string& name = "t") {
    chain.add({.name = name, .toxicity = toxicity, .kind = kind}, now);
  }
  void update(ToxicKind kind, double toxicity = 1) {
    chain.update({.name = "t", .toxicity = toxicity, .kind = kind}, now);
  }
  void take(std::string_view bytes) { chain.take(bytes, now); }
  /// What has come out since the last time, a mark in angle brackets; pieces apart.
  std::vector<std::string> pieces() {
    std::vector<std::string> out;
    due = chain.advance(now);
    while (chain.has_output()) {
      const Piece& piece = chain.output();
      constexpr std::array kMarks = {"", "<end>", "<close>", "<reset>"};
      out.push_back(std::string(piece.view()) + kMarks[static_cast<std::size_t>(piece.mark)]);
      chain.written(piece.size());
      due = chain.advance(now);
    }
    return out;
  }
  std::string out() {
    const auto all = pieces();
    return std::accumulate(all.begin(), all.end(), std::string());
  }
  /// To when more is due.
  void wait() {
    ASSERT_NE(due, kForever);
    ASSERT_GE(due, now) << "what is due has come out";
    now = due;
  }

  Randomness random{7};
  PushCounts counts;
  ToxicChain chain{Way::to_client, random, counts};
  TimePoint now{1h};
  TimePoint due{};
};

TEST_F(Chain, WithoutToxicsPassesEverythingInOrder) {
  take("abc");
  take("de");
  EXPECT_EQ(chain.queued(), 5U);
  chain.take(Mark::end, now);
  EXPECT_THAT(pieces(), ElementsAre("abc", "de", "<end>"));
  EXPECT_EQ(chain.queued(), 0U);
  EXPECT_EQ(due, kForever);
}

TEST_F(Chain, IsWrittenInParts) {
  take("abcdef");
  (void)chain.advance(now);
  chain.written(2);
  EXPECT_EQ(chain.output().view(), "cdef");
  EXPECT_EQ(chain.queued(), 4U);
  EXPECT_EQ(out(), "cdef");
}

TEST_F(Chain, LatencyDelaysBytesAndTheirEnd) {
  add(Latency{.latency = 100ms});
  take("a");
  now += 10ms;
  take("b");
  chain.take(Mark::end, now);
  EXPECT_EQ(out(), "");
  wait();
  EXPECT_EQ(now, TimePoint(1h + 100ms));
  EXPECT_EQ(out(), "a");
  now += 9ms;
  EXPECT_EQ(out(), "");
  wait();
  EXPECT_EQ(now, TimePoint(1h + 110ms));
  EXPECT_EQ(out(), "b<end>");
}

TEST_F(Chain, JitterStaysInItsBoundsAndReachesThem) {
  add(Latency{.latency = 50ms, .jitter = 20ms});
  Duration least = 1h;
  Duration most{};
  for (int i = 0; i < 2000; ++i) {
    now += 1s;  // so that none waits for another
    const TimePoint sent = now;
    take("x");
    EXPECT_EQ(out(), "");
    wait();
    EXPECT_EQ(out(), "x");
    least = std::min(least, now - sent);
    most = std::max(most, now - sent);
  }
  EXPECT_GE(least, 30ms);
  EXPECT_LE(least, 31ms);
  EXPECT_LT(most, 70ms);
  EXPECT_GE(most, 69ms);
}

TEST_F(Chain, JitterReordersNothingAndIsNeverNegative) {
  add(Latency{.latency = 1ms, .jitter = 20ms});
  std::string sent;
  std::string come;
  for (int i = 0; i < 500; ++i) {
    const std::string piece = std::to_string(i) + ' ';
    take(piece);
    sent += piece;
    now += 100us;
    come += out();
  }
  now += 1s;
  EXPECT_EQ(come + out(), sent);
}

TEST_F(Chain, TakingLatencyAwayLetsWhatWaitsGo) {
  add(Latency{.latency = 1h});
  take("a");
  chain.take(Mark::end, now);
  EXPECT_EQ(out(), "");
  chain.remove("t", now);
  EXPECT_EQ(out(), "a<end>");
}

TEST_F(Chain, AnotherLatencyIsForWhatComes) {
  add(Latency{.latency = 100ms});
  take("a");
  update(Latency{.latency = 10ms});
  take("b");
  EXPECT_EQ(out(), "");
  now += 99ms;
  EXPECT_EQ(out(), "");
  now += 1ms;
  EXPECT_EQ(out(), "ab") << "nothing overtakes";
  take("c");
  now += 10ms;
  EXPECT_EQ(out(), "c");
}

TEST_F(Chain, BandwidthLetsSoManyBytesThroughInATime) {
  add(Bandwidth{.bytes_per_s = 100'000});
  const TimePoint begin = now;
  const std::string sent(65'536, 'x');
  take(sent);
  std::string come = out();
  EXPECT_EQ(come, "");
  while (come.size() < sent.size()) {
    wait();
    const auto more = pieces();
    for (const auto& piece : more) come += piece;
    EXPECT_THAT(more, Each(SizeIs(Le(10'000U)))) << "a tenth of a second's bytes";
    // Of what may have come by now, no byte more.
    EXPECT_LE(static_cast<double>(come.size()),
              std::chrono::duration<double>(now - begin).count() * 100'000 + 1);
  }
  EXPECT_EQ(come, sent);
  EXPECT_NEAR(std::chrono::duration<double>(now - begin).count(), 0.65536, 1e-6);
}

TEST_F(Chain, BandwidthMakesUpForATimerThatIsLateButNotForSilence) {
  add(Bandwidth{.bytes_per_s = 1000});
  take(std::string(200, 'x'));
  EXPECT_EQ(out(), "");
  now += 200ms;  // late by one piece
  EXPECT_THAT(out(), SizeIs(200));
  now += 1h;
  take(std::string(200, 'x'));
  EXPECT_EQ(out(), "") << "an hour of silence is no hour's worth of bytes";
  now += 100ms;
  EXPECT_THAT(out(), SizeIs(100));
}

TEST_F(Chain, NoBandwidthIsNothing) {
  add(Bandwidth{.bytes_per_s = 0});
  take("abc");
  now += 24h;
  EXPECT_EQ(out(), "");
  EXPECT_EQ(due, kForever);
  update(Bandwidth{.bytes_per_s = 1000});
  EXPECT_EQ(out(), "") << "nor was any saved";
  now += 3ms;
  EXPECT_EQ(out(), "abc");
}

TEST_F(Chain, BandwidthKeepsTheEndBehindTheBytes) {
  add(Bandwidth{.bytes_per_s = 1000});
  take("abc");
  chain.take(Mark::end, now);
  EXPECT_EQ(out(), "");
  now += 3ms;
  EXPECT_EQ(out(), "abc<end>");
}

TEST_F(Chain, SlowCloseDelaysTheEndAlone) {
  add(SlowClose{.delay = 100ms});
  take("abc");
  EXPECT_EQ(out(), "abc");
  chain.take(Mark::end, now);
  now += 99ms;
  EXPECT_EQ(out(), "");
  now += 1ms;
  EXPECT_EQ(out(), "<end>");
}

TEST_F(Chain, TimeoutLosesBytesAndCloses) {
  add(Timeout{.timeout = 100ms});
  take("abc");
  EXPECT_EQ(chain.queued(), 0U) << "what is lost is not kept";
  now += 50ms;
  take("def");
  EXPECT_EQ(out(), "");
  now += 49ms;
  EXPECT_EQ(out(), "");
  wait();
  EXPECT_EQ(now, TimePoint(1h + 100ms)) << "bytes do not put it off";
  EXPECT_EQ(out(), "<close>");
}

TEST_F(Chain, TimeoutOfNothingClosesWhenItIsTakenAway) {
  add(Timeout{});
  take("abc");
  now += 24h;
  EXPECT_EQ(out(), "");
  EXPECT_EQ(due, kForever);
  chain.remove("t", now);
  EXPECT_EQ(out(), "<close>");
}

TEST_F(Chain, ResetPeerWaitsForBytesAndLosesThem) {
  add(ResetPeer{.timeout = 20ms});
  now += 1h;
  EXPECT_EQ(out(), "");
  EXPECT_EQ(due, kForever);
  take("abc");
  now += 19ms;
  EXPECT_EQ(out(), "");
  now += 1ms;
  EXPECT_EQ(out(), "<reset>");
  EXPECT_EQ(chain.queued(), 0U);
}

TEST_F(Chain, ResetPeerResetsAtOnceWithoutATime) {
  add(ResetPeer{});
  take("abc");
  EXPECT_EQ(out(), "<reset>");
}

TEST_F(Chain, ResetPeerThatLostBytesResetsWhenItIsTakenAway) {
  add(ResetPeer{.timeout = 1h});
  take("abc");
  chain.remove("t", now);
  EXPECT_EQ(out(), "<reset>");
}

TEST_F(Chain, AnUpdateThatTakesALossyToxicAwayEndsWhatLostBytesToIt) {
  for (const ToxicKind& kind :
       std::vector<ToxicKind>{Timeout{}, Timeout{.timeout = 1h}, ResetPeer{.timeout = 1h}}) {
    ToxicChain connection(Way::to_client, random, counts);
    const auto come = [&] {
      std::string all;
      (void)connection.advance(now);
      for (; connection.has_output(); connection.written(connection.output().size())) {
        all += connection.output().view();
        if (connection.output().mark == Mark::close) all += "<close>";
        if (connection.output().mark == Mark::reset) all += "<reset>";
        if (connection.output().mark == Mark::end) all += "<end>";
      }
      return all;
    };
    const std::string end = std::holds_alternative<Timeout>(kind) ? "<close>" : "<reset>";
    connection.add({.name = "t", .kind = kind}, now);
    connection.take("abc", now);
    EXPECT_EQ(come(), "");
    connection.update({.name = "t", .kind = kind}, now);
    EXPECT_EQ(come(), "") << "it is still there";
    connection.update({.name = "t", .toxicity = 0, .kind = kind}, now);
    connection.take("def", now);
    EXPECT_EQ(come(), end) << "and nothing behind the hole";
    EXPECT_EQ(connection.queued(), 0U);
    connection.update({.name = "t", .kind = kind}, now);
    connection.remove("t", now);
    EXPECT_EQ(come(), "") << "once";
  }
}

TEST_F(Chain, AnUpdateLeavesConnectionsThatLostNothing) {
  add(ResetPeer{.timeout = 1h});
  update(ResetPeer{.timeout = 1h}, 0);
  take("a");
  EXPECT_EQ(out(), "a") << "no byte had come";
  update(Timeout{}, 0);
  update(ResetPeer{}, 0);
  take("b");
  EXPECT_EQ(out(), "b") << "it was not put on it";
}

TEST(SliceSizes, AddUpAndStayInTheirBounds) {
  Random random(1);
  for (const std::uint32_t size : {1U, 2U, 9U, 10U, 11U, 100U, 4096U, 65'536U}) {
    for (const auto& slicer :
         {Slicer{.average = 1}, Slicer{.average = 10}, Slicer{.average = 10, .variation = 9},
          Slicer{.average = 100, .variation = 20}, Slicer{.average = 70'000}}) {
      const auto sizes = slice_sizes(size, slicer, random);
      EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), std::uint32_t{0}), size);
      EXPECT_THAT(sizes, Each(AllOf(Ge(1U), Le(slicer.average + slicer.variation))));
    }
  }
  EXPECT_THAT(slice_sizes(8, {.average = 2}, random), ElementsAre(2U, 2U, 2U, 2U));
  EXPECT_THAT(slice_sizes(5, {.average = 1}, random), SizeIs(5));
}

TEST_F(Chain, SlicerPausesAfterEachSlice) {
  add(Slicer{.average = 2, .delay = 10ms});
  take("abcdefgh");
  std::vector<std::string> come = pieces();
  EXPECT_THAT(come, ElementsAre("ab"));
  for (int i = 0; i < 3; ++i) {
    now += 9ms;
    EXPECT_THAT(pieces(), IsEmpty());
    now += 1ms;
    for (auto& piece : pieces()) come.push_back(piece);
  }
  EXPECT_THAT(come, ElementsAre("ab", "cd", "ef", "gh"));
}

TEST_F(Chain, SlicesDoNotGrowWhatIsKept) {
  add(Slicer{.average = 1}, 1, "slices");
  add(Latency{.latency = 1s}, 1, "waits");
  const std::string sent(ToxicChain::kMaxPieces * 3, 'x');
  take(sent);
  EXPECT_EQ(out(), "");
  EXPECT_FALSE(chain.full()) << "by bytes";
  std::size_t come = 0;
  while (come < sent.size()) {
    wait();
    const auto some = pieces();
    EXPECT_THAT(some, Each(SizeIs(1)));
    EXPECT_LE(some.size(), ToxicChain::kMaxPieces);
    come += some.size();
  }
  EXPECT_EQ(come, sent.size());
  EXPECT_GE(now, TimePoint(1h + 3s)) << "a stage had room for a third of them";
}

TEST_F(Chain, IsFullOfBytesOrOfPieces) {
  add(Latency{.latency = 1h});
  const std::string chunk(std::size_t{64} << 10U, 'x');
  std::size_t bytes = 0;
  for (; !chain.full(); bytes += chunk.size()) take(chunk);
  EXPECT_EQ(bytes, ToxicChain::kMaxQueued);
  EXPECT_EQ(chain.queued(), bytes);
  chain.clear();
  EXPECT_EQ(chain.queued(), 0U);
  std::size_t pieces_taken = 0;
  for (; !chain.full(); ++pieces_taken) take("x");
  EXPECT_EQ(pieces_taken, ToxicChain::kMaxPieces);
}

TEST_F(Chain, LimitDataIsExact) {
  for (const std::size_t limit : {1U, 5U, 6U, 9U, 12U}) {
    const auto name = std::to_string(limit);
    ToxicChain limited(Way::to_client, random, counts);
    limited.add({.name = name, .kind = LimitData{.bytes = limit}}, now);
    std::string come;
    bool closed = false;
    for (int i = 0; i < 4; ++i) {
      limited.take("+abc\r\n", now);
      (void)limited.advance(now);
      while (limited.has_output()) {
        if (limited.output().mark == Mark::close) {
          closed = true;
          EXPECT_EQ(come.size(), limit) << "not before, and not behind more";
        }
        come += limited.output().view();
        limited.written(limited.output().size());
      }
    }
    EXPECT_TRUE(closed) << limit;
    EXPECT_EQ(come, std::string("+abc\r\n+abc\r\n").substr(0, limit));
    EXPECT_EQ(limited.queued(), 0U);
  }
}

TEST_F(Chain, ALimitOfNothingClosesAtTheFirstByte) {
  add(LimitData{});
  EXPECT_EQ(out(), "");
  take("a");
  EXPECT_EQ(out(), "<close>");
}

TEST_F(Chain, ALimitIsForWhatComesBehindIt) {
  take("abc");
  EXPECT_EQ(out(), "abc");
  add(LimitData{.bytes = 2});
  take("d");
  EXPECT_EQ(out(), "d");
  update(LimitData{.bytes = 3});
  take("efg");
  EXPECT_EQ(out(), "ef<close>");
}

constexpr std::string_view kPush = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

TEST_F(Chain, DropsPushesAndNothingElse) {
  add(DropPushes{});
  const std::string stream =
      "+a\r\n" + std::string(kPush) + "+b\r\n" + std::string(kPush) + ":1\r\n";
  std::string come;
  for (const char byte : stream) {
    take({&byte, 1});
    come += out();
  }
  EXPECT_EQ(come, "+a\r\n+b\r\n:1\r\n");
  EXPECT_EQ(counts.seen, 2U);
  EXPECT_EQ(counts.dropped, 2U);
  chain.remove("t", now);
  take(kPush);
  EXPECT_EQ(out(), kPush);
  EXPECT_EQ(counts.seen, 3U);
  EXPECT_EQ(counts.dropped, 2U);
}

TEST_F(Chain, APushIsDroppedWholeOrNotAtAll) {
  const auto half = kPush.size() / 2;
  take(kPush.substr(0, half));
  EXPECT_EQ(out(), kPush.substr(0, half));
  add(DropPushes{});
  take(kPush.substr(half));
  EXPECT_EQ(out(), kPush.substr(half)) << "it had begun";
  take(kPush.substr(0, half));
  chain.remove("t", now);
  take(kPush.substr(half));
  take("+OK\r\n");
  EXPECT_EQ(out(), "+OK\r\n") << "it had begun to be dropped";
}

TEST_F(Chain, DelaysPushesAndWhatIsBehindThem) {
  add(DelayPushes{.delay = 50ms});
  take("+a\r\n" + std::string(kPush) + "+b\r\n");
  EXPECT_EQ(out(), "+a\r\n");
  now += 49ms;
  EXPECT_EQ(out(), "");
  now += 1ms;
  EXPECT_EQ(out(), std::string(kPush) + "+b\r\n");
  take("+c\r\n");
  EXPECT_EQ(out(), "+c\r\n");
}

TEST_F(Chain, CutsBeforeAFrame) {
  const std::string stream = "+1\r\n*2\r\n:2\r\n:2\r\n$1\r\n3\r\n" + std::string(kPush) + ":5\r\n";
  const std::vector<std::size_t> ends = {0, 4, 16, 23, 23 + kPush.size()};
  for (std::size_t frame = 1; frame <= ends.size(); ++frame) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{3}, stream.size()}) {
      ToxicChain cut(Way::to_client, random, counts);
      cut.add({.name = "t", .kind = CutAtFrame{.frame = frame}}, now);
      std::string come;
      for (std::size_t at = 0; at < stream.size(); at += size) {
        cut.take(std::string_view(stream).substr(at, size), now);
        (void)cut.advance(now);
        for (; cut.has_output(); cut.written(cut.output().size())) {
          come += cut.output().view();
          if (cut.output().mark == Mark::close) come += "<close>";
        }
      }
      EXPECT_EQ(come, stream.substr(0, ends[frame - 1]) + "<close>") << frame << " by " << size;
    }
  }
}

TEST_F(Chain, CutsCommandsToo) {
  ToxicChain cut(Way::to_server, random, counts);
  cut.add({.name = "t", .way = Way::to_server, .kind = CutAtFrame{.frame = 2}}, now);
  cut.take("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", now);
  (void)cut.advance(now);
  EXPECT_EQ(cut.output().view(), "*1\r\n$4\r\nPING\r\n");
  cut.written(cut.output().size());
  EXPECT_EQ(cut.output().mark, Mark::close);
}

TEST_F(Chain, CountsFramesFromWhenItCame) {
  take("+1\r\n+2");
  EXPECT_EQ(out(), "+1\r\n+2");
  add(CutAtFrame{.frame = 2});
  take("\r\n+3\r\n+4\r\n");
  EXPECT_EQ(out(), "\r\n+3\r\n<close>") << "the rest of one that had begun is none";
}

TEST_F(Chain, ToxicityIsTheShareOfConnections) {
  int put = 0;
  for (int i = 0; i < 10'000; ++i) {
    ToxicChain connection(Way::to_client, random, counts);
    connection.add({.name = "t", .toxicity = 0.3, .kind = Timeout{}}, now);
    connection.take("x", now);
    (void)connection.advance(now);
    if (!connection.has_output()) ++put;
  }
  // Six standard deviations either side.
  EXPECT_NEAR(put, 3000, 6 * std::sqrt(10'000 * 0.3 * 0.7));
}

TEST_F(Chain, WhichConnectionsAreDrawnDoesNotHangOnWhatTheyCarry) {
  const auto drawn = [&](int bytes) {
    Randomness fresh(3);
    std::string all;
    for (int i = 0; i < 100; ++i) {
      ToxicChain connection(Way::to_client, fresh, counts);
      connection.add({.name = "t", .toxicity = 0.5, .kind = DropPushes{}}, now);
      connection.add({.name = "jitters", .kind = Latency{.latency = 2ms, .jitter = 2ms}}, now);
      connection.add({.name = "sliced", .kind = Slicer{.average = 9, .variation = 8}}, now);
      const auto dropped = counts.dropped;
      connection.take(kPush, now);
      all += counts.dropped > dropped ? '1' : '0';
      for (int j = 0; j < bytes * i; ++j) connection.take(":1\r\n", now);
      (void)connection.advance(now + 1s);
    }
    return all;
  };
  EXPECT_EQ(drawn(0), drawn(1));
}

TEST_F(Chain, ToxicityOfNothingIsNobodyAndOfOneEverybody) {
  for (int i = 0; i < 1000; ++i) {
    ToxicChain connection(Way::to_client, random, counts);
    connection.add({.name = "never", .toxicity = 0, .kind = Timeout{.timeout = 1ms}}, now);
    connection.add({.name = "never too", .toxicity = 0, .kind = DropPushes{}}, now);
    connection.take(kPush, now);
    EXPECT_EQ(connection.advance(now), kForever);
    ASSERT_TRUE(connection.has_output());
    connection.add({.name = "always", .toxicity = 1, .kind = Timeout{}}, now);
    connection.written(kPush.size());
    connection.take("x", now);
    (void)connection.advance(now);
    ASSERT_FALSE(connection.has_output());
  }
}

TEST_F(Chain, AnUpdateIsDrawnForAgain) {
  add(Latency{.latency = 1s}, 0);
  take("a");
  EXPECT_EQ(out(), "a");
  update(Latency{.latency = 1s}, 1);
  take("b");
  EXPECT_EQ(out(), "");
  update(Latency{.latency = 1s}, 0);
  EXPECT_EQ(out(), "b");
}

TEST_F(Chain, ToxicsFollowOneAnother) {
  add(Latency{.latency = 10ms}, 1, "later");
  add(LimitData{.bytes = 4}, 1, "four");
  add(SlowClose{.delay = 5ms}, 1, "slow");
  add(Slicer{.average = 3}, 1, "sliced");
  take("abcdefgh");
  EXPECT_EQ(out(), "");
  now += 10ms;
  EXPECT_THAT(pieces(), ElementsAre("ab", "cd"));
  now += 5ms;
  EXPECT_THAT(pieces(), ElementsAre("<close>"));
}

}  // namespace
}  // namespace nearlane::harness
