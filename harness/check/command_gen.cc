#include "harness/check/command_gen.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <span>
#include <string_view>

#include "core/base/clock.h"
#include "core/protocol/writer.h"

namespace nearlane::harness {

using protocol::Reply;
using protocol::Type;

namespace {

template <std::size_t N>
std::string one_of(const std::array<std::string_view, N>& words) {
  return std::string(words[*rc::gen::inRange<std::size_t>(0, N)]);
}

bool one_in(int n) { return *rc::gen::inRange(0, n) == 0; }

std::string any_key() {
  constexpr std::array<std::string_view, 6> keys = {"a",     "b",     "c",
                                                    "key:1", "key:2", "\r\n\x01\xff"};
  return one_of(keys);
}

std::string any_value() {
  constexpr std::array<std::string_view, 20> values = {"",
                                                       "0",
                                                       "7",
                                                       "-12",
                                                       "9223372036854775807",
                                                       "-9223372036854775808",
                                                       "9223372036854775808",
                                                       "007",
                                                       "+1",
                                                       " 1",
                                                       "1.5",
                                                       "-0.1",
                                                       "3.0e2",
                                                       "1e400",
                                                       "inf",
                                                       "nan",
                                                       "0x10",
                                                       "abc",
                                                       "*3\r\n$3\r\nGET\r\n",
                                                       "$-1\r\n"};
  if (one_in(12)) return std::string(*rc::gen::inRange<std::size_t>(1000, 40'000), 'v');
  if (one_in(3)) return *rc::gen::arbitrary<std::string>();
  return one_of(values);
}

std::string any_number() {
  constexpr std::array<std::string_view, 12> numbers = {
      "0", "1",   "-1", "5", "-5", "100", "9223372036854775807", "-9223372036854775808",
      "x", "1.5", "",   "01"};
  return one_of(numbers);
}

/// A time in `unit`s (1 for seconds, 1000 for milliseconds), `base` seconds after the epoch or from
/// now. Mostly ahead, by a stretch that no other command of the stream uses.
std::string any_time(std::size_t serial, std::int64_t unit, std::int64_t base, bool past_too) {
  if (one_in(10)) return any_number() == "x" ? "x" : "0";
  if (past_too && one_in(8)) return base == 0 ? "-1" : "1";
  if (one_in(40)) return "9223372036854775807";
  const std::int64_t ahead = *rc::gen::inRange<std::int64_t>(1, 9) * 100'000;
  return std::to_string((base + ahead + static_cast<std::int64_t>(serial) * 10) * unit);
}

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(WallClock::now().time_since_epoch())
      .count();
}

/// One time option with its time; the word in any case.
void add_time_option(Words& words, std::size_t serial, bool past_too) {
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      words.insert(words.end(), {"EX", any_time(serial, 1, 0, false)});
      return;
    case 1:
      words.insert(words.end(), {"px", any_time(serial, 1000, 0, false)});
      return;
    case 2:
      words.insert(words.end(), {"ExAt", any_time(serial, 1, unix_seconds(), past_too)});
      return;
    default:
      words.insert(words.end(), {"PXAT", any_time(serial, 1000, unix_seconds(), past_too)});
  }
}

Words any_set(std::size_t serial) {
  constexpr std::array<std::string_view, 8> flags = {"NX", "xx",      "GET",     "get",
                                                     "Nx", "KEEPTTL", "PERSIST", "what"};
  Words words = {"SET", any_key(), any_value()};
  if (one_in(2)) return words;
  if (one_in(2)) add_time_option(words, serial, false);
  while (one_in(2)) words.push_back(one_of(flags));
  if (one_in(15)) words.emplace_back("EX");
  return words;
}

Words any_getex(std::size_t serial) {
  Words words = {"GETEX", any_key()};
  if (one_in(3)) return words;
  if (one_in(3)) words.emplace_back("PERSIST");
  if (one_in(2)) add_time_option(words, serial, true);
  return words;
}

Words any_expire(std::size_t serial) {
  constexpr std::array<std::string_view, 6> conditions = {"NX", "xx", "GT", "LT", "gt", "nope"};
  Words words;
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      words = {"EXPIRE", any_key(), any_time(serial, 1, 0, true)};
      break;
    case 1:
      words = {"PEXPIRE", any_key(), any_time(serial, 1000, 0, true)};
      break;
    case 2:
      words = {"EXPIREAT", any_key(), any_time(serial, 1, unix_seconds(), true)};
      break;
    default:
      words = {"PEXPIREAT", any_key(), any_time(serial, 1000, unix_seconds(), true)};
  }
  while (one_in(3)) words.push_back(one_of(conditions));
  return words;
}

Words any_on_many_keys() {
  constexpr std::array<std::string_view, 5> names = {"DEL", "UNLINK", "EXISTS", "TOUCH", "MGET"};
  Words words = {one_of(names)};
  do {
    words.push_back(any_key());
  } while (one_in(2));
  return words;
}

Words any_on_pairs() {
  Words words = {one_in(2) ? "MSET" : "MSETNX"};
  do {
    words.push_back(any_key());
    words.push_back(any_value());
  } while (one_in(2));
  if (one_in(10)) words.push_back(any_key());
  return words;
}

Words any_on_one_key() {
  constexpr std::array<std::string_view, 12> names = {
      "GET",         "GETDEL",  "TYPE",   "TTL",  "PTTL", "EXPIRETIME",
      "PEXPIRETIME", "PERSIST", "STRLEN", "INCR", "DECR", "GET"};
  return {one_of(names), any_key()};
}

Words any_on_a_part() {
  switch (*rc::gen::inRange(0, 9)) {
    case 0:
      return {"APPEND", any_key(), any_value()};
    case 1:
      return {"GETRANGE", any_key(), any_number(), any_number()};
    case 2: {
      const std::string offset =
          one_in(4) ? any_number() : std::to_string(*rc::gen::inRange(0, 20));
      return {"SETRANGE", any_key(), offset, any_value()};
    }
    case 3:
      return {"INCRBY", any_key(), any_number()};
    case 4:
      return {"DECRBY", any_key(), any_number()};
    case 5:
      return {"INCRBYFLOAT", any_key(), any_value()};
    case 6:
      return {"GETSET", any_key(), any_value()};
    case 7:
      return {"SETNX", any_key(), any_value()};
    default:
      return {"SUBSTR", any_key(), any_number(), any_number()};
  }
}

std::string any_field() {
  constexpr std::array<std::string_view, 4> fields = {"f", "g", "", "field with spaces"};
  return one_of(fields);
}

Words any_on_fields() {
  constexpr std::array<std::string_view, 4> whole = {"HGETALL", "HKEYS", "HVALS", "HLEN"};
  constexpr std::array<std::string_view, 3> one = {"HGET", "HEXISTS", "HSTRLEN"};
  constexpr std::array<std::string_view, 2> many = {"HDEL", "HMGET"};
  Words words;
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return {one_of(whole), any_key()};
    case 1:
      return {one_of(one), any_key(), any_field()};
    case 2:
      words = {one_of(many), any_key()};
      do {
        words.push_back(any_field());
      } while (one_in(2));
      return words;
    case 3:
      return {"HSETNX", any_key(), any_field(), any_value()};
    case 4:
      return {"HINCRBY", any_key(), any_field(), any_number()};
    case 5:
      return {"HINCRBYFLOAT", any_key(), any_field(), any_value()};
    default:
      words = {one_in(4) ? "HMSET" : "HSET", any_key()};
      do {
        words.push_back(any_field());
        words.push_back(any_value());
      } while (one_in(2));
      return words;
  }
}

