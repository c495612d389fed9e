#include "harness/driver/bursts.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/driver/socket.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kReceiveBytes = std::size_t{256} << 10U;
constexpr std::size_t kMaxWaiting = 1U << 20U;  // due bursts of one load without a connection
constexpr Duration kOpenWithin = 30s;           // all connections
constexpr int kSleep_ms = 5;                    // at most, so that the end is noticed
constexpr rlim_t kSpareDescriptors = 256;       // for all else that the process has open
constexpr std::size_t kQuoted = 120;            // bytes of an error reply that are told

Duration thread_cpu() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

/// The soft limit is often far below the hard one.
Result<void> allow_descriptors(std::size_t connections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = rlim_t{connections} + kSpareDescriptors;
  if (limit.rlim_cur >= wanted) return {};
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  if (limit.rlim_cur == wanted && ::setrlimit(RLIMIT_NOFILE, &limit) == 0) return {};
  return Error{Errc::unavailable, fmt::format("{} connections need {} descriptors; the limit is {}",
                                              connections, wanted, limit.rlim_max)};
}

/// Whether a reply, of which this has come, is an error in RESP or in memcached's text protocol: no other reply of theirs
/// has the first two bytes of one.
bool begins_as_error(std::string_view reply) {
  if (reply.starts_with('-')) return true;
  return reply.size() >= 2 &&
         std::ranges::any_of(
             std::array<std::string_view, 3>{"ERROR", "CLIENT_ERROR", "SERVER_ERROR"},
             [&](std::string_view error) {
               return reply.substr(0, error.size()) == error.substr(0, reply.size());
             });
}

/// One connection, and the burst that is under way on it.
struct Line {
  explicit Line(std::uint32_t of) : flow(of) {}

  const std::uint32_t flow;
  Socket socket;
  bool writes_armed = false;
  std::string_view unsent;
  std::uint64_t left = 0;  // bytes of the reply that are to come; 0: nothing is under way
  bool begun = false;      // of the reply there are two, which is enough to tell an error
  std::string begins;      // these; they may come one by one
  bool compared = false;
  std::string got;  // of a reply that is compared
  std::size_t first = 0;
  std::size_t count = 0;  // requests
  Duration due{};
  Duration ready{};  // from when only the load kept it from being sent
  Duration sent{};
};

/// One load under way.
struct Flow {
  struct Free {
    std::uint32_t line;
    Duration since;
  };

  const BurstLoad* load;
  Random random;
  std::size_t at;  // the next request of the sequence
  std::uint64_t begun = 0;
  std::uint32_t under_way = 0;
  Duration next_due{};
  std::deque<Duration> waiting = {};
  std::deque<Free> free = {};
  Duration last_done{};
  RunReport report = {};

  [[nodiscard]] bool open_loop() const noexcept { return load->rate > 0; }
  [[nodiscard]] bool may_begin() const noexcept { return begun < load->bursts; }
  [[nodiscard]] bool has_room() const noexcept {
    return !free.empty() && under_way < load->under_way;
  }
  [[nodiscard]] Duration gap() {
    return Duration(std::llround(random.exponential(1e9 / load->rate)));
  }
};

class Bursts {
 public:
  Bursts(std::span<const BurstLoad> loads, const BurstOptions& options)
      : options_(options), received_(kReceiveBytes) {
    for (std::size_t i = 0; i < loads.size(); ++i) {
      Flow flow{.load = &loads[i],
                .random = Random(options.seed + i),
                .at = loads[i].first % loads[i].sequence->size()};
      flow.report.open_loop = flow.open_loop();
      if (flow.open_loop()) flow.next_due = flow.gap();
      flows_.push_back(std::move(flow));
    }
  }
  ~Bursts() {
    if (epoll_ >= 0) ::close(epoll_);
  }
  Bursts(const Bursts&) = delete;
  Bursts& operator=(const Bursts&) = delete;

  Result<BurstReport> run();

