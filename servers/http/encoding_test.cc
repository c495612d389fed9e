#include "servers/http/encoding.h"

#include <brotli/decode.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace nearlane::http {
namespace {

TEST(Encoding, ChoosesByWeight) {
  struct Case {
    const char* accept;
    Coding coding;
  };
  for (const Case& c :
       {Case{"gzip, br", Coding::br}, Case{"gzip", Coding::gzip},
        Case{"br;q=0.5, gzip", Coding::gzip}, Case{"BR", Coding::br},
        Case{"gzip;q=0, br;q=0", Coding::identity}, Case{"*", Coding::br},
        Case{"identity, gzip;q=0.5", Coding::identity}, Case{"", Coding::identity},
        Case{"zstd", Coding::identity}, Case{"*;q=0", Coding::none},
        Case{"identity;q=0", Coding::none}, Case{"identity;q=0, gzip", Coding::gzip},
        Case{"gzip;q=2", Coding::identity}, Case{"gzip;q=x", Coding::identity},
        Case{"gzip;q=0.001", Coding::gzip}, Case{"gzip;q=", Coding::identity},
        Case{"*;q=0, identity", Coding::identity}, Case{",,gzip,,", Coding::gzip}}) {
    EXPECT_EQ(choose_coding(c.accept, true), c.coding) << c.accept;
  }
  EXPECT_EQ(choose_coding(std::nullopt, true), Coding::identity);
}

TEST(Encoding, OffersOnlyIdentityWithoutCompression) {
  EXPECT_EQ(choose_coding("gzip, br", false), Coding::identity);
  EXPECT_EQ(choose_coding("br, identity;q=0", false), Coding::none);
}

TEST(Encoding, CompressesToWhatTheLibrariesReadBack) {
  std::string value;
  for (int i = 0; i < 5000; ++i) value += "session data " + std::to_string(i % 7);
  const auto br = compress(value, Coding::br);
  ASSERT_TRUE(br.has_value());
  EXPECT_LT(br->size(), value.size() / 4);
  std::string read(value.size(), '\0');
  std::size_t size = read.size();
  ASSERT_EQ(BrotliDecoderDecompress(br->size(), reinterpret_cast<const uint8_t*>(br->data()), &size,
                                    reinterpret_cast<uint8_t*>(read.data())),
            BROTLI_DECODER_RESULT_SUCCESS);
  EXPECT_EQ(read, value);

  auto gzip = compress(value, Coding::gzip);
  ASSERT_TRUE(gzip.has_value());
  z_stream stream{};
  ASSERT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(gzip->data());
  stream.avail_in = static_cast<uInt>(gzip->size());
  std::string unpacked(value.size(), '\0');
  stream.next_out = reinterpret_cast<Bytef*>(unpacked.data());
  stream.avail_out = static_cast<uInt>(unpacked.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  EXPECT_EQ(unpacked, value);
  EXPECT_FALSE(compress(value, Coding::identity).has_value());
}

}  // namespace
}  // namespace nearlane::http
