#include "harness/gate/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nearlane::gate {
namespace {

using testing::HasSubstr;

const About kAbout{.base = "/a/nearlane",
                   .head = "/b/nearlane",
                   .cpu = "x",
                   .kernel = "y",
                   .date = "z",
                   .margins = "m"};

Verdict verdict() {
  return {.outcome = Outcome::fail,
          .reasons = {"resp_get/instructions: fail: 3356 a request"},
          .findings = {{.id = "resp_get/instructions",
                        .what = "instructions",
                        .decision = Decision::fail,
                        .base = 3290,
                        .head = 3355.8,
                        .ratio = 1.02,
                        .limit = 1.01,
                        .reason = "3356 a \"request\" <&>"},
                       {.id = "resp_get/cpu_ns",
                        .what = "CPU",
                        .decision = Decision::pass,
                        .base = 600,
                        .head = 601,
                        .ratio = 1.001,
                        .low = 0.99,
                        .high = 1.01,
                        .limit = 1.02},
                       {.id = "l1_get/instructions", .what = "", .reason = "base: no --draws"}}};
}

TEST(GatePage, MarkdownSaysTheVerdictFirstAndEveryFigure) {
  const auto page = to_markdown(kAbout, verdict());
  EXPECT_TRUE(page.starts_with("# Gate: fail\n")) << page;
  EXPECT_THAT(page, HasSubstr("- resp_get/instructions: fail: 3356 a request"));
  EXPECT_THAT(page, HasSubstr("+2.00 %"));
  EXPECT_THAT(page, HasSubstr("-1.00 % to +1.00 %"));
  EXPECT_THAT(page, HasSubstr("not comparable"));
}

TEST(GatePage, SaysWhatEachProgramWasBuiltFrom) {
  auto about = kAbout;
  about.base_revision = "3c51b68";
  about.head_revision = "33504ef with uncommitted changes";
  EXPECT_THAT(
      to_markdown(about, verdict()),
      HasSubstr("`/b/nearlane` (33504ef with uncommitted changes) against base `/a/nearlane` "
                "(3c51b68), "));
  const auto said = nlohmann::json::parse(to_json(about, {}, verdict()));
  EXPECT_EQ(said["base_revision"], "3c51b68");
  EXPECT_EQ(said["head_revision"], "33504ef with uncommitted changes");
  EXPECT_THAT(to_markdown(kAbout, verdict()),
              HasSubstr("`/b/nearlane` against base `/a/nearlane`, "));
  EXPECT_TRUE(nlohmann::json::parse(to_json(kAbout, {}, verdict()))["base_revision"].is_null());
}

TEST(GatePage, JunitCountsFailuresAndSkipsAndEscapes) {
  const auto page = to_junit(kAbout, verdict());
  EXPECT_THAT(page, HasSubstr("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""));
  EXPECT_THAT(page, HasSubstr("<failure message=\"3356 a &quot;request&quot; &lt;&amp;>\"/>"));
  EXPECT_THAT(page, HasSubstr("<skipped message=\"not comparable: base: no --draws\"/>"));
}

TEST(GatePage, JunitCallsAnInvalidHostAnError) {
  const auto page = to_junit(
      kAbout, {.outcome = Outcome::invalid_host, .reasons = {"5 of 21 \x01"}, .findings = {}});
  EXPECT_THAT(page, HasSubstr("tests=\"1\" failures=\"0\" errors=\"1\""));
  EXPECT_THAT(page, HasSubstr("<error message=\"5 of 21 ?\"/>"));
}

TEST(GatePage, JunitIsUtf8WhateverAProgramSaid) {
  const auto said = [](const std::string& bytes) {
    const auto page = to_junit(kAbout, {.findings = {{.id = "a", .what = "", .reason = bytes}}});
    const std::string before = "<skipped message=\"not comparable: ";
    const auto at = page.find(before) + before.size();
    return page.substr(at, page.find('"', at) - at);
  };
  for (const std::string well : {"\u00E4", "\u20AC", "\U0001F600", "\uFFFD", "\uE000"})
    EXPECT_EQ(said("a" + well + "z"), "a" + well + "z");
  const std::string no = "\uFFFD";
  EXPECT_EQ(said("\xFF\xFE!"), no + no + "!");
  EXPECT_EQ(said("\x80 \xE2\x82"), no + " " + no + no);  // a continuation; cut off
  EXPECT_EQ(said("\xC0\xAF \xE0\x80\xAF"), no + no + " " + no + no + no);  // overlong
  EXPECT_EQ(said("\xED\xA0\x80"), no + no + no);                           // a surrogate
  EXPECT_EQ(said("\xF4\x90\x80\x80"), no + no + no + no);                  // beyond Unicode
  EXPECT_EQ(said("\xEF\xBF\xBF"), no + no + no);                           // U+FFFF
  EXPECT_EQ(said("\xE2\"z"), no + "&quot;z");
}

TEST(GatePage, JsonHasEveryBlockRawAndNullForWhatIsNotThere) {
  const Measured measured{
      .timed = {
          {.id = "resp_get/cpu_ns", .what = "", .blocks = {{.base = 1, .head = 2, .ratio = 3}}}}};
  const auto json = nlohmann::json::parse(to_json(kAbout, measured, verdict()));
  EXPECT_EQ(json["verdict"], "fail");
  EXPECT_EQ(json["blocks"]["resp_get/cpu_ns"][0]["log_ratio"], 3);
  EXPECT_TRUE(json["findings"][2]["base"].is_null());
}

}  // namespace
}  // namespace nearlane::gate
