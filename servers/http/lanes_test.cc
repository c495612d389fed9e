// Both lanes answer alike: a server with the fast lane and one without are sent the same bytes, in the same pieces,
// and must send the same back, and count the same. What either leaves in its buffer would show in the next answer.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "servers/http/fast_request.h"
#include "servers/http/test_server.h"

namespace nearlane::http {
namespace {

using std::string;
using std::string_view;

constexpr string_view kKey = "s3cret";
constexpr string_view kHtml = "Content-Type: text/html; charset=utf-8\r\n";

class LanesTest : public testing::Test {
 protected:
  /// Both servers have the same keys, whatever was done to them before.
  void fill() {
    const string values =
        put_request("a", string(100, 'a')) + put_request("b:1", string(3000, 'b')) +
        put_request("a%2Fb", "slash") + put_request("large", string(20'000, 'l')) +
        put_request("empty", "") + put_request("raw:1", "not in L1") +
        put_request("html", string(3000, 'h'), kHtml) + put_request("b:html", "of its own", kHtml) +
        put_request("raw:html", "not in L1", kHtml);
    ASSERT_EQ(fast.converse(values).substr(0, 10), slow.converse(values).substr(0, 10));
  }

  /// The answers of both, if they are the same.
  static string alike(TestServer& one, TestServer& other, const std::vector<string_view>& pieces) {
    const string first = without_dates(one.converse(pieces));
    const string second = without_dates(other.converse(pieces));
    return first == second ? first : "fast:\n" + first + "\nslow:\n" + second;
  }
  string alike(string_view bytes) { return alike(fast, slow, {bytes}); }

  static string counts(const TestServer& server) {
    string text;
    for (std::size_t command = 0; command < static_cast<std::size_t>(Command::count); ++command) {
      for (const auto tier :
           {loop::AnsweredBy::l1, loop::AnsweredBy::l2, loop::AnsweredBy::local}) {
        for (const auto outcome :
             {loop::Outcome::hit, loop::Outcome::miss, loop::Outcome::ok, loop::Outcome::error}) {
          text += std::to_string(server.stats().requests(command, tier, outcome)) + " ";
        }
      }
    }
    return text;
  }

  TestServer fast{{}};
  TestServer slow{{.fast_lane = false}};
};

/// What `bytes` get from the fast lane alone begins so.
bool understood(string_view bytes) {
  DecodedKey decoded;
  return FastReader().read(bytes, decoded).has_value();
}

string get(string_view key, string_view fields = "Host: t\r\n", string_view method = "GET") {
  string request(method);
  request.append(" /cache/").append(key).append(" HTTP/1.1\r\n").append(fields).append("\r\n");
  return request;
}

TEST_F(LanesTest, AgreeOnHits) {
  fill();
  for (const string_view key : {"a", "b:1", "a%2Fb", "%61", "empty", "large", "html", "b:html"}) {
    for (const string_view method : {"GET", "HEAD"}) {
      const string request = get(key, "host:t\r\nUSER-agent: x y\t\r\nCookie:\r\n", method);
      EXPECT_TRUE(understood(request));
      const string answer = alike(request);
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\nCache-Control: private, no-cache\r\n"))
          << answer;
      EXPECT_NE(answer.find("\r\nX-Cache: L1\r\n"), string::npos) << answer;
      const string type = key.ends_with("html") ? "text/html; charset=utf-8"
                          : key == "b:1"        ? "application/json"
                                                : "application/octet-stream";
      EXPECT_NE(answer.find("\r\nContent-Type: " + type + "\r\n"), string::npos) << answer;
      const std::size_t tag = answer.find("ETag: ") + 6;
      for (const string& list : {answer.substr(tag, 18), "\"x\", W/" + answer.substr(tag, 18),
                                 string("*"), string("\"x\""), string(""), string("junk")}) {
        const string again = get(key, "Host: t\r\nIf-None-Match: " + list + "\r\n", method);
        EXPECT_TRUE(understood(again));
        const bool same = list.find(answer.substr(tag, 18)) != string::npos || list == "*";
        EXPECT_TRUE(alike(again).starts_with(same ? "HTTP/1.1 304 N" : "HTTP/1.1 200 O"))
            << list << alike(again);
      }
    }
  }
  EXPECT_EQ(counts(fast), counts(slow));
}

TEST_F(LanesTest, AgreeThatLinesAreOneList) {
  fill();
  const string refused =
      alike(get("html", "Host: t\r\nAccept-Encoding: br, gzip\r\nAccept-Encoding: br;q=0\r\n"));
  EXPECT_NE(refused.find("\r\nContent-Encoding: gzip\r\n"), string::npos) << refused;
  const string neither =
      alike(get("html", "Host: t\r\nAccept-Encoding: identity;q=0\r\nAccept-Encoding: *;q=0\r\n"));
  EXPECT_TRUE(neither.starts_with("HTTP/1.1 406 ")) << neither;
  const string part = alike(get("html",
                                "Host: t\r\nRange: bytes=0-0\r\nAccept-Encoding: br\r\n"
                                "Accept-Encoding: identity;q=0\r\n"));
  EXPECT_TRUE(part.starts_with("HTTP/1.1 200 ")) << "it refuses the value as it is" << part;
  const string whole = alike(get("html"));
  const string tag = whole.substr(whole.find("ETag: ") + 6, 18);
  const string same =
      alike(get("html", "Host: t\r\nIf-None-Match: \"x\"\r\nIf-None-Match: " + tag + "\r\n"));
  EXPECT_TRUE(same.starts_with("HTTP/1.1 304 ")) << same;
  EXPECT_EQ(counts(fast), counts(slow));
}

TEST_F(LanesTest, AgreeOnMissesAndCountThemOnce) {
  fill();
  using tier::Count;
  using tier::Counts;
  const auto counted = [](TestServer& server, const string& bytes) {
    const auto before = std::tuple(Counts::sum(Count::l1_hits), Counts::sum(Count::l1_misses));
    const string answer = server.converse(bytes);
    return std::tuple(without_dates(answer), Counts::sum(Count::l1_hits) - std::get<0>(before),
                      Counts::sum(Count::l1_misses) - std::get<1>(before));
  };
  const string refused = get("a", "Host: t\r\nAccept-Encoding: identity;q=0\r\n");
  const string bytes = get("a") + get("raw:1") + get("nothing") + get("large") + refused + get("a");
  const auto [answer, hits, misses] = counted(fast, bytes);
  EXPECT_EQ(std::tuple(answer, hits, misses), counted(slow, bytes));
  EXPECT_EQ(hits, 4U);
  EXPECT_EQ(misses, 2U);
  EXPECT_NE(answer.find("X-Cache: L2"), string::npos);
  EXPECT_NE(answer.find("HTTP/1.1 404"), string::npos);
  EXPECT_NE(answer.find("HTTP/1.1 406"), string::npos);
  EXPECT_EQ(counts(fast), counts(slow));
}

TEST_F(LanesTest, AgreeOnTypesThatL1DoesNotKnow) {
  fill();
  // As if somebody had read it over RESP.
  for (TestServer* server : {&fast, &slow}) {
    server->tier().written_elsewhere(0, {"html"}, false, kForever, [](auto) {});
    server->tier().get(Key(0, "html"), tier::ReadFrom::l1_first, kForever,
                       [](const Result<tier::Lookup>& looked) { ASSERT_TRUE(looked->entry); });
  }
  const string first = alike(get("html"));
  EXPECT_NE(first.find("\r\nX-Cache: L2\r\n"), string::npos) << first;
  EXPECT_NE(first.find("\r\nContent-Type: text/html; charset=utf-8\r\n"), string::npos) << first;
  const string second = alike(get("html"));
  EXPECT_NE(second.find("\r\nX-Cache: L1\r\n"), string::npos) << second;
  EXPECT_EQ(counts(fast), counts(slow));
}

TEST_F(LanesTest, AgreeOnHowLongPipelinesAreCut) {
  fill();
  // More answers than are gathered before they are sent, more requests than are received at once.
  string pipeline;
  for (int i = 0; i < 300; ++i) {
    pipeline += get(i % 7 == 0 ? "large" : i % 3 == 0 ? "b:1" : "a");
    if (i % 50 == 49) pipeline += put_request("a", std::to_string(i)) + get("nothing");
  }
  const string answer = alike(pipeline);
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = answer.find("HTTP/1.1 ", at)) != string::npos; ++at) ++answers;
  EXPECT_EQ(answers, 312U) << answer.substr(0, 2000);
}

TEST_F(LanesTest, AgreeOnWhoIsLetIn) {
  const RoutesConfig keys{.api_keys = {string(kKey), "an older key"}};
  TestServer one(keys);
  RoutesConfig without = keys;
  without.fast_lane = false;
  TestServer other(without);
  const string bearer = "Host: t\r\nAuthorization: Bearer s3cret\r\n";
  string put = put_request("a", "value");
  put.insert(put.find("Host"), "X-API-Key: s3cret\r\n");
  for (TestServer* server : {&one, &other})
    ASSERT_NE(server->converse(put).find("201"), string::npos);
  const std::vector<std::tuple<string, string_view>> table = {
      {bearer, "200"},
      {"Host: t\r\nX-API-Key: an older key\r\n", "200"},
      {"Host: t\r\nX-API-Key: wrong\r\nAuthorization: Bearer an older key\r\n", "200"},
      {"Host: t\r\nAuthorization: Bearer wrong\r\nx-api-key: s3cret\r\n", "200"},
      {"Host: t\r\nAuthorization: bearer s3cret\r\n", "200"},
      {"Host: t\r\nAuthorization: BEARER  s3cret\r\n", "200"},
      {"Host: t\r\nAuthorization: Bearers3cret\r\n", "401"},
      {"Host: t\r\n", "401"},
      {"Host: t\r\nX-API-Key: s3cre\r\n", "401"},
      {"Host: t\r\nX-API-Key: \r\n", "401"},
      {"Host: t\r\nAuthorization: Basic s3cret\r\n", "401"},
      {"Host: t\r\nAuthorization: Bearer\r\n", "401"},
      {"Host: t\r\nX-API-Key: s3cret\r\nX-API-Key: wrong\r\n", "200"},
      {"Host: t\r\nX-API-Key: wrong\r\nX-API-Key: s3cret\r\n", "401"},
  };
  for (const auto& [fields, status] : table) {
    const string answer = alike(one, other, {get("a", fields)});
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 " + string(status)) << fields << answer;
    // Being let in once is no ticket for others on the connection.
    const string behind = get("a", bearer) + get("a", fields);
    const string both = alike(one, other, {behind});
    EXPECT_NE(both.find("HTTP/1.1 " + string(status), 12), string::npos) << fields << both;
  }
}

// --- whatever it is

/// One of 0 to below `end`, at once as likely as later: rapidcheck's own ranges grow with a case's number.
template <class Number>
rc::Gen<Number> below(Number end) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(Number{}, end));
}

