// nearlane-ok: either front end over a constant answer, through the same loops and connections as
// the server. What a request costs here, the wire costs; what it costs more in nearlane, the cache
// does.

#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "core/protocol/writer.h"
#include "servers/http/connection.h"
#include "servers/http/door.h"
#include "servers/http/fast_request.h"
#include "servers/loop/loop_group.h"
#include "servers/ok/constant_session.h"
#include "servers/resp/connection.h"
#include "servers/resp/door.h"

namespace {

using namespace nearlane;

constexpr int kBadConfiguration = 2;

class ConstantHandler final : public http::Handler {
 public:
  /// `answer` is all of it, `body` its end.
  ConstantHandler(const std::string& answer, const std::string& body)
      : answer_(answer), body_(body) {}

  http::FastAnswers answer_fast(std::string_view input, std::string& out, TimePoint) override {
    http::FastAnswers answers;
    http::DecodedKey decoded;
    while (out.size() < http::kFlushBytes) {
      const auto request = reader_.read(input.substr(answers.bytes), decoded);
      if (!request || request->head) break;
      out += answer_;
      answers.bytes += request->size;
      ++answers.gets;
    }
    return answers;
  }
  bool answer_now(const http::Request& request, http::Response& response, TimePoint) override {
    response.head.result(http::Status::ok);
    response.head.version(request.version());
    response.head.keep_alive(request.keep_alive());
    response.head.set(http::Field::content_type, "application/octet-stream");
    response.head.content_length(body_.size());
    response.text = body_;
    return true;
  }
  boost::asio::awaitable<void> answer(const http::Request&, http::Response&) override { co_return; }

 private:
  http::FastReader reader_;
  const std::string& answer_;
  const std::string& body_;
};

struct Settings {
  std::string resp = "127.0.0.1:6380";
  std::string http = "127.0.0.1:8080";
  std::size_t bytes = 100;
  unsigned threads = 1;
};

Result<std::string> open(loop::LoopGroup& loops, const std::string& where,
                         const loop::Refusals& refusals,
                         const loop::LoopGroup::AcceptHandler& accept) {
  const auto address = loop::parse_address(where);
  if (address.has_error()) return address.error();
  if (address->kind == loop::Address::Kind::off) return where;
  const auto bound = loops.listen(*address, refusals, accept);
  if (bound.has_error()) return bound.error();
  return bound->to_text();
}

int serve(const Settings& settings) {
  const std::string value(settings.bytes, 'x');
  std::string bulk;
  protocol::append_bulk(bulk, value);
  const std::string answer = fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n{}",
      value.size(), value);

  loop::LoopGroup loops(settings.threads, {});
  const auto resp = open(loops, settings.resp, resp::refusals(), [&](loop::Loop& home, int socket) {
    return std::make_shared<resp::Connection>(
        home, socket, resp::ConnectionLimits{},
        [&](resp::Session::Host&) { return std::make_shared<ok::ConstantSession>(bulk); });
  });
  const auto http = open(loops, settings.http, http::refusals(), [&](loop::Loop& home, int socket) {
    return std::make_shared<http::Connection>(
        home, socket, std::make_unique<ConstantHandler>(answer, value), http::ConnectionLimits{});
  });
  for (const auto* bound : {&resp, &http}) {
    if (bound->has_error()) {
      fmt::print(stderr, "nearlane-ok: {}\n", bound->error().detail);
      return kBadConfiguration;
    }
  }
  fmt::print("nearlane-ok ready resp={} http={} pid={}\n", *resp, *http, ::getpid());
  std::fflush(stdout);
  return loops.run() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  Settings settings;
  CLI::App app("Answers every GET with the same bytes: what the wire costs", "nearlane-ok");
  app.add_option("--resp", settings.resp, "RESP door, ADDR:PORT, unix:PATH or off")
      ->capture_default_str();
  app.add_option("--http", settings.http, "HTTP door, ADDR:PORT or off")->capture_default_str();
  app.add_option("--bytes", settings.bytes, "size of the value")->capture_default_str();
  app.add_option("--threads", settings.threads, "event loops")->capture_default_str();
  try {
    app.parse(argc, argv);
    return serve(settings);
  } catch (const CLI::ParseError& asked) {
    return app.exit(asked) == 0 ? 0 : kBadConfiguration;
  } catch (const std::exception& failed) {
    fmt::print(stderr, "nearlane-ok: {}\n", failed.what());
    return 1;
  }
}
