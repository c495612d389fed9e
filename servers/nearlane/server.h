// Server: the doors, the cache behind them, and the loops that they run on. Wiring only.
//
// Errors:    invalid_argument from make: an address, the L2 URL, a secret's file.
// Threads:   make and run on one thread; drain from any.
#pragma once

#include <memory>
#include <string>

#include "core/base/result.h"
#include "servers/nearlane/config.h"

namespace nearlane::server {

class Server {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Server>> make(const Config& config);
  ~Server();

  /// "nearlane ready resp=HOST:PORT http=HOST:PORT pid=N": both doors accept.
  [[nodiscard]] std::string ready_line() const;
  [[nodiscard]] loop::Address resp_address() const;
  [[nodiscard]] loop::Address http_address() const;

  /// Serves until drained. False: a second signal cut it short.
  [[nodiscard]] bool run();
  void drain();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace nearlane::server
