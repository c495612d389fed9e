#include "harness/check/traffic.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

constexpr std::size_t kSettleBatch = 64;
/// Faults have ended by then.
constexpr Duration kSettlePatience = std::chrono::seconds(10);
constexpr std::size_t kExamples = 5;
constexpr Duration kAfterFailure = std::chrono::milliseconds(2);

bool is_value(Outcome outcome) noexcept {
  return outcome == Outcome::hit || outcome == Outcome::hit_l1 || outcome == Outcome::hit_l2;
}

/// Mostly small, some as sessions are, and some too large to be copied into a reply's buffer.
std::size_t draw_size(Random& random) {
  const auto drawn = random.below(100);
  if (drawn < 90) return kMinDocumentBytes + random.below(300);
  return drawn < 99 ? 3500 : 24'000;
}

}  // namespace

std::string checked_key(std::uint64_t number) { return fmt::format("checked:{:06}", number); }

TrafficOptions watched_traffic(std::vector<Door> doors) {
  TrafficOptions options{.doors = std::move(doors), .watchers = 1};
  options.set_share = 0.02;
  options.expiring_set_share = 0.002;
  options.erase_share = 0.002;
  options.touch_share = 0.002;
  return options;
}

struct Traffic::Client {
  Client(std::uint16_t number, const Door& at, const TrafficOptions& options, bool watches_only)
      : writer(number),
        door(at),
        watches(watches_only),
        batch(watches             ? 1
              : at.node == kStore ? options.store_batch
                                  : options.batch),
        random(mix64(options.seed) + number),
        connection(at.protocol, at.endpoint,
                   watches_only ? options.watch_timeout : options.timeout) {}

  /// What is to be known of a request once it is answered.
  struct Sent {
    std::uint64_t key = 0;
    std::uint64_t version = 0;
    bool exclusive = false;
    bool happened = false;  // a write, which was answered well
  };

  /// Whether this version of the key of request `at` was written by a request behind it.
  [[nodiscard]] bool wrote_later(std::size_t at, std::uint64_t version) const {
    for (std::size_t i = at + 1; i < requests.size(); ++i) {
      if (requests[i].kind == Op::set && sent[i].key == sent[at].key && sent[i].version == version)
        return true;
    }
    return false;
  }

  /// The version of the last request before `at` that wrote its key, as far as is known; 0: none.
  [[nodiscard]] std::uint64_t wrote_before(std::size_t at) const {
    for (std::size_t i = at; i-- > 0;) {
      if (sent[i].happened && sent[i].key == sent[at].key) return sent[i].version;
    }
    return 0;
  }

  const std::uint16_t writer;
  const Door door;
  const bool watches;
  const std::size_t batch;
  Random random;
  BatchClient connection;
  std::vector<Request> requests;
  std::vector<Sent> sent;
  TimePoint begin{};
  bool refused = false;  // the last batch was not sent
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> abandoned{0};
  std::atomic<std::uint64_t> l1_hits{0};
  std::atomic<std::uint64_t> marked_stale{0};
};

Traffic::Traffic(TrafficOptions options, History& history)
    : options_(std::move(options)),
      history_(history),
      popularity_(options_.keys, options_.theta),
      taken_(std::make_unique<std::atomic<bool>[]>(options_.keys)) {
  for (std::uint64_t key = 0; key < options_.keys; ++key) {
    names_.push_back(checked_key(key));
  }
  std::uint16_t number = 0;
  for (const Door& door : options_.doors) {
    const auto add = [&](unsigned count, bool watches) {
      for (unsigned i = 0; i < count; ++i) {
        clients_.push_back(std::make_unique<Client>(++number, door, options_, watches));
      }
    };
    if (door.node != kStore || options_.store_writes) add(options_.clients, false);
    if (door.node != kStore) add(options_.watchers, true);
  }
}

Traffic::~Traffic() { stop(); }

void Traffic::start() {
  stopping_ = false;
  for (auto& client : clients_) threads_.emplace_back([this, &client] { run(*client); });
}

void Traffic::stop() {
  stopping_ = true;
  join();
}

