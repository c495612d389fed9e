// Subscriptions over the embedded store, through a session: who hears what, in which order, and who is dropped.

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "servers/resp/cache_session_fixture.h"

namespace nearlane::resp {
namespace {

using ChannelSession = CacheSessionTest;

TEST_F(ChannelSession, SubscribesAsRedisDoes) {
  for (
      const Exchange& e : std::vector<Exchange>{
          {"PUBLISH c x\r\n", ":0\r\n"},
          {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"},
          {"PUNSUBSCRIBE p\r\n", "*3\r\n$12\r\npunsubscribe\r\n$1\r\np\r\n:0\r\n"},
          {"SUBSCRIBE\r\n", "-ERR wrong number of arguments for 'subscribe' command\r\n"},
          {"SUBSCRIBE c d\r\n",
           "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:2\r\n"},
          {"SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n"},
          {"PSUBSCRIBE c*\r\n", "*3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:3\r\n"},
          {"PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
          {"PING hi\r\n", "*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"},
          {"GET k\r\n",
           "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
           "are allowed in this context\r\n"},
          {"CLIENT ID\r\n",
           "-ERR Can't execute 'client|id': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
           "RESET are allowed in this context\r\n"},
          {"MULTI\r\n",
           "-ERR Can't execute 'multi': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
           "RESET "
           "are allowed in this context\r\n"},
          {"EXEC\r\n",
           "-EXECABORT Transaction discarded because of: Can't execute 'exec': only (P|S)SUBSCRIBE "
           "/ "
           "(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"},
          {"UNSUBSCRIBE d\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nd\r\n:2\r\n"},
          {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:1\r\n"},
          {"PUNSUBSCRIBE\r\n", "*3\r\n$12\r\npunsubscribe\r\n$2\r\nc*\r\n:0\r\n"},
          {"GET k\r\n", "$-1\r\n"},
          {"SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"},
          {"RESET\r\n", "+RESET\r\n"},
          {"PUBLISH c x\r\n", ":0\r\n"},
          {"PUBSUB NUMPAT x\r\n", "-ERR wrong number of arguments for 'pubsub|numpat' command\r\n"},
          {"PUBSUB NOPE\r\n", "-ERR unknown subcommand 'NOPE'. Try PUBSUB HELP.\r\n"},
      }) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
  }
}

TEST_F(ChannelSession, HearsWhatIsPublished) {
  const auto other = second();
  serve("SUBSCRIBE news\r\nPSUBSCRIBE n[a-f]ws\r\n");
  EXPECT_EQ(other->serve("PUBLISH news one\r\n"), ":2\r\n");
  EXPECT_EQ(settle(),
            "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\none\r\n"
            "*4\r\n$8\r\npmessage\r\n$8\r\nn[a-f]ws\r\n$4\r\nnews\r\n$3\r\none\r\n");
  EXPECT_EQ(other->serve("PUBLISH nzws two\r\n"), ":0\r\n");
  EXPECT_EQ(other->serve("PUBSUB CHANNELS\r\nPUBSUB CHANNELS x*\r\nPUBSUB NUMSUB news none\r\n"
                         "PUBSUB NUMPAT\r\n"),
            "*1\r\n$4\r\nnews\r\n*0\r\n*4\r\n$4\r\nnews\r\n:1\r\n$4\r\nnone\r\n:0\r\n:1\r\n");
  EXPECT_NE(other->serve("CLIENT LIST\r\n").find("flags=P db=0 sub=1 psub=1"), std::string::npos);
  // What is on its way to somebody who has left the channel meanwhile is not for him.
  (void)context_->channels.publish("news", "late");
  const std::string_view leave = "UNSUBSCRIBE\r\nPUNSUBSCRIBE\r\n";
  EXPECT_EQ(session_->serve(leave, Clock::now()), leave.size());
  EXPECT_EQ(settle(),
            "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:1\r\n"
            "*3\r\n$12\r\npunsubscribe\r\n$8\r\nn[a-f]ws\r\n:0\r\n");
  EXPECT_EQ(other->serve("PUBLISH news x\r\n"), ":0\r\n");
}

TEST_F(ChannelSession, SubscribersOfRESP3GoOnAsBefore) {
  const auto other = second();
  serve("HELLO 3\r\n");
  EXPECT_EQ(serve("SUBSCRIBE news\r\n"), ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
  EXPECT_EQ(serve("PING\r\nSET k v\r\nGET k\r\n"), "+PONG\r\n+OK\r\n$1\r\nv\r\n");
  l2_->hold();
  EXPECT_EQ(serve("GET none\r\n"), "");
  EXPECT_EQ(other->serve("PUBLISH news one\r\n"), ":1\r\n");
  EXPECT_EQ(settle(), ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\none\r\n")
      << "which answers nothing";
  l2_->release(1);
  EXPECT_EQ(settle(), "_\r\n");
  EXPECT_EQ(serve("UNSUBSCRIBE x\r\nUNSUBSCRIBE\r\nUNSUBSCRIBE\r\n"),
            ">3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:1\r\n"
            ">3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n"
            ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
}

TEST_F(ChannelSession, SubscribingAndPublishingWaitForEarlierCommands) {
  const auto other = second();
  other->serve("SUBSCRIBE c\r\n");
  l2_->hold();
  EXPECT_EQ(serve("SET k v\r\nPUBLISH c told\r\n"), "");
  EXPECT_EQ(other->settle(), "") << "not before it is written";
  l2_->release(1);
  EXPECT_EQ(settle(), "+OK\r\n:1\r\n");
  EXPECT_EQ(other->settle(), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ntold\r\n");
  EXPECT_EQ(serve("GET none\r\nSUBSCRIBE c\r\n"), "");
  EXPECT_EQ(context_->channels.subscribers("c"), 1U);
  l2_->release(1);
  EXPECT_EQ(settle(), "$-1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
}

TEST_F(ChannelSession, PublishesAndSubscribesInsideATransaction) {
  const auto other = second();
  other->serve("SUBSCRIBE c\r\n");
  EXPECT_EQ(serve("MULTI\r\nSET k v\r\nPUBLISH c told\r\nDISCARD\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+OK\r\n");
  EXPECT_EQ(other->settle(), "");
  EXPECT_EQ(serve("MULTI\r\nSET k v\r\nPUBLISH c told\r\nGET k\r\nSUBSCRIBE d\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
            "*4\r\n+OK\r\n:1\r\n$1\r\nv\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:1\r\n");
  EXPECT_EQ(other->settle(), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ntold\r\n");
}

TEST_F(ChannelSession, SubscribesToNoMoreThanItsLimit) {
  context_->limits.max_subscriptions = 2;
  EXPECT_EQ(serve("SUBSCRIBE a b c\r\n"),
            "-ERR nearlane: more than 2 subscriptions of one connection\r\n");
  serve("SUBSCRIBE a\r\nPSUBSCRIBE b\r\n");
  EXPECT_EQ(serve("SUBSCRIBE c\r\n"),
            "-ERR nearlane: more than 2 subscriptions of one connection\r\n");
  serve("RESET\r\n");
  EXPECT_EQ(serve("*2\r\n$9\r\nSUBSCRIBE\r\n$65537\r\n" + std::string(65537, 'c') + "\r\n"),
            "-ERR nearlane: the name of a channel is longer than 64 KiB\r\n");
  EXPECT_EQ(
      serve("*3\r\n$7\r\nPUBLISH\r\n$65537\r\n" + std::string(65537, 'c') + "\r\n$1\r\nm\r\n"),
      "-ERR nearlane: the name of a channel is longer than 64 KiB\r\n");
}

TEST_F(ChannelSession, SubscribesToNoMoreBytesOfNamesThanItsLimit) {
  context_->limits.transaction.bytes = 1000;
  const std::string name(600, 'n');
  serve("SUBSCRIBE " + name + "\r\n");
  EXPECT_EQ(context_->channels.subscribers(name), 1U);
  const std::string refused =
      "-ERR nearlane: more than 1000 bytes of names of one connection's subscriptions\r\n";
  EXPECT_EQ(serve("PSUBSCRIBE " + name + "\r\n"), refused);
  serve("UNSUBSCRIBE\r\n");
  EXPECT_NE(serve("PSUBSCRIBE " + name + "\r\n"), refused) << "there is room again";
  EXPECT_EQ(serve("SUBSCRIBE " + name + "\r\n"), refused);
}

TEST_F(ChannelSession, DropsWhoDoesNotTakeItsMessages) {
  const auto other = second();
  context_->limits.max_held = 100'000;
  other->serve("SUBSCRIBE c\r\n");
  const std::string message(10'000, 'm');
  // It is served, but takes nothing.
  for (int i = 0; i < 9; ++i) {
    (void)context_->channels.publish("c", message);
    loop_.context().restart();
    loop_.context().poll();
  }
  EXPECT_FALSE(other->session->closing());
  (void)context_->channels.publish("c", message);
  loop_.context().restart();
  loop_.context().poll();
  EXPECT_TRUE(other->session->closing());
  EXPECT_EQ(context_->channels.subscribers("c"), 0U);
}

TEST_F(ChannelSession, DropsWhoseLoopIsNotServed) {
  context_->limits.max_held = 100'000;
  serve("SUBSCRIBE c\r\n");
  const std::string message(10'000, 'm');
  for (int i = 0; i < 20; ++i) (void)context_->channels.publish("c", message);
  settle();
  EXPECT_TRUE(session_->closing());
  EXPECT_EQ(context_->channels.subscribers("c"), 0U);
}

}  // namespace
}  // namespace nearlane::resp
