// What each request does and says, as it is written down for Toxiproxy 2.12.
#include "harness/faults/proxy_api.h"

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nearlane::harness {
namespace {

using boost::asio::ip::tcp;
using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

class Api : public testing::Test {
 protected:
  ApiAnswer ask(std::string_view method, std::string_view target, std::string_view body = "") {
    return api.answer(method, target, body);
  }
  Json json(std::string_view method, std::string_view target, std::string_view body = "") {
    const auto answer = ask(method, target, body);
    EXPECT_LT(answer.status, 300U) << answer.body;
    return Json::parse(answer.body, nullptr, false);
  }
  /// STATUS and the text of a refusal, whose body must be what Toxiproxy's is.
  std::string refusal(std::string_view method, std::string_view target,
                      std::string_view body = "") {
    const auto answer = ask(method, target, body);
    const auto said = Json::parse(answer.body, nullptr, false);
    if (!said.is_object() || !said.contains("error")) return "no refusal: " + answer.body;
    EXPECT_EQ(said.size(), 2U) << answer.body;
    EXPECT_EQ(said["status"], answer.status);
    EXPECT_EQ(answer.body.back(), '\n');
    return fmt::format("{} {}", answer.status, said["error"].get<std::string>());
  }
  Json create(const std::string& name) {
    return json("POST", "/proxies",
                Json{{"name", name}, {"listen", "127.0.0.1:0"}, {"upstream", upstream}}.dump());
  }
  /// Whether a connection to the upstream is made there.
  bool leads_there(const std::string& listen) {
    const auto at = Endpoint::parse(listen).value();
    tcp::socket socket(context);
    boost::system::error_code failed;
    (void)socket.connect({boost::asio::ip::make_address(at.host), at.port}, failed);
    if (failed) return false;
    (void)acceptor.accept();
    return true;
  }

  /// What of `sent` comes from the upstream, which then ends.
  std::string heard_through(const std::string& listen, std::string_view sent) {
    const auto at = Endpoint::parse(listen).value();
    tcp::socket socket(context);
    socket.connect({boost::asio::ip::make_address(at.host), at.port});
    auto peer = acceptor.accept();
    (void)peer.write_some(boost::asio::buffer(sent));
    peer.shutdown(tcp::socket::shutdown_send);
    std::string heard;
    boost::system::error_code end;
    boost::asio::read(socket, boost::asio::dynamic_buffer(heard), end);
    return heard;
  }

  boost::asio::io_context context;
  tcp::acceptor acceptor{context, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  std::string upstream = fmt::format("127.0.0.1:{}", acceptor.local_endpoint().port());
  ProxyApi api;
};

TEST_F(Api, CreatesShowsAndDeletes) {
  EXPECT_EQ(ask("GET", "/proxies").body, "{}");
  const auto answer = ask(
      "POST", "/proxies",
      R"({"name": "a", "listen": "localhost:0", "upstream": ")" + upstream + R"(", "more": [1]})");
  EXPECT_EQ(answer.status, 201U);
  const auto made = Json::parse(answer.body);
  const std::string listen = made["listen"];
  EXPECT_THAT(listen, StartsWith("127.0.0.1:"));
  EXPECT_NE(listen, "127.0.0.1:0");
  EXPECT_EQ(
      answer.body,
      fmt::format(R"({{"name":"a","listen":"{}","upstream":"{}","enabled":true,"toxics":[]}})",
                  listen, upstream));
  EXPECT_TRUE(leads_there(listen));
  EXPECT_EQ(ask("GET", "/proxies/a").body, answer.body);
  EXPECT_EQ(ask("GET", "/proxies").body, R"({"a":)" + answer.body + "}");
  const auto deleted = ask("DELETE", "/proxies/a");
  EXPECT_EQ(deleted.status, 204U);
  EXPECT_EQ(deleted.body, "");
  EXPECT_FALSE(leads_there(listen));
  EXPECT_EQ(refusal("GET", "/proxies/a"), "404 proxy not found");
}

TEST_F(Api, NamesMayBeAnything) {
  (void)create("a/b %ü");
  EXPECT_EQ(json("GET", "/proxies/a%2Fb%20%25%c3%BC?x=/y")["name"], "a/b %ü");
  EXPECT_THAT(refusal("GET", "/proxies/a%2"), StartsWith("404 "));
  EXPECT_THAT(refusal("GET", "/proxies/a%2x"), StartsWith("404 "));
}

TEST_F(Api, RefusesProxiesThatCannotBe) {
  const auto create_refused = [&](std::string_view body) {
    return refusal("POST", "/proxies", body);
  };
  EXPECT_EQ(create_refused(""), "400 bad request body: it is empty");
  EXPECT_EQ(create_refused("{"), "400 bad request body: not JSON");
  EXPECT_EQ(create_refused("{}}"), "400 bad request body: not JSON");
  EXPECT_EQ(create_refused("[]"), "400 bad request body: not a JSON object");
  EXPECT_EQ(create_refused(std::string(100'000, '[')), "400 bad request body: not JSON");
  EXPECT_EQ(create_refused("{\"name\": \"\xff\"}"), "400 bad request body: not JSON");
  EXPECT_EQ(create_refused(R"({"name": 1})"), "400 bad request body: 'name' must be a string");
  EXPECT_EQ(create_refused(R"({"name": "a", "enabled": "yes"})"),
            "400 bad request body: 'enabled' must be true or false");
  EXPECT_EQ(create_refused("{}"), "400 missing required field: name");
  EXPECT_EQ(create_refused(R"({"name": null})"), "400 missing required field: name");
  EXPECT_EQ(create_refused(R"({"name": "a"})"), "400 missing required field: upstream");
  for (const std::string bad : {"x", "host:", "host:x", "host:65536", "::1:80", "[::1]", "[::1:80",
                                "a b:1", "[]:1", "[[x]]:1"}) {
    for (const bool enabled : {true, false}) {
      EXPECT_EQ(create_refused(
                    Json{{"name", "a"}, {"listen", bad}, {"upstream", "h:1"}, {"enabled", enabled}}
                        .dump()),
                "400 bad request body: listen: '" + bad + "' is not HOST:PORT");
      EXPECT_EQ(create_refused(Json{{"name", "a"}, {"upstream", bad}, {"enabled", enabled}}.dump()),
                "400 bad request body: upstream: '" + bad + "' is not HOST:PORT");
    }
  }
  EXPECT_EQ(create_refused(R"({"name": "a", "upstream": "h:0"})"),
            "400 bad request body: upstream: 'h:0' has no port");
  EXPECT_THAT(
      create_refused(R"({"name": "a", "listen": ")" + upstream + R"(", "upstream": "h:1"})"),
      StartsWith("500 listen " + upstream + ": "));
  EXPECT_EQ(ask("GET", "/proxies").body, "{}") << "none of them is there";
  (void)create("a");
  EXPECT_EQ(create_refused(R"({"name": "a", "upstream": "h:1"})"), "409 proxy already exists");
}

TEST_F(Api, DisablesEnablesAndMovesProxies) {
  const std::string first = create("a")["listen"];
  for (const std::string method : {"POST", "PATCH"}) {
    auto now = json(method, "/proxies/a", R"({"enabled": false})");
    EXPECT_EQ(now["enabled"], false);
    EXPECT_EQ(now["listen"], first);
    EXPECT_FALSE(leads_there(first));
    now = json(method, "/proxies/a", R"({"enabled": true, "name": "ignored", "toxics": []})");
    EXPECT_EQ(now["enabled"], true);
    EXPECT_EQ(now["listen"], first);
    EXPECT_EQ(now["name"], "a");
    EXPECT_TRUE(leads_there(first));
  }
  const std::string second = json("PATCH", "/proxies/a", R"({"listen": "127.0.0.1:0"})")["listen"];
  EXPECT_NE(second, first);
  EXPECT_FALSE(leads_there(first));
  EXPECT_TRUE(leads_there(second));
  EXPECT_EQ(json("PATCH", "/proxies/a", R"({"upstream": "127.0.0.1:1"})")["upstream"],
            "127.0.0.1:1");
  EXPECT_THAT(refusal("PATCH", "/proxies/a", R"({"listen": "x"})"), HasSubstr("not HOST:PORT"));
  EXPECT_THAT(refusal("PATCH", "/proxies/a", R"({"upstream": ""})"), HasSubstr("has no port"));
  EXPECT_EQ(refusal("PATCH", "/proxies/a", ""), "400 bad request body: it is empty");
  EXPECT_EQ(json("GET", "/proxies/a")["enabled"], true) << "nothing of that was done";
  EXPECT_THAT(refusal("PATCH", "/proxies/a", Json{{"listen", upstream}}.dump()),
              StartsWith("500 listen"));
  EXPECT_EQ(json("GET", "/proxies/a")["enabled"], false) << "as with Toxiproxy it is down now";
  EXPECT_EQ(refusal("PATCH", "/proxies/b", "{}"), "404 proxy not found");
  EXPECT_EQ(refusal("DELETE", "/proxies/b"), "404 proxy not found");
}

struct Row {
  std::string type;
  std::string given;  // attributes
  std::string told;
};

TEST_F(Api, AddsToxicsOfEveryType) {
  (void)create("a");
  const std::vector<Row> rows = {
      {"latency", R"({"latency":100,"jitter":10})", R"({"latency":100,"jitter":10})"},
      {"latency", R"({"jitter":null})", R"({"latency":0,"jitter":0})"},
      {"latency", "null", R"({"latency":0,"jitter":0})"},
      {"bandwidth", R"({"rate":7})", R"({"rate":7})"},
      {"slow_close", R"({"delay":5})", R"({"delay":5})"},
      {"timeout", R"({"timeout":5})", R"({"timeout":5})"},
      {"reset_peer", R"({"timeout":5})", R"({"timeout":5})"},
      {"slicer", R"({"average_size":9,"size_variation":3,"delay":11})",
       R"({"average_size":9,"size_variation":3,"delay":11})"},
      {"limit_data", R"({"bytes":9})", R"({"bytes":9})"},
      {"drop_pushes", "{}", "{}"},
      {"delay_pushes", R"({"delay":5, "latency":"passed over"})", R"({"delay":5})"},
      {"cut_at_frame", R"({"frame":3})", R"({"frame":3})"},
      {"cut_at_frame", "{}", R"({"frame":1})"},
  };
  for (const auto& row : rows) {
    const auto answer = ask("POST", "/proxies/a/toxics",
                            fmt::format(R"({{"type":"{}","attributes":{}}})", row.type, row.given));
    EXPECT_EQ(answer.status, 200U);
    const auto toxic = fmt::format(
        R"({{"attributes":{0},"name":"{1}_downstream","type":"{1}","stream":"downstream","toxicity":1}})",
        row.told, row.type);
    EXPECT_EQ(answer.body, toxic);
    const auto path = "/proxies/a/toxics/" + row.type + "_downstream";
    EXPECT_EQ(ask("GET", path).body, toxic);
    EXPECT_EQ(ask("GET", "/proxies/a/toxics").body, "[" + toxic + "]");
    EXPECT_THAT(ask("GET", "/proxies/a").body, HasSubstr(R"("toxics":[)" + toxic + "]"));
    const auto deleted = ask("DELETE", path);
    EXPECT_EQ(deleted.status, 204U);
    EXPECT_EQ(deleted.body, "");
    EXPECT_EQ(refusal("GET", path), "404 toxic not found");
  }
}

TEST_F(Api, ToxicsHaveNamesStreamsAndToxicity) {
  (void)create("a");
  const auto made = json(
      "POST", "/proxies/a/toxics",
      R"({"name":"n","type":"latency","stream":"Upstream","toxicity":0.25,"attributes":{"latency":1}})");
  EXPECT_EQ(made["name"], "n");
  EXPECT_EQ(made["stream"], "upstream");
  EXPECT_EQ(made["toxicity"], 0.25);
  (void)json("POST", "/proxies/a/toxics", R"({"type":"timeout"})");
  (void)json("POST", "/proxies/a/toxics", R"({"type":"timeout","stream":"upstream"})");
  std::vector<std::string> names;
  for (const auto& toxic : json("GET", "/proxies/a/toxics")) names.push_back(toxic["name"]);
  EXPECT_THAT(names, testing::ElementsAre("n", "timeout_upstream", "timeout_downstream"));
}

TEST_F(Api, UpdatesWhatOfAToxicIsNamed) {
  (void)create("a");
  (void)json("POST", "/proxies/a/toxics",
             R"({"name":"n","type":"latency","attributes":{"latency":1,"jitter":2}})");
  auto now = json("POST", "/proxies/a/toxics/n", R"({"attributes":{"jitter":3}})");
  EXPECT_EQ(now["attributes"], (Json{{"latency", 1}, {"jitter", 3}}));
  EXPECT_EQ(now["toxicity"], 1);
  now = json("PATCH", "/proxies/a/toxics/n",
             R"({"toxicity":0.5,"name":"m","type":"timeout","stream":"upstream"})");
  EXPECT_EQ(now["toxicity"], 0.5);
  EXPECT_EQ(now["name"], "n");
  EXPECT_EQ(now["type"], "latency");
  EXPECT_EQ(now["stream"], "downstream");
  EXPECT_EQ(json("GET", "/proxies/a/toxics/n"), now);
  EXPECT_EQ(refusal("PATCH", "/proxies/a/toxics/n", R"({"attributes":{"latency":1.5}})"),
            "400 bad request body: 'latency' must be a whole number from 0 to 86400000");
  EXPECT_EQ(refusal("PATCH", "/proxies/a/toxics/n", "x"), "400 bad request body: not JSON");
  EXPECT_EQ(json("GET", "/proxies/a/toxics/n"), now);
  EXPECT_EQ(refusal("PATCH", "/proxies/a/toxics/m", "{}"), "404 toxic not found");
  EXPECT_EQ(refusal("DELETE", "/proxies/a/toxics/m"), "404 toxic not found");
}

TEST_F(Api, RefusesToxicsThatCannotBe) {
  (void)create("a");
  const auto add_refused = [&](std::string_view body) {
    return refusal("POST", "/proxies/a/toxics", body);
  };
  EXPECT_EQ(add_refused("nonsense"), "400 bad request body: not JSON");
  EXPECT_EQ(add_refused("3"), "400 bad request body: not a JSON object");
  EXPECT_EQ(add_refused("{}"), "400 invalid toxic type");
  EXPECT_EQ(add_refused(R"({"type":"slow"})"), "400 invalid toxic type");
  EXPECT_EQ(add_refused(R"({"type":7})"), "400 bad request body: 'type' must be a string");
  EXPECT_EQ(add_refused(R"({"type":"slow","stream":"sideways"})"),
            "400 stream was invalid, can be either upstream or downstream");
  EXPECT_EQ(add_refused(R"({"type":"latency","attributes":[]})"),
            "400 bad request body: 'attributes' must be an object");
  EXPECT_EQ(add_refused(R"({"type":"latency","attributes":{"latency":"1"}})"),
            "400 bad request body: 'latency' must be a whole number from 0 to 86400000");
  EXPECT_EQ(add_refused(R"({"type":"latency","attributes":{"latency":-1}})"),
            "400 bad request body: 'latency' must be a whole number from 0 to 86400000");
  EXPECT_EQ(add_refused(R"({"type":"bandwidth","attributes":{"rate":18446744073709551615}})"),
            "400 bad request body: 'rate' must be a whole number from 0 to 18446744073709551");
  EXPECT_EQ(add_refused(R"({"type":"bandwidth","attributes":{"rate":18446744073709551}})"),
            "400 bad request body: bandwidth: a rate must be a TiB/s at most");
  EXPECT_EQ(add_refused(R"({"type":"latency","toxicity":2})"),
            "400 bad request body: latency: toxicity must lie between 0 and 1");
  EXPECT_EQ(add_refused(R"({"type":"latency","toxicity":"1"})"),
            "400 bad request body: 'toxicity' must be a number");
  EXPECT_EQ(add_refused(R"({"type":"slicer"})"),
            "400 bad request body: slicer: average_size must be 1 at least");
  EXPECT_EQ(add_refused(R"({"type":"drop_pushes","stream":"upstream"})"),
            "400 bad request body: drop_pushes: pushes go downstream only");
  EXPECT_EQ(ask("GET", "/proxies/a/toxics").body, "[]") << "none of them is there";
  (void)json("POST", "/proxies/a/toxics", R"({"type":"timeout"})");
  EXPECT_EQ(add_refused(R"({"type":"timeout"})"), "409 toxic already exists");
  EXPECT_EQ(add_refused(R"({"type":"latency","name":"timeout_downstream","stream":"upstream"})"),
            "409 toxic already exists");
  EXPECT_EQ(refusal("POST", "/proxies/b/toxics", "{}"), "404 proxy not found");
}

TEST_F(Api, HasAsManyAsItSays) {
  for (std::size_t i = 0; i < ProxyApi::kMaxProxies; ++i) {
    (void)json(
        "POST", "/proxies",
        Json{{"name", std::to_string(i)}, {"upstream", upstream}, {"enabled", false}}.dump());
  }
  EXPECT_EQ(refusal("POST", "/proxies", R"({"name":"more","upstream":"h:1"})"),
            "400 there are 64 proxies at most");
  for (std::size_t i = 0; i < FaultProxy::kMaxToxics; ++i) {
    (void)json("POST", "/proxies/0/toxics", fmt::format(R"({{"type":"timeout","name":"{}"}})", i));
  }
  EXPECT_EQ(refusal("POST", "/proxies/0/toxics", R"({"type":"timeout"})"),
            "400 a proxy has 64 toxics at most");
  EXPECT_EQ(json("PATCH", "/proxies/0", R"({"enabled":true})")["enabled"], true)
      << "with all of them";
}

TEST_F(Api, ToxicsStayWhileAProxyIsDisabledAndAreInForceAfterwards) {
  std::string listen = create("a")["listen"];
  (void)json("PATCH", "/proxies/a", R"({"enabled":false})");
  (void)json("POST", "/proxies/a/toxics", R"({"type":"limit_data","attributes":{"bytes":0}})");
  (void)json("PATCH", "/proxies/a/toxics/limit_data_downstream", R"({"attributes":{"bytes":3}})");
  listen = json("PATCH", "/proxies/a", R"({"enabled":true})")["listen"];
  EXPECT_EQ(heard_through(listen, "abcdef"), "abc");
}

TEST_F(Api, WhatIsDoneToAToxicIsDoneToItsProxy) {
  const std::string listen = create("a")["listen"];
  (void)json("POST", "/proxies/a/toxics",
             R"({"type":"limit_data","name":"t","attributes":{"bytes":3}})");
  EXPECT_EQ(heard_through(listen, "abcdef"), "abc");
  (void)json("PATCH", "/proxies/a/toxics/t", R"({"attributes":{"bytes":4}})");
  EXPECT_EQ(heard_through(listen, "abcdef"), "abcd");
  EXPECT_EQ(ask("DELETE", "/proxies/a/toxics/t").status, 204U);
  EXPECT_EQ(heard_through(listen, "abcdef"), "abcdef");
  (void)json("POST", "/proxies/a/toxics", R"({"type":"limit_data","attributes":{"bytes":3}})");
  EXPECT_EQ(ask("POST", "/reset").status, 204U);
  EXPECT_EQ(heard_through(listen, "abcdef"), "abcdef");
}

TEST_F(Api, ResetEnablesAllAndTakesTheirToxicsAway) {
  (void)create("a");
  (void)create("b");
  (void)json("PATCH", "/proxies/a", R"({"enabled":false})");
  (void)json("POST", "/proxies/b/toxics", R"({"type":"timeout"})");
  const auto done = ask("POST", "/reset");
  EXPECT_EQ(done.status, 204U);
  EXPECT_EQ(done.body, "");
  for (const std::string name : {"a", "b"}) {
    const auto proxy = json("GET", "/proxies/" + name);
    EXPECT_EQ(proxy["enabled"], true);
    EXPECT_EQ(proxy["toxics"], Json::array());
    EXPECT_TRUE(leads_there(proxy["listen"]));
  }
  const std::string listen = json("PATCH", "/proxies/a", R"({"enabled":false})")["listen"];
  const auto at = Endpoint::parse(listen).value();
  const tcp::acceptor taken(context,
                            tcp::endpoint(boost::asio::ip::make_address(at.host), at.port));
  EXPECT_THAT(refusal("POST", "/reset"), StartsWith("500 listen " + listen));
}

TEST_F(Api, PopulatesAndLeavesAloneWhatIsAsItShouldBe) {
  const auto wanted = [&](const std::string& listen, const std::string& to) {
    return Json::array({{{"name", "a"}, {"listen", listen}, {"upstream", to}},
                        {{"name", "b"}, {"upstream", to}, {"enabled", false}}})
        .dump();
  };
  const auto answer = ask("POST", "/populate", wanted("127.0.0.1:0", upstream));
  EXPECT_EQ(answer.status, 201U);
  const auto made = Json::parse(answer.body)["proxies"];
  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(made[0]["enabled"], true);
  EXPECT_EQ(made[1]["enabled"], false);
  EXPECT_EQ(made[1]["toxics"], Json::array());
  const std::string listen = made[0]["listen"];
  (void)json("POST", "/proxies/a/toxics", R"({"type":"timeout"})");
  EXPECT_EQ(json("POST", "/populate", wanted(listen, upstream))["proxies"][0]["toxics"].size(), 1U);
  const auto other = json("POST", "/populate", wanted(listen, "127.0.0.1:1"))["proxies"][0];
  EXPECT_EQ(other["toxics"].size(), 0U);
  EXPECT_EQ(other["upstream"], "127.0.0.1:1");
  EXPECT_EQ(other["listen"], listen);
}

TEST_F(Api, PopulateChecksAllAndSaysHowFarItCame) {
  EXPECT_EQ(ask("POST", "/populate", "[]").body, R"({"proxies":[]})");
  const auto refused = [&](std::string_view body) {
    const auto answer = ask("POST", "/populate", body);
    const auto said = Json::parse(answer.body);
    EXPECT_EQ(said["status"], answer.status);
    return fmt::format("{} {}, {} done", answer.status, said["error"].get<std::string>(),
                       said["proxies"].size());
  };
  EXPECT_EQ(refused("{}"), "400 bad request body: not a list of proxies, 0 done");
  EXPECT_EQ(refused("["), "400 bad request body: not JSON, 0 done");
  EXPECT_EQ(refused("[1]"), "400 bad request body: not a JSON object, 0 done");
  EXPECT_EQ(refused(R"([{"name":"a","upstream":"h:1"},{"upstream":"h:1"}])"),
            "400 missing required field: name at proxy 2, 0 done");
  EXPECT_EQ(refused(R"([{"name":"a"}])"),
            "400 missing required field: upstream at proxy 1, 0 done");
  EXPECT_EQ(ask("GET", "/proxies").body, "{}");
  EXPECT_THAT(refused(Json::array({{{"name", "a"}, {"upstream", "h:1"}},
                                   {{"name", "b"}, {"listen", upstream}, {"upstream", "h:1"}}})
                          .dump()),
              testing::MatchesRegex("500 listen .*, 1 done"));
  EXPECT_EQ(json("GET", "/proxies").size(), 1U);
}

TEST_F(Api, SaysItsVersionAndWhatThereIs) {
  EXPECT_EQ(json("GET", "/version")["version"], "2.12.0");
  for (const std::string nowhere : {"/", "", "x", "/toxics", "/proxies/", "/reset/x", "/metrics"}) {
    EXPECT_THAT(refusal("GET", nowhere), StartsWith("404 ")) << nowhere;
  }
  (void)create("a");
  EXPECT_THAT(refusal("GET", "/proxies/a/x"), StartsWith("404 no such page"));
  EXPECT_THAT(refusal("GET", "/proxies/a/toxics/x/y"), StartsWith("404 no such page"));
  (void)json("POST", "/proxies/a/toxics", R"({"type":"timeout","name":"t"})");
  for (const auto& [target, allow] : std::vector<std::pair<std::string, std::string>>{
           {"/proxies", "GET, POST"},
           {"/proxies/a", "GET, POST, PATCH, DELETE"},
           {"/proxies/a/toxics", "GET, POST"},
           {"/proxies/a/toxics/t", "GET, POST, PATCH, DELETE"},
           {"/reset", "POST"},
           {"/populate", "POST"},
           {"/version", "GET"}}) {
    EXPECT_THAT(refusal("PUT", target), StartsWith("405 ")) << target;
    EXPECT_EQ(ask("PUT", target).allow, allow);
  }
}

TEST_F(Api, AddressesOfIPv6HaveBrackets) {
  const auto read = read_address("[::1]:80", "listen");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->host, "::1");
  EXPECT_EQ(address_text(*read), "[::1]:80");
  EXPECT_EQ(read_address(":80", "listen")->host, "127.0.0.1") << "not every address there is";
  EXPECT_EQ(read_address("", "listen")->port, 0);
}

}  // namespace
}  // namespace nearlane::harness
