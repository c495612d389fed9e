#include "core/tier/sim/model_redis.h"

#include <algorithm>
#include <charconv>

#include "core/protocol/writer.h"

namespace nearlane::sim {
namespace {

using std::chrono::milliseconds;

std::int64_t milliseconds_of(TimePoint now) noexcept {
  return now.time_since_epoch() / milliseconds(1);
}

template <class Number>
Number number_in(std::string_view text) noexcept {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool is_any(std::string_view command, std::initializer_list<std::string_view> names) noexcept {
  return std::ranges::find(names, command) != names.end();
}
bool writes(std::string_view command) noexcept {
  return is_any(command, {"SET", "DEL", "PEXPIRE", "MSET", "FLUSHALL"});
}

}  // namespace

ModelRedis::ModelRedis(History& history, std::vector<Name> keys, Form form)
    : history_(history),
      keys_(std::move(keys)),
      form_(form),
      slots_(keys_.size()),
      tracked_(keys_.size()),
      before_(keys_.size()) {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const auto same = by_name_.find(keys_[i].name);
    slots_[i].name = same == by_name_.end() ? i : slots_[same->second].name;
    by_name_.emplace(keys_[i].name, i);
  }
  clients_.reserve(8);
  (void)connect();
}

ModelRedis::Client ModelRedis::connect() {
  clients_.emplace_back();
  return clients_.size() - 1;
}

void ModelRedis::disconnect(Client client) noexcept {
  Peer& peer = clients_[client];
  peer.connected = false;
  peer.tracking = false;
  peer.output.clear();
  for (auto& tracked : tracked_) std::erase(tracked, client);
}

void ModelRedis::receive(Client client, std::string_view bytes, TimePoint now) {
  clients_[client].input += bytes;
  std::size_t used = 0;
  while (clients_[client].connected) {
    Peer& peer = clients_[client];
    const std::string_view rest = std::string_view(peer.input).substr(used);
    if (rest.empty()) break;
    const auto status = peer.parser.parse(rest);
    if (!status || *status == protocol::CommandParser::Status::need_more) break;
    used += peer.parser.consumed();
    take(client, peer.parser.args(), now);
  }
  clients_[client].input.erase(0, used);
}

void ModelRedis::execute(std::uint32_t db, std::initializer_list<std::string_view> args,
                         TimePoint now) {
  clients_[kNobody].db = db;
  run(kNobody, Args(args.begin(), args.size()), now);
  clients_[kNobody].output.clear();
}

std::string_view ModelRedis::refusal(const Peer& peer, std::string_view command,
                                     TimePoint now) const noexcept {
  if (peer.replica && writes(command))
    return "READONLY You can't write against a read only replica.";
  if (now < loading_until_ &&
      !is_any(command, {"HELLO", "CLIENT", "INFO", "SELECT", "MULTI", "PUBLISH", "SUBSCRIBE"}))
    return "LOADING Redis is loading the dataset in memory";
  return {};
}

void ModelRedis::take(Client client, Args args, TimePoint now) {
  Peer& peer = clients_[client];
  const std::string_view command = args[0];
  if (command == "EXEC") return exec(client, now);
  if (const std::string_view error = refusal(peer, command, now); !error.empty()) {
    peer.dirty = peer.in_multi;
    return protocol::append_error(peer.output, error);
  }
  if (command == "MULTI") {
    peer.in_multi = true;
    return protocol::append_simple(peer.output, "OK");
  }
  if (peer.in_multi) return queue(client, args, now);
  run(client, args, now);
  // Without MULTI it is the mutant that sends CACHING directly before what reads.
  if (command != "CLIENT") clients_[client].caching = false;
}

void ModelRedis::queue(Client client, Args args, TimePoint now) {
  Peer& peer = clients_[client];
  const bool news = form_ == Form::early_news && args[0] == "PUBLISH";
  if (news) run(client, args, now);
  if (news) peer.output.erase(peer.output.rfind(':'));  // its reply is EXEC's
  if (form_ == Form::no_multi) {
    std::string replies = std::move(peer.output);
    peer.output.clear();
    run(client, args, now);
    peer.saved += peer.output;
    ++peer.saved_count;
    peer.output = std::move(replies);
  } else {
    peer.queued.emplace_back(args.begin(), args.end());
  }
  protocol::append_simple(peer.output, "QUEUED");
}

void ModelRedis::exec(Client client, TimePoint now) {
  Peer& peer = clients_[client];
  const bool refused = std::exchange(peer.dirty, false);
  peer.in_multi = false;
  if (refused) {
    protocol::append_error(peer.output,
                           "EXECABORT Transaction discarded because of previous errors.");
  } else if (form_ == Form::no_multi) {
    protocol::append_array_header(peer.output, peer.saved_count);
    peer.output += peer.saved;
  } else {
    if (form_ == Form::untracked) peer.caching = false;
    protocol::append_array_header(peer.output, peer.queued.size());
    for (const auto& command : peer.queued) {
      const std::vector<std::string_view> args(command.begin(), command.end());
      if (form_ == Form::early_news && args[0] == "PUBLISH") {
        protocol::append_integer(peer.output, 0);
      } else {
        run(client, args, now);
      }
    }
  }
  peer.queued.clear();
  peer.saved.clear();
  peer.saved_count = 0;
  peer.caching = false;
}

void ModelRedis::run(Client client, Args args, TimePoint now) {
  Peer& peer = clients_[client];
  const std::string_view command = args[0];
  if (command == "GET") {
    Slot* slot = find(client, args[1], now);
    get(client, slot);
    if (slot != nullptr) note_read(client, *slot);
  } else if (command == "GETRANGE") {
    Slot* slot = find(client, args[1], now);
    const bool there = slot != nullptr && slot->value != kNone;
    const std::string value = there ? std::to_string(slot->value) : "";
    const auto from = std::min(number_in<std::size_t>(args[2]), value.size());
    const auto last = number_in<std::size_t>(args[3]);
    protocol::append_bulk(peer.output, std::string_view(value).substr(from, last - from + 1));
    if (slot != nullptr) note_read(client, *slot);
  } else if (command == "PTTL" || command == "EXISTS") {
    Slot* slot = find(client, args[1], now);
    const bool there = slot != nullptr && slot->value != kNone;
    std::int64_t answer = there ? 1 : 0;
    if (command == "PTTL") {
      answer = there ? -1 : -2;
      if (there && slot->expires_ms >= 0) answer = slot->expires_ms - milliseconds_of(now);
    }
    protocol::append_integer(peer.output, answer);
    if (slot != nullptr) note_read(client, *slot);
  } else if (command == "SET") {
    set(client, args, now);
  } else if (command == "DEL") {
    remove(client, args, now);
  } else if (command == "PEXPIRE") {
    Slot* slot = find(client, args[1], now);
    const bool there = slot != nullptr && slot->value != kNone;
    ++touches_;
    if (there) {
      write(client, *slot, slot->value, milliseconds_of(now) + number_in<std::int64_t>(args[2]),
            kNone, now);
    }
    protocol::append_integer(peer.output, there ? 1 : 0);
  } else if (command == "MSET") {
    for (std::size_t i = 1; i + 1 < args.size(); i += 2) {
      const auto version = number_in<Version>(args[i + 1]);
      if (Slot* slot = find(client, args[i], now)) write(client, *slot, version, -1, version, now);
    }
    protocol::append_simple(peer.output, "OK");
  } else if (command == "FLUSHALL") {
    flush(client, args, now);
  } else if (command == "SUBSCRIBE") {
    subscribe(peer, args);
  } else if (command == "PUBLISH") {
    publish(client, args);
  } else if (command == "PING") {
    protocol::append_simple(peer.output, "PONG");
  } else if (command == "INFO") {
    protocol::append_bulk(peer.output, peer.replica ? "# Replication\r\nrole:slave\r\n"
                                                    : "# Replication\r\nrole:master\r\n");
  } else if (command == "SELECT") {
    peer.db = number_in<std::uint32_t>(args[1]);
    protocol::append_simple(peer.output, "OK");
  } else if (speaks_resp2() && (command == "HELLO" || command == "CLIENT")) {
    protocol::append_error(peer.output, "ERR unknown command '" + std::string(command) + "'");
  } else if (command == "HELLO") {
    peer.output += "%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n";
  } else if (command == "CLIENT") {
    run_client(peer, args);
  } else {
    protocol::append_error(peer.output, "ERR unknown command");
  }
}

void ModelRedis::get(Client client, const Slot* slot) {
  std::string& output = clients_[client].output;
  ++reads_;
  if (slot == nullptr || slot->value == kNone) return protocol::append_null(output, version());
  std::string value = std::to_string(slot->value);
  if (value.size() < slot->bytes) value.resize(slot->bytes, '.');
  bytes_read_ += value.size();
  protocol::append_bulk(output, value);
}

void ModelRedis::subscribe(Peer& peer, Args args) {
  for (const std::string_view channel : args.subspan(1)) {
    peer.channels.emplace_back(channel);
    begin_frame(peer.output, 3);
    protocol::append_bulk(peer.output, "subscribe");
    protocol::append_bulk(peer.output, channel);
    protocol::append_integer(peer.output, static_cast<std::int64_t>(peer.channels.size()));
  }
}

/// Of what answers nothing.
void ModelRedis::begin_frame(std::string& out, std::size_t elements) const {
  out += (speaks_resp2() ? "*" : ">") + std::to_string(elements) + "\r\n";
}

void ModelRedis::publish(Client client, Args args) {
  std::int64_t heard = 0;
  for (Peer& peer : clients_) {
    const bool subscribed = std::ranges::find(peer.channels, args[1]) != peer.channels.end();
    // A master's messages reach its replicas' subscribers, and not the other way.
    const bool reaches = peer.replica || !clients_[client].replica;
    if (!peer.connected || !subscribed || !reaches) continue;
    ++heard;
    begin_frame(peer.output, 3);
    protocol::append_bulk(peer.output, "message");
    protocol::append_bulk(peer.output, args[1]);
    protocol::append_bulk(peer.output, args[2]);
  }
  protocol::append_integer(clients_[client].output, heard);
}

void ModelRedis::run_client(Peer& peer, Args args) {
  if (args[1] == "TRACKING") peer.tracking = true;
  if (args[1] == "CACHING") peer.caching = true;
  protocol::append_simple(peer.output, "OK");
}

void ModelRedis::set(Client client, Args args, TimePoint now) {
  std::string& output = clients_[client].output;
  Slot* slot = find(client, args[1], now);
  if (slot == nullptr) return protocol::append_error(output, "ERR unknown key");
  std::int64_t expires_ms = -1;
  bool met = true;
  for (std::size_t i = 3; i < args.size(); ++i) {
    if (args[i] == "PX") expires_ms = milliseconds_of(now) + number_in<std::int64_t>(args[i + 1]);
    if (args[i] == "KEEPTTL" && slot->value != kNone) expires_ms = slot->expires_ms;
    if (args[i] == "NX") met = slot->value == kNone;
    if (args[i] == "XX") met = slot->value != kNone;
  }
  if (!met) return protocol::append_null(output, version());
  const auto version = number_in<Version>(args[2]);
  write(client, *slot, version, expires_ms, version, now);
  slot->bytes = args[2].size();
  protocol::append_simple(output, "OK");
}

/// DEL key #version: the second name, which nobody uses, says which write this is.
void ModelRedis::remove(Client client, Args args, TimePoint now) {
  Slot* slot = find(client, args[1], now);
  if (slot == nullptr) return protocol::append_integer(clients_[client].output, 0);
  const bool there = slot->value != kNone;
  const auto version = number_in<Version>(args[2].substr(1));
  if (there) {
    write(client, *slot, kNone, -1, version, now);
  } else {  // nothing to announce, but it has a place
    history_.changed(index_of(*slot), kNone, kForever, version, now);
  }
  protocol::append_integer(clients_[client].output, there ? 1 : 0);
}

/// FLUSHALL #version: an argument that Redis would refuse, but which says which writes these are:
/// a version for each key.
void ModelRedis::flush(Client client, Args args, TimePoint now) {
  auto version = number_in<Version>(args[1].substr(1));
  for (auto& tracked : tracked_) tracked.clear();
  for (Slot& slot : slots_) {
    if (slot.value != kNone) {
      write(client, slot, kNone, -1, version, now);
    } else {
      history_.changed(index_of(slot), kNone, kForever, version, now);
    }
    ++version;
  }
  for (Peer& peer : clients_) {
    if (!peer.tracking) continue;
    ++pushes_;
    peer.output += ">2\r\n$10\r\ninvalidate\r\n_\r\n";
  }
  protocol::append_simple(clients_[client].output, "OK");
}

ModelRedis::Slot* ModelRedis::find(Client client, std::string_view name, TimePoint now) {
  const auto [first, last] = by_name_.equal_range(name);
  for (auto it = first; it != last; ++it) {
    if (keys_[it->second].db != clients_[client].db) continue;
    Slot& slot = slots_[it->second];
    if (slot.value != kNone && slot.expires_ms >= 0 && milliseconds_of(now) > slot.expires_ms)
      expire(client, slot);
    return &slot;
  }
  return nullptr;
}

void ModelRedis::note_read(Client client, const Slot& slot) {
  const Peer& peer = clients_[client];
  if (!peer.tracking || !peer.caching) return;
  auto& tracked = tracked_[slot.name];
  if (std::ranges::find(tracked, client) == tracked.end()) tracked.push_back(client);
}

void ModelRedis::write(Client by, Slot& slot, Version value, std::int64_t expires_ms, Version write,
                       TimePoint now) {
  changed_.push_back(index_of(slot));
  for (const std::size_t i : changed_) before_[i] = slots_[i];
  changed_.assign(1, index_of(slot));
  const bool only_touched = slot.value == value;
  slot.value = value;
  slot.expires_ms = expires_ms;
  const TimePoint end =
      expires_ms < 0 ? kForever : TimePoint(milliseconds(expires_ms + 1));  // once it is over
  history_.changed(index_of(slot), value, end, write, now);
  if (form_ != Form::quiet_touches || !only_touched) announce(by, slot);
}

void ModelRedis::expire(Client by, Slot& slot) {
  changed_.push_back(index_of(slot));
  slot.value = kNone;
  slot.expires_ms = -1;
  announce(by, slot);
}

void ModelRedis::announce(Client by, const Slot& slot) {
  if (form_ == Form::broadcast) {
    for (Client client = 1; client < clients_.size(); ++client) {
      Peer& peer = clients_[client];
      if (client == by || !peer.tracking) continue;
      peer.due.resize(keys_.size());
      peer.due[index_of(slot)] = true;
    }
    return;
  }
  auto& tracked = tracked_[slot.name];
  for (const Client client : tracked) {
    if (client != by) push(clients_[client], index_of(slot));
  }
  tracked.clear();
}

void ModelRedis::forget_tracked(std::size_t key) { announce(kNobody, slots_[key]); }

void ModelRedis::push(Peer& peer, std::size_t key) {
  ++pushes_;
  peer.output += ">2\r\n$10\r\ninvalidate\r\n*1\r\n";
  protocol::append_bulk(peer.output, keys_[key].name);
}

void ModelRedis::end_turn() {
  for (Peer& peer : clients_) {
    for (std::size_t key = 0; key < peer.due.size(); ++key) {
      if (peer.due[key]) push(peer, key);
    }
    peer.due.clear();
  }
}

bool ModelRedis::has_to_broadcast() const noexcept {
  return std::ranges::any_of(clients_, [](const Peer& peer) {
    return std::ranges::find(peer.due, true) != peer.due.end();
  });
}

bool ModelRedis::waits_for_more() const noexcept {
  return std::ranges::any_of(clients_, [](const Peer& peer) { return !peer.input.empty(); });
}

void ModelRedis::expire_due(TimePoint now) {
  for (Slot& slot : slots_) {
    if (slot.value != kNone && slot.expires_ms >= 0 && milliseconds_of(now) > slot.expires_ms)
      expire(kNobody, slot);
  }
}

void ModelRedis::fail_over(bool keep_last_write, TimePoint now) {
  for (auto& tracked : tracked_) tracked.clear();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const Slot& old = before_[i];
    if (keep_last_write || (slot.value == old.value && slot.expires_ms == old.expires_ms)) continue;
    slot.value = old.value;
    slot.expires_ms = old.expires_ms;
    const TimePoint end =
        old.expires_ms < 0 ? kForever : TimePoint(milliseconds(old.expires_ms + 1));
    history_.changed(i, old.value, end, kNone, now);
  }
  for (Client client = 1; client < clients_.size(); ++client) disconnect(client);
}

void ModelRedis::demote() noexcept {
  for (Client client = 1; client < clients_.size(); ++client) clients_[client].replica = true;
}

Version ModelRedis::value_of(std::size_t key, TimePoint now) const noexcept {
  const Slot& slot = slots_[key];
  const bool over = slot.expires_ms >= 0 && milliseconds_of(now) > slot.expires_ms;
  return over ? kNone : slot.value;
}

}  // namespace nearlane::sim
