#include "servers/http/fast_request.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nearlane::http {
namespace {

using namespace std::string_literals;

std::optional<FastRequest> scan(const std::string& bytes) {
  static DecodedKey decoded;
  return FastReader().read(bytes, decoded);
}

/// A GET with these lines between its Host and its end.
bool takes(std::initializer_list<std::string_view> lines) {
  std::string bytes = "GET /cache/a HTTP/1.1\r\nHost: x\r\n";
  for (const std::string_view text : lines) bytes.append(text).append("\r\n");
  return scan(bytes.append("\r\n")).has_value();
}

TEST(FastRequest, ReadsWhatClientsSend) {
  const std::string bytes =
      "GET /cache/session:1 HTTP/1.1\r\nhOST: x:80\r\nConnection: Keep-Alive\r\naccept-ENCODING:\t "
      "gzip, br \r\n"
      "If-None-Match: \"1\"\r\nAuthorization: Bearer k\r\nX-API-Key: k2\r\nCookie: "
      "a\xC3\xA9\r\n\r\n";
  const std::string more = bytes + "GET /";
  const auto request = scan(more);
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->head);
  EXPECT_EQ(request->key, "session:1");
  EXPECT_EQ(request->fields.accepted.gzip, 1000);
  EXPECT_EQ(request->fields.accepted.br, 1000);
  EXPECT_EQ(request->fields.if_none_match, "\"1\"");
  EXPECT_EQ(request->fields.authorization, "Bearer k");
  EXPECT_EQ(request->fields.api_key, "k2");
  EXPECT_EQ(request->size, bytes.size());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(scan(bytes.substr(0, size))) << size;
  }
  const auto head = scan("HEAD /cache/a HTTP/1.1\r\nHost:\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_TRUE(head->head);
  EXPECT_EQ(head->fields.accepted.br, 0);
  EXPECT_FALSE(head->fields.if_none_match || head->fields.authorization || head->fields.api_key);
}

TEST(FastRequest, DecodesKeysOnce) {
  const auto key_of = [](const std::string& key) {
    const std::string bytes = "GET /cache/" + key + " HTTP/1.1\r\nHost: x\r\n\r\n";
    const auto request = scan(bytes);
    return request ? std::string(request->key) : "(not mine)";
  };
  EXPECT_EQ(key_of("user%3A1%2fx"), "user:1/x");
  EXPECT_EQ(key_of("%2541"), "%41");
  EXPECT_EQ(key_of("a%00"), "a\0"s);
  EXPECT_EQ(key_of(std::string(5000, 'k')), std::string(5000, 'k'));
  EXPECT_EQ(key_of("%61" + std::string(kDecodedKeyBytes - 1, 'k')),
            "a" + std::string(kDecodedKeyBytes - 1, 'k'));
  for (const std::string& key :
       {"%61" + std::string(kDecodedKeyBytes, 'k'), std::string(kDecodedKeyBytes + 1, 'k') + "%61",
        std::string(kDecodedKeyBytes, 'k') + "%61", "%6"s, "%"s, "%6g"s, "a/b"s, "a?x"s, ""s,
        "a\"b"s, "\xC3\xA9"s, std::string(kFastRequestBytes, 'k')}) {
    EXPECT_EQ(key_of(key), "(not mine)") << key;
  }
}

