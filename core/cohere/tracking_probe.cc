#include "core/cohere/tracking_probe.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/protocol/writer.h"

namespace nearlane::cohere {
namespace {

using protocol::Reply;
using protocol::Type;

/// Stands for the probe's key in the commands below.
constexpr std::string_view kKey = "KEY";

/// Longer than the commands can take on their way, and soon gone where the connection is lost halfway.
constexpr std::string_view kExpiryMs = "10000";

bool is_pttl(const Reply& reply) { return reply.type == Type::integer && reply.integer > 0; }

bool ok(const Reply& reply) { return reply.is_ok(); }
bool queued(const Reply& reply) { return reply.text == "QUEUED"; }
bool nil(const Reply& reply) { return reply.is_null(); }
bool one(const Reply& reply) { return reply.type == Type::integer && reply.integer == 1; }
bool executed(const Reply& reply) {
  return reply.elements.size() == 2 && ok(reply.elements[0]) && is_pttl(reply.elements[1]);
}

struct Exchange {
  std::array<std::string_view, 5> command;  // up to the first empty word
  bool (*expected)(const Reply&);
  std::size_t pushes;  // that must have come before the reply
};

constexpr std::array<std::string_view, 3> kUnknown = {
    "ERR unknown command", "ERR unknown subcommand", "ERR Unknown subcommand"};

constexpr Exchange kOptIn{{"CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"}, ok, 0};
constexpr std::array kExchanges = {
    kOptIn,
    Exchange{{"CLIENT", "CACHING", "YES"}, ok, 0},
    Exchange{{"MULTI"}, ok, 0},
    Exchange{{"SET", kKey, "probe", "PX", kExpiryMs}, queued, 0},
    Exchange{{"PTTL", kKey}, queued, 0},
    Exchange{{"EXEC"}, executed, 0},
    Exchange{{"CLIENT", "TRACKING", "ON", "OPTIN"}, ok, 0},
    Exchange{{"DEL", kKey}, one, 0},
    Exchange{{"CLIENT", "CACHING", "YES"}, ok, 1},
    Exchange{{"GET", kKey}, nil, 1},
    Exchange{{"SET", kKey, "probe", "PX", kExpiryMs}, ok, 1},
    Exchange{{"PTTL", kKey}, is_pttl, 2},
    Exchange{{"DEL", kKey}, one, 2},
    kOptIn,
};

std::vector<std::string_view> words_of(const Exchange& exchange, std::string_view key) {
  std::vector<std::string_view> words;
  for (const std::string_view word : exchange.command) {
    if (!word.empty()) words.push_back(word == kKey ? key : word);
  }
  return words;
}

}  // namespace

bool is_unknown_command(std::string_view error) noexcept {
  return std::ranges::any_of(kUnknown,
                             [&](std::string_view begin) { return error.starts_with(begin); });
}

std::size_t TrackingProbe::begin(std::string& out, std::string_view key) {
  *this = {};
  key_ = key;
  running_ = true;
  for (const Exchange& exchange : kExchanges) {
    protocol::append_command(out, std::span<const std::string_view>(words_of(exchange, key_)));
  }
  return kExchanges.size();
}

void TrackingProbe::take_reply(const Reply& reply) {
  const Exchange& exchange = kExchanges[at_++];
  running_ = at_ < kExchanges.size();
  ended_ = !running_;
  if (!trouble_.empty()) return;
  if (!exchange.expected(reply)) {
    unknown_ = reply.is_error() && is_unknown_command(reply.text);
    loading_ = reply.is_error() && reply.text.starts_with("LOADING ");
    std::string command;
    for (const std::string_view word : words_of(exchange, key_)) {
      command += (command.empty() ? "" : " ") + std::string(word);
    }
    trouble_ = "it answered " + command + " with " +
               (reply.text.empty() ? "something else than Redis does" : "\"" + reply.text + "\"");
  } else if (pushes_ < exchange.pushes) {
    trouble_ = "it says that it tracks, and did not announce a change before its next reply";
  }
}

bool TrackingProbe::take_push(std::string_view name) {
  if (key_.empty() || name != key_) return false;
  ++pushes_;
  return true;
}

}  // namespace nearlane::cohere
