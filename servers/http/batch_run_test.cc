// A batch holds what fits into its answer, however much L1 and L2 have for it.
#include "servers/http/batch_run.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "servers/http/test_server.h"

namespace nearlane::http {
namespace {

constexpr std::size_t kLarge = std::size_t{64} << 10U;
constexpr std::size_t kMost = 10 * kLarge + 1;

class BatchRunTest : public testing::Test {
 protected:
  void put(const std::string& key, std::size_t size) {
    ASSERT_NE(server.converse(put_request(key, std::string(size, 'v'))).find("HTTP/1.1 20"),
              std::string::npos);
  }
  /// Statuses of the results of these gets, in order.
  std::vector<int> statuses(const std::vector<std::string>& keys) {
    std::vector<BatchOperation> operations;
    operations.reserve(keys.size());
    for (const std::string& key : keys) operations.push_back({.key = key});
    BatchRun run(server.tier(), 0, std::move(operations), std::chrono::seconds(10), kMost);
    boost::asio::io_context context;
    boost::asio::co_spawn(context, run.work(), boost::asio::detached);
    context.run();
    held = run.held();
    std::vector<int> statuses;
    const auto page = nlohmann::json::parse(run.page());
    statuses.reserve(keys.size());
    for (const auto& result : page.at("results"))
      statuses.push_back(result.at("status").get<int>());
    return statuses;
  }

  TestServer server{{}};
  std::size_t held = 0;
};

TEST_F(BatchRunTest, HoldsNoMoreThanItsAnswerMayHave) {
  put("small", 1);
  put("large", kLarge);
  for (int i = 0; i < 100; ++i) put("raw:" + std::to_string(i), kLarge);
  for (const bool in_l1 : {true, false}) {
    std::vector<std::string> keys;
    keys.reserve(103);
    for (int i = 0; i < 100; ++i) keys.push_back(in_l1 ? "large" : "raw:" + std::to_string(i));
    keys.insert(keys.end(), {"small", "small", "nothing"});
    std::vector<int> wanted(103, 413);
    std::fill_n(wanted.begin(), 10, 200);
    wanted[100] = 200;  // there is room for one
    wanted[102] = 404;
    EXPECT_EQ(statuses(keys), wanted) << in_l1;
    EXPECT_EQ(held, kMost) << in_l1;
  }
}

TEST_F(BatchRunTest, MayHaveItsAnswerFull) {
  put("raw:large", kMost);
  put("empty", 0);
  EXPECT_EQ(statuses({"raw:large", "empty"}), (std::vector<int>{200, 200}));
  EXPECT_EQ(held, kMost);
  put("raw:large", kMost + 1);
  EXPECT_EQ(statuses({"raw:large", "empty"}), (std::vector<int>{413, 200}));
  EXPECT_EQ(held, 0U);
}

}  // namespace
}  // namespace nearlane::http
