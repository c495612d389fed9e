#include "harness/workload/trace.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

namespace nearlane::harness {
namespace {

using testing::HasSubstr;

std::string oracle_record(std::uint32_t second, std::uint64_t object, std::uint32_t bytes) {
  std::string record;
  const auto put = [&record](std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) record.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(second, 4);
  put(object, 8);
  put(bytes, 4);
  put(~std::uint64_t{0}, 8);
  return record;
}

std::string packed(const std::string& plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
  return out;
}

struct Outcome {
  std::vector<TraceRecord> records;
  std::string error;
};

Outcome read_all(TraceReader& reader) {
  Outcome outcome;
  TraceRecord record;
  for (;;) {
    const auto more = reader.next(record);
    if (!more) outcome.error = more.error().detail;
    if (!more || !*more) return outcome;
    outcome.records.push_back(record);
  }
}

TEST(OracleGeneral, ReadsPackedLittleEndianRecords) {
  auto reader = read_oracle_general(
      from_memory(oracle_record(7, 0x0102030405060708, 3500) + oracle_record(8, 9, 1)), "t");
  const auto all = read_all(*reader);
  ASSERT_EQ(all.records.size(), 2U);
  EXPECT_EQ(all.records[0].second, 7U);
  EXPECT_EQ(all.records[0].key, "0102030405060708");
  EXPECT_EQ(all.records[0].bytes, 3500U);
  EXPECT_EQ(all.records[1].key, "0000000000000009");
  EXPECT_EQ(all.error, "");
}

TEST(OracleGeneral, NamesTheRecordAtWhichAFileIsTruncated) {
  for (std::size_t cut = 25; cut < 48; ++cut) {
    auto bytes = oracle_record(1, 1, 1) + oracle_record(2, 2, 2);
    bytes.resize(cut);
    const auto all = read_all(*read_oracle_general(from_memory(bytes), "t"));
    EXPECT_EQ(all.records.size(), 1U);
    EXPECT_THAT(all.error, HasSubstr("t: record 2")) << cut;
  }
}

TEST(OracleGeneral, ReadsZstdAndRefusesAFrameThatEndsEarly) {
  std::string plain;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    plain += oracle_record(static_cast<std::uint32_t>(i), i * 0x9e3779b97f4a7c15U, 1);
  }
  const auto zipped = packed(plain);
  EXPECT_EQ(read_all(*read_oracle_general(unzstd(from_memory(zipped)), "t")).records.size(),
            20'000U);
  const auto cut =
      read_all(*read_oracle_general(unzstd(from_memory(zipped.substr(0, zipped.size() / 2))), "t"));
  EXPECT_LT(cut.records.size(), 20'000U);
  EXPECT_THAT(cut.error, HasSubstr("ends inside a frame"));
  const auto garbage = read_all(*read_oracle_general(unzstd(from_memory("not zstd at all")), "t"));
  EXPECT_THAT(garbage.error, HasSubstr("zstd:"));
}

TEST(TwitterCsv, ReadsOperationsAndTtlsBehindItsHeader) {
  auto reader = read_twitter_csv(
      from_memory("timestamp,anonymized key,key size,value size,client id,operation,TTL\n"
                  "0,sess:a,6,0,0,get,0\r\n3,sess:a,6,3500,0,set,1800\n4,sess:a,6,0,0,touch,1800\n"
                  "\n9,sess:a,6,0,0,delete,0"),
      "t");
  const auto all = read_all(*reader);
  ASSERT_EQ(all.records.size(), 4U) << all.error;
  EXPECT_EQ(all.records[0].op, Op::get);
  EXPECT_EQ(all.records[1].op, Op::set);
  EXPECT_EQ(all.records[1].bytes, 3500U);
  EXPECT_EQ(all.records[1].ttl_s, 1800U);
  EXPECT_EQ(all.records[2].op, Op::touch);
  EXPECT_EQ(all.records[3].op, Op::erase);
  EXPECT_EQ(all.records[3].second, 9U);
}

TEST(TwitterCsv, KnowsOnWhatAWriteDepends) {
  const std::pair<const char*, WriteIf> table[] = {
      {"set", WriteIf::always},     {"add", WriteIf::absent},     {"replace", WriteIf::held},
      {"cas", WriteIf::held},       {"incr", WriteIf::amended},   {"decr", WriteIf::amended},
      {"append", WriteIf::amended}, {"prepend", WriteIf::amended}};
  std::string lines;
  for (const auto& [op, write_if] : table) lines += std::string("0,k,1,9,0,") + op + ",0\n";
  const auto all = read_all(*read_twitter_csv(from_memory(lines), "t"));
  ASSERT_EQ(all.records.size(), std::size(table)) << all.error;
  for (std::size_t i = 0; i < std::size(table); ++i) {
    EXPECT_EQ(all.records[i].op, Op::set) << table[i].first;
    EXPECT_EQ(all.records[i].write_if, table[i].second) << table[i].first;
  }
}

TEST(TwitterCsv, ADamagedFirstRecordIsNoHeader) {
  const std::pair<const char*, const char*> refused[] = {
      {"garbage here", "t:1: not seven fields"},
      {"timestamp,key", "t:1: not seven fields"},
      {"a0,a,1,10,0,get,0", "t:1: timestamp is no number"},
      {"x,a,1,10,0,get,0", "t:1: timestamp is no number"},
      {",,,,,,", "t:1: timestamp is no number"},
  };
  for (const auto& [line, error] : refused) {
    const auto all =
        read_all(*read_twitter_csv(from_memory(line + std::string("\n0,k,1,0,0,get,0\n")), "t"));
    EXPECT_EQ(all.records.size(), 0U) << line;
    EXPECT_THAT(all.error, HasSubstr(error)) << line;
  }
  for (const auto* header :
       {"time,key,size,bytes,client,op,ttl", "timestamp_1,k1,s1,v1,c1,o1,t1"}) {
    const auto all =
        read_all(*read_twitter_csv(from_memory(header + std::string("\n0,k,1,0,0,get,0\n")), "t"));
    EXPECT_EQ(all.records.size(), 1U) << header << all.error;
  }
}

TEST(TwitterCsv, DropsAFractionOfASecond) {
  const auto all = read_all(
      *read_twitter_csv(from_memory("0.000,k,1,0,0,get,0\n3599.999,k,1,0,0,get,0\n"), "t"));
  ASSERT_EQ(all.records.size(), 2U) << all.error;
  EXPECT_EQ(all.records[1].second, 3599U);
}

TEST(TwitterCsv, NamesTheLineAndWhatIsWrongWithIt) {
  const std::pair<const char*, const char*> table[] = {
      {"0,k,1,0,0,get", "t:2: not seven fields"},
      {"0,k,1,0,0,get,0,9", "t:2: not seven fields"},
      {"x,k,1,0,0,get,0", "t:2: timestamp"},
      {"-1,k,1,0,0,get,0", "t:2: timestamp"},
      {"1.,k,1,0,0,get,0", "t:2: timestamp"},
      {"1.5s,k,1,0,0,get,0", "t:2: timestamp"},
      {"0,,0,0,0,get,0", "t:2: key of no legal length"},
      {"0,k,1,1e9,0,get,0", "t:2: value size"},
      {"0,k,1,0,0,steal,0", "t:2: unknown operation"},
      {"0,k,1,0,0,get,99999999999999999999", "t:2: TTL"},
  };
  for (const auto& [line, error] : table) {
    const auto all = read_all(
        *read_twitter_csv(from_memory(std::string("0,k,1,0,0,get,0\n") + line + "\n"), "t"));
    EXPECT_EQ(all.records.size(), 1U);
    EXPECT_THAT(all.error, HasSubstr(error));
  }
}

TEST(TwitterCsv, RefusesAnEndlessLine) {
  const auto all = read_all(*read_twitter_csv(
      from_memory("0,k,1,0,0,get,0\n1," + std::string(TraceReader::kMaxLine * 3, 'k')), "t"));
  EXPECT_EQ(all.records.size(), 1U);
  EXPECT_THAT(all.error, HasSubstr("t:2: a line over"));
}

TEST(OpenTrace, NamesAFileThatItCannotRead) {
  const auto absent = open_trace("no/such.csv");
  ASSERT_FALSE(absent.has_value());
  EXPECT_THAT(absent.error().detail, HasSubstr("no/such.csv: cannot be opened"));
  const auto unknown = open_trace("a.txt");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().detail, HasSubstr("a.txt: not a trace"));
}

TEST(FindTrace, TakesTheFormThatIsAskedForAndListsEachNameOnce) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "nearlane_find_trace";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const auto* file : {"both.oracleGeneral.zst", "both.twitter.csv.zst", "reads.oracleGeneral",
                           "notes.md", "reference.csv"}) {
    std::ofstream(folder / file) << "";
  }
  EXPECT_THAT(find_trace(folder, "both"), HasSubstr("both.twitter.csv.zst"));
  EXPECT_THAT(find_trace(folder, "both", TraceForm::oracle_general),
              HasSubstr("both.oracleGeneral.zst"));
  EXPECT_THAT(find_trace(folder, "reads"), HasSubstr("reads.oracleGeneral"));
  EXPECT_EQ(find_trace(folder, "notes"), "");
  EXPECT_EQ(find_trace("", "both"), "");
  EXPECT_THAT(trace_names(folder), testing::ElementsAre("both", "reads"));
  EXPECT_EQ(trace_name("a/b.c/both.twitter.csv.zst"), "both");
  EXPECT_EQ(trace_name("plain.csv"), "plain");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace nearlane::harness
