#include "harness/check/http_client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <poll.h>

namespace nearlane::harness {

namespace {

using boost::asio::ip::tcp;
using Code = boost::system::error_code;

constexpr std::string_view kLength = "Content-Length: ";

std::size_t body_size(std::string_view head) {
  std::size_t size = 0;
  const auto at = head.find(kLength);
  if (at == std::string_view::npos) return size;
  const auto digits = head.substr(at + kLength.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), size);
  return size;
}

}  // namespace

std::string http_request(std::string_view method, std::string_view target) {
  return fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", method, target);
}

HttpClient::HttpClient(const Endpoint& endpoint) : socket_(context_) {
  Code failed;
  const auto address = boost::asio::ip::make_address(endpoint.host, failed);
  if (!failed) (void)socket_.connect({address, endpoint.port}, failed);
  if (!failed) (void)socket_.set_option(tcp::no_delay(true), failed);
  if (failed) (void)socket_.close(failed);
}

void HttpClient::send(std::string_view bytes) {
  Code ended;  // which the answer that does not come will tell
  boost::asio::write(socket_, boost::asio::buffer(bytes), ended);
}

bool HttpClient::hears_within(std::chrono::milliseconds patience) {
  return !received_.empty() || wait(patience);
}

bool HttpClient::wait(Duration limit) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  pollfd waiting{.fd = socket_.native_handle(), .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) > 0;
}

bool HttpClient::receive(TimePoint deadline) {
  if (!socket_.is_open() || !wait(deadline - Clock::now())) return false;
  std::array<char, 4096> chunk{};
  Code ended;
  const auto size = socket_.read_some(boost::asio::buffer(chunk), ended);
  received_.append(chunk.data(), size);
  return !ended;
}

HttpResponse HttpClient::response(Duration limit, bool to_head) {
  const TimePoint deadline = Clock::now() + limit;
  const auto take = [&](std::size_t size) {
    std::string taken = received_.substr(0, size);
    received_.erase(0, size);
    return taken;
  };
  constexpr std::string_view kEnd = "\r\n\r\n";
  auto end = received_.find(kEnd);
  while (end == std::string::npos) {
    if (!receive(deadline)) return {};
    end = received_.find(kEnd);
  }
  HttpResponse got;
  got.head = take(end + kEnd.size());
  got.status =
      got.head.substr(std::min<std::size_t>(got.head.find(' '), got.head.size() - 1) + 1, 3);
  const bool bodiless = to_head || got.status == "204" || got.status == "304";
  const auto size = bodiless ? 0 : body_size(got.head);
  while (received_.size() < size) {
    if (!receive(deadline)) return {};
  }
  got.body = take(size);
  return got;
}

}  // namespace nearlane::harness
