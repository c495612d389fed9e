#include "harness/gate/requests.h"

#include <cerrno>
#include <charconv>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill() is POSIX, not C++

#include "harness/topology/instance.h"

namespace nearlane::gate {
namespace {

using harness::Child;
using harness::Endpoint;
using harness::Op;
using harness::Outcome;
using harness::Protocol;
using harness::Socket;

/// A server under a tool takes some ten times as long for anything.
constexpr Duration kReadyWithin = std::chrono::seconds(60);
constexpr Duration kStopWithin = std::chrono::seconds(60);
constexpr Duration kConnectWithin = std::chrono::seconds(10);
constexpr int kAnswerMs = 30'000;
constexpr std::size_t kReceive = std::size_t{64} * 1024;
constexpr std::string_view kReady = "nearlane ready ";

Result<int> pid_of(std::string_view ready) {
  constexpr std::string_view kField = " pid=";
  const auto at = ready.find(kField);
  int pid = 0;
  if (at != std::string_view::npos) {
    const auto text = ready.substr(at + kField.size());
    std::from_chars(text.data(), text.data() + text.size(), pid);
  }
  if (pid <= 0) return Error{Errc::protocol, "the ready line names no pid"};
  return pid;
}

bool expected(Op op, Outcome outcome) {
  if (op == Op::set) return outcome == Outcome::ok;
  return outcome == Outcome::hit || outcome == Outcome::hit_l1;
}

}  // namespace

Result<Server> Server::start(const ServerOptions& options) {
  harness::ChildSpec spec{.name = options.program.string(), .argv = options.under};
  for (const std::string& word :
       {options.program.string(), std::string("--resp"), std::string("127.0.0.1:0"),
        std::string("--http"), std::string("127.0.0.1:0"), std::string("--threads"),
        std::string("1"), std::string("--l1-bytes"), std::string("64MiB"), std::string("--l2"),
        options.l2}) {
    spec.argv.push_back(word);
  }
  // Otherwise it asks for huge pages by starting itself again, out of a tool's sight.
  spec.env = {"GLIBC_TUNABLES=glibc.malloc.hugetlb=0"};
  auto child = Child::start(std::move(spec));
  if (!child) return child.error();
  const auto line = child->wait_line(kReady, kReadyWithin);
  if (!line) return line.error();
  auto ready = harness::parse_ready_line(*line);
  if (!ready) return ready.error();
  const auto pid = pid_of(*line);
  if (!pid) return pid.error();
  return Server(std::move(*child), std::move(ready->resp), std::move(ready->http), *pid);
}

Endpoint Server::endpoint(Protocol protocol) const {
  return protocol == Protocol::resp ? resp_ : http_;
}

double Server::cpu_ns() const {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

Result<void> Server::stop() {
  ::kill(pid_, SIGTERM);
  const auto status = child_.wait(kStopWithin);
  if (!status) return status.error();
  if (*status != harness::ExitStatus{}) {
    return Error{Errc::unavailable,
                 fmt::format("{} ended with {}; its last lines:\n{}", child_.name(),
                             status->to_string(), child_.last_output())};
  }
  return {};
}

Line::Line(const Kind& kind, Endpoint peer, std::size_t burst)
    : kind_(kind),
      peer_(std::move(peer)),
      burst_(burst),
      bytes_(kKeys / burst),
      codec_(harness::make_codec(kind.protocol, peer_)),
      socket_(std::make_unique<Socket>()),
      in_(kReceive) {
  harness::Request request{.kind = kind.op, .value = std::string(kValueBytes, 'v')};
  for (std::size_t key = 0; key < kKeys; ++key) {
    request.key = fmt::format("session:{:013}", key);
    codec_->encode(request, bytes_[key / burst]);
  }
}

Result<Line> Line::open(const Kind& kind, Endpoint peer, std::size_t burst) {
  Line line(kind, std::move(peer), burst);
  if (auto open = line.socket_->connect_by(line.peer_, Clock::now() + kConnectWithin); !open) {
    return open.error();
  }
  return line;
}

Result<void> Line::wait(short events) const {
  pollfd waiting{.fd = socket_->fd(), .events = events, .revents = 0};
  const int ready = ::poll(&waiting, 1, kAnswerMs);
  if (ready > 0 || (ready < 0 && errno == EINTR)) return {};
  return Error{Errc::timeout, fmt::format("{}: no answer to {}", peer_.to_string(), kind_.id)};
}

Result<void> Line::take(std::string_view bytes, std::size_t& answered) {
  if (auto fed = codec_->feed(bytes); !fed) return fed.error();
  harness::Reply reply;
  for (;;) {
    const auto whole = codec_->next(kind_.op, reply);
    if (!whole) return whole.error();
    if (!*whole) return {};
    ++answered;
    if (!expected(kind_.op, reply.outcome)) {
      return Error{Errc::protocol,
                   fmt::format("{}: {} was answered {} {}", peer_.to_string(), kind_.id,
                               to_string(reply.outcome), reply.text.substr(0, 200))};
    }
  }
}

Result<void> Line::next() {
  std::string_view left = bytes_[at_++ % bytes_.size()];
  const Error lost{Errc::connection_lost, peer_.to_string() + ": the connection ended"};
  std::size_t answered = 0;
  while (answered < burst_) {
    if (!left.empty()) {
      const auto sent = socket_->send(left);
      if (sent.bytes == 0 && !sent.would_block) return lost;
      left.remove_prefix(sent.bytes);
    }
    const auto received = socket_->receive(in_);
    if (received.bytes == 0 && !received.would_block) return lost;
    if (received.bytes != 0) {
      if (auto taken = take({in_.data(), received.bytes}, answered); !taken) return taken.error();
    } else if (auto ready = wait(left.empty() ? POLLIN : POLLIN | POLLOUT); !ready) {
      return Error{Errc::timeout, fmt::format("{} ({} of {} answered, {} bytes not sent)",
                                              ready.error().detail, answered, burst_, left.size())};
    }
  }
  return {};
}

Result<void> Line::send(std::size_t requests) {
  for (std::size_t sent = 0; sent < requests; sent += burst_) {
    if (auto done = next(); !done) return done.error();
  }
  return {};
}

}  // namespace nearlane::gate
