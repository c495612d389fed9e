#include "servers/nearlane/config.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "servers/nearlane/options.h"

namespace nearlane::server {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ~ConfigTest() override { std::filesystem::remove(path_); }

  Result<Invocation> read(const std::vector<std::string>& args) {
    return read_config(args, [this](const char* name) -> const char* {
      const auto found = environment_.find(name);
      return found == environment_.end() ? nullptr : found->second.c_str();
    });
  }
  std::string error(const std::vector<std::string>& args) {
    const auto got = read(args);
    return got.has_error() ? got.error().detail : "accepted";
  }
  std::string file(const std::string& text) {
    std::ofstream(path_) << text;
    return path_.string();
  }

  std::map<std::string, std::string> environment_;
  std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                ("nearlane_config_test." + std::to_string(::getpid()) + ".toml");
};

TEST_F(ConfigTest, AFlagWinsOverTheEnvironmentOverTheFileOverTheDefault) {
  EXPECT_EQ(read({})->config.pool, 32U);
  const std::string path = file("pool = 1\n");
  EXPECT_EQ(read({"--config", path})->config.pool, 1U);
  environment_["NEARLANE_POOL"] = "2";
  EXPECT_EQ(read({"--config", path})->config.pool, 2U);
  EXPECT_EQ(read({"--config", path, "--pool", "3"})->config.pool, 3U);
  EXPECT_EQ(read({"serve", "--pool=4"})->config.pool, 4U);
  environment_["NEARLANE_CONFIG"] = file("threads = 7\n");
  EXPECT_EQ(read({})->config.threads, 7U);
}

TEST_F(ConfigTest, EveryOptionIsAFlagAKeyAndAVariable) {
  const std::map<std::string_view, std::string> values = {
      {"resp", "127.0.0.1:1"},
      {"http", "off"},
      {"l2", "none:"},
      {"l2-ca", "ca.pem"},
      {"l2-fsync", "no"},
      {"threads", "2"},
      {"l1-bytes", "64MiB"},
      {"l1-entries", "10"},
      {"l1-map", "mutex"},
      {"l1-policy", "none"},
      {"profile", "v3.0"},
      {"coherence", "pubsub"},
      {"lease", "100ms"},
      {"pool", "4"},
      {"bulk-lanes", "3"},
      {"l2-timeout", "1s"},
      {"max-value", "1MiB"},
      {"max-connections", "9"},
      {"max-connections-per-client", "9"},
      {"drain-timeout", "1s"},
      {"api-key-file", "f"},
      {"password-file", "f"},
      {"insecure-bind", "true"},
      {"l1-ttl", "1h"},
      {"negative-ttl", "2s"},
      {"max-stale", "0"},
      {"max-revocations", "7"},
      {"l2-touch-rate", "5"},
      {"refresh-rate", "5"},
      {"refresh-bytes", "1MiB"},
      {"refresh-queue", "9"},
      {"audit-rate", "5"},
      {"max-relays", "3"},
      {"pubsub-ttl", "1s"},
      {"http-fast-lane", "false"},
      {"warmup", "false"},
      {"warmup-timeout", "1s"},
      {"warmup-interval", "5s"},
      {"warmup-keys", "9"},
      {"drain-delay", "0"},
      {"precompress", "off"},
      {"precompress-threads", "2"},
      {"precompress-queue", "9"},
      {"precompress-bytes", "1MiB"},
      {"http-header-timeout", "2s"},
      {"http-transfer-timeout", "2s"},
      {"http-idle-timeout", "2s"},
      {"resp-transfer-timeout", "2s"},
      {"resp-idle-timeout", "2s"},
  };
  for (const Option& option : options()) {
    ASSERT_TRUE(values.contains(option.name)) << option.name;
    const std::string& value = values.at(option.name);
    const std::string flag = "--" + std::string(option.name);
    EXPECT_TRUE(read(option.value.empty() ? std::vector<std::string>{flag}
                                          : std::vector<std::string>{flag, value})
                    .has_value())
        << flag;
    EXPECT_TRUE(read({"--config", file(option.key() + " = \"" + value + "\"\n")}).has_value());
    environment_ = {{option.variable(), value}};
    EXPECT_TRUE(read({}).has_value()) << option.variable();
    environment_ = {{option.variable(), "\x01 nonsense"}};
    const bool any_text =
        option.name == "l2" || option.name == "l2-ca" || option.name.ends_with("-file");
    EXPECT_EQ(read({}).has_value(), any_text) << option.variable();
    environment_.clear();
  }
}