 private:
  Result<void> open_all();
  void arm(std::uint32_t number, bool add) const;
  Result<void> feed(Flow& flow, Duration now);
  Result<void> begin(Flow& flow, Duration due, Duration now);
  Result<void> send(std::uint32_t number);
  Result<void> receive(std::uint32_t number);
  Result<void> finish(std::uint32_t number);
  [[nodiscard]] Result<void> compare(const Line& line);
  [[nodiscard]] Error error_reply(const Line& line, std::string_view begun);
  [[nodiscard]] std::optional<Error> error_within(const Line& line);
  [[nodiscard]] Error nothing_more();
  [[nodiscard]] bool over(Duration now) const;
  Result<void> loop();
  RunReport close(Flow& flow) const;

  [[nodiscard]] Duration now() const { return Clock::now() - start_; }

  const BurstOptions& options_;
  std::vector<Flow> flows_;
  std::vector<std::unique_ptr<Line>> lines_;
  int epoll_ = -1;
  std::vector<char> received_;
  std::string expected_;
  TimePoint start_{};
  std::size_t under_way_ = 0;
  Duration last_moved_{};
};

void Bursts::arm(std::uint32_t number, bool add) const {
  const Line& line = *lines_[number];
  epoll_event event{};
  event.events = line.writes_armed ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u32 = number;
  ::epoll_ctl(epoll_, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, line.socket.fd(), &event);
}

Result<void> Bursts::open_all() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0)
    return Error{Errc::unavailable, "epoll: " + std::generic_category().message(errno)};
  const TimePoint deadline = Clock::now() + kOpenWithin;
  for (std::uint32_t f = 0; f < flows_.size(); ++f) {
    Flow& flow = flows_[f];
    for (std::uint32_t i = 0; i < flow.load->connections; ++i) {
      const auto number = static_cast<std::uint32_t>(lines_.size());
      Line& line = *lines_.emplace_back(std::make_unique<Line>(f));
      if (const auto open = line.socket.connect_by(flow.load->target, deadline); !open) {
        return Error{open.error().code,
                     fmt::format("connection {} to {}: {}", number + 1,
                                 flow.load->target.to_string(), open.error().detail)};
      }
      arm(number, true);
      flow.free.push_back({number, Duration::zero()});
    }
  }
  return {};
}

/// Sends what can and should be sent now.
Result<void> Bursts::feed(Flow& flow, Duration now) {
  if (!flow.open_loop()) {
    while (flow.has_room() && flow.may_begin() && now < options_.duration) {
      if (const auto done = begin(flow, now, now); !done) return done.error();
    }
    return {};
  }
  while (flow.next_due <= now && flow.next_due < options_.duration &&
         flow.begun + flow.waiting.size() < flow.load->bursts) {
    if (flow.waiting.size() == kMaxWaiting) return Error{Errc::busy, "too many bursts wait"};
    flow.waiting.push_back(flow.next_due);
    flow.next_due += flow.gap();
  }
  while (!flow.waiting.empty() && flow.has_room()) {
    const Duration due = flow.waiting.front();
    flow.waiting.pop_front();
    if (const auto done = begin(flow, due, this->now()); !done) return done.error();
  }
  return {};
}

Result<void> Bursts::begin(Flow& flow, Duration due, Duration now) {
  const auto [number, since] = flow.free.front();
  flow.free.pop_front();
  Line& line = *lines_[number];
  const Sequence& sequence = *flow.load->sequence;
  line.first = flow.at;
  line.count = std::min<std::size_t>(flow.load->burst, sequence.size() - line.first);
  flow.at = line.first + line.count == sequence.size() ? 0 : line.first + line.count;
  line.left = sequence.reply_bytes(line.first, line.count);
  line.begun = false;
  line.begins.clear();
  line.compared = flow.begun % options_.compare_every == 0;
  line.got.clear();
  line.due = due;
  line.ready = std::max(due, flow.open_loop() ? since : due);
  line.sent = now;
  line.unsent = sequence.requests(line.first, line.count);
  ++flow.begun;
  ++flow.under_way;
  ++under_way_;
  flow.report.scheduled += line.count;
  flow.report.bytes_out += line.unsent.size();
  last_moved_ = now;
  return send(number);
}

