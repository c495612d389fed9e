#include "servers/http/range.h"

#include <charconv>

#include "servers/http/text.h"

namespace nearlane::http {
namespace {

constexpr std::string_view kUnit = "bytes=";

/// Digits and nothing else. More of them than fit are as good as the end of every body.
bool parse_position(std::string_view text, std::optional<std::uint64_t>& position) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size() || failed == std::errc::invalid_argument) return false;
  position = failed == std::errc::result_out_of_range ? ~std::uint64_t{0} : number;
  return true;
}

}  // namespace

std::optional<RangeSpec> parse_range(std::string_view field) {
  field = trim(field);
  if (!is_word(field.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  const std::string_view range = trim(field.substr(kUnit.size()));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first = range.substr(0, dash);
  const std::string_view last = range.substr(dash + 1);
  RangeSpec spec;
  if (!first.empty() && !parse_position(first, spec.first)) return std::nullopt;
  if (!last.empty() && !parse_position(last, spec.last)) return std::nullopt;
  if (!spec.first && !spec.last) return std::nullopt;
  if (spec.first && spec.last && *spec.last < *spec.first) return std::nullopt;
  return spec;
}

std::optional<Range> resolve(const RangeSpec& spec, std::uint64_t size) noexcept {
  if (!spec.first) {
    const std::uint64_t suffix = std::min(spec.last.value_or(0), size);
    if (suffix == 0) return std::nullopt;
    return Range{.first = size - suffix, .size = suffix};
  }
  if (*spec.first >= size) return std::nullopt;
  const std::uint64_t last = std::min(spec.last.value_or(size - 1), size - 1);
  return Range{.first = *spec.first, .size = last - *spec.first + 1};
}

}  // namespace nearlane::http
