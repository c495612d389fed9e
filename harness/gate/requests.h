// Requests whose number is exact: the keys, a program under measurement, and bursts to it on one connection.
//
// Errors:   those of the topology; protocol when anything but what was asked for is answered.
// Threads:  one. Lifetime: the process goes with the Server.
// Cost:     a client sleeps in poll while it waits, so it takes little from a server that shares its core.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "harness/driver/codec.h"
#include "harness/driver/socket.h"
#include "harness/topology/child.h"
#include "harness/topology/endpoint.h"

namespace nearlane::gate {

/// Keys of one run, all of them in L1 before anything is measured.
inline constexpr std::size_t kKeys = 1024;
/// Small, so that what a request costs is not what a copy costs, and below what is compressed behind the write, so that
/// no other thread of the server is at work meanwhile. Unit: bytes.
inline constexpr std::size_t kValueBytes = 192;

/// What is asked for.
struct Kind {
  std::string_view id;
  std::string_view what;
  harness::Protocol protocol;
  harness::Op op;
};
inline constexpr Kind kRespGet{"resp_get", "GET of a key in L1 over RESP", harness::Protocol::resp,
                               harness::Op::get};
inline constexpr Kind kHttpGet{"http_get", "GET of a key in L1 over HTTP", harness::Protocol::http,
                               harness::Op::get};
inline constexpr Kind kRespSet{"resp_set", "SET over RESP", harness::Protocol::resp,
                               harness::Op::set};

struct ServerOptions {
  std::filesystem::path program;
  std::vector<std::string> under = {};  // a tool's command line, which the program's follows
  std::string l2 = "memory:";
};

/// One server with one event loop.
class Server {
 public:
  [[nodiscard]] static Result<Server> start(const ServerOptions& options);

  [[nodiscard]] harness::Endpoint endpoint(harness::Protocol protocol) const;
  /// Of the program, not of a tool that it runs under.
  [[nodiscard]] int pid() const noexcept { return pid_; }
  /// Its threads' CPU time so far. Unit: ns. Precondition: it runs, and under no tool.
  [[nodiscard]] double cpu_ns() const;
  /// SIGTERM; returns once the program, and the tool, have ended well.
  [[nodiscard]] Result<void> stop();

 private:
  Server(harness::Child child, harness::Endpoint resp, harness::Endpoint http, int pid)
      : child_(std::move(child)), resp_(std::move(resp)), http_(std::move(http)), pid_(pid) {}

  harness::Child child_;
  harness::Endpoint resp_;
  harness::Endpoint http_;
  int pid_;
};

/// One connection that sends a kind's requests, key after key.
class Line {
 public:
  /// `burst`: requests in one send; divides kKeys.
  [[nodiscard]] static Result<Line> open(const Kind& kind, harness::Endpoint peer,
                                         std::size_t burst);

  /// Sends the next burst and returns when each of its requests was answered as it must be.
  [[nodiscard]] Result<void> next();
  /// As many bursts as make `requests`, a multiple of the burst.
  [[nodiscard]] Result<void> send(std::size_t requests);

 private:
  Line(const Kind& kind, harness::Endpoint peer, std::size_t burst);
  [[nodiscard]] Result<void> take(std::string_view bytes, std::size_t& answered);
  [[nodiscard]] Result<void> wait(short events) const;

  Kind kind_;
  harness::Endpoint peer_;
  std::size_t burst_;
  std::vector<std::string> bytes_;  // of the bursts that go round over all keys
  std::size_t at_ = 0;
  std::unique_ptr<harness::Codec> codec_;
  std::unique_ptr<harness::Socket> socket_;
  std::vector<char> in_;
};

}  // namespace nearlane::gate