constexpr std::string_view kWholeWalk = "1000000";

/// Of more fields than a hash has here, so that there is but one answer, if in any order.
Words any_draw() {
  constexpr std::array<std::string_view, 6> counts = {"1000", "0", "-3", "1", "x", "2"};
  constexpr std::array<std::string_view, 4> more = {"WITHVALUES", "withvalues", "what", "1"};
  Words words = {"HRANDFIELD", any_key()};
  if (one_in(4)) return words;
  words.push_back(one_in(2) ? "1000" : one_of(counts));
  if (one_in(2)) words.push_back(one_of(more));
  return words;
}

/// A whole walk: how far a step leads is each executor's own affair.
Words any_hscan() {
  constexpr std::array<std::string_view, 4> patterns = {"*", "f*", "[fg]", "none"};
  Words words = {"HSCAN", any_key(), one_in(20) ? "x" : "0", "COUNT",
                 one_in(20) ? "0" : std::string(kWholeWalk)};
  if (one_in(2)) words.insert(words.end(), {"MATCH", one_of(patterns)});
  if (one_in(20)) words.insert(words.end(), {"TYPE", "string"});
  return words;
}

Words any_rename() { return {one_in(2) ? "RENAME" : "renamenx", any_key(), any_key()}; }

/// Mostly a whole one: where a cursor of more than 0 leads is each executor's own affair.
Words any_scan() {
  constexpr std::array<std::string_view, 3> types = {"string", "HASH", "list"};
  constexpr std::array<std::string_view, 4> patterns = {"*", "key:?", "[ab]", "none"};
  Words words = {"SCAN", one_in(20) ? "x" : "0", "COUNT",
                 one_in(20) ? any_number() : std::string(kWholeWalk)};
  if (one_in(2)) words.insert(words.end(), {"MATCH", one_of(patterns)});
  if (one_in(2)) words.insert(words.end(), {"type", one_of(types)});
  if (one_in(20)) words.emplace_back("MATCH");
  return words;
}

