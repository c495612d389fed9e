#include "servers/http/fast_request.h"

#include <initializer_list>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace nearlane::http {
namespace {

using namespace std::string_literals;

std::optional<FastRequest> scan(const std::string& bytes) {
  static DecodedKey decoded;
  return scan_fast(bytes, decoded);
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
  EXPECT_EQ(request->accept_encoding, "gzip, br");
  EXPECT_EQ(request->if_none_match, "\"1\"");
  EXPECT_EQ(request->authorization, "Bearer k");
  EXPECT_EQ(request->api_key, "k2");
  EXPECT_EQ(request->size, bytes.size());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(scan(bytes.substr(0, size))) << size;
  }
  const auto head = scan("HEAD /cache/a HTTP/1.1\r\nHost:\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_TRUE(head->head);
  EXPECT_FALSE(head->accept_encoding || head->if_none_match || head->authorization ||
               head->api_key);
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

}  // namespace
}  // namespace nearlane::http
