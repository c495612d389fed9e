// A TOML document that is read by asking for keys, and that knows in the end which keys nobody
// asked for.
//
// A reader asks each section for the keys it knows, with a default and a range. Problems are
// collected instead of thrown, so that one look shows all of them; finish() adds every key that was
// never asked for, with the nearest one that was.
//
// Errors:   invalid_argument from parse() and finish(); detail is one line a problem, "FILE:LINE:
// what". Threads:  one. Lifetime: a Section points into its Settings, which must outlive it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace nearlane::harness {

struct SettingsNode;  // one TOML value with its line

class Section;

class Settings {
 public:
  /// Documents larger than this are refused.
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

  [[nodiscard]] static Result<Settings> parse(std::string_view text, std::string file);
  [[nodiscard]] static Result<Settings> load(const std::string& path);
  Settings(Settings&&) noexcept;
  Settings& operator=(Settings&&) noexcept;
  ~Settings();

  [[nodiscard]] Section root();
  /// Every problem so far, unknown keys among them; a value when there is none.
  [[nodiscard]] Result<void> finish() const;

  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  /// The document as it was read, and a hash of it, for a result's provenance.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] std::string hash() const;

 private:
  friend class Section;
  Settings() = default;

  std::string file_;
  std::string text_;
  std::unique_ptr<SettingsNode> root_;
  std::vector<std::pair<int, std::string>> problems_;
};

class Section {
 public:
  [[nodiscard]] bool has(std::string_view key);
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t otherwise,
                                     std::int64_t least, std::int64_t most);
  [[nodiscard]] double number(std::string_view key, double otherwise, double least, double most);
  [[nodiscard]] bool flag(std::string_view key, bool otherwise);
  [[nodiscard]] std::string text(std::string_view key, std::string otherwise);
  /// One of `choices`; anything else is a problem that lists them.
  [[nodiscard]] std::string choice(std::string_view key, std::string otherwise,
                                   const std::vector<std::string>& choices);
  /// Some of `choices`, and all where the key is absent; anything else is a problem that lists them.
  [[nodiscard]] std::vector<std::string> some_of(std::string_view key,
                                                 const std::vector<std::string>& choices);
  /// "250ms", "30m", "1.5s"; units ns us ms s m h.
  [[nodiscard]] Duration duration(std::string_view key, Duration otherwise, Duration least,
                                  Duration most);
  /// An integer number of bytes, or text with a unit: "3.5KB" (thousands), "64KiB" (1,024s).
  [[nodiscard]] std::uint64_t bytes(std::string_view key, std::uint64_t otherwise,
                                    std::uint64_t least, std::uint64_t most);
  [[nodiscard]] std::vector<std::string> texts(std::string_view key,
                                               std::vector<std::string> otherwise);
  /// A table of numbers, `{get = 0.9, set = 0.1}`; names outside `names` are unknown keys.
  [[nodiscard]] std::map<std::string, double> numbers(std::string_view key,
                                                      const std::vector<std::string>& names,
                                                      double least, double most);
  /// A list of [bytes, share] pairs.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, double>> sizes(std::string_view key,
                                                                    std::uint64_t least,
                                                                    std::uint64_t most);
  /// The table under `key`; an empty one when it is absent.
  [[nodiscard]] Section section(std::string_view key);
  /// Every table of the array `[[key]]`.
  [[nodiscard]] std::vector<Section> sections(std::string_view key);
  /// Adds a problem at the line of `key` that only the reader can know of.
  void problem(std::string_view key, const std::string& what);

 private:
  friend class Settings;
  Section(Settings& all, SettingsNode* node) : all_(&all), node_(node) {}
  SettingsNode* ask(std::string_view key);
  void wrong(const SettingsNode& at, std::string_view key, std::string_view wanted);

  Settings* all_;
  SettingsNode* node_;
};

/// Reads "250ms" and the like. Errors: invalid_argument.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
/// Reads "3.5KB", "64KiB", "512". Errors: invalid_argument.
[[nodiscard]] Result<std::uint64_t> parse_bytes(std::string_view text);
/// The candidate with the smallest edit distance to `word`, if it is near enough to be a slip.
[[nodiscard]] std::string nearest(std::string_view word, const std::set<std::string>& candidates);

}  // namespace nearlane::harness