Words any_on_a_database() {
  constexpr std::array<std::string_view, 5> patterns = {"*", "key:?", "[ab]", "key:*[^1]", "none"};
  if (one_in(4)) return {"DBSIZE"};
  if (one_in(3)) return any_scan();
  if (one_in(6)) return one_in(2) ? Words{"FLUSHDB"} : Words{"FLUSHALL", "SYNC"};
  return {"KEYS", one_of(patterns)};
}

Words any_command(std::size_t serial) {
  const int kind = *rc::gen::inRange(0, 34);
  if (kind >= 33) return any_draw();
  if (kind >= 32) return any_hscan();
  if (kind >= 31) return any_rename();
  if (kind >= 24) return any_on_fields();
  if (kind < 5) return any_set(serial);
  if (kind < 7) return any_getex(serial);
  if (kind < 10) return any_expire(serial);
  if (kind < 11) {
    return {"SETEX", any_key(), any_time(serial, 1, 0, false), any_value()};
  }
  if (kind < 12) {
    return {"psetex", any_key(), any_time(serial, 1000, 0, false), any_value()};
  }
  if (kind < 14) return any_on_many_keys();
  if (kind < 15) return any_on_pairs();
  if (kind < 16) return any_on_a_database();
  if (kind < 20) return any_on_one_key();
  return any_on_a_part();
}

bool is(const Words& command, std::string_view name) {
  return std::equal(command[0].begin(), command[0].end(), name.begin(), name.end(),
                    [](char a, char b) { return (a & ~0x20) == b; });
}

void append_quoted(std::string& line, std::string_view word) {
  constexpr std::string_view hex = "0123456789abcdef";
  line += line.empty() ? "\"" : " \"";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 127 && c != '"' && c != '\\') {
      line += c;
    } else {
      line += {'\\', 'x', hex[byte / 16], hex[byte % 16]};
    }
  }
  line += '"';
}

/// By their texts; lists by that of their first element.
void sort_elements(Reply& reply) {
  const auto text_of = [](const Reply& element) -> const std::string& {
    return element.elements.empty() ? element.text : element.elements.front().text;
  };
  std::sort(reply.elements.begin(), reply.elements.end(),
            [&](const Reply& a, const Reply& b) { return text_of(a) < text_of(b); });
}

