#include "servers/resp/set_options.h"

#include <limits>
#include <utility>

#include "core/protocol/integer.h"

namespace nearlane::resp {

namespace {

/// A time that Redis accepts: positive, and still a number in milliseconds when added to the clock.
std::optional<tier::Expiry> parse_expiry(std::string_view amount, bool seconds, bool absolute) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() / 4;
  const auto value = protocol::read_integer(amount);
  if (!value || *value <= 0 || *value > (seconds ? kMax / 1000 : kMax)) return std::nullopt;
  const std::int64_t ms = seconds ? *value * 1000 : *value;
  return absolute ? tier::Expiry::at(ms) : tier::Expiry::in(std::chrono::milliseconds(ms));
}

}  // namespace

std::optional<SetCommand> parse_set(std::span<const std::string_view> args) {
  if (args.size() < 3) return std::nullopt;
  SetCommand set{.value = args[2], .options = {}};
  bool has_condition = false;
  bool has_expiry = false;
  for (std::size_t i = 3; i < args.size(); ++i) {
    const std::string_view option = args[i];
    if (equals_ignoring_case(option, "nx") || equals_ignoring_case(option, "xx")) {
      if (std::exchange(has_condition, true)) return std::nullopt;
      set.options.condition =
          lower(option[0]) == 'n' ? tier::Condition::if_absent : tier::Condition::if_present;
      continue;
    }
    if (std::exchange(has_expiry, true)) return std::nullopt;
    if (equals_ignoring_case(option, "keepttl")) {
      set.options.expiry = tier::Expiry::keep();
      continue;
    }
    const bool seconds = equals_ignoring_case(option, "ex") || equals_ignoring_case(option, "exat");
    const bool millis = equals_ignoring_case(option, "px") || equals_ignoring_case(option, "pxat");
    if ((!seconds && !millis) || i + 1 == args.size()) return std::nullopt;
    const auto expiry = parse_expiry(args[++i], seconds, option.size() == 4);
    if (!expiry) return std::nullopt;
    set.options.expiry = *expiry;
  }
  return set;
}

std::optional<SetCommand> parse_setex(std::span<const std::string_view> args, bool milliseconds) {
  if (args.size() != 4) return std::nullopt;
  const auto expiry = parse_expiry(args[2], !milliseconds, false);
  if (!expiry) return std::nullopt;
  return SetCommand{.value = args[3], .options = {.expiry = *expiry}};
}

std::optional<std::chrono::milliseconds> parse_slide(std::span<const std::string_view> args,
                                                     bool milliseconds) {
  if (args.size() != 3) return std::nullopt;
  const auto expiry = parse_expiry(args[2], !milliseconds, false);
  if (!expiry) return std::nullopt;
  return std::chrono::milliseconds(expiry->milliseconds);
}

}  // namespace nearlane::resp
