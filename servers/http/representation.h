// Representation: in which form an entry answers a GET or HEAD: the one place where that is chosen.
//
// By what the client accepts (Accept-Encoding) and what the entry has; each form has a strong entity tag of its own,
// and a client that already has an acceptable form of the value is told so, whichever it is: forms come and go beside
// the value, and a tag says which value it is a form of.
//
// Lifetime:  views the header's fields, which the caller keeps for the call.
// Threads:   plain functions.
// Cost:      a pass over the fields; no allocation but for a tag that is compared.
// Source:    RFC 9110 sections 8.8.3.3, 12.5.3 and 13.1.2.
#pragma once

#include <optional>
#include <string_view>

#include "core/entry/entry.h"
#include "servers/http/encoding.h"

namespace nearlane::http {

struct Representation {
  Coding coding = Coding::identity;
  bool unchanged = false;  // the client has it: 304
};

/// What the request says of the forms that it takes.
struct Preference {
  Weights accepted = {};  // by Accept-Encoding
  std::optional<std::string_view> if_none_match = {};
};

/// What the entry has.
[[nodiscard]] Offer offer_of(const Entry& entry) noexcept;

/// Nothing: the client accepts no form that is on offer (406).
[[nodiscard]] std::optional<Representation> choose_representation(const Preference& preference,
                                                                  const Entry& entry,
                                                                  const Offer& offer);

}  // namespace nearlane::http