TEST_F(ConfigTest, ErrorsNameTheKeyAndWhereItStands) {
  EXPECT_EQ(error({"--config", file("pool = 1\n\nl1_byts = 5\n")}),
            path_.string() + ":3: l1_byts: unknown key");
  EXPECT_EQ(error({"--config", file("lease = \"soon\"\n")}),
            path_.string() + ":1: lease: \"soon\" is not a time such as 250ms, 10s or 5m");
  EXPECT_EQ(error({"--config", file("pool = 1.5\n")}),
            path_.string() + ":1: pool: must be a string, a whole number or a boolean");
  EXPECT_TRUE(error({"--config", file("\npool = = 1\n")}).starts_with(path_.string() + ":2: "));
  EXPECT_TRUE(error({"--config", file("[*")}).starts_with(path_.string() + ":1: "));
  EXPECT_NE(error({"--config", "/nonexistent.toml"}).find("/nonexistent.toml"), std::string::npos);
  environment_["NEARLANE_POOL"] = "-1";
  EXPECT_TRUE(error({}).starts_with("NEARLANE_POOL: \"-1\" is not a whole number"));
  environment_.clear();
  EXPECT_TRUE(error({"--l1-map", "nope"}).starts_with("--l1-map: \"nope\" is none of "));
  EXPECT_NE(error({"--nope"}), "accepted");
  EXPECT_NE(error({"--http", "unix:/x"}), "accepted");
}

TEST_F(ConfigTest, PrefixTablesSayWhatTheySay) {
  const auto got =
      read({"--config", file("pool = 3\n"
                             "[[prefix]]\nmatch = \"session:\"\nmax_stale = 0\n"
                             "[[prefix]]\nmatch = \"big:\"\nl1 = false\nl1_ttl = \"5m\"\n"
                             "negative_ttl = \"0s\"\nmax_stale = \"1s\"\n")});
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  const auto& prefixes = got->config.prefixes;
  ASSERT_EQ(prefixes.size(), 2U);
  EXPECT_EQ(prefixes[0].match, "session:");
  EXPECT_EQ(prefixes[0].max_stale, std::chrono::milliseconds(0));
  EXPECT_FALSE(prefixes[0].l1 || prefixes[0].l1_ttl || prefixes[0].negative_ttl);
  EXPECT_EQ(prefixes[1].match, "big:");
  EXPECT_EQ(prefixes[1].l1, false);
  EXPECT_EQ(prefixes[1].l1_ttl, std::chrono::minutes(5));
  EXPECT_EQ(prefixes[1].negative_ttl, std::chrono::milliseconds(0));
  EXPECT_EQ(prefixes[1].max_stale, std::chrono::seconds(1));
}

TEST_F(ConfigTest, ZeroIsNoneOnFlagsAndInTables) {
  const auto none = std::chrono::milliseconds(0);
  const auto flags = read({"--negative-ttl", "0", "--l1-ttl", "0"});
  ASSERT_TRUE(flags.has_value()) << flags.error().detail;
  EXPECT_EQ(flags->config.negative_ttl, none);
  EXPECT_EQ(flags->config.l1_ttl, none);
  const auto table = read({"--l1-ttl", "1h", "--config",
                           file("[[prefix]]\nmatch = \"a\"\nl1_ttl = 0\nnegative_ttl = 0\n")});
  ASSERT_TRUE(table.has_value()) << table.error().detail;
  EXPECT_EQ(table->config.l1_ttl, std::chrono::hours(1));
  EXPECT_EQ(table->config.prefixes[0].l1_ttl, none);
  EXPECT_EQ(table->config.prefixes[0].negative_ttl, none);
}

