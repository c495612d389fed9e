#include "servers/nearlane/config.h"

#include <map>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

// toml++ asserts that no key starts as in "[*", and then reports the error properly. What an operator
// wrote must not abort a debug build.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

#include "servers/nearlane/command_line.h"
#include "servers/nearlane/options.h"
#include "servers/nearlane/version.h"

namespace nearlane::server {

namespace {

Error bad(std::string text) { return {Errc::invalid_argument, std::move(text)}; }

/// A value and where it was found, for the error that it may deserve.
struct Given {
  std::string text;
  std::string where;
};

using Values = std::map<std::string_view, Given>;  // by option

Result<std::string> to_text(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* boolean = node.as_boolean())
    return std::string(boolean->get() ? "true" : "false");
  return bad(where + ": must be a string, a whole number or a boolean");
}

struct File {
  Values values;
  std::vector<PrefixConfig> prefixes;
};

Result<PrefixConfig> read_prefix(const toml::table& table, const std::string& path) {
  PrefixConfig prefix;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const std::string where = fmt::format("{}:{}: prefix.{}", path, key.source().begin.line, name);
    const auto settings = prefix_settings();
    const auto known =
        std::find_if(settings.begin(), settings.end(),
                     [&](const PrefixSetting& setting) { return setting.key == name; });
    if (known == settings.end()) return bad(where + ": unknown key");
    const auto text = to_text(node, where);
    if (text.has_error()) return text.error();
    if (const auto problem = known->set(prefix, *text)) return bad(where + ": " + *problem);
    if (name == "touch_coalescing") prefix.touch_coalescing_at = where;
    if (name == "lanes") prefix.lanes_at = where;
  }
  if (prefix.match.empty()) {
    return bad(fmt::format("{}:{}: prefix.match: missing; which keys are meant?", path,
                           table.source().begin.line));
  }
  return prefix;
}

Result<std::vector<PrefixConfig>> read_prefixes(const toml::node& node, unsigned line,
                                                const std::string& path) {
  const auto* tables = node.as_array();
  if (tables == nullptr || !tables->is_array_of_tables()) {
    return bad(fmt::format("{}:{}: prefix: must be tables, each headed [[prefix]]", path, line));
  }
  std::vector<PrefixConfig> prefixes;
  for (const auto& table : *tables) {
    auto prefix = read_prefix(*table.as_table(), path);
    if (prefix.has_error()) return prefix.error();
    const bool twice =
        std::any_of(prefixes.begin(), prefixes.end(),
                    [&](const PrefixConfig& other) { return other.match == prefix->match; });
    if (twice) {
      return bad(fmt::format("{}:{}: prefix.match: \"{}\" has a table already", path,
                             table.source().begin.line, prefix->match));
    }
    prefixes.push_back(std::move(*prefix));
  }
  return prefixes;
}

Result<File> read_file(const std::string& path) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& broken) {
    return bad(fmt::format("{}:{}: {}", path, broken.source().begin.line, broken.description()));
  }
  File file;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (name == "prefix") {
      auto prefixes = read_prefixes(node, key.source().begin.line, path);
      if (prefixes.has_error()) return prefixes.error();
      file.prefixes = std::move(*prefixes);
      continue;
    }
    const std::string where = fmt::format("{}:{}: {}", path, key.source().begin.line, name);
    const auto known = std::find_if(options().begin(), options().end(),
                                    [&](const Option& option) { return option.key() == name; });
    if (known == options().end()) return bad(where + ": unknown key");
    auto text = to_text(node, where);
    if (text.has_error()) return text.error();
    file.values[known->name] = {std::move(*text), where};
  }
  return file;
}

struct Flags {
  Values values;
  std::string config;
  std::string answer;  // of --help and --version
};

