#include "harness/workload/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#define TOML_EXCEPTIONS 0
// toml++ asserts that no key starts as in "[*", and then reports the error properly. What an operator
// wrote must not abort a debug build.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

namespace nearlane::harness {

struct SettingsNode {
  using Table = std::map<std::string, std::unique_ptr<SettingsNode>, std::less<>>;
  using List = std::vector<std::unique_ptr<SettingsNode>>;
  std::variant<bool, std::int64_t, double, std::string, List, Table, std::monostate> value;
  int line = 0;
  std::string name;             // dotted path, for messages
  std::set<std::string> asked;  // keys that a reader asked a table for
};

namespace {

constexpr int kMaxDepth = 16;  // tables in tables; a scenario has three

std::unique_ptr<SettingsNode> convert(const toml::node& from, std::string name, int depth) {
  auto node = std::make_unique<SettingsNode>();
  node->line = static_cast<int>(from.source().begin.line);
  node->name = std::move(name);
  node->value = std::monostate{};
  if (depth > kMaxDepth) return node;
  if (const auto* flag = from.as_boolean()) {
    node->value = flag->get();
  } else if (const auto* integer = from.as_integer()) {
    node->value = integer->get();
  } else if (const auto* number = from.as_floating_point()) {
    node->value = number->get();
  } else if (const auto* text = from.as_string()) {
    node->value = text->get();
  } else if (const auto* list = from.as_array()) {
    SettingsNode::List items;
    for (const auto& item : *list) items.push_back(convert(item, node->name, depth + 1));
    node->value = std::move(items);
  } else if (const auto* table = from.as_table()) {
    SettingsNode::Table entries;
    for (const auto& [key, item] : *table) {
      const std::string word(key.str());
      auto child = convert(item, node->name.empty() ? word : node->name + "." + word, depth + 1);
      child->line = static_cast<int>(key.source().begin.line);
      entries.emplace(word, std::move(child));
    }
    node->value = std::move(entries);
  }
  return node;
}

void collect_unknown(const SettingsNode& node, std::vector<std::pair<int, std::string>>& problems) {
  if (const auto* list = std::get_if<SettingsNode::List>(&node.value)) {
    for (const auto& item : *list) collect_unknown(*item, problems);
  }
  const auto* table = std::get_if<SettingsNode::Table>(&node.value);
  if (table == nullptr) return;
  for (const auto& [key, child] : *table) {
    if (node.asked.contains(key)) {
      collect_unknown(*child, problems);
      continue;
    }
    const auto guess = nearest(key, node.asked);
    problems.emplace_back(
        child->line, fmt::format("unknown key '{}'{}{}", key,
                                 node.name.empty() ? "" : fmt::format(" in [{}]", node.name),
                                 guess.empty() ? "" : fmt::format("; did you mean '{}'?", guess)));
  }
}

/// Splits "12.5ms" into its number and its unit.
bool split_unit(std::string_view text, double& number, std::string_view& unit) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return false;
  unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  double number = 0;
  std::string_view unit;
  if (split_unit(text, number, unit)) {
    for (const auto& [name, ns] : kUnits) {
      if (unit == name && number * ns < 9e18) {
        return Duration(static_cast<std::int64_t>(std::llround(number * ns)));
      }
    }
  }
  return Error{Errc::invalid_argument,
               fmt::format("'{}' is no duration (like 250ms; units ns us ms s m h)", text)};
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1},     {"B", 1},      {"KB", 1e3},        {"MB", 1e6},
      {"GB", 1e9}, {"KiB", 1024}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  double number = 0;
  std::string_view unit;
  if (split_unit(text, number, unit)) {
    for (const auto& [name, size] : kUnits) {
      if (unit == name && number * size < 9e18) {
        return static_cast<std::uint64_t>(std::llround(number * size));
      }
    }
  }
  return Error{
      Errc::invalid_argument,
      fmt::format("'{}' is no size (like 3.5KB or 64KiB; units B KB MB GB KiB MiB GiB)", text)};
}

std::string nearest(std::string_view word, const std::set<std::string>& candidates) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), 0U);
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t change = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
      }
    }
    if (row.back() < least) {
      least = row.back();
      best = candidate;
    }
  }
  return best;
}

Settings::Settings(Settings&&) noexcept = default;
Settings& Settings::operator=(Settings&&) noexcept = default;
Settings::~Settings() = default;

