#include "harness/driver/resp_codec.h"

#include <array>
#include <new>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <hiredis/read.h>

namespace nearlane::harness {
namespace {

// What hiredis's reader would allocate for each reply; here it only fills the one Seen that its privdata points
// to. Only the outermost reply matters: none of our commands is answered with an array.
void* see(const redisReadTask* task, int type, std::string_view text, long long integer) {
  auto& seen = *static_cast<RespCodec::Seen*>(task->privdata);
  if (task->parent == nullptr) {
    seen.type = type;
    seen.integer = integer;
    // A copy: the reader may move what it has read before it hands the reply over.
    seen.text.assign(text);
  }
  return &seen;
}
void* see_string(const redisReadTask* task, char* text, std::size_t size) {
  return see(task, task->type, {text, size}, 0);
}
void* see_array(const redisReadTask* task, int) { return see(task, REDIS_REPLY_ARRAY, {}, 0); }
void* see_integer(const redisReadTask* task, long long value) {
  return see(task, REDIS_REPLY_INTEGER, {}, value);
}
// A null is read as a string or an array of length -1, and its task keeps that type.
void* see_nil(const redisReadTask* task) { return see(task, REDIS_REPLY_NIL, {}, 0); }
void forget(void*) {}

redisReplyObjectFunctions kSeeing = {see_string, see_array, see_integer, see_nil, forget};

// A value may be as large as the server allows; what is larger than this is not a reply to us.
constexpr std::size_t kMaxReplyBytes = std::size_t{1} << 30U;

}  // namespace

void RespCodec::Free::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

RespCodec::RespCodec() { reset(); }

void RespCodec::reset() {
  reader_.reset(redisReaderCreateWithFunctions(&kSeeing));
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = &seen_;
}

void RespCodec::encode(const Request& request, std::string& out) {
  const auto ms = std::to_string(request.ttl.count());
  std::array<std::string_view, 5> parts;
  std::size_t count = 0;
  switch (request.kind) {
    case Op::get:
      parts = {"GET", request.key};
      count = 2;
      break;
    case Op::set:
      parts = {"SET", request.key, request.value, "PX", ms};
      count = request.ttl.count() > 0 ? 5 : 3;
      break;
    case Op::touch:
      parts = {"PEXPIRE", request.key, ms};
      count = 3;
      break;
    case Op::erase:
      parts = {"DEL", request.key};
      count = 2;
      break;
  }
  std::array<const char*, 5> texts{};
  std::array<std::size_t, 5> sizes{};
  for (std::size_t i = 0; i < count; ++i) {
    texts[i] = parts[i].data();
    sizes[i] = parts[i].size();
  }
  char* bytes = nullptr;
  const int size =
      redisFormatCommandArgv(&bytes, static_cast<int>(count), texts.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();
  out.append(bytes, static_cast<std::size_t>(size));
  redisFreeCommand(bytes);
}

Result<void> RespCodec::feed(std::string_view bytes) {
  if (reader_->len + bytes.size() > kMaxReplyBytes) {
    return Error{Errc::too_large, "a reply of more than 1 GiB"};
  }
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) {
    return Error{Errc::protocol, &reader_->errstr[0]};
  }
  return {};
}

Result<bool> RespCodec::next(Op kind, Reply& reply) {
  void* whole = nullptr;
  if (redisReaderGetReply(reader_.get(), &whole) != REDIS_OK) {
    return Error{Errc::protocol, &reader_->errstr[0]};
  }
  if (whole == nullptr) return false;
  reply = {};
  const bool is_get = kind == Op::get;
  switch (seen_.type) {
    case REDIS_REPLY_ERROR:
      reply.failure = Failure::server_error;
      reply.text = seen_.text;
      return true;
    case REDIS_REPLY_STRING:
      if (!is_get) break;
      reply.outcome = Outcome::hit;
      reply.text = seen_.text;
      return true;
    case REDIS_REPLY_NIL:
      if (!is_get) break;
      reply.outcome = Outcome::miss;
      return true;
    case REDIS_REPLY_STATUS:
      if (kind != Op::set) break;
      reply.outcome = Outcome::ok;
      return true;
    case REDIS_REPLY_INTEGER:
      if (kind != Op::touch && kind != Op::erase) break;
      reply.outcome = seen_.integer > 0 ? Outcome::ok : Outcome::miss;
      return true;
    default:
      break;
  }
  return Error{Errc::protocol,
               fmt::format("a reply of type {} to a {}", seen_.type, to_string(kind))};
}

}  // namespace nearlane::harness
