#include "core/base/counters.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane {
namespace {

enum class Fruit { apple, pear, count };
using Basket = ThreadCounters<Fruit>;

TEST(ThreadCounters, SumsLivingAndEndedThreads) {
  const auto before = Basket::sum(Fruit::apple);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) Basket::add(Fruit::apple);
      Basket::add(Fruit::pear, 5);
    });
  }
  for (auto& thread : threads) thread.join();
  Basket::add(Fruit::apple, 7);
  EXPECT_EQ(Basket::sum(Fruit::apple) - before, 4007U);
  EXPECT_EQ(Basket::sum(Fruit::pear), 20U);
}

}  // namespace
}  // namespace nearlane