Result<Settings> Settings::parse(std::string_view text, std::string file) {
  if (text.size() > kMaxBytes) {
    return Error{Errc::invalid_argument, fmt::format("{}: larger than 1 MiB", file)};
  }
  const auto parsed = toml::parse(text);
  if (!parsed) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}:{}: {}", file, parsed.error().source().begin.line,
                             parsed.error().description())};
  }
  Settings settings;
  settings.file_ = std::move(file);
  settings.text_ = std::string(text);
  settings.root_ = convert(parsed.table(), "", 0);
  return settings;
}

Result<Settings> Settings::load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) {
    return Error{Errc::invalid_argument, fmt::format("{}: cannot be read", path)};
  }
  return parse(text, path);
}

Section Settings::root() { return {*this, root_.get()}; }

std::string Settings::hash() const {
  const auto digest = XXH3_128bits(text_.data(), text_.size());
  return fmt::format("xxh3-128:{:016x}{:016x}", digest.high64, digest.low64);
}

Result<void> Settings::finish() const {
  auto problems = problems_;
  collect_unknown(*root_, problems);
  if (problems.empty()) return {};
  std::stable_sort(problems.begin(), problems.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string all;
  for (const auto& [line, what] : problems) {
    fmt::format_to(std::back_inserter(all), "{}{}:{}: {}", all.empty() ? "" : "\n", file_, line,
                   what);
  }
  return Error{Errc::invalid_argument, all};
}

SettingsNode* Section::ask(std::string_view key) {
  if (node_ == nullptr) return nullptr;
  auto* table = std::get_if<SettingsNode::Table>(&node_->value);
  if (table == nullptr) return nullptr;
  node_->asked.emplace(key);
  const auto found = table->find(key);
  return found == table->end() ? nullptr : found->second.get();
}

void Section::wrong(const SettingsNode& at, std::string_view key, std::string_view wanted) {
  all_->problems_.emplace_back(at.line, fmt::format("'{}' must be {}", key, wanted));
}

void Section::problem(std::string_view key, const std::string& what) {
  const auto* at = ask(key);
  const int line = at != nullptr ? at->line : node_ != nullptr ? node_->line : 0;
  all_->problems_.emplace_back(line, fmt::format("'{}' {}", key, what));
}

bool Section::has(std::string_view key) { return ask(key) != nullptr; }

std::int64_t Section::integer(std::string_view key, std::int64_t otherwise, std::int64_t least,
                              std::int64_t most) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  const auto* value = std::get_if<std::int64_t>(&found->value);
  if (value != nullptr && *value >= least && *value <= most) return *value;
  wrong(*found, key, fmt::format("an integer from {} to {}", least, most));
  return otherwise;
}

double Section::number(std::string_view key, double otherwise, double least, double most) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  double value = std::nan("");
  if (const auto* real = std::get_if<double>(&found->value)) value = *real;
  if (const auto* whole = std::get_if<std::int64_t>(&found->value)) {
    value = static_cast<double>(*whole);
  }
  if (value >= least && value <= most) return value;
  wrong(*found, key, fmt::format("a number from {} to {}", least, most));
  return otherwise;
}

bool Section::flag(std::string_view key, bool otherwise) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  if (const auto* value = std::get_if<bool>(&found->value)) return *value;
  wrong(*found, key, "true or false");
  return otherwise;
}

std::string Section::text(std::string_view key, std::string otherwise) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  if (const auto* value = std::get_if<std::string>(&found->value)) return *value;
  wrong(*found, key, "text in quotes");
  return otherwise;
}

std::string Section::choice(std::string_view key, std::string otherwise,
                            const std::vector<std::string>& choices) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  const auto* value = std::get_if<std::string>(&found->value);
  if (value != nullptr && std::find(choices.begin(), choices.end(), *value) != choices.end()) {
    return *value;
  }
  wrong(*found, key, fmt::format("one of {}", fmt::join(choices, ", ")));
  return otherwise;
}

std::vector<std::string> Section::some_of(std::string_view key,
                                          const std::vector<std::string>& choices) {
  auto read = texts(key, choices);
  const auto known = [&](const std::string& name) {
    return std::find(choices.begin(), choices.end(), name) != choices.end();
  };
  if (std::all_of(read.begin(), read.end(), known)) return read;
  wrong(*ask(key), key, fmt::format("some of {}", fmt::join(choices, ", ")));
  return choices;
}

