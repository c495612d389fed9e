#include "harness/peers/http_peer.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/driver/generator.h"
#include "harness/topology/process_cpu.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPages = 20;
constexpr std::size_t kBytes = 1024;

Site site_of(std::uint64_t pages) {
  auto site = Site::make(pages, kBytes);
  EXPECT_TRUE(site) << site.error().detail;
  return std::move(*site);
}

/// Every page in turn, over and over.
class Round final : public RequestSource {
 public:
  explicit Round(const Site& site) : pages_(site.pages()) {}
  bool next(Request& into) override {
    into.kind = Op::get;
    into.tag = at_;
    into.key = pages_[at_++ % pages_.size()].key;
    return true;
  }

 private:
  const std::vector<Page>& pages_;
  std::size_t at_ = 0;
};

class HttpPeers : public testing::TestWithParam<HttpPeerKind> {};

TEST_P(HttpPeers, ServeEveryPageInEachCodingAloneAndPipelined) {
  const HttpPeerKind& kind = GetParam();
  const Site site = site_of(kPages);
  for (const Coding coding : {Coding::identity, Coding::gzip, Coding::br}) {
    SCOPED_TRACE(name_of(coding));
    const auto peer = kind.start(site, coding);
    ASSERT_TRUE(peer) << peer.error().detail;
    for (const std::uint32_t depth : {1U, 16U}) {
      Round source(site);
      GeneratorOptions generator;
      generator.protocol = Protocol::http;
      generator.targets = {(*peer)->http()};
      generator.connections = 2;
      generator.pipeline = depth;
      generator.in_bursts = true;
      generator.http_headers = "Accept-Encoding: " + std::string(name_of(coding)) + "\r\n";
      RunOptions options{.open_loop = false, .duration = 20s, .max_operations = 10 * 32};
      options.check = [&](const Completion& done) {
        const auto& page = site.pages()[kind.one_answer ? 0 : done.tag % kPages];
        return done.outcome == Outcome::hit && done.value == page.form(coding);
      };
      const auto report = generate(source, generator, options);
      ASSERT_TRUE(report) << report.error().detail;
      EXPECT_EQ(report->answered, 10U * 32);
      EXPECT_EQ(report->failed, 0U) << testing::PrintToString(report->failure_texts);
      EXPECT_EQ(report->reconnects, 0U) << "connections are kept alive";
    }
    EXPECT_GT(ProcessTree((*peer)->pid()).cpu(), 0ns);
  }
}

INSTANTIATE_TEST_SUITE_P(All, HttpPeers, testing::ValuesIn(http_peers()),
                         [](const auto& peer) { return std::string(peer.param.id); });

TEST(Site, HasAFileForEachForm) {
  const Site site = site_of(2);
  for (const Page& page : site.pages()) {
    EXPECT_EQ(page.value.size(), kBytes);
    for (const Coding coding : {Coding::identity, Coding::gzip, Coding::br})
      EXPECT_EQ(std::filesystem::file_size(site.file_of(page, coding)), page.form(coding).size());
    EXPECT_LT(page.form(Coding::br).size(), kBytes);
    EXPECT_NE(page.form(Coding::br), page.form(Coding::gzip));
  }
  EXPECT_EQ(Site::make(1, 200).error().code, Errc::invalid_argument)
      << "too small to be compressed";
}

}  // namespace
}  // namespace nearlane::harness
