// Output: the replies of one connection that are not sent yet, in order. What is small is copied into one buffer; of a
//         large value the entry is pinned, and sent from where it is.
//
// Threads:   one.
// Lifetime:  a pinned entry's memory stays until it is sent, also where L1 has dropped it meanwhile.
// Cost:      append: the copy of a small reply. gather: a few steps a piece.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/uio.h>

#include "core/entry/entry.h"

namespace nearlane::resp {

class Output {
 public:
  /// A value from here on is pinned: to copy it takes longer than to count one reader more, and fresh memory.
  static constexpr std::size_t kPinBytes = std::size_t{16} * 1024;

  /// Whatever is appended to it comes behind all that is here. Nothing else may be done to it.
  [[nodiscard]] std::string& text() noexcept { return text_; }
  void append(EntryPtr entry);
  /// `key`: by which it was found.
  void append(const Entry& entry, const KeyRef& key) {
    const std::string_view bulk = entry.resp_bulk(key);
    if (bulk.size() >= kPinBytes) [[unlikely]]
      return append(EntryPtr::pin(&entry));
    text_.append(bulk);
  }

  /// Bytes that are not sent.
  [[nodiscard]] std::size_t size() const noexcept { return text_.size() - sent_ + pinned_bytes_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// Fills in pieces from the front, and returns how many. They stand until this is changed.
  [[nodiscard]] std::size_t gather(std::span<iovec> pieces) const noexcept;
  /// So many bytes were sent. Precondition: at most size().
  void drop_front(std::size_t bytes) noexcept;

  /// Changes buffers: without one of its own it takes a spare one, and gives it back when all is sent.
  void borrow(std::string& spare) noexcept;
  void give_back(std::string& spare) noexcept;

 private:
  struct Pinned {
    std::size_t at;  // of the text: what stands there comes behind it
    EntryPtr entry;
  };

  void forget_sent() noexcept;

  std::string text_;
  std::size_t sent_ = 0;  // of the text
  std::vector<Pinned> pinned_;
  std::size_t front_ = 0;         // of the pinned: the first one that is not sent
  std::size_t front_sent_ = 0;    // of that one
  std::size_t pinned_bytes_ = 0;  // not sent
};

}  // namespace nearlane::resp
