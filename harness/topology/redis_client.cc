#include "harness/topology/redis_client.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/time.h>

namespace nearlane::harness {
namespace {

RedisReply copy(const redisReply& reply) {
  RedisReply out;
  switch (reply.type) {
    case REDIS_REPLY_STRING:
      out.kind = RedisReply::Kind::string;
      break;
    case REDIS_REPLY_STATUS:
      out.kind = RedisReply::Kind::status;
      break;
    case REDIS_REPLY_ERROR:
      out.kind = RedisReply::Kind::error;
      break;
    case REDIS_REPLY_INTEGER:
      out.kind = RedisReply::Kind::integer;
      break;
    case REDIS_REPLY_ARRAY:
      out.kind = RedisReply::Kind::array;
      break;
    default:
      break;
  }
  if (reply.str != nullptr) out.text.assign(reply.str, reply.len);
  out.integer = reply.integer;
  for (std::size_t i = 0; out.kind == RedisReply::Kind::array && i < reply.elements; ++i) {
    out.elements.push_back(copy(*reply.element[i]));
  }
  return out;
}

timeval to_timeval(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

}  // namespace

void RedisClient::Free::operator()(redisContext* context) const noexcept { redisFree(context); }

RedisClient::RedisClient(Endpoint endpoint, Duration timeout)
    : endpoint_(std::move(endpoint)), timeout_(timeout) {}

Result<void> RedisClient::connect() {
  context_.reset(
      redisConnectWithTimeout(endpoint_.host.c_str(), endpoint_.port, to_timeval(timeout_)));
  if (!context_) return Error{Errc::unavailable, "hiredis: out of memory"};
  if (context_->err != 0) {
    Error error{Errc::unavailable, endpoint_.to_string() + ": " + &context_->errstr[0]};
    context_.reset();
    return error;
  }
  redisSetTimeout(context_.get(), to_timeval(timeout_));
  return {};
}

Result<RedisReply> RedisClient::command(std::span<const std::string_view> arguments) {
  if (!context_) {
    if (auto connected = connect(); !connected) return connected.error();
  }
  std::vector<const char*> texts;
  std::vector<std::size_t> lengths;
  for (const auto argument : arguments) {
    texts.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  auto* raw = static_cast<redisReply*>(redisCommandArgv(
      context_.get(), static_cast<int>(texts.size()), texts.data(), lengths.data()));
  if (raw == nullptr) return give_up();
  RedisReply reply = copy(*raw);
  freeReplyObject(raw);
  return reply;
}

Error RedisClient::give_up() {
  const bool timed_out = context_->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
  Error error{timed_out ? Errc::timeout : Errc::connection_lost,
              endpoint_.to_string() + ": " + &context_->errstr[0]};
  context_.reset();
  return error;
}

Result<std::optional<RedisReply>> RedisClient::listen(Duration limit) {
  if (!context_) return Error{Errc::connection_lost, endpoint_.to_string() + ": not connected"};
  for (const TimePoint end = Clock::now() + limit;;) {
    void* raw = nullptr;
    if (redisGetReplyFromReader(context_.get(), &raw) != REDIS_OK) return give_up();
    if (raw != nullptr) {
      RedisReply reply = copy(*static_cast<redisReply*>(raw));
      freeReplyObject(raw);
      return std::optional(std::move(reply));
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(std::max<Duration>(end - Clock::now(), {}));
    pollfd waiting{.fd = context_->fd, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return std::nullopt;
    if (redisBufferRead(context_.get()) != REDIS_OK) return give_up();
  }
}

Result<std::string> RedisClient::info(std::string_view section, std::string_view field) {
  auto reply = command({"INFO", section});
  if (!reply) return reply.error();
  const std::string_view text = reply->text;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find("\r\n", at), text.size());
    const auto line = text.substr(at, end - at);
    if (line.size() > field.size() && line.starts_with(field) && line[field.size()] == ':') {
      return std::string(line.substr(field.size() + 1));
    }
    at = end + 2;
  }
  return Error{Errc::protocol, "INFO " + std::string(section) + " has no " + std::string(field)};
}

Result<std::uint64_t> RedisClient::calls(std::string_view command) {
  // "calls=7,usec=…"; a command that was never executed has no line.
  const auto text = info("commandstats", fmt::format("cmdstat_{}", command));
  if (!text) return text.error().code == Errc::protocol ? Result<std::uint64_t>(0) : text.error();
  constexpr std::string_view kCalls = "calls=";
  std::uint64_t calls = 0;
  if (!text->starts_with(kCalls) ||
      std::from_chars(text->data() + kCalls.size(), text->data() + text->size(), calls).ec !=
          std::errc()) {
    return Error{Errc::protocol, fmt::format("INFO commandstats, {}: {}", command, *text)};
  }
  return calls;
}

}  // namespace nearlane::harness