Result<Flags> read_flags(std::vector<std::string> args) {
  // `nearlane serve` is `nearlane`.
  if (!args.empty() && args.front() == "serve") args.erase(args.begin());
  CLI::App app("Nearlane, a two-tier session cache server", "nearlane");
  app.set_version_flag("--version", std::string("nearlane ") + kVersion);
  Flags flags;
  app.add_option("--config", flags.config,
                 "TOML file whose keys are these flags, l1_bytes for --l1-bytes");
  std::map<std::string_view, std::string> texts;
  std::map<std::string_view, bool> switches;
  for (const Option& option : options()) {
    const std::string flag = "--" + std::string(option.name);
    const std::string help(option.help);
    if (option.value.empty()) {
      app.add_flag(flag, switches[option.name], help);
    } else {
      app.add_option(flag, texts[option.name], help)->type_name(std::string(option.value));
    }
  }
  std::string prefixes =
      "[[prefix]] tables of the file, for the keys that begin with `match`; the longest decides:\n";
  for (const PrefixSetting& setting : prefix_settings()) {
    prefixes += fmt::format("  {:<28}{}\n", setting.key, setting.help);
  }
  app.footer(prefixes);
  auto answer = read_command_line(app, std::move(args));
  if (answer.has_error()) return answer.error();
  flags.answer = std::move(*answer);
  if (!flags.answer.empty()) return flags;
  for (const Option& option : options()) {
    const std::string flag = "--" + std::string(option.name);
    if (app.count(flag) == 0) continue;
    flags.values[option.name] = {option.value.empty() ? "true" : texts[option.name], flag};
  }
  return flags;
}

/// What is wrong with a prefix and something that is said elsewhere, or nothing.
std::optional<std::string> contradiction(const PrefixConfig& prefix, const Config& config) {
  if (prefix.touch_coalescing && prefix.l1_ttl.value_or(config.l1_ttl).count() != 0) {
    return prefix.touch_coalescing_at +
           ": needs l1_ttl = 0, since a copy whose age is capped does not tell when L2 ends the "
           "key";
  }
  if (prefix.bulk && config.l2.starts_with("redis+cluster://")) {
    return prefix.lanes_at +
           ": over redis+cluster:// slots say which lane a key belongs to, and no keys have lanes "
           "of their own";
  }
  // What lies in this process has no lanes.
  if (prefix.bulk && config.l2.starts_with("redis") && config.bulk_lanes >= config.pool) {
    return fmt::format("{}: --bulk-lanes {} of --pool {} leaves no lanes for other keys",
                       prefix.lanes_at, config.bulk_lanes, config.pool);
  }
  return {};
}

}  // namespace

Result<Invocation> read_config(const std::vector<std::string>& args,
                               const Environment& environment) {
  auto flags = read_flags(args);
  if (flags.has_error()) return flags.error();
  Invocation invocation{.config = {}, .answer = flags->answer};
  if (!invocation.answer.empty()) return invocation;

  std::string file = flags->config;
  if (file.empty()) {
    if (const char* named = environment("NEARLANE_CONFIG")) file = named;
  }
  Values values;
  if (!file.empty()) {
    auto read = read_file(file);
    if (read.has_error()) return read.error();
    values = std::move(read->values);
    invocation.config.prefixes = std::move(read->prefixes);
  }
  for (const Option& option : options()) {
    const std::string variable = option.variable();
    if (const char* text = environment(variable.c_str())) values[option.name] = {text, variable};
  }
  for (auto& [name, given] : flags->values) values[name] = std::move(given);

  Config& config = invocation.config;
  for (const Option& option : options()) {
    const auto given = values.find(option.name);
    if (given == values.end()) continue;
    if (const auto problem = option.set(config, given->second.text)) {
      return bad(given->second.where + ": " + *problem);
    }
  }
  for (const PrefixConfig& prefix : config.prefixes) {
    if (auto wrong = contradiction(prefix, config)) return bad(std::move(*wrong));
  }
  if (const auto problem = apply_profile(config)) return bad(*problem);
  return invocation;
}

}  // namespace nearlane::server
