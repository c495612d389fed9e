#include "servers/loop/loop.h"

#include <utility>
#include <vector>

#include <boost/asio/post.hpp>

namespace nearlane::loop {

Loop::~Loop() {
  // Sockets must go while their context still stands.
  connections_.clear();
}

void Loop::post(std::function<void()> task) { boost::asio::post(context_, std::move(task)); }

void Loop::add(std::shared_ptr<Connection> connection, std::function<void()> on_gone) {
  Connection& added = *connection;
  connections_.emplace(std::move(connection), std::move(on_gone));
  added.start();
  if (retiring_) added.retire();
}

void Loop::remove(Connection& connection) noexcept {
  const auto found = connections_.find(connection.shared_from_this());
  if (found == connections_.end()) return;
  if (found->second) found->second();
  connections_.erase(found);
  if (draining_ && connections_.empty() && drained_) std::exchange(drained_, nullptr)();
}

std::vector<std::shared_ptr<Connection>> Loop::snapshot() const {
  std::vector<std::shared_ptr<Connection>> all;
  all.reserve(connections_.size());
  for (const auto& [connection, on_gone] : connections_) all.push_back(connection);
  return all;
}

void Loop::retire() noexcept {
  retiring_ = true;
  for (const auto& [connection, on_gone] : connections_) connection->retire();
}

void Loop::drain(std::function<void()> done) {
  if (draining_) return;
  draining_ = true;
  if (connections_.empty()) {
    done();
    return;
  }
  drained_ = std::move(done);
  for (const auto& connection : snapshot()) connection->drain();
}

void Loop::close_overdue(TimePoint now) {
  std::vector<std::shared_ptr<Connection>> overdue;
  for (const auto& [connection, on_gone] : connections_) {
    if (connection->overdue_at() <= now) overdue.push_back(connection);
  }
  for (const auto& connection : overdue) connection->close();
}

}  // namespace nearlane::loop
