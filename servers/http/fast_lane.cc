#include "servers/http/fast_lane.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/base/epoch.h"
#include "servers/http/conditions.h"
#include "servers/http/http_date.h"
#include "servers/http/messages.h"
#include "servers/http/representation.h"

namespace nearlane::http {

namespace {

/// A head that is ready but for its tag's digits, and for what comes behind it.
class ReadyHead {
 public:
  ReadyHead() = default;
  explicit ReadyHead(std::string text)
      : text_(std::move(text)), digits_at_(text_.find(EntityTag(0, "").digits())) {}

  void append_to(std::string& out, const EntityTag& tag) const {
    const std::size_t from = out.size();
    out.append(text_);
    const std::string_view written = tag.digits();
    std::copy(written.begin(), written.end(),
              out.begin() + static_cast<std::ptrdiff_t>(from + digits_at_));
  }

 private:
  std::string text_;
  std::size_t digits_at_ = 0;
};

/// Of one coding; the fields in the order in which the Beast lane has them.
struct HeadsOfForm {
  ReadyHead to_type = {};       // of a 200, up to the value of Content-Type
  std::string from_type = {};   // what is behind that, up to the number of Content-Length
  ReadyHead not_modified = {};  // all of it
};

HeadsOfForm heads_of(Coding coding, tier::Source source, const std::string& date) {
  const std::string validators =
      "\r\nCache-Control: private, no-cache\r\nETag: " +
      std::string(EntityTag(0, name_of(coding)).text()) +
      "\r\nVary: Accept-Encoding\r\nX-Cache: " + std::string(x_cache(source)) + "\r\n";
  const std::string coded = coding == Coding::identity
                                ? ""
                                : "Content-Encoding: " + std::string(name_of(coding)) + "\r\n";
  return {.to_type = ReadyHead("HTTP/1.1 200 OK" + validators + "Content-Type: "),
          .from_type = "\r\n" + coded + "Date: " + date + "\r\nContent-Length: ",
          .not_modified =
              ReadyHead("HTTP/1.1 304 Not Modified" + validators + "Date: " + date + "\r\n\r\n")};
}

/// Of this second. `source` is l1 or stale.
const HeadsOfForm& ready_heads(Coding coding, tier::Source source) {
  struct ReadyHeads {
    std::string date = {};
    std::array<HeadsOfForm, 3> fresh = {};  // by Coding
    std::array<HeadsOfForm, 3> stale = {};
  };
  thread_local ReadyHeads heads;
  const std::string& date = http_date();
  if (heads.date != date) {
    heads.date = date;
    for (const Coding each : {Coding::identity, Coding::gzip, Coding::br}) {
      heads.fresh[static_cast<std::size_t>(each)] = heads_of(each, tier::Source::l1, date);
      heads.stale[static_cast<std::size_t>(each)] = heads_of(each, tier::Source::stale, date);
    }
  }
  const auto& heads_by_form = source == tier::Source::stale ? heads.stale : heads.fresh;
  return heads_by_form[static_cast<std::size_t>(coding)];
}

/// Appends the answer; its body, where that is too large to be copied.
PinnedBody append_hit(std::string& out, const FastRequest& request, const Entry& entry,
                      tier::Source source, const Representation& chosen, std::string_view type) {
  const EntityTag tag(entry.digest(), "");
  const HeadsOfForm& heads = ready_heads(chosen.coding, source);
  if (chosen.unchanged) {
    heads.not_modified.append_to(out, tag);
    return {};
  }
  const std::string_view body = entry.form(chosen.coding);
  std::array<char, 24> length;
  char* end = std::to_chars(length.data(), length.data() + length.size(), body.size()).ptr;
  end = std::copy_n("\r\n\r\n", 4, end);
  heads.to_type.append_to(out, tag);
  out.append(type).append(heads.from_type);
  out.append(length.data(), static_cast<std::size_t>(end - length.data()));
  if (request.head) return {};
  if (body.size() > kGatherBytes) return {EntryPtr::pin(&entry), chosen.coding};
  out.append(body);
  return {};
}

}  // namespace

FastAnswers FastLane::answer(std::string_view input, TimePoint now, FastReader& reader,
                             Caller& caller, std::string& out) const {
  FastAnswers answers;
  const epoch::Guard guard;
  while (out.size() < kFlushBytes && !answers.body) {
    DecodedKey decoded;
    const auto request = reader.read(input.substr(answers.bytes), decoded);
    if (!request || !caller.admitted(request->fields.authorization, request->fields.api_key)) break;
    const KeyRef key(db_, request->key);
    tier::Source source = tier::Source::l1;
    const Entry* entry = tier_.find_typed(key, now);
    if (entry == nullptr) {
      entry = tier_.find_stale(key, now);
      source = entry == nullptr ? tier::Source::miss : tier::Source::stale;
    }
    // Who accepts none of the forms that there are is told so by the routes.
    const auto chosen =
        entry == nullptr ? std::nullopt
                         : choose_representation({.accepted = request->fields.accepted,
                                                  .if_none_match = request->fields.if_none_match},
                                                 *entry, offer_of(*entry));
    if (!chosen) {
      answers.looked_up = tier::Lookup{EntryPtr::pin(entry), source};
      break;
    }
    tier_.want_forms(*entry);
    answers.body = append_hit(out, *request, *entry, source, *chosen, tier_.content_type(*entry));
    answers.bytes += request->size;
    ++(request->head ? answers.heads : answers.gets);
  }
  return answers;
}

}  // namespace nearlane::http