Result<void> Bursts::send(std::uint32_t number) {
  Line& line = *lines_[number];
  while (!line.unsent.empty()) {
    const auto moved = line.socket.send(line.unsent);
    if (moved.would_block) break;
    if (moved.bytes == 0) return Error{Errc::connection_lost, "a connection ended while sending"};
    line.unsent.remove_prefix(moved.bytes);
  }
  if (line.unsent.empty() == line.writes_armed) {
    line.writes_armed = !line.unsent.empty();
    arm(number, false);
  }
  return {};
}

Result<void> Bursts::receive(std::uint32_t number) {
  Line& line = *lines_[number];
  // Never more than was asked for: what is over that is the next reply's beginning, or nobody's.
  const auto room = std::min<std::uint64_t>(line.left, received_.size());
  const bool read = line.compared || !line.begun;
  const auto moved =
      line.left == 0 || read
          ? line.socket.receive(std::span(received_).first(std::max<std::size_t>(room, 1)))
          : line.socket.discard(line.left);
  if (moved.would_block) return {};
  if (moved.bytes == 0) return Error{Errc::connection_lost, "the server ended a connection"};
  if (line.left == 0) return Error{Errc::protocol, "more came than was asked for"};
  const std::string_view bytes(received_.data(), read ? moved.bytes : 0);
  if (!line.begun) {
    const std::string before = line.begins;  // nothing, or the one that came alone
    line.begins += bytes.substr(0, 2 - line.begins.size());
    if (begins_as_error(line.begins)) return error_reply(line, before + std::string(bytes));
    line.begun = line.begins.size() >= 2;
  }
  if (line.compared) line.got.append(bytes);
  line.left -= moved.bytes;
  flows_[line.flow].report.bytes_in += moved.bytes;
  last_moved_ = now();
  return line.left == 0 ? finish(number) : Result<void>();
}

/// It may be longer than the reply in whose place it comes, so that there is more to be received.
Error Bursts::error_reply(const Line& line, std::string_view begun) {
  std::string text(begun);
  if (text.find("\r\n") == std::string::npos) {
    const auto more = line.socket.receive(std::span(received_).first(kQuoted));
    text.append(received_.data(), more.bytes);
  }
  text.resize(std::min({text.find("\r\n"), kQuoted, text.size()}));
  if (text.starts_with('-')) text.erase(0, 1);
  return {Errc::l2_error, std::move(text)};
}

/// The first of a compared burst's replies that is not the expected one, if it is an error.
std::optional<Error> Bursts::error_within(const Line& line) {
  std::string_view rest = line.got;
  std::string expected;
  for (std::size_t request = line.first; request < line.first + line.count; ++request) {
    expected.clear();
    flows_[line.flow].load->sequence->append_expected(request, 1, expected);
    if (!rest.starts_with(expected)) break;
    rest.remove_prefix(expected.size());
  }
  if (!begins_as_error(rest)) return std::nullopt;
  return error_reply(line, rest);
}

/// An error may be shorter than the reply in whose place it came, and then the burst is never complete.
Error Bursts::nothing_more() {
  for (const auto& line : lines_) {
    if (line->left == 0 || !line->compared) continue;
    if (auto error = error_within(*line)) return std::move(*error);
  }
  return {Errc::timeout, fmt::format("{} bursts were not answered in time", under_way_)};
}

Result<void> Bursts::compare(const Line& line) {
  expected_.clear();
  flows_[line.flow].load->sequence->append_expected(line.first, line.count, expected_);
  if (line.got == expected_) return {};
  if (auto error = error_within(line)) return std::move(*error);
  const auto differs = std::ranges::mismatch(line.got, expected_).in1 - line.got.begin();
  return Error{Errc::protocol,
               fmt::format("the reply to {} requests from number {} on, of {} bytes, is not the "
                           "expected one of {} from byte {} on",
                           line.count, line.first, line.got.size(), expected_.size(), differs)};
}

