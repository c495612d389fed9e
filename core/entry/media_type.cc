#include "core/entry/media_type.h"

namespace nearlane {
namespace {

constexpr bool is_token_char(char c) noexcept {
  const bool alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// What is left of a text, from which its parts are taken one after the other.
class Rest {
 public:
  explicit Rest(std::string_view text) noexcept : text_(text) {}

  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
  bool take(char c) noexcept {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool take_token() noexcept {
    const std::size_t before = text_.size();
    while (!text_.empty() && is_token_char(text_.front())) text_.remove_prefix(1);
    return text_.size() != before;
  }
  bool take_quoted() noexcept {
    if (!take('"')) return false;
    while (!text_.empty()) {
      if (take('"')) return true;
      take('\\');
      if (text_.empty() || text_.front() < ' ' || text_.front() > '~') return false;
      text_.remove_prefix(1);
    }
    return false;
  }
  void take_spaces() noexcept {
    while (take(' ') || take('\t')) {
    }
  }
  [[nodiscard]] bool begins_with(char c) const noexcept {
    return !text_.empty() && text_.front() == c;
  }

 private:
  std::string_view text_;
};

}  // namespace

bool is_media_type(std::string_view text) noexcept {
  if (text.size() > kMostMediaType) return false;
  Rest rest(text);
  if (!rest.take_token() || !rest.take('/') || !rest.take_token()) return false;
  while (!rest.empty()) {
    rest.take_spaces();
    if (!rest.take(';')) return false;
    rest.take_spaces();
    // A semicolon need not have a parameter behind it.
    if (rest.empty() || rest.begins_with(';')) continue;
    if (!rest.take_token() || !rest.take('=')) return false;
    if (!rest.take_token() && !rest.take_quoted()) return false;
  }
  return true;
}

}  // namespace nearlane