/// Requests as clients send them, as they should not, and as nobody should.
rc::Gen<string> requests() {
  using rc::gen::element;
  using rc::gen::weightedElement;
  const auto method = weightedElement<string>(
      {{20, "GET"}, {5, "HEAD"}, {1, "DELETE"}, {1, "get"}, {1, "OPTIONS"}, {1, "POST"}});
  const auto target = weightedElement<string>(
      {{30, "/cache/a"},        {10, "/cache/b:1"},     {2, "/cache/large"},
       {2, "/cache/empty"},     {2, "/cache/a%2Fb"},    {2, "/cache/a%2fb"},
       {2, "/cache/%61"},       {2, "/cache/raw:1"},    {2, "/cache/html"},
       {2, "/cache/b:html"},    {1, "/cache/raw:html"}, {2, "/cache/nothing"},
       {1, "/cache/a%2"},       {1, "/cache/a%"},       {1, "/cache/a%zz"},
       {1, "/cache/"},          {1, "/cache/a/b"},      {1, "/cache/a/touch"},
       {1, "/cache/touch"},     {1, "/cache/a?ttl=1"},  {1, "/cache/a?strict"},
       {1, "/cache/a?"},        {1, "/cache/a#x"},      {1, "/cache/\"a\""},
       {1, "http://t/cache/a"}, {1, "/healthz"},        {1, "*"},
       {1, "//cache/a"}});
  const auto version = weightedElement<string>(
      {{60, "HTTP/1.1"}, {1, "HTTP/1.0"}, {1, "HTTP/1.2"}, {1, "http/1.1"}, {1, "HTTP/1.1 "}});
  const auto field = weightedElement<string>({{20, "Accept: */*"},
                                              {10, "User-Agent: x/1.0 (y; z)"},
                                              {8, "Connection: keep-alive"},
                                              {1, "connection: Keep-Alive"},
                                              {1, "Connection: close"},
                                              {1, "Connection: keep-alive, close"},
                                              {1, "Connection:"},
                                              {1, "Connection: upgrade"},
                                              {1, "Proxy-Connection: close"},
                                              {8, "Accept-Encoding: gzip, deflate, br"},
                                              {1, "Accept-Encoding: identity;q=0"},
                                              {1, "Accept-Encoding: *;q=0"},
                                              {1, "accept-encoding:"},
                                              {4, "If-None-Match: *"},
                                              {1, "If-None-Match: \"x\", W/\"y\""},
                                              {1, "If-Match: *"},
                                              {1, "Range: bytes=0-1"},
                                              {1, "If-Range: \"x\""},
                                              {1, "Expect: 100-continue"},
                                              {1, "Expect: x"},
                                              {1, "Content-Length: 0"},
                                              {1, "Content-Length: 5"},
                                              {1, "Content-Length: 5, 5"},
                                              {1, "Transfer-Encoding: chunked"},
                                              {1, "Transfer-Encoding: gzip"},
                                              {1, "Upgrade: h2c"},
                                              {1, "TE: trailers"},
                                              {1, "Trailer: X"},
                                              {1, "Host: t"},
                                              {1, "Host : t"},
                                              {1, " folded: x"},
                                              {1, "\tfolded"},
                                              {1, "no colon"},
                                              {1, ": nameless"},
                                              {1, "X-\xC3\xA9: x"},
                                              {2, "X-Any: \xC3\xA9\t "},
                                              {1, "X-API-Key: any"},
                                              {1, "Authorization: Bearer any"},
                                              {1, "Cookie: a=b; c=\"d\""},
                                              {1, "Content-Type: text/plain"}});
  const auto ending =
      weightedElement<string>({{150, "\r\n"}, {1, "\n"}, {1, "\r"}, {1, "\r\r\n"}, {1, " \r\n"}});
  const auto line = rc::gen::map(rc::gen::pair(field, ending),
                                 [](const auto& parts) { return parts.first + parts.second; });
  const auto host = weightedElement<string>(
      {{40, "Host: t\r\n"}, {2, "HOST:t\r\n"}, {1, "host:\t \r\n"}, {1, ""}});
  const auto lines = rc::gen::mapcat(below(5), [line](int count) {
    return rc::gen::container<std::vector<string>>(static_cast<std::size_t>(count), line);
  });
  const auto body =
      weightedElement<string>({{8, ""}, {1, "hello"}, {1, "5\r\nhello\r\n0\r\n\r\n"}, {1, "\r\n"}});
  return rc::gen::apply(
      [](const string& verb, const string& what, const string& as, const string& to,
         std::vector<string> rest, std::size_t place, const string& behind) {
        rest.insert(rest.begin() + static_cast<std::ptrdiff_t>(place % (rest.size() + 1)), to);
        string text = verb + " " + what + " " + as + "\r\n";
        for (const string& more : rest) text += more;
        return text + "\r\n" + behind;
      },
      method, target, version, host, lines, below<std::size_t>(8), body);
}