TEST_F(ConfigTest, ErrorsOfAPrefixTableNameTheKeyAndWhereItStands) {
  const auto of = [&](const std::string& text) {
    std::string got = error({"--config", file(text)});
    const std::string at = path_.string() + ":";
    return got.starts_with(at) ? got.substr(at.size()) : got;
  };
  const std::string head = "pool = 1\n[[prefix]]\nmatch = \"a\"\n";
  EXPECT_EQ(of(head + "l1tl = 5\n"), "4: prefix.l1tl: unknown key");
  EXPECT_EQ(of(head + "\nl1_ttl = \"soon\"\n"),
            "5: prefix.l1_ttl: \"soon\" is not a time such as 250ms, 10s or 5m");
  EXPECT_EQ(of(head + "l1 = 1\n"), "4: prefix.l1: \"1\" is not true or false");
  EXPECT_EQ(of(head + "l1 = [true]\n"),
            "4: prefix.l1: must be a string, a whole number or a boolean");
  EXPECT_EQ(of(head + "lanes = \"own\"\n"), "4: prefix.lanes: \"own\" is none of shared, bulk");
  EXPECT_EQ(of(head + "lanes = 1\n"), "4: prefix.lanes: \"1\" is none of shared, bulk");
  for (const char* text :
       {"json", "/json", "text/", "text/x\\r\\nSet-Cookie: a=b", "text/\u00e9"}) {
    EXPECT_THAT(of(head + "content_type = \"" + text + "\"\n"),
                testing::StartsWith("4: prefix.content_type: \""))
        << text;
  }
  EXPECT_EQ(of(head + "precompress = \"yes\"\n"),
            "4: prefix.precompress: \"yes\" is none of http, always, off");
  EXPECT_EQ(of(head + "refresh = 1\n"), "4: prefix.refresh: \"1\" is not true or false");
  const std::string needs =
      "4: prefix.touch_coalescing: needs l1_ttl = 0, since a copy whose age is capped does not "
      "tell when L2 ends the key";
  EXPECT_EQ(of(head + "touch_coalescing = true\nl1_ttl = \"1h\"\n"), needs);
  EXPECT_EQ(error({"--l1-ttl", "1h", "--config", file(head + "touch_coalescing = true\n")}),
            path_.string() + ":" + needs);
  EXPECT_EQ(of("[[prefix]]\nl1 = false\n"), "1: prefix.match: missing; which keys are meant?");
  EXPECT_EQ(of("[[prefix]]\nmatch = \"\"\n"),
            "2: prefix.match: all keys begin with nothing: say it without a prefix");
  EXPECT_EQ(of(head + "[[prefix]]\nmatch = \"a\"\n"), "4: prefix.match: \"a\" has a table already");
  for (const char* text : {"prefix = 1\n", "[prefix]\nmatch = \"a\"\n", "prefix = []\n"}) {
    EXPECT_EQ(of(text), "1: prefix: must be tables, each headed [[prefix]]") << text;
  }
}

TEST_F(ConfigTest, LanesOfTheirOwnAreOneSetBesideTheOthers) {
  const auto got = read({"--config", file("bulk_lanes = 2\n[[prefix]]\nmatch = \"blob:\"\n"
                                          "lanes = \"bulk\"\n[[prefix]]\nmatch = \"blob:small:\"\n"
                                          "lanes = \"shared\"\n[[prefix]]\nmatch = \"a\"\n")});
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(got->config.bulk_lanes, 2U);
  EXPECT_TRUE(got->config.prefixes[0].bulk);
  EXPECT_FALSE(got->config.prefixes[1].bulk);
  EXPECT_FALSE(got->config.prefixes[2].bulk);
  EXPECT_EQ(read({})->config.bulk_lanes, 4U);
  EXPECT_TRUE(read({"--pool", "1"}).has_value()) << "no prefix asks";
}

