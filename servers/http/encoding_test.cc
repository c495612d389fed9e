#include "servers/http/encoding.h"

#include <optional>

#include <gtest/gtest.h>

namespace nearlane::http {
namespace {

std::optional<Coding> choose(std::optional<std::string_view> accept, const Offer& offer) {
  return choose_coding(parse_accept_encoding(accept), offer);
}
constexpr Offer kAll{.gzip = true, .br = true};
constexpr std::optional<Coding> kNone = std::nullopt;

TEST(Encoding, ChoosesByWeight) {
  struct Case {
    const char* accept;
    std::optional<Coding> coding;
  };
  for (const Case& c :
       {Case{"gzip, br", Coding::br}, Case{"gzip", Coding::gzip},
        Case{"br;q=0.5, gzip", Coding::gzip}, Case{"BR", Coding::br},
        Case{"gzip;q=0, br;q=0", Coding::identity}, Case{"*", Coding::br},
        Case{"identity, gzip;q=0.5", Coding::identity}, Case{"", Coding::identity},
        Case{"zstd", Coding::identity}, Case{"*;q=0", kNone}, Case{"identity;q=0", kNone},
        Case{"identity;q=0, gzip", Coding::gzip}, Case{"gzip;q=2", Coding::identity},
        Case{"gzip;q=x", Coding::identity}, Case{"gzip;q=0.001", Coding::gzip},
        Case{"gzip;q=", Coding::identity}, Case{"*;q=0, identity", Coding::identity},
        Case{",,gzip,,", Coding::gzip}}) {
    EXPECT_EQ(choose(c.accept, kAll), c.coding) << c.accept;
  }
  EXPECT_EQ(choose(std::nullopt, kAll), Coding::identity);
}

TEST(Encoding, ChoosesOfWhatThereIs) {
  EXPECT_EQ(choose("gzip, br", {}), Coding::identity);
  EXPECT_EQ(choose("br, identity;q=0", {}), kNone);
  EXPECT_EQ(choose("gzip, br", {.gzip = true}), Coding::gzip);
  EXPECT_EQ(choose("gzip;q=0.5, br", {.gzip = true}), Coding::gzip);
  // What is not there does not decide for what is there.
  EXPECT_EQ(choose("br, gzip;q=0.5, identity;q=0.8", {.gzip = true}), Coding::identity);
  EXPECT_EQ(choose("br;q=0.5, gzip", {.br = true}), Coding::br);
  EXPECT_EQ(choose("br, identity;q=0", {.gzip = true}), kNone);
}

}  // namespace
}  // namespace nearlane::http
