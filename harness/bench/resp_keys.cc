#include "harness/bench/resp_keys.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/driver/bursts.h"
#include "harness/peers/canned_resp.h"
#include "harness/workload/random.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {
namespace {

constexpr std::string_view kField = "state";
constexpr std::uint64_t kFillBytes = std::uint64_t{8}
                                     << 20U;  // of requests that are made at a time
constexpr std::uint32_t kFillConnections = 4;
constexpr std::uint32_t kFillBurst = 32;
constexpr Duration kFillWithin = std::chrono::minutes(2);

std::vector<std::uint64_t> shuffled(std::uint64_t count, Random& random) {
  std::vector<std::uint64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  for (std::uint64_t i = count; i > 1; --i) std::swap(numbers[i - 1], numbers[random.below(i)]);
  return numbers;
}

/// One key's part of the reply to a read.
void append_reply(const RespKeys& keys, std::uint64_t number, std::string& out) {
  const bool there = number < keys.count;
  if (keys.dialect == Dialect::memcached) {
    if (!there) return;
    fmt::format_to(std::back_inserter(out), "VALUE {} 0 {}\r\n", keys.name(number),
                   keys.value_bytes);
  } else if (!there) {
    out.append("$-1\r\n");
    return;
  } else {
    fmt::format_to(std::back_inserter(out), "${}\r\n", keys.value_bytes);
  }
  keys.append_value(number, out);
  out.append("\r\n");
}
std::size_t reply_bytes(const RespKeys& keys, std::uint64_t number) {
  RespKeys without = keys;
  without.value_bytes = 0;
  std::string around;
  append_reply(without, number, around);
  if (number >= keys.count) return around.size();
  return around.size() - 1 + fmt::formatted_size("{}", keys.value_bytes) + keys.value_bytes;
}
/// Behind all of them.
std::string_view end_of_reply(const RespKeys& keys) {
  return keys.dialect == Dialect::memcached ? "END\r\n" : "";
}

/// A read of these keys.
void add_read(const RespKeys& keys, std::uint64_t number, std::string_view command,
              std::span<const std::string> names, std::size_t bytes, Sequence& into) {
  if (keys.dialect == Dialect::memcached) {
    into.add(number, fmt::format("get {}\r\n", fmt::join(names, " ")), bytes);
    return;
  }
  std::vector<std::string_view> words{command};
  words.insert(words.end(), names.begin(), names.end());
  into.add(number, words, bytes);
}

/// Writes of all keys, of which each is answered with `reply`, a piece at a time.
Result<void> write_all(const Endpoint& server, const RespKeys& keys,
                       const std::function<void(std::uint64_t, Sequence&)>& add,
                       std::string_view reply) {
  const std::uint64_t piece = std::clamp<std::uint64_t>(
      kFillBytes / std::max<std::uint64_t>(keys.value_bytes, 1), 1, keys.count);
  for (std::uint64_t first = 0; first < keys.count; first += piece) {
    Sequence writes([reply](std::uint64_t, std::string& out) { out.append(reply); });
    const std::uint64_t last = std::min(first + piece, keys.count);
    for (std::uint64_t number = first; number < last; ++number) add(number, writes);
    const BurstLoad load{.sequence = &writes,
                         .target = server,
                         .connections = kFillConnections,
                         .burst = kFillBurst,
                         .bursts = (writes.size() + kFillBurst - 1) / kFillBurst};
    const auto done = send_bursts({&load, 1}, {.duration = kFillWithin, .polls = false});
    if (!done) return Error{done.error().code, "filling: " + done.error().detail};
    if (done->runs.front().answered < writes.size())
      return Error{Errc::timeout, "the keys could not be written in time"};
  }
  return {};
}

}  // namespace

std::string RespKeys::name(std::uint64_t number) const {
  std::string made;
  write_key_name(prefix, number, made);
  return made;
}

void RespKeys::append_value(std::uint64_t number, std::string& out) const {
  if (canned) {
    out.append(value_bytes, kCannedByte);
    return;
  }
  Random random(number + 1);
  const std::size_t end = out.size() + value_bytes;
  while (out.size() < end) {
    const std::uint64_t drawn = random.next();
    out.append(reinterpret_cast<const char*>(&drawn), std::min(sizeof drawn, end - out.size()));
  }
}

Sequence gets(const RespKeys& keys, double hits, std::uint64_t seed) {
  Random random(seed);
  Sequence made([keys](std::uint64_t number, std::string& out) {
    append_reply(keys, number, out);
    out.append(end_of_reply(keys));
  });
  for (const std::uint64_t number : shuffled(keys.count, random)) {
    const std::uint64_t asked = random.real() < hits ? number : keys.count + number;
    const std::string name = keys.name(asked);
    add_read(keys, asked, "GET", {&name, 1}, reply_bytes(keys, asked) + end_of_reply(keys).size(),
             made);
  }
  return made;
}

Sequence mgets(const RespKeys& keys, std::uint64_t width, std::uint64_t seed) {
  Random random(seed);
  const auto order = shuffled(keys.count, random);
  const std::string begin =
      keys.dialect == Dialect::memcached ? std::string() : fmt::format("*{}\r\n", width);
  // A request's number is where its keys begin in that order.
  Sequence made([keys, order, width, begin](std::uint64_t first, std::string& out) {
    out.append(begin);
    for (std::uint64_t at = first; at < first + width; ++at) append_reply(keys, order[at], out);
    out.append(end_of_reply(keys));
  });
  for (std::uint64_t first = 0; first + width <= keys.count; first += width) {
    std::vector<std::string> names;
    std::size_t bytes = begin.size() + end_of_reply(keys).size();
    for (std::uint64_t at = first; at < first + width; ++at) {
      names.push_back(keys.name(order[at]));
      bytes += reply_bytes(keys, order[at]);
    }
    add_read(keys, first, "MGET", names, bytes, made);
  }
  return made;
}

Sequence hgets(const RespKeys& keys, std::uint64_t seed) {
  Random random(seed);
  Sequence made(
      [keys](std::uint64_t number, std::string& out) { append_reply(keys, number, out); });
  for (const std::uint64_t number : shuffled(keys.count, random)) {
    const std::string name = keys.name(number);
    made.add(number, std::array<std::string_view, 3>{"HGET", name, kField},
             bulk_string_bytes(keys.value_bytes));
  }
  return made;
}

Result<void> fill(const Endpoint& server, const RespKeys& keys) {
  const bool memcached = keys.dialect == Dialect::memcached;
  const std::string_view reply = memcached ? "STORED\r\n" : "+OK\r\n";
  const auto add = [&](std::uint64_t number, Sequence& writes) {
    const std::string name = keys.name(number);
    std::string value;
    keys.append_value(number, value);
    if (memcached) {
      writes.add(number, fmt::format("set {} 0 0 {}\r\n{}\r\n", name, value.size(), value),
                 reply.size());
    } else {
      writes.add(number, std::array<std::string_view, 3>{"SET", name, value}, reply.size());
    }
  };
  return write_all(server, keys, add, reply);
}

Result<void> fill_hashes(const Endpoint& server, const RespKeys& keys) {
  constexpr std::string_view kReply = ":1\r\n";
  const auto add = [&](std::uint64_t number, Sequence& writes) {
    const std::string name = keys.name(number);
    std::string value;
    keys.append_value(number, value);
    writes.add(number, std::array<std::string_view, 4>{"HSET", name, kField, value}, kReply.size());
  };
  return write_all(server, keys, add, kReply);
}

}  // namespace nearlane::harness
