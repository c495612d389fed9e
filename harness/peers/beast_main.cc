// nearlane-peer-beast FOLDER: serves the files of a folder, which it reads first, as GET /cache/NAME: the server that
// Boost.Beast's examples lead to. A coroutine a connection, one message read, one response object written, no pipelining
// but one after the other; one thread.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using net::ip::tcp;

constexpr auto kAwait = net::as_tuple(net::use_awaitable);
constexpr std::string_view kRoot = "/cache/";

/// By name; a compressed form has its ending, as in the folder.
using Files = std::unordered_map<std::string, std::string>;

Files read_all(const std::filesystem::path& folder) {
  Files files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().filename().string()] =
        std::string((std::istreambuf_iterator<char>(file)), {});
  }
  return files;
}

http::response<http::string_body> answer(const http::request<http::string_body>& request,
                                         const Files& files) {
  http::response<http::string_body> response{http::status::ok, request.version()};
  response.keep_alive(request.keep_alive());
  response.set(http::field::server, "beast");
  response.set(http::field::vary, "Accept-Encoding");
  const std::string_view target(request.target().data(), request.target().size());
  const auto accepted = request[http::field::accept_encoding];
  const std::string name(target.substr(std::min(target.size(), kRoot.size())));
  auto found = files.end();
  for (const auto& [coding, ending] : {std::pair("br", ".br"), std::pair("gzip", ".gz")}) {
    if (accepted.find(coding) == boost::core::string_view::npos) continue;
    found = files.find(name + ending);
    if (found == files.end()) continue;
    response.set(http::field::content_encoding, coding);
    break;
  }
  if (found == files.end()) found = files.find(name);
  if (found == files.end()) {
    response.result(http::status::not_found);
  } else {
    response.set(http::field::content_type, "application/octet-stream");
    response.body() = found->second;
  }
  response.prepare_payload();
  return response;
}

net::awaitable<void> serve(tcp::socket socket, const Files& files) {
  boost::beast::flat_buffer buffer;
  for (;;) {
    http::request<http::string_body> request;
    const auto [unread, taken] = co_await http::async_read(socket, buffer, request, kAwait);
    if (unread) co_return;
    const auto response = answer(request, files);
    const auto [unsent, sent] = co_await http::async_write(socket, response, kAwait);
    if (unsent || response.need_eof()) co_return;
  }
}

net::awaitable<void> accept_all(tcp::acceptor& acceptor, const Files& files) {
  for (;;) {
    auto [failed, socket] = co_await acceptor.async_accept(kAwait);
    if (failed) co_return;
    socket.set_option(tcp::no_delay(true));
    net::co_spawn(acceptor.get_executor(), serve(std::move(socket), files), net::detached);
  }
}

int run(const char* folder) {
  const Files files = read_all(folder);
  net::io_context context(1);
  tcp::acceptor acceptor(context, tcp::endpoint(net::ip::address_v4::loopback(), 0));
  net::co_spawn(context, accept_all(acceptor, files), net::detached);
  fmt::print("nearlane-peer-beast ready http=127.0.0.1:{}\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  context.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: nearlane-peer-beast FOLDER\n", stderr);
    return 2;
  }
  try {
    return run(argv[1]);
  } catch (const std::exception& failed) {
    fmt::print(stderr, "nearlane-peer-beast: {}\n", failed.what());
    return 1;
  }
}