void Traffic::join() {
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

TrafficCounts Traffic::counts() const noexcept {
  TrafficCounts all;
  for (const auto& client : clients_) {
    all.operations += client->operations;
    all.failed += client->failed;
    all.abandoned += client->abandoned;
    all.l1_hits += client->l1_hits;
    all.marked_stale += client->marked_stale;
  }
  return all;
}

void Traffic::turn_store_to(const Endpoint& endpoint) {
  const std::lock_guard lock(store_mutex_);
  for (Door& door : options_.doors) {
    if (door.node == kStore) door.endpoint = endpoint;
  }
}

Endpoint Traffic::store() const {
  const std::lock_guard lock(store_mutex_);
  const auto found = std::find_if(options_.doors.begin(), options_.doors.end(),
                                  [](const Door& door) { return door.node == kStore; });
  return found == options_.doors.end() ? Endpoint{} : found->endpoint;
}

void Traffic::make_batch(Client& client) {
  const bool direct = client.door.node == kStore;
  // Cumulative: what is drawn below a share, and above the ones before it, is that kind.
  const double erases = options_.erase_share;
  const double expiring = erases + options_.expiring_set_share;
  const double touches = expiring + options_.touch_share;
  const double writes = touches + options_.set_share;
  client.requests.resize(client.batch);
  client.sent.resize(client.batch);
  for (std::size_t i = 0; i < client.batch; ++i) {
    Request& request = client.requests[i];
    auto& sent = client.sent[i];
    sent = {.key = client.watches
                       ? client.random.below(std::min(options_.watched_keys, options_.keys))
                       : popularity_(client.random)};
    request.key = names_[sent.key];
    request.kind = Op::get;
    request.ttl = {};
    if (client.watches) continue;
    double drawn = client.random.real();
    if (direct) drawn *= writes;
    if (drawn >= writes) continue;
    if (sent.key % 2 == 0) {
      // Somebody else is writing it: read it instead.
      if (taken_[sent.key].exchange(true)) continue;
      sent.exclusive = true;
    }
    const TimePoint now = Clock::now();
    if (drawn < erases) {
      request.kind = Op::erase;
      sent.version = history_.begin_erase(request.key, client.writer, client.door.node, now);
      continue;
    }
    if (drawn >= expiring && drawn < touches) {
      request.kind = Op::touch;
      request.ttl = std::chrono::hours(1);
      history_.begin_touch(request.key);
      continue;
    }
    request.kind = Op::set;
    if (drawn < expiring) {
      request.ttl = std::chrono::milliseconds(100 + client.random.below(500));
    }
    sent.version =
        history_.begin_set(request.key, client.writer, client.door.node, now, request.ttl);
    write_document(request.key, sent.version, draw_size(client.random), request.value);
  }
}

void Traffic::judge(Client& client, std::size_t at, const Reply& reply, TimePoint when) {
  const Request& request = client.requests[at];
  auto& sent = client.sent[at];
  const bool failed = reply.outcome == Outcome::error;
  if (options_.observe) options_.observe(client.begin, when - client.begin, failed);
  if (failed) ++(client.watches ? client.abandoned : client.failed);
  client.refused = reply.failure == Failure::not_sent;
  if (request.kind != Op::get) {
    // What Redis itself refuses has changed nothing; what an instance answers may come from a timeout.
    const bool nothing = reply.failure == Failure::not_sent ||
                         (client.door.node == kStore && reply.failure == Failure::server_error);
    const Effect effect = !failed ? Effect::happened : nothing ? Effect::none : Effect::unknown;
    if (request.kind == Op::touch) {
      history_.end_touch(request.key, effect);
    } else {
      history_.end_write(request.key, sent.version, effect, when);
      sent.happened = effect == Effect::happened;
    }
    if (sent.exclusive) taken_[sent.key] = false;
    return;
  }
  if (failed) return;
  if (reply.outcome == Outcome::stale) {
    ++client.marked_stale;
    return;
  }
  if (reply.outcome == Outcome::hit_l1) ++client.l1_hits;
  if (!is_value(reply.outcome)) {
    history_.read(request.key, client.door.node, client.begin, when, std::nullopt,
                  client.wrote_before(at));
    return;
  }
  const auto version = verify_document(request.key, reply.text);
  if (version && client.wrote_later(at, *version)) {
    history_.read_damaged(request.key, client.door.node, "its connection wrote it later");
  } else if (version) {
    history_.read(request.key, client.door.node, client.begin, when, *version,
                  client.wrote_before(at));
  } else {
    history_.read_damaged(request.key, client.door.node, version.error().detail);
  }
}

void Traffic::run(Client& client) {
  const bool direct = client.door.node == kStore;
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (issued_.fetch_add(client.batch, std::memory_order_relaxed) >= options_.operations) return;
    if (direct) client.connection.turn_to(store());
    make_batch(client);
    client.begin = Clock::now();
    client.connection.exchange(client.requests,
                               [&](std::size_t at, const Reply& reply, TimePoint when) {
                                 judge(client, at, reply, when);
                               });
    client.operations += client.requests.size();
    if (direct) {
      std::this_thread::sleep_for(options_.store_pause);
    } else if (client.refused) {
      std::this_thread::sleep_for(kAfterFailure);
    }
  }
}

