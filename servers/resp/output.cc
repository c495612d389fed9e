#include "servers/resp/output.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace nearlane::resp {
namespace {

/// What was sent is moved out of the way once it is more than this, and more than what is left.
constexpr std::size_t kMostSent = std::size_t{64} * 1024;

/// A buffer that grew beyond this is nobody's spare one.
constexpr std::size_t kMostSpare = std::size_t{2} << 20U;

iovec piece_of(std::string_view bytes) noexcept {
  return {const_cast<char*>(bytes.data()), bytes.size()};  // sendmsg() only reads it
}

}  // namespace

void Output::append(EntryPtr entry) {
  const std::string_view bulk = entry->resp_bulk();
  if (bulk.size() < kPinBytes) {
    text_.append(bulk);
    return;
  }
  pinned_bytes_ += bulk.size();
  pinned_.push_back({.at = text_.size(), .entry = std::move(entry)});
}

std::size_t Output::gather(std::span<iovec> pieces) const noexcept {
  std::size_t count = 0;
  std::size_t at = sent_;
  const auto text_until = [&](std::size_t end) {
    if (end > at && count < pieces.size())
      pieces[count++] = piece_of(std::string_view(text_).substr(at, end - at));
    at = end;
  };
  for (std::size_t i = front_; i < pinned_.size() && count < pieces.size(); ++i) {
    text_until(pinned_[i].at);
    if (count == pieces.size()) break;
    pieces[count++] = piece_of(pinned_[i].entry->resp_bulk().substr(i == front_ ? front_sent_ : 0));
  }
  text_until(text_.size());
  return count;
}

void Output::drop_front(std::size_t bytes) noexcept {
  while (front_ < pinned_.size()) {
    const Pinned& next = pinned_[front_];
    const std::size_t text = std::min(bytes, next.at - sent_);
    sent_ += text;
    bytes -= text;
    const std::size_t whole = next.entry->resp_bulk().size();
    const std::size_t part = std::min(bytes, whole - front_sent_);
    front_sent_ += part;
    pinned_bytes_ -= part;
    bytes -= part;
    if (sent_ < next.at || front_sent_ < whole) break;
    pinned_[front_++].entry = nullptr;
    front_sent_ = 0;
  }
  sent_ += bytes;
  forget_sent();
}

void Output::forget_sent() noexcept {
  if (front_ == pinned_.size()) {
    pinned_.clear();
    front_ = 0;
  }
  if (sent_ == text_.size()) {
    // What is pinned behind the text stands at its end.
    for (std::size_t i = front_; i < pinned_.size(); ++i) pinned_[i].at = 0;
    text_.clear();
    sent_ = 0;
  } else if (sent_ > kMostSent && 2 * sent_ > text_.size()) {
    for (std::size_t i = front_; i < pinned_.size(); ++i) pinned_[i].at -= sent_;
    text_.erase(0, std::exchange(sent_, 0));
  }
}

void Output::borrow(std::string& spare) noexcept {
  if (text_.empty() && text_.capacity() < spare.capacity()) text_.swap(spare);
}

void Output::give_back(std::string& spare) noexcept {
  if (!empty()) return;
  if (spare.capacity() < text_.capacity() && text_.capacity() <= kMostSpare) text_.swap(spare);
  std::string().swap(text_);
  std::vector<Pinned>().swap(pinned_);
}

}  // namespace nearlane::resp
