#include "core/l2/rocksdb/faulty_files.h"

#include <filesystem>
#include <utility>

namespace nearlane::l2::rocks {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class FaultyFiles::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(FaultyFiles& owner, std::shared_ptr<Length> length, bool is_log,
       std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        owner_(owner),
        length_(std::move(length)),
        is_log_(is_log) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus refused = grow(data.size()); !refused.ok()) return refused;
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    if (IOStatus refused = grow(data.size()); !refused.ok()) return refused;
    return FSWritableFileOwnerWrapper::Append(data, options, info, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus refused = sync(); !refused.ok()) return refused;
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus refused = sync(); !refused.ok()) return refused;
    return FSWritableFileOwnerWrapper::Fsync(options, debug);
  }

 private:
  IOStatus grow(std::size_t bytes) {
    std::unique_lock lock(owner_.lock_);
    ++owner_.hanging_writes_;
    owner_.goes_on_.wait(lock, [this] { return !is_log_ || !owner_.log_hangs_; });
    --owner_.hanging_writes_;
    if (owner_.cut_) return IOStatus::IOError("the power is cut");
    if (owner_.full_) return IOStatus::NoSpace("the disk is full");
    length_->written += bytes;
    return IOStatus::OK();
  }
  IOStatus sync() {
    std::unique_lock lock(owner_.lock_);
    ++owner_.hanging_syncs_;
    owner_.goes_on_.wait(lock, [this] { return !owner_.sync_hangs_; });
    --owner_.hanging_syncs_;
    if (owner_.cut_) return IOStatus::IOError("the power is cut");
    if (owner_.sync_fails_) return IOStatus::IOError("the disk does not sync");
    length_->synced = length_->written;
    if (is_log_) ++owner_.log_syncs_;
    return IOStatus::OK();
  }

  FaultyFiles& owner_;
  std::shared_ptr<Length> length_;
  bool is_log_;
};

class FaultyFiles::Files final : public rocksdb::FileSystemWrapper {
 public:
  explicit Files(FaultyFiles& owner)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), owner_(owner) {}

  [[nodiscard]] const char* Name() const override { return "nearlane.FaultyFiles"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* debug) override {
    IOStatus status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (!status.ok()) return status;
    auto length = std::make_shared<Length>();
    {
      const std::lock_guard lock(owner_.lock_);
      owner_.lengths_[name] = length;
    }
    *file =
        std::make_unique<File>(owner_, std::move(length), name.ends_with(".log"), std::move(*file));
    return status;
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* debug) override {
    const std::lock_guard lock(owner_.lock_);
    if (owner_.cut_) return IOStatus::IOError("the power is cut");
    owner_.lengths_.erase(name);
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    const std::lock_guard lock(owner_.lock_);
    if (owner_.cut_) return IOStatus::IOError("the power is cut");
    if (auto moved = owner_.lengths_.extract(from); !moved.empty()) {
      owner_.lengths_[to] = moved.mapped();
    }
    return FileSystemWrapper::RenameFile(from, to, options, debug);
  }

 private:
  FaultyFiles& owner_;
};

FaultyFiles::FaultyFiles() : env_(rocksdb::NewCompositeEnv(std::make_shared<Files>(*this))) {}

void FaultyFiles::cut_power() {
  const std::lock_guard lock(lock_);
  cut_ = true;
}

void FaultyFiles::lose_unsynced() {
  const std::lock_guard lock(lock_);
  for (const auto& [name, length] : lengths_) {
    std::error_code gone;
    if (std::filesystem::exists(name, gone)) std::filesystem::resize_file(name, length->synced);
  }
  lengths_.clear();
  cut_ = false;
}

void FaultyFiles::set_full(bool full) {
  const std::lock_guard lock(lock_);
  full_ = full;
}

void FaultyFiles::set_sync_fails(bool fails) {
  const std::lock_guard lock(lock_);
  sync_fails_ = fails;
}

void FaultyFiles::set_sync_hangs(bool hangs) {
  const std::lock_guard lock(lock_);
  sync_hangs_ = hangs;
  goes_on_.notify_all();
}

void FaultyFiles::set_log_hangs(bool hangs) {
  const std::lock_guard lock(lock_);
  log_hangs_ = hangs;
  goes_on_.notify_all();
}

std::size_t FaultyFiles::hanging_writes() {
  const std::lock_guard lock(lock_);
  return hanging_writes_;
}

std::size_t FaultyFiles::hanging_syncs() {
  const std::lock_guard lock(lock_);
  return hanging_syncs_;
}

std::uint64_t FaultyFiles::log_syncs() {
  const std::lock_guard lock(lock_);
  return log_syncs_;
}

}  // namespace nearlane::l2::rocks
