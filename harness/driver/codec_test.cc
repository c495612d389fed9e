#include "harness/driver/codec.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/driver/http_codec.h"

namespace nearlane::harness {
namespace {

constexpr auto kNone = Failure::none;

Request request(Op kind, std::string key, std::string value = {}, int ttl_ms = 0) {
  Request made;
  made.kind = kind;
  made.key = std::move(key);
  made.value = std::move(value);
  made.ttl = std::chrono::milliseconds(ttl_ms);
  return made;
}

std::unique_ptr<Codec> codec_for(Protocol protocol) {
  return make_codec(protocol, {.host = "127.0.0.1", .port = 80}, "X-API-Key: secret\r\n");
}

std::string encode(Protocol protocol, const Request& request) {
  std::string out;
  codec_for(protocol)->encode(request, out);
  return out;
}

TEST(RespCodec, WritesTheCommandsOfACache) {
  const auto p = Protocol::resp;
  EXPECT_EQ(encode(p, request(Op::get, "k")), "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
  EXPECT_EQ(encode(p, request(Op::set, "k", std::string("a\0b", 3))),
            std::string("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na\0b\r\n", 29));
  EXPECT_EQ(encode(p, request(Op::set, "k", "v", 1500)),
            "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$4\r\n1500\r\n");
  EXPECT_EQ(encode(p, request(Op::touch, "k", "", 7)),
            "*3\r\n$7\r\nPEXPIRE\r\n$1\r\nk\r\n$1\r\n7\r\n");
  EXPECT_EQ(encode(p, request(Op::erase, "k")), "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
}

TEST(HttpCodec, WritesTheRequestsOfACache) {
  const auto p = Protocol::http;
  const std::string common = " HTTP/1.1\r\nHost: 127.0.0.1:80\r\nX-API-Key: secret\r\n";
  EXPECT_EQ(encode(p, request(Op::get, "a/b c")), "GET /cache/a%2Fb%20c" + common + "\r\n");
  EXPECT_EQ(encode(p, request(Op::set, "k", "body", 1500)),
            "PUT /cache/k?px=1500" + common + "Content-Length: 4\r\n\r\nbody");
  EXPECT_EQ(encode(p, request(Op::touch, "k", "", 7)),
            "POST /cache/k/touch?px=7" + common + "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(encode(p, request(Op::erase, "k")), "DELETE /cache/k" + common + "\r\n");
}

enum class Next { reply, more, refused };

Next next_of(Codec& codec, Op kind, Reply& reply) {
  auto whole = codec.next(kind, reply);
  if (!whole) return Next::refused;
  return *whole ? Next::reply : Next::more;
}

struct Case {
  Protocol protocol;
  Op kind;
  std::string bytes;
  Outcome outcome;
  Failure failure;
  std::string text;
};

const std::vector<Case>& replies() {
  const auto resp = Protocol::resp;
  const auto http = Protocol::http;
  const auto page = [](const std::string& status, const std::string& headers,
                       const std::string& body) {
    return "HTTP/1.1 " + status + "\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  static const std::vector<Case> cases = {
      {resp, Op::get, "$3\r\na\r\n\r\n", Outcome::hit, kNone, "a\r\n"},
      {resp, Op::get, "$0\r\n\r\n", Outcome::hit, kNone, ""},
      {resp, Op::get, "$-1\r\n", Outcome::miss, kNone, ""},
      {resp, Op::set, "+OK\r\n", Outcome::ok, kNone, ""},
      {resp, Op::touch, ":1\r\n", Outcome::ok, kNone, ""},
      {resp, Op::touch, ":0\r\n", Outcome::miss, kNone, ""},
      {resp, Op::erase, ":0\r\n", Outcome::miss, kNone, ""},
      {resp, Op::get, "-ERR no\r\n", Outcome::error, Failure::server_error, "ERR no"},
      {http, Op::get, page("200 OK", "X-Cache: L1\r\n", "value"), Outcome::hit_l1, kNone, "value"},
      {http, Op::get, page("200 OK", "x-cache:\tl2 \r\n", ""), Outcome::hit_l2, kNone, ""},
      {http, Op::get, page("200 OK", "X-Cache: STALE\r\n", "v"), Outcome::stale, kNone, "v"},
      {http, Op::get, page("200 OK", "Server: other\r\n", "v\r\n\r\n"), Outcome::hit, kNone,
       "v\r\n\r\n"},
      {http, Op::get, page("404 Not Found", "", "gone"), Outcome::miss, kNone, ""},
      {http, Op::get, "HTTP/1.1 100 Continue\r\n\r\n" + page("200 OK", "", "v"), Outcome::hit,
       kNone, "v"},
      {http, Op::get, "HTTP/1.1 304 Not Modified\r\nX-Cache: L1\r\n\r\n", Outcome::hit_l1, kNone,
       ""},
      {http, Op::set, "HTTP/1.1 304 Not Modified\r\n\r\n", Outcome::error, Failure::rejected, ""},
      {http, Op::set, page("201 Created", "", ""), Outcome::ok, kNone, ""},
      {http, Op::set, "HTTP/1.1 204 No Content\r\n\r\n", Outcome::ok, kNone, ""},
      {http, Op::set, page("413 Too Large", "", "no"), Outcome::error, Failure::rejected, "no"},
      {http, Op::get, page("503 Busy", "Retry-After: 1\r\n", "later"), Outcome::error,
       Failure::server_error, "later"},
  };
  return cases;
}

TEST(Codec, ReadsEachReplyWholeByteByByteAndTwiceInARow) {
  for (const auto& example : replies()) {
    SCOPED_TRACE(example.bytes);
    const auto expect = [&](const Reply& reply) {
      EXPECT_EQ(reply.outcome, example.outcome);
      EXPECT_EQ(reply.failure, example.failure);
      EXPECT_EQ(reply.text, example.text);
      EXPECT_FALSE(reply.closes);
    };
    Reply reply;
    for (std::size_t cut = 1; cut < example.bytes.size(); ++cut) {
      auto codec = codec_for(example.protocol);
      ASSERT_TRUE(codec->feed(std::string_view(example.bytes).substr(0, cut)));
      ASSERT_EQ(next_of(*codec, example.kind, reply), Next::more) << "cut at " << cut;
      ASSERT_TRUE(codec->feed(std::string_view(example.bytes).substr(cut)));
      ASSERT_EQ(next_of(*codec, example.kind, reply), Next::reply) << "cut at " << cut;
      expect(reply);
      ASSERT_EQ(next_of(*codec, example.kind, reply), Next::more);
    }
    auto codec = codec_for(example.protocol);
    ASSERT_TRUE(codec->feed(example.bytes + example.bytes));
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(next_of(*codec, example.kind, reply), Next::reply);
      expect(reply);
    }
    ASSERT_EQ(next_of(*codec, example.kind, reply), Next::more);
  }
}

TEST(RespCodec, KeepsAValueWholeWhenManyAreReadInARow) {
  auto codec = codec_for(Protocol::resp);
  const auto value = [](int i) { return std::string(700, static_cast<char>('a' + i)); };
  std::string bytes;
  for (int i = 0; i < 20; ++i) bytes += "$700\r\n" + value(i) + "\r\n";
  ASSERT_TRUE(codec->feed(bytes));
  Reply reply;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(next_of(*codec, Op::get, reply), Next::reply);
    EXPECT_EQ(reply.text, value(i));
  }
}

TEST(Codec, RefusesWhatIsNoReply) {
  struct Bad {
    Protocol protocol;
    Op kind;
    std::string bytes;
    Errc code;
  };
  const auto resp = Protocol::resp;
  const auto http = Protocol::http;
  const std::vector<Bad> cases = {
      {resp, Op::get, "HTTP/1.1 400 Bad\r\n\r\n", Errc::protocol},
      {resp, Op::get, ":1\r\n", Errc::protocol},
      {resp, Op::set, "$1\r\na\r\n", Errc::protocol},
      {resp, Op::get, "*1\r\n$1\r\na\r\n", Errc::protocol},
      {http, Op::get, "$-1\r\n\r\n\r\n", Errc::protocol},
      {http, Op::get, "HTTP/2 200 OK\r\n\r\n", Errc::protocol},
      {http, Op::get, "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", Errc::protocol},
      {http, Op::get, "HTTP/1.1 200 OK\r\n\r\n", Errc::protocol},
      {http, Op::get, "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Errc::protocol},
      {http, Op::get, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Errc::protocol},
      {http, Op::get, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
       Errc::protocol},
      {http, Op::get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Errc::protocol},
      {http, Op::get, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", Errc::too_large},
      {http, Op::get, std::string(70'000, 'x'), Errc::too_large},
  };
  for (const auto& bad : cases) {
    auto codec = codec_for(bad.protocol);
    ASSERT_TRUE(codec->feed(bad.bytes));
    Reply reply;
    auto whole = codec->next(bad.kind, reply);
    ASSERT_FALSE(whole) << bad.bytes.substr(0, 100);
    EXPECT_EQ(whole.error().code, bad.code) << whole.error().detail;
    EXPECT_THAT(whole.error().detail, ::testing::Not(::testing::IsEmpty()));
  }
}

TEST(HttpCodec, AsksForHeadsAloneAndExpectsNothingBehindThem) {
  const auto codec =
      make_codec(Protocol::http, {.host = "h", .port = 1}, "A: b\r\n", HttpReads::head);
  std::string out;
  codec->encode(request(Op::get, "k"), out);
  EXPECT_EQ(out, "HEAD /cache/k HTTP/1.1\r\nHost: h:1\r\nA: b\r\n\r\n");
  ASSERT_TRUE(
      codec->feed("HTTP/1.1 200 OK\r\nX-Cache: L1\r\nContent-Length: 5\r\n\r\n"
                  "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"
                  "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nv"));
  Reply reply;
  ASSERT_EQ(next_of(*codec, Op::get, reply), Next::reply);
  EXPECT_EQ(reply.outcome, Outcome::hit_l1);
  EXPECT_EQ(reply.text, "");
  ASSERT_EQ(next_of(*codec, Op::get, reply), Next::reply);
  EXPECT_EQ(reply.outcome, Outcome::miss);
  ASSERT_EQ(next_of(*codec, Op::set, reply), Next::reply);
  EXPECT_EQ(reply.outcome, Outcome::ok) << "a write's answer has its body";
  EXPECT_EQ(next_of(*codec, Op::get, reply), Next::more);
}

TEST(HttpCodec, TellsThatTheServerCloses) {
  for (const auto* head : {"HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.0 200 OK\r\n"}) {
    auto codec = codec_for(Protocol::http);
    ASSERT_TRUE(codec->feed(head + std::string("Content-Length: 0\r\n\r\n")));
    Reply reply;
    ASSERT_EQ(next_of(*codec, Op::get, reply), Next::reply);
    EXPECT_TRUE(reply.closes);
  }
}

TEST(HttpCodec, KeepsOnlyWhatIsNotReadYet) {
  auto codec = codec_for(Protocol::http);
  const std::string body(100'000, 'b');
  const std::string page = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body;
  Reply reply;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(codec->feed(page + page.substr(0, 10)));
    ASSERT_EQ(next_of(*codec, Op::get, reply), Next::reply);
    EXPECT_EQ(reply.text, body);
    ASSERT_EQ(next_of(*codec, Op::get, reply), Next::more);
    ASSERT_TRUE(codec->feed(page.substr(10)));
    ASSERT_EQ(next_of(*codec, Op::get, reply), Next::reply);
    EXPECT_EQ(reply.text, body);
  }
}

}  // namespace
}  // namespace nearlane::harness
