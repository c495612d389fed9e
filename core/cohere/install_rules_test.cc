#include "core/cohere/install_rules.h"

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

using protocol::Reply;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Action = Decision::Action;

constexpr TimePoint kSent{seconds(100)};
constexpr Duration kNoCap = Duration::max();

struct Row {
  const char* name;
  Reply reply;
  std::int64_t pttl;
  Decision expected;
};

const Decision kErase{Action::erase, {}};
const Decision kLeave{Action::leave, {}};
Decision install(TimePoint deadline) { return {Action::install, deadline}; }

TEST(InstallRules, AfterFetchFollowTheTable) {
  const Row rows[] = {
      {"value with expiry", Reply::bulk("v"), 1500, install(kSent + milliseconds(1499))},
      {"value without expiry", Reply::bulk("v"), -1, install(kForever)},
      {"value that ended meanwhile", Reply::bulk("v"), -2, kLeave},
      {"value in its last millisecond", Reply::bulk("v"), 1, kLeave},
      {"value past it", Reply::bulk("v"), 0, kLeave},
      {"no key", Reply::null(), -2, kErase},
      {"no key, made meanwhile", Reply::null(), 1500, kErase},
      {"wrong type", Reply::error("WRONGTYPE"), 1500, kErase},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(after_fetch(row.reply, row.pttl, kSent, kNoCap), row.expected) << row.name;
  }
}

TEST(InstallRules, RememberThatThereIsNoKeyWhereAskedTo) {
  const Row rows[] = {
      {"no key", Reply::null(), -2, install(kSent + seconds(2))},
      {"no key, made meanwhile", Reply::null(), 1500, kErase},
      {"no key, made meanwhile for ever", Reply::null(), -1, kErase},
      {"value that ended meanwhile", Reply::bulk("v"), -2, kLeave},
      {"wrong type", Reply::error("WRONGTYPE"), -2, kErase},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(after_fetch(row.reply, row.pttl, kSent, kNoCap, seconds(2)), row.expected)
        << row.name;
  }
}

TEST(InstallRules, AfterStoreFollowTheTable) {
  const Row rows[] = {
      {"written", Reply::ok(), 1500, install(kSent + milliseconds(1499))},
      {"written for ever", Reply::ok(), -1, install(kForever)},
      {"written and over", Reply::ok(), -2, kErase},
      {"condition not met", Reply::null(), 1500, kErase},
      {"refused", Reply::error("OOM command not allowed"), -2, kErase},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(after_store(row.reply, row.pttl, kSent, kNoCap), row.expected) << row.name;
  }
}

TEST(InstallRules, AfterTouchFollowTheTable) {
  const Row rows[] = {
      {"moved", Reply::number(1), 1500, install(kSent + milliseconds(1499))},
      {"persisted", Reply::number(1), -1, install(kForever)},
      {"no such key", Reply::number(0), -2, kErase},
      {"into the past", Reply::number(1), -2, kErase},
      {"refused", Reply::error("ERR"), 1500, kErase},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(after_touch(row.reply, row.pttl, kSent, kNoCap), row.expected) << row.name;
  }
}

TEST(InstallRules, CapTheDeadlineByL1Ttl) {
  EXPECT_EQ(after_fetch(Reply::bulk("v"), -1, kSent, seconds(5)).deadline, kSent + seconds(5));
  EXPECT_EQ(after_fetch(Reply::bulk("v"), 60'000, kSent, seconds(5)).deadline, kSent + seconds(5));
  EXPECT_EQ(after_fetch(Reply::bulk("v"), 1'000, kSent, seconds(5)).deadline,
            kSent + milliseconds(999));
}

TEST(InstallRules, SurviveAPttlBeyondTheClock) {
  const auto huge = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(after_fetch(Reply::bulk("v"), huge, kSent, kNoCap), install(kForever));
  EXPECT_EQ(after_fetch(Reply::bulk("v"), huge, kSent, seconds(5)), install(kSent + seconds(5)));
}

TEST(InstallRules, KeepWhatAWriteThatWasNeverSentCannotHaveChanged) {
  for (const Errc code : {Errc::unavailable, Errc::busy, Errc::unsupported, Errc::too_large,
                          Errc::invalid_argument, Errc::refused}) {
    EXPECT_EQ(after_failed_write(code), kLeave) << to_string(code);
  }
  for (const Errc code : {Errc::timeout, Errc::connection_lost, Errc::protocol, Errc::shutting_down,
                          Errc::l2_error}) {
    EXPECT_EQ(after_failed_write(code), kErase) << to_string(code);
  }
}

}  // namespace
}  // namespace nearlane::cohere
