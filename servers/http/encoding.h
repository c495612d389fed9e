// Content codings: which of those that we know a client accepts, and how gladly.
//
// Units:     weights in thousandths; 0 refuses.
// Threads:   plain functions.
// Cost:      one pass over the field; no allocation.
// Source:    RFC 9110 section 12.5.3.
#pragma once

#include <optional>
#include <string_view>

#include "core/entry/entry.h"

namespace nearlane::http {

/// "" for identity, as EntityTag and Content-Encoding want it.
[[nodiscard]] std::string_view name_of(Coding coding) noexcept;

/// What a client accepts; at first, what it accepts that does not say.
struct Weights {
  int identity = 1000;
  int gzip = 0;
  int br = 0;

  [[nodiscard]] int of(Coding coding) const noexcept {
    return coding == Coding::br ? br : coding == Coding::gzip ? gzip : identity;
  }
};

/// Of an Accept-Encoding field, if there is one.
[[nodiscard]] Weights parse_accept_encoding(std::optional<std::string_view> accept);

/// What there is beside identity.
struct Offer {
  bool gzip = false;
  bool br = false;
};

/// The coding to answer in: among equals the smaller one. Nothing: the client accepts none that there is.
[[nodiscard]] std::optional<Coding> choose_coding(const Weights& weights, const Offer& offer);

}  // namespace nearlane::http
