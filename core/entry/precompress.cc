#include "core/entry/precompress.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <memory>

#include <brotli/encode.h>
#include <zlib.h>

#include "core/entry/tables.h"

namespace nearlane {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for a gzip header
constexpr int kGzipMemory = 8;        // its default

/// A sample is so many pieces of so many bytes, evenly spread.
constexpr std::size_t kPieces = 4;
constexpr std::size_t kPieceBytes = 1024;
/// A value so small is compressed as soon as a sample of it.
constexpr std::size_t kSampledFrom = 4 * kPieces * kPieceBytes;
/// The whole may have what the sample has not seen, so that is asked for less.
constexpr std::size_t kSampleSaving = 33;  // a thirty-third

bool saves(std::size_t size, std::size_t of, std::size_t part) noexcept {
  return size <= of - of / part;
}

/// brotli asks for about a MiB however small the value is: from malloc that is new pages each time, whose faults cost far
/// more than compressing a small value does.
Tables& tables_of_this_thread() {
  thread_local Tables tables;
  return tables;
}

void* take_table(void* tables, std::size_t size) {
  return static_cast<Tables*>(tables)->take(size);
}
void* take_tables(void* tables, unsigned count, unsigned size) {
  return take_table(tables, std::size_t{count} * size);
}
void give_table_back(void* tables, void* table) { static_cast<Tables*>(tables)->give_back(table); }

std::optional<std::string> brotli(std::string_view value, int quality) {
  const std::size_t bound = BrotliEncoderMaxCompressedSize(value.size());
  if (bound == 0) return std::nullopt;
  const std::unique_ptr<BrotliEncoderState, decltype(&BrotliEncoderDestroyInstance)> encoder(
      BrotliEncoderCreateInstance(take_table, give_table_back, &tables_of_this_thread()),
      BrotliEncoderDestroyInstance);
  if (!encoder) return std::nullopt;
  BrotliEncoderSetParameter(encoder.get(), BROTLI_PARAM_QUALITY, static_cast<uint32_t>(quality));
  BrotliEncoderSetParameter(encoder.get(), BROTLI_PARAM_SIZE_HINT,
                            static_cast<uint32_t>(std::min<std::size_t>(
                                value.size(), std::numeric_limits<uint32_t>::max())));
  std::string out(bound, '\0');
  std::size_t in_left = value.size();
  std::size_t out_left = out.size();
  const auto* in = reinterpret_cast<const uint8_t*>(value.data());
  auto* to = reinterpret_cast<uint8_t*>(out.data());
  if (BrotliEncoderCompressStream(encoder.get(), BROTLI_OPERATION_FINISH, &in_left, &in, &out_left,
                                  &to, nullptr) != BROTLI_TRUE ||
      BrotliEncoderIsFinished(encoder.get()) != BROTLI_TRUE) {
    return std::nullopt;
  }
  out.resize(out.size() - out_left);
  return out;
}

std::optional<std::string> gzip(std::string_view value, int level) {
  if (value.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
  z_stream stream{};
  stream.zalloc = take_tables;
  stream.zfree = give_table_back;
  stream.opaque = &tables_of_this_thread();
  if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, kGzipMemory, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    return std::nullopt;
  }
  std::string out(deflateBound(&stream, value.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(value.data()));
  stream.avail_in = static_cast<uInt>(value.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (!done) return std::nullopt;
  return out;
}

/// Empty unless it is worth its room.
std::string form_of(std::string_view value, Coding coding) {
  auto form = compress(value, coding, kBeforehand);
  if (!form || !saves(form->size(), value.size(), kLeastSaving)) return {};
  return *std::move(form);
}

}  // namespace

std::optional<std::string> compress(std::string_view value, Coding coding, Effort effort) {
  return coding == Coding::br ? brotli(value, effort.brotli) : gzip(value, effort.gzip);
}

bool looks_compressible(std::string_view value) {
  if (value.size() < kLeastCompressed || value.size() > kMostPrecompressed) return false;
  if (value.size() < kSampledFrom) return true;
  std::array<char, kPieces * kPieceBytes> sample;
  const std::size_t stride = (value.size() - kPieceBytes) / (kPieces - 1);
  for (std::size_t i = 0; i < kPieces; ++i) {
    value.copy(sample.data() + i * kPieceBytes, kPieceBytes, i * stride);
  }
  const auto packed = gzip({sample.data(), sample.size()}, Z_BEST_SPEED);
  return packed && saves(packed->size(), sample.size(), kSampleSaving);
}

Variants precompress(std::string_view value) {
  if (!looks_compressible(value)) return {};
  Variants variants{.br = form_of(value, Coding::br)};
  // gzip finds nothing where brotli has found too little.
  if (!variants.br.empty()) variants.gzip = form_of(value, Coding::gzip);
  return variants;
}

}  // namespace nearlane
