#include "core/l2/rocksdb/call_queue.h"

#include <vector>

namespace nearlane::l2::rocks {

CallQueue::Queued CallQueue::weigh(std::unique_ptr<cohere::Call> call) {
  const cohere::Command& command = call->command;
  std::size_t bytes = command.value ? command.value->value().size() : 0;
  const auto add = [&](const std::vector<std::string>& args) {
    for (const std::string& arg : args) bytes += sizeof(std::string) + arg.size();
  };
  add(command.args);
  add(command.beside);
  for (const cohere::Queued& queued : command.queued) add(queued.args);
  return {.call = std::move(call), .bytes = bytes};
}

std::string CallQueue::push(Queued& queued) {
  if (calls_.size() >= most_calls_)
    return "rocksdb: " + std::to_string(most_calls_) + " calls are waiting already";
  if (!calls_.empty() && bytes_ + queued.bytes > most_bytes_) {
    return "rocksdb: calls of " + std::to_string(most_bytes_ >> 20U) + " MiB are waiting already";
  }
  bytes_ += queued.bytes;
  calls_.push_back(std::move(queued));
  return {};
}

CallQueue::Queued CallQueue::pop() {
  Queued first = std::move(calls_.front());
  calls_.pop_front();
  bytes_ -= first.bytes;
  return first;
}

}  // namespace nearlane::l2::rocks
