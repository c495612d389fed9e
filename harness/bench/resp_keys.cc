#include "harness/bench/resp_keys.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

void append_reply(const RespKeys& keys, std::uint64_t number, std::string& out) {
  if (number >= keys.count) {
    out.append("$-1\r\n");
    return;
  }
  fmt::format_to(std::back_inserter(out), "${}\r\n", keys.value_bytes);
  keys.append_value(number, out);
  out.append("\r\n");
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
  Sequence made(
      [keys](std::uint64_t number, std::string& out) { append_reply(keys, number, out); });
  const std::size_t hit_bytes = bulk_string_bytes(keys.value_bytes);
  for (const std::uint64_t number : shuffled(keys.count, random)) {
    const bool hit = random.real() < hits;
    const std::uint64_t asked = hit ? number : keys.count + number;
    const std::string name = keys.name(asked);
    made.add(asked, std::array<std::string_view, 2>{"GET", name},
             hit ? hit_bytes : std::string_view("$-1\r\n").size());
  }
  return made;
}

Sequence mgets(const RespKeys& keys, std::uint64_t width, std::uint64_t seed) {
  Random random(seed);
  const auto order = shuffled(keys.count, random);
  // A request's number is where its keys begin in that order.
  Sequence made([keys, order, width](std::uint64_t first, std::string& out) {
    fmt::format_to(std::back_inserter(out), "*{}\r\n", width);
    for (std::uint64_t at = first; at < first + width; ++at) append_reply(keys, order[at], out);
  });
  const std::size_t reply_bytes =
      fmt::formatted_size("*{}\r\n", width) + width * bulk_string_bytes(keys.value_bytes);
  for (std::uint64_t first = 0; first + width <= keys.count; first += width) {
    std::vector<std::string> names;
    for (std::uint64_t at = first; at < first + width; ++at) names.push_back(keys.name(order[at]));
    std::vector<std::string_view> words{"MGET"};
    words.insert(words.end(), names.begin(), names.end());
    made.add(first, words, reply_bytes);
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
  constexpr std::string_view kReply = "+OK\r\n";
  const auto add = [&](std::uint64_t number, Sequence& writes) {
    const std::string name = keys.name(number);
    std::string value;
    keys.append_value(number, value);
    writes.add(number, std::array<std::string_view, 3>{"SET", name, value}, kReply.size());
  };
  return write_all(server, keys, add, kReply);
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
