#include "core/l2/rocksdb/database.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "core/base/clock.h"
#include "core/l2/rocksdb/record.h"
#include "core/l2/rocksdb/recovery_log.h"

namespace nearlane::l2::rocks {

namespace {

const std::string kData = "data";
const std::string kDeadlines = "deadlines";

// What a session store may cost beside its L1, unless it is measured to need more.
constexpr std::size_t kBlockCacheBytes = std::size_t{64} << 20U;
constexpr std::size_t kWriteBufferBytes = std::size_t{16} << 20U;
constexpr int kWriteBuffers = 4;  // three may wait for the disk before a write has to
constexpr std::size_t kSmallWriteBufferBytes = std::size_t{4} << 20U;  // of meta and deadlines
constexpr std::uint64_t kLogBytes = std::uint64_t{256} << 20U;         // read again after a kill
constexpr int kOpenFiles = 512;
constexpr int kBackgroundJobs = 2;
constexpr double kFilterBits = 10;  // a key: one needless read of a hundred
constexpr std::size_t kOwnLogBytes = std::size_t{1} << 20U;
constexpr std::size_t kOwnLogs = 4;

/// Takes the bytes of what has expired when it is compacted. The key stays until the sweep has counted it out:
/// sizes are exact because nothing vanishes by itself.
class EmptyExpired final : public rocksdb::CompactionFilter {
 public:
  [[nodiscard]] const char* Name() const override { return "nearlane.EmptyExpired"; }
  Decision FilterV2(int /*level*/, const rocksdb::Slice& /*key*/, ValueType type,
                    const rocksdb::Slice& stored, std::string* new_value,
                    std::string* /*skip_until*/) const override {
    if (type != ValueType::kValue) return Decision::kKeep;
    const auto record = read_record({stored.data(), stored.size()});
    if (!record || record->kind == RecordKind::emptied) return Decision::kKeep;
    const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(WallClock::now())
                         .time_since_epoch()
                         .count();
    if (record->expires_at == embedded::kNever || now <= record->expires_at) return Decision::kKeep;
    *new_value = header(RecordKind::emptied, record->expires_at);
    return Decision::kChangeValue;
  }
};

rocksdb::ColumnFamilyOptions family(std::size_t buffer, int buffers,
                                    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kFilterBits));
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = buffer;
  options.max_write_buffer_number = buffers;
  options.compression = rocksdb::kLZ4Compression;
  return options;
}

rocksdb::DBOptions database_options(const DiskConfig& config) {
  rocksdb::DBOptions options;
  if (config.env != nullptr) options.env = config.env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_total_wal_size = kLogBytes;
  options.max_open_files = kOpenFiles;
  options.max_background_jobs = kBackgroundJobs;
  options.max_log_file_size = kOwnLogBytes;
  options.keep_log_file_num = kOwnLogs;
  options.info_log_level = rocksdb::WARN_LEVEL;
  // A log that was synced and is short or gone is an error; one that ends in the middle of a record, as after
  // a power cut, is read up to there.
  options.track_and_verify_wals_in_manifest = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  return options;
}

Error unusable(const std::string& path, const std::string& why) {
  return {Errc::invalid_argument, "l2: rocksdb:" + path + ": " + why};
}

/// What stands in the way before RocksDB has looked.
std::optional<Error> check_path(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (path.empty()) return unusable(path, "names no directory; --l2 rocksdb:./data is the default");
  if (!fs::exists(path, failed)) {
    fs::create_directories(path, failed);
    if (failed) return unusable(path, "cannot be created: " + failed.message());
    return std::nullopt;
  }
  if (!fs::is_directory(path, failed)) return unusable(path, "is not a directory");
  if (fs::exists(fs::path(path) / "CURRENT", failed)) return std::nullopt;
  for (const auto& file : fs::directory_iterator(path, failed)) {
    const std::string name = file.path().filename().string();
    // What a first start that was killed leaves behind.
    if (name == "LOCK" || name == "IDENTITY" || name.starts_with("LOG") ||
        name == "MANIFEST-000001" || name.ends_with(".dbtmp")) {
      continue;
    }
    return unusable(path, "holds files but no database (CURRENT is missing, " + name +
                              " is there); name an empty directory, or restore it from a backup");
  }
  if (failed) return unusable(path, "cannot be read: " + failed.message());
  return std::nullopt;
}

