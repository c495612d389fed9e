// The stores of this process, made as the server makes them.
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/l2/l2_backend.h"
#include "core/l2/rocksdb/test_dir.h"

namespace nearlane::l2 {
namespace {

using protocol::Reply;

struct Deaf final : Listener {
  void invalidate(std::string_view) noexcept override {}
};

class Asked final : public Call {
 public:
  Asked(Command what, std::promise<Answer> to) : Call(std::move(what)), to_(std::move(to)) {}
  void settle(const Answer&) noexcept override {}
  void complete(Answer answer) noexcept override { to_.set_value(std::move(answer)); }

 private:
  std::promise<Answer> to_;
};

Reply ask(L2Backend& backend, std::vector<std::string> args) {
  std::promise<Answer> promise;
  auto answer = promise.get_future();
  Key key(0, args[1]);
  Command command{.op = Op::raw, .key = std::move(key), .args = std::move(args)};
  backend.submit(std::make_unique<Asked>(std::move(command), std::move(promise)));
  return answer.get().reply;
}

// It was acknowledged and could not be read: the doors take no value that is longer.
TEST(Registry, AStoreOfThisProcessMakesNoValueThatIsLongerThanTheServersLimit) {
  const rocks::TestDir dir;
  for (const std::string& url : {std::string("memory:"), "rocksdb:" + dir.path() + "/db"}) {
    Deaf deaf;
    auto backend = make_l2({.url = url, .max_value = 8}, {});
    ASSERT_TRUE(backend.has_value()) << backend.error().detail;
    (*backend)->start(deaf);
    EXPECT_EQ(ask(**backend, {"APPEND", "k", "12345678"}), Reply::number(8)) << url;
    const Reply refusal =
        Reply::error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    EXPECT_EQ(ask(**backend, {"APPEND", "k", "9"}), refusal) << url;
    EXPECT_EQ(ask(**backend, {"SETRANGE", "k", "8", "9"}), refusal) << url;
    EXPECT_EQ(ask(**backend, {"GET", "k"}), Reply::bulk("12345678")) << url;
    (*backend)->stop();
  }
}

}  // namespace
}  // namespace nearlane::l2
