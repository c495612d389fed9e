#include "servers/http/batch.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace nearlane::http {
namespace {

using Kind = BatchOperation::Kind;
using std::chrono::milliseconds;

std::string why_not(std::string_view body, const BatchLimits& limits = {}) {
  const auto read = parse_batch(body, limits);
  return read ? "accepted" : read.error().detail;
}
std::string of(const std::string& operations) { return "{\"operations\": [" + operations + "]}"; }

TEST(Batch, IsReadInOrder) {
  const auto read = parse_batch(of(R"({"get": "a"}, {"set": "b", "value": "text", "ttl": 60},
      {"px": 5, "value_base64": "AP8=", "set": "c\u00e9"}, {"delete": "d/e"})"),
                                {});
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 4U);
  EXPECT_EQ(read->at(0).kind, Kind::get);
  EXPECT_EQ(read->at(0).key, "a");
  EXPECT_EQ(read->at(1).kind, Kind::set);
  EXPECT_EQ(read->at(1).value, "text");
  EXPECT_EQ(read->at(1).ttl, milliseconds(60'000));
  EXPECT_EQ(read->at(2).key, "c\u00e9");
  EXPECT_EQ(read->at(2).value, std::string("\0\xff", 2));
  EXPECT_EQ(read->at(2).ttl, milliseconds(5));
  EXPECT_EQ(read->at(3).kind, Kind::del);
  EXPECT_EQ(read->at(3).key, "d/e");
  EXPECT_TRUE(parse_batch(of(""), {})->empty());
  EXPECT_TRUE(parse_batch(of(R"({"set": "k", "value": ""})"), {}));
}

TEST(Batch, SaysWhatIsWrongWithIt) {
  EXPECT_EQ(why_not("[]"), "an array has no place here");
  EXPECT_EQ(why_not("{}"), "operations are missing");
  EXPECT_EQ(why_not("\"x\""), "a string has no place here");
  EXPECT_EQ(why_not("{\"other\": 1}"), "the only member of a batch is operations, once");
  EXPECT_EQ(why_not("{\"operations\": [], \"operations\": []}"),
            "the only member of a batch is operations, once");
  EXPECT_EQ(why_not("{\"operations\": {}}"), "an object has no place here");
  EXPECT_EQ(why_not("{\"operations\": ["), "not JSON from byte 17 on");
  EXPECT_EQ(why_not(of("") + "x"), "not JSON from byte 19 on");
  EXPECT_EQ(why_not(of("{}")), "an operation has one of get, set and delete");
  EXPECT_EQ(why_not(of(R"({"get": "a", "delete": "a"})")),
            "an operation has one of get, set and delete");
  EXPECT_EQ(why_not(of(R"({"get": ""})")), "a key is 1 to 65536 bytes long");
  EXPECT_EQ(why_not(of(R"({"get": [["a"]]})")), "an array has no place here");
  EXPECT_EQ(why_not(of(R"({"get": 1})")), "a number has no place here");
  EXPECT_EQ(why_not(of(R"({"get": null})")), "null has no place here");
  EXPECT_EQ(why_not(of(R"({"incr": "a"})")), "an operation has no such member");
  EXPECT_EQ(why_not(of(R"({"set": "a"})")), "set has a value, and nothing else has");
  EXPECT_EQ(why_not(of(R"({"get": "a", "value": "v"})")), "set has a value, and nothing else has");
  EXPECT_EQ(why_not(of(R"({"get": "a", "ttl": 1})")), "ttl and px are for set");
  EXPECT_EQ(why_not(of(R"({"set": "a", "value": "v", "value_base64": ""})")),
            "a value may be given once");
  EXPECT_EQ(why_not(of(R"({"set": "a", "value_base64": "A"})")), "value_base64 is not base64");
  EXPECT_EQ(why_not(of(R"({"set": "a", "value": "v", "ttl": 1, "px": 1})")),
            "ttl or px may be given once, and not both");
  for (const char* ttl : {"0", "-1", "3153600001", "18446744073709551615"}) {
    EXPECT_EQ(why_not(of(fmt::format(R"({{"set": "a", "value": "v", "ttl": {}}})", ttl))),
              "ttl and px are more than 0, and at most 100 years");
  }
  for (const char* ttl : {"1.5", "\"1\"", "1e30"}) {
    EXPECT_EQ(why_not(of(fmt::format(R"({{"set": "a", "value": "v", "ttl": {}}})", ttl))),
              "ttl and px are whole numbers");
  }
}

TEST(Batch, HasLimits) {
  const std::string two = of(R"({"get": "a"}, {"get": "b"})");
  EXPECT_EQ(why_not(two, {.operations = 2}), "accepted");
  EXPECT_EQ(parse_batch(two, {.operations = 1}).error().code, Errc::too_large);
  EXPECT_EQ(why_not(two, {.bytes = two.size()}), "accepted");
  EXPECT_EQ(parse_batch(two, {.bytes = two.size() - 1}).error().code, Errc::too_large);
  EXPECT_EQ(why_not(std::string(1'000'000, '[')), "an array has no place here");
}

TEST(Base64, IsThatOfTheRfc) {
  for (const auto& [bytes, text] : {std::pair{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
  for (const char* text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Zm 9", "Zg==Zg=="})
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
}

RC_GTEST_PROP(Base64Property, ComesBackAsItWas, (const std::string& bytes)) {
  RC_ASSERT(from_base64(to_base64(bytes)) == bytes);
}

/// The JSON library has its own judgement, which it tells by throwing.
bool library_takes(const std::string& bytes) {
  try {
    return !nlohmann::json(bytes).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

RC_GTEST_PROP(Utf8Property, IsWhatTheLibraryTakes, ()) {
  const auto lead = *rc::gen::element<int>(0x41, 0x80, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF,
                                           0xF0, 0xF1, 0xF4, 0xF5, 0xFF);
  std::string bytes = *rc::gen::container<std::string>(rc::gen::inRange('a', 'f'));
  bytes += static_cast<char>(lead);
  bytes += *rc::gen::container<std::string>(
      rc::gen::map(rc::gen::element(0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0),
                   [](int byte) { return static_cast<char>(byte); }));
  RC_CLASSIFY(is_utf8(bytes), "UTF-8");
  RC_ASSERT(is_utf8(bytes) == library_takes(bytes));
}

}  // namespace
}  // namespace nearlane::http
