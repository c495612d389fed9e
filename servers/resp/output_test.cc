#include "servers/resp/output.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "servers/resp/output_bytes.h"

namespace nearlane::resp {
namespace {

EntryPtr entry_of(std::size_t size, char filling = 'v') {
  return Entry::build({0, "key"}, std::string(size, filling), kForever, 1);
}

void append(Output& output, const Entry& entry) { output.append(entry, KeyRef(0, "key")); }

std::size_t pieces_of(const Output& output) {
  std::array<iovec, 16> pieces;
  return output.gather(pieces);
}

TEST(Output, SendsALargeValueFromWhereItIs) {
  Output output;
  const EntryPtr large = entry_of(Output::kPinBytes);
  output.text() += "+before\r\n";
  append(output, *large);
  output.text() += "+behind\r\n";
  std::array<iovec, 16> pieces;
  ASSERT_EQ(output.gather(pieces), 3U);
  EXPECT_EQ(pieces[1].iov_base, large->resp_bulk().data());
  EXPECT_EQ(output.size(), large->resp_bulk().size() + 18);
  EXPECT_EQ(take_bytes(output), "+before\r\n" + std::string(large->resp_bulk()) + "+behind\r\n");
  EXPECT_TRUE(output.empty());
}

TEST(Output, CopiesWhatIsSmall) {
  Output output;
  append(output, *entry_of(1));
  append(output, *entry_of(Output::kPinBytes / 2));
  EXPECT_EQ(pieces_of(output), 1U);
}

TEST(Output, KeepsAValueThatItsMapHasDropped) {
  Output output;
  EntryPtr large = entry_of(Output::kPinBytes);
  const std::string bulk(large->resp_bulk());
  append(output, *large);
  large = nullptr;
  EXPECT_EQ(take_bytes(output), bulk);
}

TEST(Output, IdleKeepsNoBuffer) {
  std::string spare;
  Output output;
  output.text().append(10'000, 'x');
  output.give_back(spare);
  EXPECT_TRUE(spare.empty()) << "it is not sent yet";
  (void)take_bytes(output);
  output.give_back(spare);
  EXPECT_GE(spare.capacity(), 10'000U);
  EXPECT_LT(output.text().capacity(), 100U);

  Output other;
  other.borrow(spare);
  EXPECT_GE(other.text().capacity(), 10'000U);
  EXPECT_LT(spare.capacity(), 100U);
}

TEST(Output, ASpareBufferIsNotTheLargestThatEverWas) {
  std::string spare;
  Output output;
  output.text().append(std::size_t{16} << 20U, 'x');
  (void)take_bytes(output);
  output.give_back(spare);
  EXPECT_LT(spare.capacity(), 100U);
  EXPECT_LT(output.text().capacity(), 100U);
}

TEST(OutputProperty, SendsWhatWasAppendedInOrderWhateverIsTakenWhen) {
  const bool held = rc::check([] {
    Output output;
    std::string expected;
    std::string spare;
    char filling = 'a';
    for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 6))) {
      filling = filling == 'z' ? 'a' : static_cast<char>(filling + 1);
      const std::size_t size = *rc::gen::inRange<std::size_t>(1, 3 * Output::kPinBytes);
      if (step < 2) {
        output.text().append(size, filling);
        expected.append(size, filling);
      } else if (step < 4) {
        const EntryPtr entry = entry_of(size, filling);
        append(output, *entry);
        expected += entry->resp_bulk();
      } else if (step == 4) {
        const std::string taken = take_bytes(output, size, *rc::gen::inRange<std::size_t>(1, 17));
        RC_ASSERT(taken == expected.substr(0, taken.size()));
        RC_ASSERT(taken.size() == std::min(size, expected.size()));
        expected.erase(0, taken.size());
      } else {
        output.give_back(spare);
        output.borrow(spare);
      }
      RC_ASSERT(output.size() == expected.size());
    }
    RC_ASSERT(take_bytes(output) == expected);
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace nearlane::resp
