#include "harness/bench/failing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void add(Failing& failing, int count, Op kind, Failure failure, Duration took) {
  for (int i = 0; i < count; ++i) {
    failing.add({.kind = kind,
                 .key = "k",
                 .tag = 0,
                 .connection = 0,
                 .outcome = Outcome::error,
                 .failure = failure,
                 .value = "",
                 .intended = 1s,
                 .sent = 1s,
                 .done = 1s + took});
  }
}

TEST(Failing, AtOnceIsHalfOfReadsAndOfWrites) {
  Failing failing;
  add(failing, 400, Op::get, Failure::server_error, 100us);
  add(failing, 300, Op::get, Failure::server_error, 500ms);
  add(failing, 20, Op::set, Failure::server_error, 100us);
  EXPECT_THAT(failing.judge(1ms).failures, IsEmpty());
  EXPECT_THAT(failing.judge(1ms).unknown, IsEmpty());
  EXPECT_THAT(failing.judge(50us).failures,
              ElementsAre(HasSubstr("could not be read"), HasSubstr("could not be written")));
}

TEST(Failing, WritesThatWaitAreNotHiddenByReads) {
  Failing failing;
  add(failing, 1000, Op::get, Failure::server_error, 100us);
  add(failing, 50, Op::set, Failure::timeout, 5s);  // never answered
  EXPECT_THAT(failing.judge(1ms).failures,
              ElementsAre(HasSubstr("what could not be written did not fail at once")));
}

TEST(Failing, OfTooFewItIsNotKnown) {
  Failing failing;
  add(failing, 19, Op::get, Failure::server_error, 5s);
  add(failing, 100, Op::set, Failure::none, 5s);
  add(failing, 100, Op::set, Failure::wrong_value, 5s);
  EXPECT_THAT(failing.judge(1ms).failures, IsEmpty());
  EXPECT_THAT(failing.judge(1ms).unknown,
              ElementsAre(HasSubstr("cannot be read is not known: 19 did"),
                          HasSubstr("cannot be written is not known: 0 did")));
}

}  // namespace
}  // namespace nearlane::harness