/// One byte of it is another one, gone, or more.
string damaged(string bytes, std::size_t at, char c, int how) {
  if (bytes.empty() || how > 2) return bytes;
  at %= bytes.size();
  if (how == 0) bytes[at] = c;
  if (how == 1) bytes.erase(at, 1);
  if (how == 2) bytes.insert(at, 1, c);
  return bytes;
}

TEST_F(LanesTest, AgreeWhateverTheyAreSent) {
  constexpr int kConversations = 100;  // a case, of which rapidcheck tries 100
  std::size_t requests_sent = 0;
  std::size_t for_the_fast_lane = 0;
  const auto conversation = [&] {
    const auto asked = *rc::gen::container<std::vector<string>>(*below<std::size_t>(6), requests());
    string bytes;
    for (const string& request : asked) {
      ++requests_sent;
      if (understood(request)) ++for_the_fast_lane;
      bytes += damaged(request, *below<std::size_t>(400),
                       *rc::gen::elementOf(string("\0\r\n\t :,;%/?\x7f\xff", 13)), *below(30));
    }
    bytes += get("a");  // tells what was left behind
    std::vector<string_view> pieces;
    for (string_view rest = bytes; !rest.empty();) {
      const std::size_t size = std::min(rest.size(), *rc::gen::element<std::size_t>(7, 60, 5000));
      pieces.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    const string with = without_dates(fast.converse(pieces));
    const string without = without_dates(slow.converse(pieces));
    if (with != without) RC_LOG() << bytes;
    RC_ASSERT(with == without);
    RC_ASSERT(counts(fast) == counts(slow));
  };
  EXPECT_TRUE(rc::check([&] {
    fill();
    for (int i = 0; i < kConversations; ++i) conversation();
  }));
  // Else the fast lane was not under test.
  EXPECT_GT(for_the_fast_lane, requests_sent / 5);
}

}  // namespace
}  // namespace nearlane::http
