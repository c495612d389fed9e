// The tables of options and of prefix settings: name, help and how a value is read, once for flags, variables and TOML
//                       keys.
//
// Threads:  immutable.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "servers/nearlane/config.h"

namespace nearlane::server {

struct Option {
  std::string_view name;   // as a flag, without the dashes
  std::string_view value;  // what the help calls its value; empty: a switch
  std::string_view help;
  /// What is wrong with the text, or nothing.
  std::optional<std::string> (*set)(Config& config, std::string_view text);

  /// l1_bytes
  [[nodiscard]] std::string key() const;
  /// NEARLANE_L1_BYTES
  [[nodiscard]] std::string variable() const;
};

[[nodiscard]] std::span<const Option> options() noexcept;

/// A key of a [[prefix]] table.
struct PrefixSetting {
  std::string_view key;
  std::string_view help;
  std::optional<std::string> (*set)(PrefixConfig& prefix, std::string_view text);
};

[[nodiscard]] std::span<const PrefixSetting> prefix_settings() noexcept;

/// Fills in what a profile implies and nobody said. What is wrong, or nothing.
[[nodiscard]] std::optional<std::string> apply_profile(Config& config);

}  // namespace nearlane::server
