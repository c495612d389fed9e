#include "harness/topology/frame_scanner.h"

#include <algorithm>
#include <charconv>

namespace nearlane::harness {
namespace {

constexpr std::size_t kMaxHeader = 24;  // bytes that are kept of a line; a longer one has no number
constexpr std::uint64_t kMaxBulk = std::uint64_t{512} << 20U;    // Redis's own proto-max-bulk-len
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 32U;  // of one aggregate

/// The number of a header; -1 is nothing of that type, as RESP2 has it.
std::optional<std::int64_t> number(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc{} || end != line.data() + line.size() || value < -1) return std::nullopt;
  return value;
}

}  // namespace

FrameScanner::Step FrameScanner::next(std::string_view input) {
  Step step;
  if (lost_) return {.size = input.size()};
  if (between_frames() && !input.empty()) {
    // Redis takes empty lines between commands for nothing.
    const auto first = way_ == Way::to_server ? input.find_first_not_of("\r\n") : 0;
    if (first != 0) return {.size = std::min(first, input.size())};
    step.starts = true;
    is_push_ = way_ == Way::to_client && input.front() == '>';
  }
  done_ = false;
  while (step.size < input.size() && !done_) {
    const auto rest = input.substr(step.size);
    step.size += body_ > 0 ? read_body(rest) : read_line(rest);
    if (lost_) return {.size = input.size()};
  }
  step.ends = done_;
  step.is_push = is_push_;
  return step;
}

std::size_t FrameScanner::read_body(std::string_view input) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_, input.size()));
  body_ -= size;
  if (body_ == 0) element_done();
  return size;
}

std::size_t FrameScanner::read_line(std::string_view input) {
  const auto end = input.find('\n');
  const auto text = input.substr(0, end);
  line_.append(text.substr(0, kMaxHeader - std::min(kMaxHeader, line_.size())));
  if (end == std::string_view::npos) return input.size();
  lost_ = line_.empty() || !interpret();
  line_.clear();
  return end + 1;
}

bool FrameScanner::interpret() {
  const char type = line_.front();
  if (way_ == Way::to_server && open_.empty() && type != '*') {
    element_done();  // an inline command
    return true;
  }
  constexpr std::string_view kLines = "+-:_#,(";
  if (kLines.find(type) != std::string_view::npos) {
    element_done();
    return true;
  }
  constexpr std::string_view kOthers = "$!=*~>%|";
  if (kOthers.find(type) == std::string_view::npos || line_.size() >= kMaxHeader) return false;
  const auto count = number(std::string_view(line_).substr(1));
  if (!count) return false;
  const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(*count, 0));
  switch (type) {
    case '$':
    case '!':
    case '=':
      if (size > kMaxBulk) return false;
      if (*count < 0) {
        element_done();
      } else {
        body_ = size + 2;
      }
      return true;
    case '%':
      return size <= kMaxElements && open(2 * size);
    case '|':
      // It is no element itself: whoever holds it waits for one more.
      if (open_.empty()) {
        open_.push_back(2);
      } else {
        ++open_.back();
      }
      return size <= kMaxElements && open(2 * size);
    default:
      return size <= kMaxElements && open(size);
  }
}

bool FrameScanner::open(std::uint64_t elements) {
  if (open_.size() >= kMaxDepth) return false;
  if (elements == 0) {
    element_done();
  } else {
    open_.push_back(elements);
  }
  return true;
}

void FrameScanner::element_done() {
  while (!open_.empty() && --open_.back() == 0) open_.pop_back();
  done_ = open_.empty();
}

}  // namespace nearlane::harness
