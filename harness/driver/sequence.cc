#include "harness/driver/sequence.h"

#include <iterator>

#include <fmt/format.h>

namespace nearlane::harness {

void append_bulk_string(std::string_view value, std::string& out) {
  fmt::format_to(std::back_inserter(out), "${}\r\n", value.size());
  out.append(value).append("\r\n");
}

std::size_t bulk_string_bytes(std::size_t value_bytes) noexcept {
  constexpr std::size_t kAround = std::string_view("$\r\n\r\n").size();
  return kAround + fmt::formatted_size("{}", value_bytes) + value_bytes;
}

void Sequence::add(std::uint64_t number, std::span<const std::string_view> words,
                   std::size_t reply_bytes) {
  fmt::format_to(std::back_inserter(bytes_), "*{}\r\n", words.size());
  for (const auto word : words) append_bulk_string(word, bytes_);
  end(number, reply_bytes);
}

void Sequence::add(std::uint64_t number, std::string_view request, std::size_t reply_bytes) {
  bytes_.append(request);
  end(number, reply_bytes);
}

void Sequence::end(std::uint64_t number, std::size_t reply_bytes) {
  numbers_.push_back(number);
  ends_.push_back(bytes_.size());
  reply_ends_.push_back(reply_ends_.back() + reply_bytes);
}

std::string_view Sequence::requests(std::size_t first, std::size_t count) const noexcept {
  return std::string_view(bytes_).substr(ends_[first], ends_[first + count] - ends_[first]);
}

std::uint64_t Sequence::reply_bytes(std::size_t first, std::size_t count) const noexcept {
  return reply_ends_[first + count] - reply_ends_[first];
}

void Sequence::append_expected(std::size_t first, std::size_t count, std::string& out) const {
  for (std::size_t at = first; at < first + count; ++at) expected_(numbers_[at], out);
}

}  // namespace nearlane::harness