Result<void> Bursts::finish(std::uint32_t number) {
  Line& line = *lines_[number];
  Flow& flow = flows_[line.flow];
  const Duration done = last_moved_;
  if (line.compared) {
    if (const auto same = compare(line); !same) return same.error();
  }
  flow.report.answered += line.count;
  flow.report.response_time.record(done - line.due);
  flow.report.service_time.record(done - line.sent);
  flow.report.send_lag.record(line.sent - line.ready);
  flow.report.connection_wait.record(line.ready - line.due);
  flow.last_done = done;
  --flow.under_way;
  --under_way_;
  flow.free.push_back({number, done});
  // At once, so that the server need not wait until the others' replies were read.
  return feed(flow, line.compared ? now() : done);
}

bool Bursts::over(Duration now) const {
  if (under_way_ > 0) return false;
  return std::ranges::all_of(flows_, [&](const Flow& flow) {
    return flow.waiting.empty() && (now >= options_.duration || !flow.may_begin());
  });
}

Result<void> Bursts::loop() {
  std::array<epoll_event, 256> events{};
  for (;;) {
    const Duration pass = now();
    for (Flow& flow : flows_) {
      if (const auto done = feed(flow, pass); !done) return done.error();
    }
    if (over(pass)) return {};
    if (under_way_ > 0 && pass - last_moved_ > options_.timeout) return nothing_more();
    const int ready =
        ::epoll_wait(epoll_, events.data(), events.size(), options_.polls ? 0 : kSleep_ms);
    for (const auto& event :
         std::span(events).first(static_cast<std::size_t>(std::max(ready, 0)))) {
      const auto number = event.data.u32;
      if ((event.events & EPOLLOUT) != 0) {
        if (const auto done = send(number); !done) return done.error();
      }
      if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
        if (const auto done = receive(number); !done) return done.error();
      }
    }
  }
}

RunReport Bursts::close(Flow& flow) const {
  RunReport report = std::move(flow.report);
  report.elapsed = flow.last_done;
  if (flow.open_loop() && flow.may_begin()) {
    report.elapsed = std::max(flow.last_done, options_.duration);
    report.offered_rate = static_cast<double>(report.scheduled) /
                          std::chrono::duration<double>(options_.duration).count();
  }
  judge(report);
  return report;
}

Result<BurstReport> Bursts::run() {
  if (const auto open = open_all(); !open) return open.error();
  if (options_.opened) options_.opened();
  const Duration cpu = thread_cpu();
  start_ = Clock::now();
  if (const auto done = loop(); !done) return done.error();
  BurstReport report{.runs = {}, .load_cpu = thread_cpu() - cpu};
  if (options_.answered) options_.answered();
  for (Flow& flow : flows_) report.runs.push_back(close(flow));
  return report;
}

}  // namespace

Result<BurstReport> send_bursts(std::span<const BurstLoad> loads, const BurstOptions& options) {
  const auto refuse = [](std::string why) { return Error{Errc::invalid_argument, std::move(why)}; };
  std::uint64_t connections = 0;
  for (const BurstLoad& load : loads) {
    if (load.sequence == nullptr || load.sequence->size() == 0) return refuse("nothing to send");
    if (load.connections == 0 || load.burst == 0 || load.under_way == 0)
      return refuse("no connections, or no burst");
    if (load.rate > 0 && !options.polls) return refuse("an open loop polls");
    connections += load.connections;
  }
  if (loads.empty() || connections > kMaxBurstConnections)
    return refuse(fmt::format("connections: 1 to {}", kMaxBurstConnections));
  if (options.compare_every == 0) return refuse("compare_every: 1 or more");
  if (const auto allowed = allow_descriptors(connections); !allowed) return allowed.error();
  return Bursts(loads, options).run();
}

}  // namespace nearlane::harness
