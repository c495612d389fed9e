// ClusterWatch: what is said to one node of a cluster after the other, to know who owns which slots.
//
// It asks (CLUSTER SLOTS) once a second, and at once when somebody doubts the answer. A node that is silent or no node of a
// cluster is left for the next one: those that the URL names, and those that the last answer named. One whose answers do not
// end the doubt is left too: it may be cut off from the others. As long as none answers, what was known is believed.
//
// Units:     time on the monotonic clock.
// Errors:    as Conversation: broken() says why this node is of no use.
// Threads:   one owner, which is also called back.
// Lifetime:  the route outlives it.
// Cost:      a command a second, whose reply names each range of slots and its nodes.
// Source:    redis.io/docs/reference/cluster-spec (clients' first connection and handling of redirections).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cohere/conversation.h"
#include "core/l2/redis/cluster_map.h"
#include "core/l2/redis/route.h"
#include "core/protocol/reply_parser.h"

namespace nearlane::l2 {

class ClusterWatch final : public cohere::Conversation {
 public:
  struct Told {
    std::function<void(SlotMap)> map;
    std::function<void(std::string why)> nobody_answers;
  };

  /// Turns `own`, by which it is connected, from one node to the next; its URL says who we are.
  ClusterWatch(Route& own, Told told);

  void connected(TimePoint now) override;
  void received(std::string_view bytes, TimePoint now) override;
  void closed(Error why, TimePoint now) override;
  void tick(TimePoint now) override;
  [[nodiscard]] bool ready() const noexcept override { return state_ == State::watching; }

  /// Somebody doubts what was said last.
  void doubt() noexcept { doubted_ = true; }

 private:
  enum class State : std::uint8_t {
    down,
    greeting,  // HELLO 3
    asking,    // for the first time
    watching,
  };

  void ask(TimePoint now);
  void take(const protocol::Reply& reply, TimePoint now);
  void take_map(const protocol::Reply& reply);
  [[nodiscard]] const Endpoint& node() const noexcept { return nodes_[at_]; }

  Route& own_;
  const Told told_;
  std::vector<Endpoint> nodes_;  // to be asked
  std::size_t at_ = 0;
  std::size_t in_vain_ = 0;  // nodes since one has answered
  State state_ = State::down;
  bool asked_ = false;  // and not answered yet
  TimePoint asked_at_ = TimePoint::min();
  bool doubted_ = false;   // since the last question
  unsigned doubtful_ = 0;  // answers in a row that were doubted
  protocol::ReplyParser parser_;
};

}  // namespace nearlane::l2