/// What one door says of every key; absence is the empty text, which no document is.
/// An instance may need a moment until it asks its store again.
Result<std::vector<std::string>> Traffic::read_all(const Door& door, Settled& settled) {
  const TimePoint end = Clock::now() + kSettlePatience;
  for (;;) {
    auto values = read_all_once(door, settled);
    if (values || Clock::now() > end) return values;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<std::vector<std::string>> Traffic::read_all_once(const Door& door, Settled& settled) {
  BatchClient client(door.protocol, door.endpoint, std::chrono::seconds(10));
  std::vector<std::string> values;
  std::string trouble;
  for (std::size_t from = 0; from < names_.size(); from += kSettleBatch) {
    std::vector<Request> requests(std::min(kSettleBatch, names_.size() - from));
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].key = names_[from + i];
    client.exchange(requests, [&](std::size_t at, const Reply& reply, TimePoint) {
      if (reply.outcome == Outcome::error || reply.outcome == Outcome::stale) {
        trouble = fmt::format("{} at {}: {} {}", requests[at].key, door.endpoint.to_string(),
                              to_string(reply.outcome), reply.text);
      }
      if (reply.outcome == Outcome::hit_l1) ++settled.from_l1;
      values.emplace_back(is_value(reply.outcome) ? reply.text : std::string_view());
    });
  }
  if (!trouble.empty()) return Error{Errc::unavailable, trouble};
  return values;
}

Result<Settled> Traffic::settle() {
  // Keys that expire between two readings would differ without a fault, so the last TTL is awaited.
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  const Door direct{.node = kStore, .protocol = Protocol::resp, .endpoint = store()};
  const TimePoint begin = Clock::now();
  Settled ignored;  // the store has no L1
  const auto stored = read_all(direct, ignored);
  if (!stored) return stored.error();
  return settle_against(*stored, begin);
}

Result<Settled> Traffic::settle_against(const std::vector<std::string>& stored, TimePoint begin) {
  Settled settled;
  settled.keys = names_.size();
  for (std::size_t key = 0; key < names_.size(); ++key) {
    const auto& value = stored[key];
    const auto version = verify_document(names_[key], value);
    if (!value.empty() && !version) {
      history_.read_damaged(names_[key], kStore, version.error().detail);
    } else {
      history_.read(names_[key], kStore, begin, Clock::now(),
                    version ? std::optional(*version) : std::nullopt);
    }
  }
  for (const Door& door : options_.doors) {
    if (door.node == kStore) continue;
    // What RESP has brought into L1 has no type yet, so that its first reading over HTTP asks L2.
    const int readings = door.protocol == Protocol::http ? 2 : 1;
    for (int reading = 0; reading < readings; ++reading) {
      const auto values = read_all(door, settled);
      if (!values) return values.error();
      if (reading == 0) settled.compared += values->size();
      for (std::size_t key = 0; key < names_.size(); ++key) {
        if ((*values)[key] == stored[key]) continue;
        ++settled.different;
        if (settled.examples.size() < kExamples) {
          settled.examples.push_back(
              fmt::format("{} at instance {} ({})", names_[key], door.node,
                          door.protocol == Protocol::http ? "HTTP" : "RESP"));
        }
      }
    }
  }
  return settled;
}

}  // namespace nearlane::harness