Duration Section::duration(std::string_view key, Duration otherwise, Duration least,
                           Duration most) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  if (const auto* value = std::get_if<std::string>(&found->value)) {
    const auto read = parse_duration(*value);
    if (read && *read >= least && *read <= most) return *read;
  }
  wrong(*found, key,
        fmt::format("a duration like \"250ms\", from {} ns to {} ns", least.count(), most.count()));
  return otherwise;
}

std::uint64_t Section::bytes(std::string_view key, std::uint64_t otherwise, std::uint64_t least,
                             std::uint64_t most) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  std::uint64_t value = UINT64_MAX;
  if (const auto* whole = std::get_if<std::int64_t>(&found->value); whole != nullptr) {
    value = *whole < 0 ? UINT64_MAX : static_cast<std::uint64_t>(*whole);
  } else if (const auto* written = std::get_if<std::string>(&found->value)) {
    if (const auto read = parse_bytes(*written)) value = *read;
  }
  if (value >= least && value <= most) return value;
  wrong(*found, key, fmt::format("a size like 3500 or \"64KiB\", from {} to {}", least, most));
  return otherwise;
}

std::vector<std::string> Section::texts(std::string_view key, std::vector<std::string> otherwise) {
  const auto* found = ask(key);
  if (found == nullptr) return otherwise;
  std::vector<std::string> read;
  const auto* list = std::get_if<SettingsNode::List>(&found->value);
  bool good = list != nullptr;
  for (std::size_t i = 0; good && i < list->size(); ++i) {
    const auto* item = std::get_if<std::string>(&(*list)[i]->value);
    good = item != nullptr;
    if (good) read.push_back(*item);
  }
  if (good) return read;
  wrong(*found, key, "a list of texts");
  return otherwise;
}

std::map<std::string, double> Section::numbers(std::string_view key,
                                               const std::vector<std::string>& names, double least,
                                               double most) {
  std::map<std::string, double> read;
  auto table = section(key);
  for (const auto& name : names) {
    if (table.has(name)) read[name] = table.number(name, 0, least, most);
  }
  return read;
}

std::vector<std::pair<std::uint64_t, double>> Section::sizes(std::string_view key,
                                                             std::uint64_t least,
                                                             std::uint64_t most) {
  std::vector<std::pair<std::uint64_t, double>> read;
  const auto* found = ask(key);
  if (found == nullptr) return read;
  const auto* list = std::get_if<SettingsNode::List>(&found->value);
  bool good = list != nullptr && !list->empty();
  for (std::size_t i = 0; good && i < list->size(); ++i) {
    const auto* pair = std::get_if<SettingsNode::List>(&(*list)[i]->value);
    good = pair != nullptr && pair->size() == 2;
    if (!good) break;
    const auto* size = std::get_if<std::int64_t>(&(*pair)[0]->value);
    const auto* share = std::get_if<double>(&(*pair)[1]->value);
    good = size != nullptr && *size >= 0 && static_cast<std::uint64_t>(*size) >= least &&
           static_cast<std::uint64_t>(*size) <= most && share != nullptr && *share > 0 &&
           *share <= 1;
    if (good) read.emplace_back(static_cast<std::uint64_t>(*size), *share);
  }
  if (good) return read;
  wrong(*found, key,
        fmt::format("a list of [bytes, share] pairs, bytes {} to {}, share above 0.0 to 1.0", least,
                    most));
  return {};
}

Section Section::section(std::string_view key) {
  auto* found = ask(key);
  if (found != nullptr && !std::holds_alternative<SettingsNode::Table>(found->value)) {
    wrong(*found, key, "a table");
    found = nullptr;
  }
  return {*all_, found};
}

std::vector<Section> Section::sections(std::string_view key) {
  std::vector<Section> read;
  auto* found = ask(key);
  if (found == nullptr) return read;
  auto* list = std::get_if<SettingsNode::List>(&found->value);
  if (list == nullptr) {
    wrong(*found, key, fmt::format("an array of tables, [[{}]]", key));
    return read;
  }
  for (auto& item : *list) {
    if (!std::holds_alternative<SettingsNode::Table>(item->value)) {
      wrong(*item, key, fmt::format("an array of tables, [[{}]]", key));
      continue;
    }
    read.push_back(Section(*all_, item.get()));
  }
  return read;
}

}  // namespace nearlane::harness
