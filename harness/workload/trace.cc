#include "harness/workload/trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zstd.h>

#include "core/base/key.h"

namespace nearlane::harness {
namespace {

constexpr std::size_t kBuffer = std::size_t{64} * 1024;

constexpr std::array<std::string_view, 4> kEndings = {".twitter.csv.zst", ".twitter.csv",
                                                      ".oracleGeneral.zst", ".oracleGeneral"};

class FileSource final : public ByteSource {
 public:
  FileSource(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}
  ~FileSource() override { (void)std::fclose(file_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  Result<std::size_t> read(std::span<char> into) override {
    const auto got = std::fread(into.data(), 1, into.size(), file_);
    if (got == 0 && std::ferror(file_) != 0) {
      return Error{Errc::protocol, fmt::format("{}: cannot be read", path_)};
    }
    return got;
  }

 private:
  std::FILE* file_;
  std::string path_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<std::size_t> read(std::span<char> into) override {
    const auto step = std::min(into.size(), bytes_.size() - at_);
    std::memcpy(into.data(), bytes_.data() + at_, step);
    at_ += step;
    return step;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)), context_(ZSTD_createDCtx()), packed_(kBuffer) {}
  ~ZstdSource() override { (void)ZSTD_freeDCtx(context_); }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  Result<std::size_t> read(std::span<char> into) override {
    if (context_ == nullptr) return Error{Errc::busy, "zstd: out of memory"};
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !ended_) {
        const auto got = inner_->read(packed_);
        if (!got) return got.error();
        in_ = {packed_.data(), *got, 0};
        ended_ = *got == 0;
      }
      if (in_.pos == in_.size && ended_ && !inside_frame_) return std::size_t{0};
      const auto before = in_.pos;
      const auto left = ZSTD_decompressStream(context_, &out, &in_);
      if (ZSTD_isError(left) != 0) {
        return Error{Errc::protocol, fmt::format("zstd: {}", ZSTD_getErrorName(left))};
      }
      inside_frame_ = left != 0;
      if (ended_ && inside_frame_ && out.pos == 0 && in_.pos == before) {
        return Error{Errc::protocol, "zstd: the file ends inside a frame"};
      }
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  ZSTD_DCtx* context_;
  std::vector<char> packed_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool ended_ = false;
  bool inside_frame_ = false;
};

/// A window over a ByteSource that keeps what has not been taken yet.
class Window {
 public:
  explicit Window(std::unique_ptr<ByteSource> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] std::string_view view() const {
    return {buffer_.data() + from_, buffer_.size() - from_};
  }
  void drop(std::size_t count) { from_ += count; }
  /// Appends more bytes; false at the end.
  Result<bool> grow() {
    buffer_.erase(0, std::exchange(from_, 0));
    const auto held = buffer_.size();
    buffer_.resize(held + kBuffer);
    const auto got = bytes_->read(std::span(buffer_).subspan(held));
    buffer_.resize(held + (got ? *got : 0));
    if (!got) return got.error();
    return *got != 0;
  }

 private:
  std::unique_ptr<ByteSource> bytes_;
  std::string buffer_;
  std::size_t from_ = 0;
};

template <class T>
T little_endian(const char* at) {
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) {
    value = static_cast<T>((value << 8U) | static_cast<unsigned char>(at[i]));
  }
  return value;
}

class OracleGeneral final : public TraceReader {
 public:
  OracleGeneral(std::unique_ptr<ByteSource> bytes, std::string name)
      : window_(std::move(bytes)), name_(std::move(name)) {}

  Result<bool> next(TraceRecord& record) override {
    constexpr std::size_t kRecord = 24;
    while (window_.view().size() < kRecord) {
      const auto more = window_.grow();
      if (!more) {
        return Error{more.error().code,
                     fmt::format("{}: record {}: {}", name_, number_ + 1, more.error().detail)};
      }
      if (*more) continue;
      if (window_.view().empty()) return false;
      return Error{Errc::protocol,
                   fmt::format("{}: record {}: {} of 24 bytes, the file is truncated", name_,
                               number_ + 1, window_.view().size())};
    }
    ++number_;
    const char* at = window_.view().data();
    record.second = little_endian<std::uint32_t>(at);
    record.key.clear();
    fmt::format_to(std::back_inserter(record.key), "{:016x}", little_endian<std::uint64_t>(at + 4));
    record.bytes = little_endian<std::uint32_t>(at + 12);
    record.op = Op::get;
    record.write_if = WriteIf::always;
    record.ttl_s = 0;
    window_.drop(kRecord);
    return true;
  }

