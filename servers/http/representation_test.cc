#include "servers/http/representation.h"

#include <string>

#include <gtest/gtest.h>

#include "servers/http/conditions.h"

namespace nearlane::http {
namespace {

class Representations : public testing::Test {
 protected:
  [[nodiscard]] std::optional<Representation> choose(const Preference& preference) const {
    return choose_representation(preference, *entry, offer_of(*entry));
  }
  [[nodiscard]] std::string tag(Coding coding) const {
    return std::string(EntityTag(entry->digest(), name_of(coding)).text());
  }

  EntryPtr plain = Entry::build(KeyRef(0, "k"), std::string(300, 'v'), kForever, 1);
  EntryPtr entry = Entry::build_with(*plain, {.gzip = "as gzip", .br = "as br"});
};

TEST_F(Representations, AreThoseThatTheEntryHas) {
  EXPECT_EQ(choose({.accepted = parse_accept_encoding("br")})->coding, Coding::br);
  EXPECT_EQ(choose({.accepted = parse_accept_encoding("gzip")})->coding, Coding::gzip);
  EXPECT_EQ(choose({})->coding, Coding::identity);
  EXPECT_FALSE(choose({.accepted = parse_accept_encoding("identity;q=0")}));
  entry = plain;
  EXPECT_EQ(choose({.accepted = parse_accept_encoding("br")})->coding, Coding::identity);
  EXPECT_FALSE(choose({.accepted = parse_accept_encoding("br, identity;q=0")}));
  entry = Entry::build_with(*plain, {.br = "as br"});
  EXPECT_EQ(choose({.accepted = parse_accept_encoding("gzip")})->coding, Coding::identity);
}

TEST_F(Representations, AreUnchangedByTheTagOfTheirOwnForm) {
  const auto chosen =
      choose({.accepted = parse_accept_encoding("br"), .if_none_match = tag(Coding::br)});
  EXPECT_EQ(chosen->coding, Coding::br);
  EXPECT_TRUE(chosen->unchanged);
  EXPECT_FALSE(
      choose({.accepted = parse_accept_encoding("br"), .if_none_match = "\"other\""})->unchanged);
  const std::string another(EntityTag(entry->digest() + 1, "br").text());
  EXPECT_FALSE(
      choose({.accepted = parse_accept_encoding("br"), .if_none_match = another})->unchanged);
  EXPECT_TRUE(choose({.if_none_match = "*"})->unchanged);
}

TEST_F(Representations, AreUnchangedForWhoHasAnotherAcceptableForm) {
  const auto plain_one =
      choose({.accepted = parse_accept_encoding("br"), .if_none_match = tag(Coding::identity)});
  EXPECT_EQ(plain_one->coding, Coding::identity);
  EXPECT_TRUE(plain_one->unchanged);
  // One that it does not take by now is sent anew.
  EXPECT_FALSE(choose({.accepted = parse_accept_encoding("br, identity;q=0"),
                       .if_none_match = tag(Coding::identity)})
                   ->unchanged);
  EXPECT_FALSE(choose({.accepted = parse_accept_encoding("gzip"), .if_none_match = tag(Coding::br)})
                   ->unchanged);
  // The form may be gone beside a value that is the same.
  entry = plain;
  EXPECT_TRUE(choose({.accepted = parse_accept_encoding("br"), .if_none_match = tag(Coding::br)})
                  ->unchanged);
  EXPECT_FALSE(choose({.accepted = parse_accept_encoding("identity;q=0"), .if_none_match = "*"}));
}

}  // namespace
}  // namespace nearlane::http