Error describe(const std::string& path, const rocksdb::Status& status) {
  const std::string text = status.ToString();
  // RocksDB says no more than this; "lock " alone also ends "block ", of which its corruptions speak.
  const bool locked = text.find("While lock file") != std::string::npos ||
                      text.find("lock hold by") != std::string::npos;
  if (status.IsIOError() && locked) {
    return unusable(
        path,
        "is in use by another process; stop that one or name another directory (" + text + ")");
  }
  if (status.IsNoSpace())
    return unusable(path, "the disk is full; free space first (" + text + ")");
  if (status.IsCorruption()) {
    return unusable(
        path,
        "is corrupted; restore it from a backup, or move it away to start empty (" + text + ")");
  }
  if (status.IsInvalidArgument()) {
    return unusable(path, "is a RocksDB database, but not one of ours (" + text + ")");
  }
  return unusable(path, "cannot be opened: " + text);
}

/// A database of somebody else's is left as it is: opening it would add our column families.
std::optional<Error> check_owner(const DiskConfig& config) {
  std::vector<std::string> families;
  const rocksdb::DBOptions options = database_options(config);
  const auto listed = rocksdb::DB::ListColumnFamilies(options, config.path, &families);
  // What cannot be listed does not exist yet, or opening it will say what is wrong.
  if (!listed.ok() || std::find(families.begin(), families.end(), kData) != families.end())
    return {};
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(
      rocksdb::Options(options, rocksdb::ColumnFamilyOptions()), config.path, &opened);
  if (!status.ok()) return describe(config.path, status);
  const std::unique_ptr<rocksdb::DB> db(opened);
  const std::unique_ptr<rocksdb::Iterator> any(db->NewIterator(rocksdb::ReadOptions()));
  any->SeekToFirst();
  // Empty: our own first start was killed.
  if (any->Valid()) return unusable(config.path, "is a RocksDB database, but not one of ours");
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const DiskConfig& config) {
  if (auto error = check_path(config.path)) return *error;
  if (auto error = check_owner(config)) return *error;
  static const EmptyExpired empty_expired;
  const auto cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  auto data_options = family(kWriteBufferBytes, kWriteBuffers, cache);
  data_options.compaction_filter = &empty_expired;
  const auto small = family(kSmallWriteBufferBytes, kWriteBuffers, cache);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, small}, {kData, data_options}, {kDeadlines, small}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  rocksdb::DBOptions options = database_options(config);
  std::shared_ptr<rocksdb::Logger> file;
  (void)rocksdb::CreateLoggerFromOptions(config.path, options, &file);
  const auto log = std::make_shared<RecoveryLog>(std::move(file));
  options.info_log = log;
  const auto status = rocksdb::DB::Open(options, config.path, families, &handles, &opened);
  if (!status.ok()) return describe(config.path, status);
  std::unique_ptr<Database> database(new Database);
  database->db_.reset(opened);
  database->loss = log->loss();
  database->meta = handles[0];
  database->data = handles[1];
  database->deadlines = handles[2];
  if (auto error = database->check_format(config.path)) return *error;
  return database;
}

Database::~Database() {
  if (!db_) return;
  for (auto* handle : {meta, data, deadlines}) db_->DestroyColumnFamilyHandle(handle);
  (void)db_->Close();
}

std::optional<Error> Database::check_format(const std::string& path) {
  const std::string key(kFormatKey);
  std::string format;
  rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), meta, key, &format);
  if (status.IsNotFound()) {
    const std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator(rocksdb::ReadOptions(), meta));
    any->SeekToFirst();
    if (any->Valid()) return unusable(path, "is a RocksDB database, but not one of ours");
    rocksdb::WriteOptions synced;
    synced.sync = true;
    status = any->status().ok() ? db_->Put(synced, meta, key, std::string(kFormat)) : any->status();
    format = kFormat;
  }
  if (!status.ok()) return describe(path, status);
  if (format != kFormat) {
    return unusable(path, "has format " + format + ", and this version knows format " +
                              std::string(kFormat) + ": it was written by another version");
  }
  return std::nullopt;
}

}  // namespace nearlane::l2::rocks