 private:
  Window window_;
  std::string name_;
  std::uint64_t number_ = 0;
};

bool read_number(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

/// Whole seconds of "12" or "12.345".
bool read_seconds(std::string_view text, std::uint64_t& value) {
  const auto point = text.find('.');
  if (point == std::string_view::npos) return read_number(text, value);
  const auto fraction = text.substr(point + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !fraction.empty() && std::ranges::all_of(fraction, is_digit) &&
         read_number(text.substr(0, point), value);
}

/// Twitter's operations, which are memcached's, each as the one of ours that does the same to a
/// session, and the condition under which it does.
bool read_op(std::string_view text, TraceRecord& record) {
  struct Known {
    std::string_view name;
    Op op;
    WriteIf write_if = WriteIf::always;
  };
  static constexpr Known kOps[] = {
      {"get", Op::get},
      {"gets", Op::get},
      {"set", Op::set},
      {"add", Op::set, WriteIf::absent},
      {"replace", Op::set, WriteIf::held},
      {"cas", Op::set, WriteIf::held},
      {"append", Op::set, WriteIf::amended},
      {"prepend", Op::set, WriteIf::amended},
      {"incr", Op::set, WriteIf::amended},
      {"decr", Op::set, WriteIf::amended},
      {"touch", Op::touch},
      {"delete", Op::erase},
  };
  const auto* known = std::ranges::find(kOps, text, &Known::name);
  if (known == std::end(kOps)) return false;
  record.op = known->op;
  record.write_if = known->write_if;
  return true;
}

class TwitterCsv final : public TraceReader {
 public:
  TwitterCsv(std::unique_ptr<ByteSource> bytes, std::string name)
      : window_(std::move(bytes)), name_(std::move(name)) {}

  Result<bool> next(TraceRecord& record) override {
    for (;;) {
      std::size_t taken = 0;
      const auto line = next_line(taken);
      if (!line) return line.error();
      if (taken == 0) return false;
      ++number_;
      auto text = *line;
      if (text.ends_with('\r')) text.remove_suffix(1);
      if (text.empty() || (number_ == 1 && is_header(text))) {
        window_.drop(taken);
        continue;
      }
      const auto* problem = parse(text, record);
      window_.drop(taken);
      if (problem != nullptr) return wrong(problem);
      return true;
    }
  }

 private:
  Error wrong(std::string_view what) const {
    return {Errc::protocol, fmt::format("{}:{}: {}", name_, number_, what)};
  }

  /// The next line without its end; `taken` is what to drop, 0 at the end of the file.
  Result<std::string_view> next_line(std::size_t& taken) {
    std::size_t searched = 0;
    for (;;) {
      const auto view = window_.view();
      if (const auto end = view.find('\n', searched); end != std::string_view::npos) {
        taken = end + 1;
        return view.substr(0, end);
      }
      searched = view.size();
      if (view.size() > kMaxLine) {
        return Error{Errc::too_large,
                     fmt::format("{}:{}: a line over {} bytes", name_, number_ + 1, kMaxLine)};
      }
      const auto more = window_.grow();
      if (!more) {
        return Error{more.error().code,
                     fmt::format("{}:{}: {}", name_, number_ + 1, more.error().detail)};
      }
      if (!*more) {
        taken = window_.view().size();
        return window_.view();
      }
    }
  }

  using Fields = std::array<std::string_view, 7>;

  /// False: there are more, or fewer.
  static bool split(std::string_view line, Fields& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto comma = line.find(',');
      if ((comma == std::string_view::npos) != (i + 1 == fields.size())) return false;
      fields[i] = line.substr(0, comma);
      if (comma != std::string_view::npos) line.remove_prefix(comma + 1);
    }
    return true;
  }

  /// Names of columns, and not a record with a damaged timestamp, which must not get lost.
  static bool is_header(std::string_view line) {
    Fields fields;
    if (!split(line, fields)) return false;
    if (fields[0].starts_with("timestamp")) return true;
    constexpr std::array<std::size_t, 4> kNumbers{0, 2, 3, 6};
    return std::ranges::all_of(kNumbers, [&](std::size_t column) {
      return !fields[column].empty() &&
             fields[column].find_first_of("0123456789") == std::string_view::npos;
    });
  }

  /// What is wrong with the line, or null.
  static const char* parse(std::string_view line, TraceRecord& record) {
    Fields fields;
    if (!split(line, fields)) return "not seven fields (a truncated line?)";
    std::uint64_t key_bytes = 0;
    if (!read_seconds(fields[0], record.second)) return "timestamp is no number";
    if (fields[1].empty() || fields[1].size() > kMaxKeyBytes) return "key of no legal length";
    if (!read_number(fields[2], key_bytes)) return "key size is no number";
    if (!read_number(fields[3], record.bytes)) return "value size is no number";
    if (!read_op(fields[5], record)) return "unknown operation";
    if (!read_number(fields[6], record.ttl_s)) return "TTL is no number";
    record.key.assign(fields[1]);
    return nullptr;
  }

  Window window_;
  std::string name_;
  std::uint64_t number_ = 0;
};

}  // namespace

std::string_view to_string(Op op) noexcept {
  switch (op) {
    case Op::get:
      return "get";
    case Op::set:
      return "set";
    case Op::touch:
      return "touch";
    case Op::erase:
      return "delete";
  }
  return "unknown";
}

Result<std::unique_ptr<ByteSource>> open_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    return Error{Errc::invalid_argument, fmt::format("{}: cannot be opened", path)};
  }
  return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(file, path));
}

