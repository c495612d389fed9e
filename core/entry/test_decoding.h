// What a client does with a form of a value, for tests: it reads it back with the libraries' decoders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <brotli/decode.h>
#include <zlib.h>

#include "core/entry/entry.h"

namespace nearlane::test {

/// Empty: it is not in this coding, or longer than `most`.
inline std::string decoded(std::string_view form, Coding coding,
                           std::size_t most = std::size_t{64} << 20U) {
  std::string out(most, '\0');
  if (coding == Coding::br) {
    std::size_t size = out.size();
    if (BrotliDecoderDecompress(form.size(), reinterpret_cast<const std::uint8_t*>(form.data()),
                                &size, reinterpret_cast<std::uint8_t*>(out.data())) !=
        BROTLI_DECODER_RESULT_SUCCESS) {
      return {};
    }
    out.resize(size);
    return out;
  }
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(form.data()));
  stream.avail_in = static_cast<uInt>(form.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0;
  out.resize(whole ? stream.total_out : 0);
  inflateEnd(&stream);
  return out;
}

}  // namespace nearlane::test
