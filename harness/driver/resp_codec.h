// RESP2 by hiredis, which formats commands and reads replies without owning a socket, so that our own codec is
// never its own witness.
//
// Commands: GET, SET [PX], PEXPIRE, DEL.
// Cost:     one allocation a command (redisFormatCommandArgv); a reply is copied once into a string that stays.
#pragma once

#include <memory>
#include <string>

#include "harness/driver/codec.h"

struct redisReader;

namespace nearlane::harness {

class RespCodec final : public Codec {
 public:
  RespCodec();
  void encode(const Request& request, std::string& out) override;
  [[nodiscard]] Result<void> feed(std::string_view bytes) override;
  [[nodiscard]] Result<bool> next(Op kind, Reply& reply) override;
  void reset() override;

  /// What the reader saw of a reply.
  struct Seen {
    int type = 0;
    std::string text;
    long long integer = 0;
  };

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };
  Seen seen_;
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace nearlane::harness