std::unique_ptr<ByteSource> from_memory(std::string bytes) {
  return std::make_unique<MemorySource>(std::move(bytes));
}

std::unique_ptr<ByteSource> unzstd(std::unique_ptr<ByteSource> inner) {
  return std::make_unique<ZstdSource>(std::move(inner));
}

std::unique_ptr<TraceReader> read_oracle_general(std::unique_ptr<ByteSource> bytes,
                                                 std::string name) {
  return std::make_unique<OracleGeneral>(std::move(bytes), std::move(name));
}

std::unique_ptr<TraceReader> read_twitter_csv(std::unique_ptr<ByteSource> bytes, std::string name) {
  return std::make_unique<TwitterCsv>(std::move(bytes), std::move(name));
}

Result<std::unique_ptr<TraceReader>> open_trace(const std::string& path) {
  std::string_view kind = path;
  const bool packed = kind.ends_with(".zst");
  if (packed) kind.remove_suffix(4);
  const bool csv = kind.ends_with(".csv");
  if (!csv && !kind.ends_with(".oracleGeneral")) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}: not a trace that is known by its ending (.oracleGeneral, .csv, "
                             "either with .zst)",
                             path)};
  }
  auto bytes = open_file(path);
  if (!bytes) return bytes.error();
  auto source = packed ? unzstd(std::move(*bytes)) : std::move(*bytes);
  auto name = std::filesystem::path(path).filename().string();
  return csv ? read_twitter_csv(std::move(source), std::move(name))
             : read_oracle_general(std::move(source), std::move(name));
}

std::string find_trace(const std::string& directory, std::string_view name, TraceForm first) {
  if (directory.empty()) return {};
  auto endings = kEndings;
  if (first == TraceForm::oracle_general) {
    std::rotate(endings.begin(), endings.begin() + 2, endings.end());
  }
  for (const auto ending : endings) {
    const auto path = std::filesystem::path(directory) / (std::string(name) + std::string(ending));
    std::error_code error;
    if (std::filesystem::is_regular_file(path, error)) return path.string();
  }
  return {};
}

std::string trace_name(const std::string& path) {
  auto name = std::filesystem::path(path).filename().string();
  for (const std::string_view ending : {".zst", ".csv", ".twitter", ".oracleGeneral"}) {
    if (name.size() > ending.size() && name.ends_with(ending)) {
      name.resize(name.size() - ending.size());
    }
  }
  return name;
}

std::vector<std::string> trace_names(const std::string& directory) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    const auto path = file.path().string();
    const auto known = [&](std::string_view ending) { return path.ends_with(ending); };
    if (std::ranges::any_of(kEndings, known)) names.insert(trace_name(path));
  }
  return {names.begin(), names.end()};
}

}  // namespace nearlane::harness