TEST(FastRequest, LeavesTheRest) {
  const std::string line = "GET /cache/a HTTP/1.1\r\n";
  for (const std::string& bytes : {
           "GET /cache/a HTTP/1.0\r\nHost: x\r\n\r\n"s,
           "get /cache/a HTTP/1.1\r\nHost: x\r\n\r\n"s,
           "PUT /cache/a HTTP/1.1\r\nHost: x\r\n\r\n"s,
           "\r\nGET /cache/a HTTP/1.1\r\nHost: x\r\n\r\n"s,
           "GET  /cache/a HTTP/1.1\r\nHost: x\r\n\r\n"s,
           "GET /cache/a  HTTP/1.1\r\nHost: x\r\n\r\n"s,
           "GET /cache/a HTTP/1.1\nHost: x\r\n\r\n"s,
           "GET http://x/cache/a HTTP/1.1\r\nHost: x\r\n\r\n"s,
           "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"s,
           line + "\r\n",
           line + "Host: x\n\r\n",
           line + "Host: x\r\n\n",
           line + "Host: x\r\r\n\r\n",
           line + "Host: x\0y\r\n\r\n"s,
           line + "Host: x\x7f\r\n\r\n",
           line + "Host: x\r\nHost: x\r\n\r\n",
           line + "Host : x\r\n\r\n",
           line + "Host: x\r\n folded\r\n\r\n",
           line + " Host: x\r\n\r\n",
           line + "Host: x\r\n: y\r\n\r\n",
           line + "Host: x\r\nno colon\r\n\r\n",
           line + "Host: x\r\nX: " + std::string(kFastRequestBytes, 'x') + "\r\n\r\n",
       }) {
    EXPECT_FALSE(scan(bytes)) << bytes;
  }
  for (const std::string field :
       {"Connection: close", "Connection: keep-alive, x",
        "Connection:", "Proxy-Connection: keep-alive", "Content-Length: 0",
        "Transfer-Encoding: chunked", "Expect: 100-continue", "Range: bytes=0-", "If-Range: x",
        "If-Match: *", "If-Modified-Since: x", "If-Unmodified-Since: x", "Upgrade: h2c",
        "TE: trailers", "Trailer: x"}) {
    EXPECT_FALSE(takes({field})) << field;
    EXPECT_TRUE(takes({"X-Any: " + field})) << field;
  }
  for (const std::string field : {"Connection: keep-alive", "Accept-Encoding: br",
                                  "If-None-Match: *", "Authorization: x", "X-API-Key: x"}) {
    EXPECT_TRUE(takes({field})) << field;
    EXPECT_FALSE(takes({field, "X-Any: x", field})) << field;
  }
}

// What a reader keeps of earlier requests makes no difference to what it reads.
RC_GTEST_PROP(FastReader, ReadsAsOneThatKeptNothing, ()) {
  // A field's forms; none of it is one of them.
  static const std::vector<std::vector<std::string>> kFields = {
      {"Host: x\r\n", "Host: y\r\n"},
      {"", "Connection: keep-alive\r\n"},
      {"", "Accept-Encoding: br\r\n", "Accept-Encoding: gz\r\n", "Accept-Encoding: gzip;q=0.5\r\n"},
      {"", "If-None-Match: \"0123456789abcdef\"\r\n", "If-None-Match: \"0123456789abcdeF\"\r\n"},
      {"", "Authorization: Bearer one\r\n", "Authorization: Bearer two\r\n"},
      {"", "X-API-Key: k\r\n", "X-Any:\t1 \r\n"},
      {"", "", "Range: bytes=0-\r\n", "no colon\r\n", "Host: z\r\n",
       "Cookie: " + std::string(FastReader::kKeptBytes, 'c') + "\r\n"}};
  const auto below = [](std::size_t end) {
    return *rc::gen::resize(100, rc::gen::inRange<std::size_t>(0, end));
  };
  FastReader reader;
  std::vector<std::size_t> forms(kFields.size(), 0);
  for (std::size_t turn = below(kFields.size()) + 2; turn > 0; --turn) {
    // Most come again as they were but for a field or two.
    for (std::size_t changes = below(3); changes > 0; --changes) {
      const std::size_t field = below(kFields.size());
      forms[field] = below(kFields[field].size());
    }
    const char* const method = below(2) == 0 ? "GET" : "HEAD";
    std::string bytes = fmt::format("{} /cache/{} HTTP/1.1\r\n", method, below(1000));
    for (std::size_t i = 0; i < forms.size(); ++i) bytes += kFields[i][forms[i]];
    bytes += "\r\nGET /";
    if (below(8) == 0) bytes.resize(below(bytes.size()));
    // Without a byte behind them, so that a sanitizer sees who reads on.
    const std::vector<char> received(bytes.begin(), bytes.end());
    const std::string_view view(received.data(), received.size());
    DecodedKey decoded;
    const auto expected = FastReader().read(view, decoded);
    const auto request = reader.read(view, decoded);
    RC_CLASSIFY(expected.has_value(), "understood");
    RC_ASSERT(request.has_value() == expected.has_value());
    if (!request) continue;
    RC_ASSERT(request->head == expected->head);
    RC_ASSERT(request->key == expected->key);
    RC_ASSERT(request->size == expected->size);
    RC_ASSERT(request->fields.if_none_match == expected->fields.if_none_match);
    RC_ASSERT(request->fields.authorization == expected->fields.authorization);
    RC_ASSERT(request->fields.api_key == expected->fields.api_key);
    for (const Coding coding : {Coding::identity, Coding::gzip, Coding::br}) {
      RC_ASSERT(request->fields.accepted.of(coding) == expected->fields.accepted.of(coding));
    }
  }
}

}  // namespace
}  // namespace nearlane::http
