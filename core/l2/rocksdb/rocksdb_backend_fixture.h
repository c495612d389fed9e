// RocksdbBackendTest: the store on disk behind its executor, over files that can fail, and calls that tell their story.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/cohere/watch.h"
#include "core/l2/rocksdb/faulty_files.h"
#include "core/l2/rocksdb/rocksdb_backend.h"
#include "core/l2/rocksdb/test_dir.h"

namespace nearlane::l2 {

struct Deaf final : Listener {
  void invalidate(std::string_view) noexcept override {}
};

/// What happened to calls, in the order in which it did.
struct Story {
  std::mutex lock;
  std::vector<std::string> events;
  void add(std::string event) {
    const std::lock_guard guard(lock);
    events.push_back(std::move(event));
  }
};

class Asked final : public Call {
 public:
  Asked(Command what, std::promise<Answer> to, Story* story, std::string name)
      : Call(std::move(what)), to_(std::move(to)), story_(story), name_(std::move(name)) {}
  void settle(const Answer&) noexcept override {
    if (story_ != nullptr) story_->add("settle " + name_);
  }
  void complete(Answer answer) noexcept override {
    if (story_ != nullptr) story_->add("complete " + name_);
    to_.set_value(std::move(answer));
  }

 private:
  std::promise<Answer> to_;
  Story* story_;
  std::string name_;
};

/// Holds the executor in its completion until it is told to go on.
class Gate {
 public:
  class Held final : public Call {
   public:
    explicit Held(Gate& gate) : Call({.op = Op::confirm, .key = Key(0, "gate")}), gate_(gate) {}
    void settle(const Answer&) noexcept override {}
    void complete(Answer) noexcept override {
      gate_.reached_.set_value();
      gate_.open_.get_future().wait();
    }

   private:
    Gate& gate_;
  };

  explicit Gate(L2Backend& backend) {
    backend.submit(std::make_unique<Held>(*this));
    reached_.get_future().wait();
  }
  void open() { open_.set_value(); }

 private:
  std::promise<void> reached_;
  std::promise<void> open_;
};

inline bool eventually(const std::function<bool()>& holds,
                       Duration patience = std::chrono::seconds(30)) {
  for (const auto until = Clock::now() + patience; Clock::now() < until;) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

class RocksdbBackendTest : public testing::Test {
 protected:
  void open(Fsync fsync = Fsync::no, RocksdbLimits limits = {.queue = 1000}) {
    backend.reset();
    auto made = make_rocksdb_backend(
        {.path = dir.path() + "/db", .fsync = fsync, .env = files.env()}, limits);
    ASSERT_TRUE(made.has_value()) << made.error().detail;
    backend = std::move(*made);
    backend->start(deaf);
  }
  std::future<Answer> submit(std::vector<std::string> args, Story* story = nullptr,
                             TimePoint deadline = kForever) {
    std::promise<Answer> promise;
    auto answer = promise.get_future();
    std::string name = args[0];
    Command command{.op = Op::raw,
                    .key = Key(0, args.size() > 1 ? args[1] : ""),
                    .args = std::move(args),
                    .deadline = deadline};
    backend->submit(
        std::make_unique<Asked>(std::move(command), std::move(promise), story, std::move(name)));
    return answer;
  }
  std::future<Answer> exec(std::vector<cohere::Queued> queued,
                           std::shared_ptr<cohere::Watch> watch = {}) {
    std::promise<Answer> promise;
    auto answer = promise.get_future();
    Command command{.op = Op::exec,
                    .key = Key(0, ""),
                    .wide = true,
                    .queued = std::move(queued),
                    .watch = std::move(watch)};
    backend->submit(
        std::make_unique<Asked>(std::move(command), std::move(promise), nullptr, "EXEC"));
    return answer;
  }
  Answer ask(std::vector<std::string> args) { return submit(std::move(args)).get(); }

  rocks::TestDir dir;
  rocks::FaultyFiles files;
  Deaf deaf;
  std::unique_ptr<L2Backend> backend;
};

}  // namespace nearlane::l2
