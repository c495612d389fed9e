#include "servers/nearlane/why.h"

#include <chrono>
#include <cstdio>
#include <exception>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "servers/nearlane/command_line.h"
#include "servers/nearlane/secret_file.h"
#include "servers/nearlane/why_text.h"

namespace nearlane::server {

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace beast_http = boost::beast::http;

/// For the whole exchange; the server itself gives L2 less.
constexpr auto kTimeout = std::chrono::seconds(10);

struct Asked {
  std::string key;
  std::string http = "127.0.0.1:8080";
  std::uint32_t db = 0;
  bool db_given = false;
  std::string api_key_file;
  bool json = false;
  std::string help;  // not empty: print it and end
};

Result<Asked> read_args(std::vector<std::string> args, const Environment& environment) {
  Asked asked;
  // What configures a server on this machine names it, too.
  if (const char* http = environment("NEARLANE_HTTP")) asked.http = http;
  if (const char* file = environment("NEARLANE_API_KEY_FILE")) asked.api_key_file = file;
  CLI::App app("Why a running server answers a key as it does", "nearlane why");
  app.add_option("KEY", asked.key, "the key's bytes")->required();
  app.add_option("--http", asked.http, "the server's HTTP door [127.0.0.1:8080]")
      ->type_name("ADDR:PORT");
  auto* db = app.add_option("--db", asked.db, "its database [as the server's --l2 says, else 0]");
  app.add_option("--api-key-file", asked.api_key_file,
                 "the server's API key is this file's first line")
      ->type_name("FILE");
  app.add_flag("--json", asked.json, "as the server sent it");
  auto help = read_command_line(app, std::move(args));
  if (help.has_error()) return help.error();
  asked.help = std::move(*help);
  if (!asked.help.empty()) return asked;
  asked.db_given = db->count() > 0;
  if (asked.key.empty()) return Error{Errc::invalid_argument, "KEY: it is empty"};
  return asked;
}

struct Reply {
  unsigned status = 0;
  std::string body;
};

net::awaitable<Reply> fetch(net::ip::tcp::endpoint server, std::string host, std::string target,
                            std::string api_key) {
  beast::tcp_stream stream(co_await net::this_coro::executor);
  stream.expires_after(kTimeout);
  co_await stream.async_connect(server, net::use_awaitable);
  beast_http::request<beast_http::empty_body> request(beast_http::verb::get, target, 11);
  request.set(beast_http::field::host, host);
  request.set(beast_http::field::connection, "close");
  if (!api_key.empty()) request.set(beast_http::field::authorization, "Bearer " + api_key);
  co_await beast_http::async_write(stream, request, net::use_awaitable);
  beast::flat_buffer buffer;
  beast_http::response<beast_http::string_body> response;
  co_await beast_http::async_read(stream, buffer, response, net::use_awaitable);
  co_return Reply{response.result_int(), std::move(response.body())};
}

/// An answer, or what kept it from coming.
Result<Reply> ask(const loop::Address& server, const std::string& target,
                  const std::string& api_key) {
  net::io_context context(1);
  Result<Reply> reply = Error{Errc::unavailable, "no answer"};
  net::co_spawn(
      context,
      fetch({net::ip::make_address(server.host), server.port}, server.to_text(), target, api_key),
      [&reply](const std::exception_ptr& failed, Reply got) {
        if (!failed) {
          reply = std::move(got);
          return;
        }
        try {
          std::rethrow_exception(failed);
        } catch (const boost::system::system_error& error) {
          reply = Error{Errc::unavailable, error.code().message()};
        }
      });
  context.run();
  return reply;
}

int fail(int code, const std::string& text) {
  fmt::print(stderr, "nearlane why: {}\n", text);
  return code;
}

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

/// What an answer other than an explanation means.
std::string refusal_of(const Reply& reply, const std::string& http, bool had_key) {
  switch (reply.status) {
    case 401:
      return had_key ? fmt::format("{} refuses the API key in --api-key-file", http)
                     : fmt::format("{} asks for an API key: give --api-key-file", http);
    case 404:
      return fmt::format("{} knows no /why: is it a nearlane, and no older than this one?", http);
    default:
      return fmt::format("{} answered {}: {}", http, reply.status, reply.body);
  }
}

}  // namespace

int why(std::vector<std::string> args, const Environment& environment) {
  const auto asked = read_args(std::move(args), environment);
  if (asked.has_error()) return fail(kBadUsage, asked.error().detail);
  if (!asked->help.empty()) {
    fmt::print("{}", asked->help);
    return 0;
  }
  const auto server = loop::parse_address(asked->http);
  if (server.has_error()) return fail(kBadUsage, "--http: " + server.error().detail);
  if (server->kind != loop::Address::Kind::tcp || server->port == 0) {
    return fail(kBadUsage,
                fmt::format("--http {}: must be the ADDR:PORT of a running server", asked->http));
  }
  const auto api_key = read_secret("--api-key-file", asked->api_key_file);
  if (api_key.has_error()) return fail(kBadUsage, api_key.error().detail);

  std::string target = "/why/" + percent_encode(asked->key);
  if (asked->db_given) target += "?db=" + std::to_string(asked->db);
  const auto reply = ask(*server, target, *api_key);
  if (reply.has_error()) {
    return fail(kFailed, fmt::format("cannot reach {}: {}; is a server's HTTP door there (--http)?",
                                     asked->http, reply.error().detail));
  }
  if (reply->status != 200) {
    return fail(kFailed, refusal_of(*reply, asked->http, !api_key->empty()));
  }
  const auto text = why_text(reply->body);
  if (text.has_error()) return fail(kFailed, text.error().detail);
  fmt::print("{}", asked->json ? reply->body : text->text);
  std::fflush(stdout);
  return text->known ? 0 : fail(kFailed, "neither L1 nor L2 has such a key");
}

}  // namespace nearlane::server
