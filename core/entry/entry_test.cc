#include "core/entry/entry.h"

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/entry/media_type.h"

namespace nearlane {
namespace {

EntryPtr make(std::string_view name, std::string_view value) {
  return Entry::build(KeyRef(3, name), value, kForever, 7);
}

TEST(Entry, KeepsKeyValueAndFields) {
  const TimePoint deadline{Duration(12345)};
  const auto entry = Entry::build(KeyRef(15, "user:1"), "hello", deadline, 42);
  EXPECT_EQ(entry->key(), KeyRef(15, "user:1"));
  EXPECT_EQ(entry->value(), "hello");
  EXPECT_EQ(entry->deadline(), deadline);
  EXPECT_EQ(entry->epoch(), 42U);
}

TEST(Entry, RespBulkIsTheReplyByteForByte) {
  EXPECT_EQ(make("k", "")->resp_bulk(), "$0\r\n\r\n");
  EXPECT_EQ(make("k", "hello")->resp_bulk(), "$5\r\nhello\r\n");
  EXPECT_EQ(make("k", std::string(10, 'x'))->resp_bulk(), "$10\r\nxxxxxxxxxx\r\n");
  const std::string big(1 << 20, 'z');
  EXPECT_EQ(make("k", big)->resp_bulk(), "$1048576\r\n" + big + "\r\n");
}

TEST(Entry, HoldsAnyBytesAndTheLongestKey) {
  const std::string name(kMaxKeyBytes, '\0');
  const std::string value("\r\n\0$5\r\n", 7);
  const auto entry = make(name, value);
  EXPECT_EQ(entry->key().name, name);
  EXPECT_EQ(entry->value(), value);
}

TEST(Entry, ANegativeOneHasAKeyAndNothingElse) {
  const TimePoint deadline{Duration(12345)};
  const auto entry = Entry::build_negative(KeyRef(2, "gone"), deadline, 42);
  EXPECT_TRUE(entry->negative());
  EXPECT_FALSE(make("gone", "")->negative());
  EXPECT_EQ(entry->key(), KeyRef(2, "gone"));
  EXPECT_EQ(entry->deadline(), deadline);
  EXPECT_EQ(entry->epoch(), 42U);
  EXPECT_EQ(entry->value(), "");
  EXPECT_EQ(entry->resp_bulk(), "");
}

TEST(Entry, TheLargestDatabaseNumberSurvives) {
  EXPECT_EQ(Entry::build(KeyRef(63, "k"), "v", kForever, 0)->key().db, 63U);
}

TEST(Entry, DigestDependsOnTheValueOnly) {
  EXPECT_EQ(make("a", "same")->digest(), make("b", "same")->digest());
  EXPECT_NE(make("a", "same")->digest(), make("a", "other")->digest());
  // XXH3's published value for the empty input: the same on every instance and architecture.
  EXPECT_EQ(make("a", "")->digest(), 0x2d06800538d394c2U);
}

TEST(Entry, ADigestIsMadeWhenItIsAskedFor) {
  for (std::size_t name = 1; name <= 16; ++name) {  // all ways to lie in memory
    const std::string value(kDigestKept + name, 'v');
    const auto entry = make(std::string(name, 'k'), value);
    const auto reply = entry->resp_bulk();
    const auto end = std::bit_cast<std::uintptr_t>(reply.data() + reply.size());
    const auto* kept = std::bit_cast<const std::uint64_t*>((end + 7) / 8 * 8);
    EXPECT_EQ(*kept, 0U);
    EXPECT_EQ(entry->digest(), Entry::digest_of(value));
    EXPECT_EQ(*kept, Entry::digest_of(value));
  }
}

TEST(Entry, ManyMayAskForADigestAtOnce) {
  for (int round = 0; round < 100; ++round) {
    const std::string value(5000, static_cast<char>('a' + round % 26));
    const auto entry = make("k", value);
    std::array<std::uint64_t, 4> said{};
    std::vector<std::thread> threads;
    threads.reserve(said.size());
    for (auto& mine : said) threads.emplace_back([&] { mine = entry->digest(); });
    for (auto& thread : threads) thread.join();
    for (const std::uint64_t each : said) EXPECT_EQ(each, Entry::digest_of(value));
  }
}

TEST(Entry, ItsReplyIsTheSameForWhoKnowsTheKey) {
  for (const std::size_t name : {std::size_t{1}, std::size_t{21}, kMaxKeyBytes}) {
    const std::string text(name, 'k');
    const KeyRef own(63, text);
    const auto entry = Entry::build(own, "value", kForever, 1);
    EXPECT_TRUE(entry->is(own));
    EXPECT_FALSE(entry->is(KeyRef(62, text)));
    EXPECT_EQ(entry->resp_bulk(own).data(), entry->resp_bulk().data());
    EXPECT_EQ(entry->resp_bulk(own), "$5\r\nvalue\r\n");
    EXPECT_EQ(Entry::build_negative(own, kForever, 1)->resp_bulk(own), "");
  }
}

TEST(Entry, ATouchChangesTheSharedEntryInPlace) {
  const auto entry = make("k", "v");
  const auto other = EntryPtr::pin(entry.get());
  entry->set_deadline(TimePoint(Duration(5)));
  entry->set_epoch(9);
  EXPECT_EQ(other->deadline(), TimePoint(Duration(5)));
  EXPECT_EQ(other->epoch(), 9U);
}

TEST(Entry, ChargeCoversHeaderKeyPayloadAndLittleMore) {
  for (const std::size_t size : {0U, 1U, 64U, 1000U, 100000U}) {
    const auto entry = make("twelve bytes", std::string(size, 'v'));
    const std::size_t needed = sizeof(Entry) + 12 + entry->resp_bulk().size();
    EXPECT_GE(entry->charge(), needed);
    EXPECT_LE(entry->charge(), needed + needed / 20 + 32);
  }
}

TEST(Entry, VariantsAreBornWithIt) {
  for (const std::size_t size : {std::size_t{256}, kDigestKept, std::size_t{70'000}}) {
    const auto plain = make("twelve bytes", std::string(size, 'v'));
    EXPECT_FALSE(plain->has_variants());
    EXPECT_EQ(plain->form(Coding::br), "");
    EXPECT_EQ(plain->form(Coding::gzip), "");
    plain->set_deadline(TimePoint(Duration(5)));
    plain->set_epoch(9);
    plain->set_unused(Entry::kMostUnused);
    for (const Variants& variants : {Variants{.gzip = "as gzip", .br = std::string(100, 'b')},
                                     Variants{.gzip = "as gzip"}, Variants{.br = "as br"}}) {
      const auto entry = Entry::build_with(*plain, variants);
      EXPECT_TRUE(entry->is(KeyRef(3, "twelve bytes")));
      EXPECT_TRUE(entry->has_variants());
      EXPECT_EQ(entry->form(Coding::br), variants.br);
      EXPECT_EQ(entry->form(Coding::gzip), variants.gzip);
      EXPECT_EQ(entry->form(Coding::identity), plain->value());
      EXPECT_EQ(entry->resp_bulk(), plain->resp_bulk());
      EXPECT_EQ(entry->digest(), plain->digest());
      EXPECT_EQ(entry->deadline(), TimePoint(Duration(5)));
      EXPECT_EQ(entry->epoch(), 9U);
      EXPECT_EQ(entry->unused(), Entry::kMostUnused);
      EXPECT_TRUE(entry->considered());
      const std::size_t needed = sizeof(Entry) + 12 + entry->resp_bulk().size() +
                                 variants.br.size() + variants.gzip.size();
      EXPECT_GE(entry->charge(), needed);
      EXPECT_LE(entry->charge(), needed + needed / 20 + 48);
    }
  }
}

TEST(Entry, OneOfThoseWhoConsiderVariantsDecides) {
  const auto entry = make("k", "v");
  entry->set_unused(3);
  EXPECT_FALSE(entry->considered());
  EXPECT_TRUE(entry->consider());
  EXPECT_FALSE(entry->consider());
  EXPECT_EQ(entry->unused(), 3);
  entry->set_unused(0);
  EXPECT_TRUE(entry->considered()) << "what was noted of uses is another matter";
  entry->reconsider();
  EXPECT_TRUE(entry->consider());
}

TEST(EntryPtr, CopiesPinAndTheLastOneFrees) {
  EntryPtr copy;
  {
    auto entry = make("k", "pinned");
    copy = entry;
    EXPECT_EQ(copy.get(), entry.get());
  }
  EXPECT_EQ(copy->value(), "pinned");  // ASan would say if it were gone; LSan if it stayed
  const auto moved = std::move(copy);
  EXPECT_FALSE(copy);  // NOLINT(bugprone-use-after-move): that it is empty is the claim
  EXPECT_EQ(moved->value(), "pinned");
}

TEST(EntryPtr, ReleaseAndAdoptHandOneReferenceOn) {
  auto entry = make("k", "v");
  const Entry* raw = entry.release();
  EXPECT_FALSE(entry);
  const auto owner = EntryPtr::adopt(raw);
  const auto pin = EntryPtr::pin(raw);
  EXPECT_EQ(owner.get(), pin.get());
  EXPECT_FALSE(EntryPtr::pin(nullptr));
}

TEST(EntryPtr, APinOutlivesTheGuardAndTheRetirement) {
  EntryPtr pin;
  {
    const epoch::Guard guard;
    const Entry* found = make("k", "v").release();
    pin = EntryPtr::pin(found);
    epoch::retire(
        const_cast<Entry*>(found),
        [](void* object) { EntryPtr::adopt(static_cast<const Entry*>(object)); }, found->charge());
  }
  epoch::drain();
  EXPECT_EQ(pin->value(), "v");
}

// Two keys of one hash are told apart by their bytes alone, each of them.
TEST(Entry, IsOnlyTheEntryOfItsOwnKey) {
  for (std::size_t size = 1; size <= 100; ++size) {
    const std::vector<char> name(size,
                                 'n');  // of exactly this size, so that no byte beyond is read
    const KeyRef key(3, {name.data(), size});
    const EntryPtr entry = Entry::build(key, "value", kForever, 0);
    EXPECT_TRUE(entry->is(key)) << size;
    EXPECT_FALSE(entry->is(KeyRef(4, key.name, key.hash))) << size;
    EXPECT_FALSE(entry->is(KeyRef(3, key.name.substr(1), key.hash))) << size;
    for (std::size_t at = 0; at < size; ++at) {
      std::vector<char> other = name;
      other[at] = 'o';
      EXPECT_FALSE(entry->is(KeyRef(3, {other.data(), size}, key.hash))) << size << " at " << at;
    }
  }
}

TEST(EntryPtr, PinsOfManyThreadsFreeOnce) {
  auto entry = make("k", "v");
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([pin = entry] {
      for (int i = 0; i < 10000; ++i) {
        const auto again = EntryPtr::pin(pin.get());
        ASSERT_EQ(again->value(), "v");
      }
    });
  }
  entry = nullptr;
  for (auto& thread : threads) thread.join();
}

TEST(Entry, KeepsTheTypeThatWasPutWithItsValue) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, kDigestKept, std::size_t{5000}}) {
    const std::string value(size, 'v');
    for (const std::string& type : {std::string("a/b"), std::string(kMostMediaType, 'x')}) {
      const auto entry = Entry::build(KeyRef(0, "k"), value, kForever, 1, type);
      EXPECT_TRUE(entry->type_known());
      EXPECT_EQ(entry->own_type(), type);
      EXPECT_EQ(entry->value(), value);
      EXPECT_EQ(entry->digest(), Entry::digest_of(value));
      const auto with = Entry::build_with(*entry, {.gzip = "as gzip", .br = "as br"});
      EXPECT_TRUE(with->type_known());
      EXPECT_EQ(with->own_type(), type);
      EXPECT_EQ(with->form(Coding::br), "as br");
      EXPECT_EQ(with->form(Coding::gzip), "as gzip");
      EXPECT_EQ(with->digest(), Entry::digest_of(value));
      EXPECT_EQ(with->resp_bulk(), entry->resp_bulk());
    }
  }
}

TEST(Entry, TellsNoTypeOfItsOwnFromOneThatNobodyAskedFor) {
  const auto none = Entry::build(KeyRef(0, "k"), "v", kForever, 1, "");
  EXPECT_TRUE(none->type_known());
  EXPECT_EQ(none->own_type(), "");
  const auto unknown = Entry::build(KeyRef(0, "k"), "v", kForever, 1);
  EXPECT_FALSE(unknown->type_known());
  EXPECT_EQ(unknown->own_type(), "");
  EXPECT_FALSE(Entry::build_negative(KeyRef(0, "k"), kForever, 1)->type_known());
  for (const auto& plain : {none, unknown}) {
    const auto with = Entry::build_with(*plain, {.br = "as br"});
    EXPECT_EQ(with->type_known(), plain->type_known());
    EXPECT_EQ(with->own_type(), "");
    EXPECT_EQ(with->form(Coding::br), "as br");
  }
}

}  // namespace
}  // namespace nearlane
