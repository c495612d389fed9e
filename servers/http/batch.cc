#include "servers/http/batch.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "core/base/key.h"

namespace nearlane::http {
namespace {

using nlohmann::json;
using Kind = BatchOperation::Kind;

/// Still a number in nanoseconds.
constexpr std::int64_t kLongestMs = std::int64_t{100} * 365 * 24 * 60 * 60 * 1000;

const unsigned char* octets(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* octets(std::string& text) noexcept {
  return reinterpret_cast<unsigned char*>(text.data());
}

/// Told by the parser what comes next; false ends it.
class Reader final : public nlohmann::json_sax<json> {
 public:
  explicit Reader(const BatchLimits& limits) : limits_(limits) {}

  [[nodiscard]] std::vector<BatchOperation>& operations() { return operations_; }
  [[nodiscard]] const Error& error() const { return error_; }

  bool null() override { return refuse("null has no place here"); }
  bool boolean(bool) override { return refuse("true and false have no place here"); }
  bool number_integer(number_integer_t number) override { return take_number(number); }
  bool number_unsigned(number_unsigned_t number) override {
    return take_number(static_cast<std::int64_t>(std::min<std::uint64_t>(number, kLongestMs + 1)));
  }
  bool number_float(number_float_t, const string_t&) override {
    return refuse("ttl and px are whole numbers");
  }
  bool binary(binary_t&) override { return refuse("binary has no place here"); }
  bool string(string_t& text) override {
    if (place_ != Place::operation) return refuse("a string has no place here");
    return name_ == "ttl" || name_ == "px" ? refuse("ttl and px are whole numbers")
                                           : take_text(std::move(text));
  }
  bool start_object(std::size_t) override {
    if (place_ == Place::outside) return move_to(Place::document);
    if (place_ != Place::operations) return refuse("an object has no place here");
    if (operations_.size() == limits_.operations) {
      error_ = Error{Errc::too_large, fmt::format("more than {} operations", limits_.operations)};
      return false;
    }
    operations_.emplace_back();
    named_ = valued_ = false;
    return move_to(Place::operation);
  }
  bool key(string_t& name) override {
    name_ = std::move(name);
    if (place_ == Place::operation) return true;
    if (name_ == "operations" && !listed_) return true;
    return refuse("the only member of a batch is operations, once");
  }
  bool end_object() override {
    if (place_ == Place::document)
      return listed_ ? move_to(Place::outside) : refuse("operations are missing");
    const BatchOperation& last = operations_.back();
    if (!named_) return refuse("an operation has one of get, set and delete");
    if (valued_ != (last.kind == Kind::set)) return refuse("set has a value, and nothing else has");
    if (last.ttl && last.kind != Kind::set) return refuse("ttl and px are for set");
    return move_to(Place::operations);
  }
  bool start_array(std::size_t) override {
    if (place_ != Place::document) return refuse("an array has no place here");
    listed_ = true;
    return move_to(Place::operations);
  }
  bool end_array() override { return move_to(Place::document); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return refuse(fmt::format("not JSON from byte {} on", position));
  }

 private:
  enum class Place : std::uint8_t { outside, document, operations, operation };

  bool move_to(Place place) {
    place_ = place;
    return true;
  }
  bool refuse(std::string why) {
    if (error_.detail.empty()) error_ = Error{Errc::invalid_argument, std::move(why)};
    return false;
  }
  bool take_number(std::int64_t number) {
    if (place_ != Place::operation || (name_ != "ttl" && name_ != "px"))
      return refuse("a number has no place here");
    const std::int64_t unit = name_ == "ttl" ? 1000 : 1;
    if (operations_.back().ttl) return refuse("ttl or px may be given once, and not both");
    if (number <= 0 || number > kLongestMs / unit)
      return refuse("ttl and px are more than 0, and at most 100 years");
    operations_.back().ttl = std::chrono::milliseconds(number * unit);
    return true;
  }
  bool take_text(std::string text) {
    BatchOperation& last = operations_.back();
    if (name_ == "value" || name_ == "value_base64") {
      if (std::exchange(valued_, true)) return refuse("a value may be given once");
      if (name_ == "value") {
        last.value = std::move(text);
        return true;
      }
      auto bytes = from_base64(text);
      if (!bytes) return refuse("value_base64 is not base64");
      last.value = *std::move(bytes);
      return true;
    }
    if (name_ != "get" && name_ != "set" && name_ != "delete")
      return refuse("an operation has no such member");
    if (std::exchange(named_, true)) return refuse("an operation has one of get, set and delete");
    if (text.empty() || text.size() > kMaxKeyBytes) return refuse("a key is 1 to 65536 bytes long");
    last.kind = name_ == "get" ? Kind::get : name_ == "set" ? Kind::set : Kind::del;
    last.key = std::move(text);
    return true;
  }

  const BatchLimits limits_;
  std::vector<BatchOperation> operations_;
  Error error_{Errc::invalid_argument, {}};
  std::string name_;
  Place place_ = Place::outside;
  bool listed_ = false;
  bool named_ = false;
  bool valued_ = false;
};

}  // namespace

Result<std::vector<BatchOperation>> parse_batch(std::string_view body, const BatchLimits& limits) {
  if (body.size() > limits.bytes)
    return Error{Errc::too_large, fmt::format("a batch is at most {} bytes long", limits.bytes)};
  Reader reader(limits);
  if (!json::sax_parse(body.begin(), body.end(), &reader)) return reader.error();
  return std::move(reader.operations());
}

std::string to_base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the library's closing zero
  EVP_EncodeBlock(octets(out), octets(bytes), static_cast<int>(bytes.size()));
  out.pop_back();
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out(text.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(octets(out), octets(text), static_cast<int>(text.size())) < 0)
    return std::nullopt;
  const auto padding =
      std::ranges::count(text.substr(text.size() - std::min<std::size_t>(2, text.size())), '=');
  out.resize(out.size() - std::min(out.size(), static_cast<std::size_t>(padding)));
  // The library takes spaces around it, and bits that say nothing, too.
  if (to_base64(out) != text) return std::nullopt;
  return out;
}

bool is_utf8(std::string_view bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || length > bytes.size() - i) return false;
    for (std::size_t j = 1; j < length; ++j) {
      const auto next = static_cast<unsigned char>(bytes[i + j]);
      // What is longer than it need be, a surrogate, or beyond the last code point shows in the second byte.
      const unsigned least = j > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      const unsigned most = j > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      if (next < least || next > most) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace nearlane::http
