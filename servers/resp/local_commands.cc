// The commands of CacheSession that concern the connection.
//
// Source:  replies and texts of Redis 7.0 (networking.c, server.c).
#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "core/protocol/integer.h"
#include "servers/loop/secret.h"
#include "servers/resp/cache_session.h"
#include "servers/resp/errors.h"
#include "servers/resp/replies.h"
#include "servers/resp/set_options.h"

namespace nearlane::resp {

using loop::AnsweredBy;
using loop::Outcome;

namespace {

/// What we tell clients that ask which Redis we are: they choose features by it.
constexpr std::string_view kRedisVersion = "7.0.15";
constexpr std::string_view kDefaultUser = "default";
constexpr std::int64_t kTracksNothing = -1;  // in place of the client to which it redirects

bool valid_client_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

/// Options of CLIENT KILL, in pairs; what is wrong with them, or nothing.
std::string read_filter(std::span<const std::string_view> options, ClientFilter& which) {
  const std::uint64_t own = which.skipped;
  for (std::size_t i = 0; i < options.size(); i += 2) {
    if (i + 1 == options.size()) return "ERR syntax error";
    const std::string_view option = options[i];
    const std::string_view value = options[i + 1];
    const auto is = [option](std::string_view word) { return equals_ignoring_case(option, word); };
    if (is("id")) {
      const auto id = protocol::read_integer(value);
      if (!id || *id < 1) return "ERR client-id should be greater than 0";
      which.id = static_cast<std::uint64_t>(*id);
    } else if (is("type")) {
      which.type = ClientFilter::type_of(value);
      if (!which.type)
        return fmt::format("ERR Unknown client type '{}'", value.substr(0, kEchoBytes));
    } else if (is("addr")) {
      which.address = value;
    } else if (is("laddr")) {
      which.local_address = value;
    } else if (is("user")) {
      // Everybody is the one user that there is.
      if (value != kDefaultUser)
        return fmt::format("ERR No such user '{}'", value.substr(0, kEchoBytes));
    } else if (is("skipme") && equals_ignoring_case(value, "yes")) {
      which.skipped = own;
    } else if (is("skipme") && equals_ignoring_case(value, "no")) {
      which.skipped = 0;
    } else {
      return "ERR syntax error";
    }
  }
  return {};
}

}  // namespace

void CacheSession::fail(std::string_view text) {
  if (!muted()) protocol::append_error(tail(), text);
}

void CacheSession::run_local(const CommandSpec& spec, Args args) {
  count(index_of(spec), AnsweredBy::local, Outcome::ok);
  const std::string_view name = spec.name;
  if (name == "ping") {
    if (args.size() > 2) {
      fail("ERR wrong number of arguments for 'ping' command");
    } else if (restricted()) {
      protocol::append_array_header(tail(), 2);
      protocol::append_bulk(tail(), "pong");
      protocol::append_bulk(tail(), args.size() == 2 ? args[1] : "");
    } else if (args.size() == 2) {
      protocol::append_bulk(tail(), args[1]);
    } else {
      protocol::append_simple(tail(), "PONG");
    }
  } else if (name == "echo") {
    protocol::append_bulk(tail(), args[1]);
  } else if (name == "auth") {
    auth(args);
  } else if (name == "hello") {
    hello(args);
  } else if (name == "select") {
    select(args);
  } else if (name == "client") {
    client(args);
  } else if (name == "quit") {
    protocol::append_simple(tail(), "OK");
    closing_ = true;
  } else if (name == "reset") {
    reset();
  } else {
    run_server(spec, args);
  }
}

bool CacheSession::check_password(std::string_view user, std::string_view password) {
  // Both are compared whatever the first said.
  const bool right_password =
      context_.password.empty() || loop::equals_secret(password, context_.password);
  const bool right_user = loop::equals_secret(user, kDefaultUser);
  if (right_password && right_user) {
    if (!client_.authenticated) set_authenticated(true);
    return true;
  }
  fail("WRONGPASS invalid username-password pair or user is disabled.");
  return false;
}

void CacheSession::auth(Args args) {
  if (args.size() > 3) {
    fail("ERR syntax error");
    return;
  }
  if (args.size() == 2 && context_.password.empty()) {
    fail(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
    return;
  }
  if (check_password(args.size() == 3 ? args[1] : kDefaultUser, args.back())) {
    protocol::append_simple(tail(), "OK");
  }
}

void CacheSession::hello(Args args) {
  auto version = version_;
  if (args.size() > 1) {
    const auto wanted = protocol::read_integer(args[1]);
    if (!wanted) {
      fail("ERR Protocol version is not an integer or out of range");
      return;
    }
    if (*wanted != 2 && *wanted != 3) {
      fail("NOPROTO unsupported protocol version");
      return;
    }
    version = *wanted == 3 ? protocol::Version::resp3 : protocol::Version::resp2;
  }
  std::string_view name;
  bool named = false;
  std::string_view user;
  std::string_view password;
  bool authenticates = false;
  for (std::size_t i = 2; i < args.size(); ++i) {
    if (equals_ignoring_case(args[i], "auth") && i + 2 < args.size()) {
      user = args[i + 1];
      password = args[i + 2];
      authenticates = true;
      i += 2;
    } else if (equals_ignoring_case(args[i], "setname") && i + 1 < args.size()) {
      name = args[++i];
      named = true;
      if (!valid_client_text(name)) {
        fail("ERR Client names cannot contain spaces, newlines or special characters.");
        return;
      }
    } else {
      fail(fmt::format("ERR Syntax error in HELLO option '{}'", args[i].substr(0, kEchoBytes)));
      return;
    }
  }
  // Messages are handed on as Redis sends them, and some may be on their way.
  if (version != version_ && relay_ && (relay_->subscribed() || relay_->tracking())) {
    fail(fmt::format("ERR nearlane: HELLO cannot change the protocol of a connection with {}",
                     relay_->subscribed() ? "subscriptions" : "CLIENT TRACKING"));
    return;
  }
  // Only now, so that no half of a HELLO takes effect.
  if (authenticates && !check_password(user, password)) return;
  if (!client_.authenticated) {
    fail(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
    return;
  }
  version_ = version;
  client_.version = static_cast<int>(version);
  look_apart();
  if (named) client_.name = name;
  context_.clients.update(client_);

  std::string& out = tail();
  protocol::append_map_header(out, 7, version_);
  const auto text_field = [&out](std::string_view field, std::string_view value) {
    protocol::append_bulk(out, field);
    protocol::append_bulk(out, value);
  };
  text_field("server", "redis");
  text_field("version", kRedisVersion);
  protocol::append_bulk(out, "proto");
  protocol::append_integer(out, static_cast<int>(version_));
  protocol::append_bulk(out, "id");
  protocol::append_integer(out, static_cast<std::int64_t>(client_.id));
  text_field("mode", "standalone");
  text_field("role", "master");
  protocol::append_bulk(out, "modules");
  protocol::append_array_header(out, 0);
}

void CacheSession::select(Args args) {
  const auto db = protocol::read_integer(args[1]);
  if (!db) {
    fail("ERR value is not an integer or out of range");
  } else if (*db < std::numeric_limits<std::int32_t>::min() ||
             *db > std::numeric_limits<std::int32_t>::max()) {
    fail("ERR value is out of range, value must between -2147483648 and 2147483647");
  } else if (*db != 0 && over_cluster()) {
    fail("ERR SELECT is not allowed in cluster mode");
  } else if (*db < 0 || *db >= context_.limits.databases) {
    fail("ERR DB index is out of range");
  } else {
    client_.db = static_cast<std::uint32_t>(*db);
    context_.clients.update(client_);
    protocol::append_simple(tail(), "OK");
  }
}

void CacheSession::reset() {
  if (relay_) relay_->close();
  replies_ = Replies::on;
  discard();
  unsubscribe_all();
  client_.db = context_.tier.l2_capabilities().default_db;
  client_.name.clear();
  client_.version = 2;
  version_ = protocol::Version::resp2;
  set_authenticated(context_.password.empty());
  context_.clients.update(client_);
  protocol::append_simple(tail(), "RESET");
}

void CacheSession::client(Args args) {
  const std::string_view what = args[1];
  const auto is = [what](std::string_view name) { return equals_ignoring_case(what, name); };
  const auto ok = [this] { protocol::append_simple(tail(), "OK"); };
  if (is("id")) {
    protocol::append_integer(tail(), static_cast<std::int64_t>(client_.id));
  } else if (is("getname")) {
    if (client_.name.empty()) {
      protocol::append_null(tail(), version_);
    } else {
      protocol::append_bulk(tail(), client_.name);
    }
  } else if (is("setname")) {
    if (!valid_client_text(args[2])) {
      fail("ERR Client names cannot contain spaces, newlines or special characters.");
      return;
    }
    client_.name = args[2];
    context_.clients.update(client_);
    ok();
  } else if (is("setinfo")) {
    const bool library = equals_ignoring_case(args[2], "lib-name");
    if (!library && !equals_ignoring_case(args[2], "lib-ver")) {
      fail(fmt::format("ERR Unrecognized option '{}'", args[2].substr(0, kEchoBytes)));
      return;
    }
    if (!valid_client_text(args[3])) {
      fail(fmt::format("ERR {} cannot contain spaces, newlines or special characters.",
                       library ? "lib-name" : "lib-ver"));
      return;
    }
    (library ? client_.library : client_.library_version) = args[3];
    context_.clients.update(client_);
    ok();
  } else if (is("info")) {
    append_text(tail(), ClientRegistry::line(client_, now_), version_);
  } else if (is("list")) {
    client_list(args);
  } else if (is("kill")) {
    client_kill(args);
  } else if (is("reply")) {
    client_reply(args[2]);
  } else if (is("getredir")) {
    protocol::append_integer(tail(), kTracksNothing);
  } else if (is("trackinginfo")) {
    client_trackinginfo();
  } else if (is("unblock")) {
    client_unblock(args);
  } else if (is("help")) {
    help("client");
  } else if (equals_ignoring_case(args[2], "on") || equals_ignoring_case(args[2], "off")) {
    ok();  // of NO-EVICT
  } else {
    fail("ERR syntax error");
  }
}

void CacheSession::client_reply(std::string_view how) {
  if (equals_ignoring_case(how, "on")) {
    replies_ = Replies::on;
    protocol::append_simple(tail(), "OK");
  } else if (equals_ignoring_case(how, "off")) {
    replies_ = Replies::off;
  } else if (!equals_ignoring_case(how, "skip")) {
    fail("ERR syntax error");
  } else if (replies_ != Replies::off) {
    replies_ = Replies::skip_next;
  }
  look_apart();
}

void CacheSession::client_trackinginfo() {
  std::string& out = tail();
  protocol::append_map_header(out, 3, version_);
  protocol::append_bulk(out, "flags");
  append_set_header(out, 1, version_);
  protocol::append_bulk(out, "off");
  protocol::append_bulk(out, "redirect");
  protocol::append_integer(out, kTracksNothing);
  protocol::append_bulk(out, "prefixes");
  protocol::append_array_header(out, 0);
}

/// Nobody is blocked: no command of ours waits for what others write.
void CacheSession::client_unblock(Args args) {
  const bool known =
      args.size() == 3 || (args.size() == 4 && (equals_ignoring_case(args[3], "timeout") ||
                                                equals_ignoring_case(args[3], "error")));
  if (args.size() > 4) {
    fail(fmt::format(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try CLIENT HELP.", args[1]));
  } else if (!known) {
    fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  } else if (!protocol::read_integer(args[2])) {
    fail("ERR value is not an integer or out of range");
  } else {
    protocol::append_integer(tail(), 0);
  }
}

void CacheSession::client_list(Args args) {
  std::string text;
  if (args.size() == 2) {
    text = context_.clients.list({}, now_);
  } else if (args.size() == 4 && equals_ignoring_case(args[2], "type")) {
    const auto type = ClientFilter::type_of(args[3]);
    if (!type) {
      fail(fmt::format("ERR Unknown client type '{}'", args[3].substr(0, kEchoBytes)));
      return;
    }
    text = context_.clients.list({.type = type}, now_);
  } else if (args.size() > 3 && equals_ignoring_case(args[2], "id")) {
    // Once each: a few bytes of command would ask for a line of any length again and again.
    std::set<std::uint64_t> ids;
    for (const std::string_view arg : args.subspan(3)) {
      const auto id = protocol::read_integer(arg);
      if (!id) {
        fail("ERR Invalid client ID");
        return;
      }
      if (*id > 0 && ids.insert(static_cast<std::uint64_t>(*id)).second)
        text += context_.clients.line_of(static_cast<std::uint64_t>(*id), now_);
    }
  } else {
    fail("ERR syntax error");
    return;
  }
  append_text(tail(), std::move(text), version_);
}

void CacheSession::client_kill(Args args) {
  ClientFilter which{.skipped = client_.id};
  const bool by_address = args.size() == 3;
  if (by_address) {
    which = {.address = args[2]};
  } else if (std::string wrong = read_filter(args.subspan(2), which); !wrong.empty()) {
    fail(wrong);
    return;
  }
  const auto hung_up = context_.clients.hang_up(which, client_.id);
  if (!by_address) {
    protocol::append_integer(tail(), static_cast<std::int64_t>(hung_up.count));
  } else if (hung_up.count == 0) {
    fail("ERR No such client");
  } else {
    protocol::append_simple(tail(), "OK");
  }
  closing_ = closing_ || hung_up.asker;  // and is answered first
}

}  // namespace nearlane::resp
