#include "servers/http/fast_lane.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/base/epoch.h"
#include "servers/http/conditions.h"
#include "servers/http/encoding.h"
#include "servers/http/fast_request.h"
#include "servers/http/http_date.h"
#include "servers/http/messages.h"

namespace nearlane::http {

namespace {

/// entity_tag() of a value as it is, in place.
class Tag {
 public:
  explicit Tag(std::uint64_t digest) noexcept {
    for (std::size_t i = 16; i > 0; --i, digest >>= 4U) text_[i] = kHex[digest & 15U];
  }
  [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), text_.size()}; }

  static constexpr std::string_view kPlace = "\"0000000000000000\"";

 private:
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::array<char, kPlace.size()> text_ = {'"', '0', '0', '0', '0', '0', '0', '0', '0',
                                           '0', '0', '0', '0', '0', '0', '0', '0', '"'};
};

/// A head that is ready but for its tag, and for what comes behind it.
class ReadyHead {
 public:
  ReadyHead() = default;
  explicit ReadyHead(std::string text) : text_(std::move(text)), tag_at_(text_.find(Tag::kPlace)) {}

  void append_to(std::string& out, const Tag& tag) const {
    const std::size_t from = out.size();
    out.append(text_);
    const std::string_view written = tag.text();
    std::copy(written.begin(), written.end(),
              out.begin() + static_cast<std::ptrdiff_t>(from + tag_at_));
  }

 private:
  std::string text_;
  std::size_t tag_at_ = 0;
};

/// The heads of this second; the fields in the order in which the Beast lane has them.
struct ReadyHeads {
  std::string date = {};
  ReadyHead ok = {};            // up to the number of Content-Length
  ReadyHead not_modified = {};  // all of it
};

const ReadyHeads& ready_heads() {
  thread_local ReadyHeads heads;
  const std::string& date = http_date();
  if (heads.date != date) {
    const std::string validators =
        "\r\nCache-Control: private, no-cache\r\nETag: " + std::string(Tag::kPlace) +
        "\r\nVary: Accept-Encoding\r\nX-Cache: L1\r\n";
    heads.date = date;
    heads.ok = ReadyHead("HTTP/1.1 200 OK" + validators +
                         "Content-Type: application/octet-stream\r\nDate: " + date +
                         "\r\nContent-Length: ");
    heads.not_modified =
        ReadyHead("HTTP/1.1 304 Not Modified" + validators + "Date: " + date + "\r\n\r\n");
  }
  return heads;
}

/// Appends the answer. True: but for the value, which is too large to be copied.
bool append_hit(std::string& out, const FastRequest& request, const Entry& entry) {
  const Tag tag(entry.digest());
  const ReadyHeads& heads = ready_heads();
  if (request.if_none_match && lists_tag(*request.if_none_match, tag.text())) {
    heads.not_modified.append_to(out, tag);
    return false;
  }
  const std::string_view value = entry.value();
  std::array<char, 24> length;
  char* end = std::to_chars(length.data(), length.data() + length.size(), value.size()).ptr;
  end = std::copy_n("\r\n\r\n", 4, end);
  heads.ok.append_to(out, tag);
  out.append(length.data(), end);
  if (request.head) return false;
  if (value.size() > kGatherBytes) return true;
  out.append(value);
  return false;
}

}  // namespace

FastAnswers FastLane::answer(std::string_view input, TimePoint now, Caller& caller,
                             std::string& out) const {
  FastAnswers answers;
  const epoch::Guard guard;
  while (out.size() < kFlushBytes && !answers.body) {
    DecodedKey decoded;
    const auto request = scan_fast(input.substr(answers.bytes), decoded);
    if (!request || !caller.admitted(request->authorization, request->api_key)) break;
    const Entry* entry = tier_.find(KeyRef(db_, request->key), now);
    // What L1 has is the value as it is; whoever does not accept that is told so by the routes.
    if (entry == nullptr || choose_coding(request->accept_encoding, false) != Coding::identity) {
      answers.looked_up = EntryPtr::pin(entry);
      break;
    }
    if (append_hit(out, *request, *entry)) answers.body = EntryPtr::pin(entry);
    answers.bytes += request->size;
    ++(request->head ? answers.heads : answers.gets);
  }
  return answers;
}

}  // namespace nearlane::http
