#include "harness/driver/codec.h"

#include "harness/driver/http_codec.h"
#include "harness/driver/resp_codec.h"

namespace nearlane::harness {

std::unique_ptr<Codec> make_codec(Protocol protocol, const Endpoint& peer, std::string_view headers,
                                  HttpReads reads) {
  if (protocol == Protocol::http) return std::make_unique<HttpCodec>(peer, headers, reads);
  return std::make_unique<RespCodec>();
}

}  // namespace nearlane::harness
