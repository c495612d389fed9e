// Commands that concern the server, through a session over the embedded store.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servers/resp/cache_session_fixture.h"

namespace nearlane::resp {
namespace {

class ServerSession : public CacheSessionTest {
 protected:
  ServerSession() {
    info_ = [](std::string_view section) {
      return "# " + std::string(section == "default" ? "Keyspace" : section) + "\r\n";
    };
  }
  static std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
  }
};

TEST_F(ServerSession, InfoTellsOfEachDatabaseOfTheStoreNotOfL1) {
  const std::string keys =
      "# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n";
  serve("MSET a 1 b 2\r\nSELECT 3\r\nSET c 3\r\nGET c\r\n");
  EXPECT_EQ(serve("INFO\r\n"), bulk(keys));
  EXPECT_EQ(serve("INFO Keyspace Server\r\n"), bulk(keys + "# Server\r\n"));
  serve("FLUSHALL\r\n");
  EXPECT_EQ(serve("INFO Keyspace\r\n"), bulk("# Keyspace\r\n"));
}

TEST_F(ServerSession, HelpNamesWhatThereIs) {
  EXPECT_EQ(serve("PUBSUB HELP\r\n"),
            "*5\r\n+PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
            "+CHANNELS\r\n+HELP\r\n+NUMPAT\r\n+NUMSUB\r\n");
  EXPECT_EQ(serve("CONFIG HELP\r\n"),
            "*4\r\n+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
            "+GET\r\n+HELP\r\n+SET\r\n");
}

TEST_F(ServerSession, InfoWaitsForTheStoreWhereItAsksIt) {
  serve("SET a 1\r\n");
  l2_->hold();
  EXPECT_EQ(serve("INFO Server\r\n"), bulk("# Server\r\n")) << "has nothing to ask";
  EXPECT_EQ(serve("INFO\r\nPING\r\n"), "");
  EXPECT_EQ(l2_->held(), 1U) << "of all databases at once";
  l2_->release(1);
  const std::string keys = bulk("# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n");
  EXPECT_EQ(settle(), keys + "+PONG\r\n");
  EXPECT_EQ(serve("INFO\r\n"), "");
  l2_->fail(1);
  EXPECT_EQ(settle(), bulk("# Keyspace\r\n")) << "a store that does not answer";
}

TEST_F(ServerSession, InfoInsideATransactionTellsWhatItLeaves) {
  EXPECT_EQ(serve("MULTI\r\nINFO\r\nSELECT 2\r\nSET a 1\r\nINFO Server\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n" +
                bulk("# Keyspace\r\ndb2:keys=1,expires=0,avg_ttl=0\r\n") + "+OK\r\n+OK\r\n" +
                bulk("# Server\r\n"));
}

}  // namespace
}  // namespace nearlane::resp
