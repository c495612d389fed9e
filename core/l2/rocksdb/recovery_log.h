// RocksDB's own log (the file LOG), which is listened to while a directory is opened: it says there, and nowhere
// else, that a damaged write-ahead log was read only up to the damage.
//
// Threads:   any.
// Lifetime:  RocksDB shares it.
#pragma once

#include <cstdarg>
#include <memory>
#include <mutex>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/options.h>

namespace nearlane::l2::rocks {

class RecoveryLog final : public rocksdb::Logger {
 public:
  explicit RecoveryLog(std::shared_ptr<rocksdb::Logger> file)
      : Logger(rocksdb::WARN_LEVEL), file_(std::move(file)) {}

  using Logger::Logv;
  void Logv(const char* format, va_list args) override;

  /// The first line that told of lost bytes; empty: none did.
  [[nodiscard]] std::string loss() const {
    const std::lock_guard lock(lock_);
    return loss_;
  }

 private:
  std::shared_ptr<rocksdb::Logger> file_;  // null: it could not be made
  mutable std::mutex lock_;
  std::string loss_;
};

}  // namespace nearlane::l2::rocks
