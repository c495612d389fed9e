#include "harness/check/cache_node.h"

#include <future>
#include <stdexcept>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "core/base/epoch.h"

namespace nearlane::harness {
namespace {

/// Far beyond every deadline: only a handler that was lost takes so long.
constexpr auto kPatience = std::chrono::seconds(20);

/// Starts `call`, which gets a handler, and waits for what the handler is told.
template <class T, class Start>
Result<T> await(Start&& start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto answer = promise->get_future();
  std::forward<Start>(start)(
      [promise](Result<T> result) { promise->set_value(std::move(result)); });
  if (answer.wait_for(kPatience) != std::future_status::ready)
    return Error{Errc::timeout, "the answer was lost"};
  return answer.get();
}

}  // namespace

struct CacheNode::Loops {
  using Work = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;

  explicit Loops(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      contexts.push_back(std::make_unique<boost::asio::io_context>(1));
      work.emplace_back(contexts.back()->get_executor());
      pointers.push_back(contexts.back().get());
    }
    for (auto& context : contexts) threads.emplace_back([&context] { context->run(); });
  }

  void join() {
    work.clear();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }

  std::vector<std::unique_ptr<boost::asio::io_context>> contexts;
  std::vector<Work> work;
  std::vector<boost::asio::io_context*> pointers;
  std::vector<std::thread> threads;
};

CacheNode::CacheNode(const std::string& l2_url, l2::L2Config config, unsigned loops,
                     tier::TierConfig tier)
    : loops_(std::make_unique<Loops>(loops)) {
  config.url = l2_url;
  auto l2 = l2::make_l2(config, loops_->pointers);
  if (!l2) throw std::invalid_argument(l2.error().detail);
  auto l1 = l1::make_l1({.bytes = std::uint64_t{256} << 20U});
  tier.lease = config.lease;
  tier_ = std::make_unique<tier::TieredCache>(std::move(tier), std::move(*l1), std::move(*l2));
  tier_->start();
}

CacheNode::~CacheNode() {
  tier_->stop();
  loops_->join();
}

tier::TieredCache& CacheNode::tier() noexcept { return *tier_; }

bool CacheNode::ready_within(Duration patience) {
  const TimePoint end = Clock::now() + patience;
  for (;;) {
    const l2::Health health = tier_->l2_health();
    if (health.lanes > 0 && health.lanes_up == health.lanes) break;
    if (Clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

std::optional<std::string> CacheNode::find(std::string_view key) {
  const epoch::Guard guard;
  const Entry* entry = tier_->find(KeyRef(0, key), Clock::now());
  if (entry == nullptr) return std::nullopt;
  return std::string(entry->value());
}

Result<tier::Lookup> CacheNode::get(std::string_view key, tier::ReadFrom from) {
  return await<tier::Lookup>(
      [&](auto done) { tier_->get(Key(KeyRef(0, key)), from, Clock::now() + timeout, done); });
}

Result<tier::StoreOutcome> CacheNode::set(std::string_view key, std::string_view value,
                                          tier::StoreOptions options) {
  return await<tier::StoreOutcome>(
      [&](auto done) { tier_->set(KeyRef(0, key), value, options, Clock::now() + timeout, done); });
}

Result<bool> CacheNode::touch(std::string_view key, std::chrono::milliseconds ttl) {
  return await<bool>(
      [&](auto done) { tier_->touch(KeyRef(0, key), ttl, Clock::now() + timeout, done); });
}

Result<bool> CacheNode::remove(std::string_view key) {
  return await<bool>(
      [&](auto done) { tier_->remove(KeyRef(0, key), Clock::now() + timeout, done); });
}

Result<protocol::Reply> CacheNode::execute(std::vector<std::string> args,
                                           std::vector<std::string> keys, bool writes) {
  return await<protocol::Reply>([&](auto done) {
    tier_->execute({.args = std::move(args), .keys = std::move(keys), .writes = writes},
                   Clock::now() + timeout, done);
  });
}

}  // namespace nearlane::harness