TEST_F(ConfigTest, LanesOfTheirOwnThatCannotBeAreRefusedWithKeyFileAndLine) {
  const std::string text = "\n[[prefix]]\nmatch = \"blob:\"\nlanes = \"bulk\"\n";
  const auto refused = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--config", file(text)});
    return error(flags);
  };
  const std::string at = path_.string() + ":4: prefix.lanes: ";
  EXPECT_EQ(refused({"--l2", "redis+cluster://127.0.0.1:7000"}),
            at + "over redis+cluster:// slots say which lane a key belongs to, and no keys have "
                 "lanes of their own");
  EXPECT_EQ(refused({"--l2", "redis://127.0.0.1:7000", "--pool", "4"}),
            at + "--bulk-lanes 4 of --pool 4 leaves no lanes for other keys");
  EXPECT_EQ(refused({"--l2", "redis://127.0.0.1:7000", "--pool", "5"}), "accepted");
  EXPECT_EQ(refused({"--l2", "memory:", "--pool", "1"}), "accepted") << "it has no lanes";
  EXPECT_EQ(refused({"--l2", "redis+sentinel://127.0.0.1:7000/name"}), "accepted");
  EXPECT_EQ(refused({"--l2", "rediss://127.0.0.1:7000"}), "accepted");
  EXPECT_TRUE(
      error({"--bulk-lanes", "0"}).starts_with("--bulk-lanes: \"0\" is not a whole number"));
}

TEST_F(ConfigTest, ProfilesFillInWhatNobodySaid) {
  EXPECT_EQ(read({"--profile", "v1.0"})->config.l1_map, "none");
  const auto v2 = read({"--profile", "v2.0"})->config;
  EXPECT_EQ(v2.l1_map, "mutex");
  EXPECT_TRUE(v2.full_middleware && v2.compress_per_request);
  EXPECT_EQ(read({"--profile", "v2.0", "--l1-map", "sharded"})->config.l1_map, "sharded");
  const auto head = read({})->config;
  EXPECT_FALSE(head.full_middleware || head.compress_per_request);
  EXPECT_EQ(head.precompress, tier::Precompress::asked);
  EXPECT_EQ(head.coherence, cohere::Coherence::lanes);
  const auto v43 = read({"--profile", "v4.3"})->config;
  EXPECT_TRUE(v43.fast_lane);
  EXPECT_EQ(v43.coherence, cohere::Coherence::pubsub);
  EXPECT_EQ(read({"--profile", "v4.3", "--coherence", "lanes"})->config.coherence,
            cohere::Coherence::lanes);
  EXPECT_EQ(v2.precompress, tier::Precompress::off);
  EXPECT_EQ(read({"--profile", "v2.0", "--precompress", "always"})->config.precompress,
            tier::Precompress::always);
}

TEST_F(ConfigTest, ReadsSizesAndTimes) {
  EXPECT_EQ(*parse_size("1000"), 1000U);
  EXPECT_EQ(*parse_size("256MiB"), std::uint64_t{256} << 20U);
  EXPECT_EQ(*parse_size("2GB"), 2'000'000'000U);
  EXPECT_EQ(*parse_duration("250ms"), std::chrono::milliseconds(250));
  EXPECT_EQ(*parse_duration("5m"), std::chrono::minutes(5));
  for (const char* text : {"", "MiB", "1.5GiB", "-1", "1 MiB", "99999999999GiB", "1mib"}) {
    EXPECT_TRUE(parse_size(text).has_error()) << text;
  }
  for (const char* text : {"", "10", "s", "-1s", "1y", "9999999h"}) {
    EXPECT_TRUE(parse_duration(text).has_error()) << text;
  }
}

TEST_F(ConfigTest, HelpAndVersionAreAnswers) {
  const std::string help = read({"--help"})->answer;
  EXPECT_NE(help.find("--l1-bytes"), std::string::npos);
  EXPECT_NE(help.find("[[prefix]]"), std::string::npos);
  EXPECT_NE(help.find("  lanes "), std::string::npos);
  EXPECT_TRUE(read({"--version"})->answer.starts_with("nearlane "));
}

}  // namespace
}  // namespace nearlane::server