void sort_pairs(Reply& reply) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    pairs.emplace_back(reply.elements[i].text, reply.elements[i + 1].text);
  }
  std::sort(pairs.begin(), pairs.end());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    reply.elements[2 * i].text = pairs[i].first;
    reply.elements[2 * i + 1].text = pairs[i].second;
  }
}

}  // namespace

rc::Gen<std::vector<Words>> any_commands() {
  // At a lesser size every choice leans to its first alternative, and few commands would be met.
  return rc::gen::resize(rc::kNominalSize, rc::gen::exec([] {
                           const auto count = *rc::gen::inRange<std::size_t>(1, 60);
                           std::vector<Words> commands;
                           for (std::size_t serial = 0; serial < count; ++serial) {
                             Words words = any_command(serial);
                             // One argument too few, now and then.
                             if (words.size() > 1 && one_in(60)) words.pop_back();
                             commands.push_back(std::move(words));
                           }
                           return commands;
                         }));
}

bool agree(const Words& command, Reply a, Reply b) {
  for (const auto& [name, slack] : {std::pair<std::string_view, std::int64_t>{"TTL", 2},
                                    {"EXPIRETIME", 2},
                                    {"PTTL", 2000},
                                    {"PEXPIRETIME", 2000}}) {
    if (!is(command, name) || a.type != Type::integer || b.type != Type::integer) continue;
    const bool either_has_none = a.integer < 0 || b.integer < 0;
    return either_has_none ? a.integer == b.integer : std::abs(a.integer - b.integer) <= slack;
  }
  if (is(command, "KEYS") || is(command, "HKEYS") || is(command, "HVALS")) {
    sort_elements(a);
    sort_elements(b);
  }
  if (is(command, "HRANDFIELD")) {
    const bool lists = a.type == Type::array && b.type == Type::array;
    if (!lists || command.size() < 3 || command[2] != "1000") {
      // Which fields are drawn is chance.
      const bool same_kind = a.type == b.type && a.elements.size() == b.elements.size();
      return a.is_error() || b.is_error() ? a == b : same_kind;
    }
    const bool flat =
        command.size() > 3 && !a.elements.empty() && a.elements.front().type == Type::bulk_string;
    for (Reply* reply : {&a, &b}) flat ? sort_pairs(*reply) : sort_elements(*reply);
  }
  if (is(command, "HSCAN") && a.elements.size() == 2 && b.elements.size() == 2) {
    sort_pairs(a.elements[1]);
    sort_pairs(b.elements[1]);
  }
  if (is(command, "HGETALL")) {
    // RESP2 has no maps.
    for (Reply* reply : {&a, &b}) {
      if (reply->type == Type::map) reply->type = Type::array;
      sort_pairs(*reply);
    }
  }
  if (is(command, "SCAN") && a.elements.size() == 2 && b.elements.size() == 2) {
    // Which keys one call meets, and how many, is each executor's own affair (each has its own seed of hashes), also where
    // the next cursors agree: only of a whole walk is more than the form the same.
    const bool whole = a.elements[0].text == "0" && b.elements[0].text == "0";
    if (!whole) {
      return command[3] != kWholeWalk && a.elements[0].type == b.elements[0].type &&
             a.elements[1].type == b.elements[1].type;
    }
    sort_elements(a.elements[1]);
    sort_elements(b.elements[1]);
  }
  return a == b;
}

std::string to_bytes(const Words& command) {
  std::string bytes;
  protocol::append_command(bytes, std::span<const std::string>(command));
  return bytes;
}

std::string to_inline(const Words& command) {
  std::string line;
  for (const auto& word : command) append_quoted(line, word);
  return line + "\r\n";
}

std::string to_text(const Words& command) {
  std::string text;
  for (const auto& word : command) append_quoted(text, std::string_view(word).substr(0, 100));
  return text;
}

}  // namespace nearlane::harness
