#include "servers/http/representation.h"

#include "servers/http/conditions.h"

namespace nearlane::http {

Offer offer_of(const Entry& entry) noexcept {
  return {.gzip = !entry.form(Coding::gzip).empty(), .br = !entry.form(Coding::br).empty()};
}

std::optional<Representation> choose_representation(const Preference& preference,
                                                    const Entry& entry, const Offer& offer) {
  const Weights& weights = preference.accepted;
  const auto chosen = choose_coding(weights, offer);
  if (preference.if_none_match) {
    const auto is_known = [&](Coding coding) {
      return lists_tag(*preference.if_none_match,
                       EntityTag(entry.digest(), name_of(coding)).text());
    };
    if (chosen && is_known(*chosen)) return Representation{*chosen, true};
    const bool any = is_star(*preference.if_none_match);
    for (const Coding coding : {Coding::br, Coding::gzip, Coding::identity}) {
      if (!any && weights.of(coding) > 0 && is_known(coding)) return Representation{coding, true};
    }
  }
  if (!chosen) return std::nullopt;
  return Representation{*chosen, false};
}

}  // namespace nearlane::http
