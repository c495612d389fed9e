// Sequence: requests that are made before they are sent, each with what must answer it; of RESP, or whatever bytes.
//
// Nothing is encoded while they are sent, and no reply is parsed: a request's reply has a length that is known beforehand, and what it
// must be is made again where it is compared. So a load that sends them costs little more than the kernel does.
//
// Threads:   add from one thread; then any may read.
// Lifetime:  views are valid until the next add().
// Cost:      the requests' bytes and 24 more for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearlane::harness {

class Sequence {
 public:
  /// Appends the whole reply to a request, by the number that it was added with.
  using Expected = std::function<void(std::uint64_t number, std::string& out)>;

  explicit Sequence(Expected expected) : expected_(std::move(expected)) {}

  /// A command of these words. `reply_bytes`: the length of what `expected` makes of `number`.
  void add(std::uint64_t number, std::span<const std::string_view> words, std::size_t reply_bytes);

  /// A request as it goes over the wire.
  void add(std::uint64_t number, std::string_view request, std::size_t reply_bytes);

  [[nodiscard]] std::size_t size() const noexcept { return numbers_.size(); }
  /// The bytes of `count` requests from `first` on, and how many bytes answer them.
  [[nodiscard]] std::string_view requests(std::size_t first, std::size_t count) const noexcept;
  [[nodiscard]] std::uint64_t reply_bytes(std::size_t first, std::size_t count) const noexcept;
  /// What answers them.
  void append_expected(std::size_t first, std::size_t count, std::string& out) const;

 private:
  /// The request that has been appended to bytes_.
  void end(std::uint64_t number, std::size_t reply_bytes);

  Expected expected_;
  std::string bytes_;
  std::vector<std::uint64_t> numbers_;
  std::vector<std::uint64_t> ends_ = {0};        // in bytes_
  std::vector<std::uint64_t> reply_ends_ = {0};  // in all replies, one behind the other
};

/// "$5\r\nhello\r\n"
void append_bulk_string(std::string_view value, std::string& out);
/// Its length for a value of so many bytes.
[[nodiscard]] std::size_t bulk_string_bytes(std::size_t value_bytes) noexcept;

}  // namespace nearlane::harness
