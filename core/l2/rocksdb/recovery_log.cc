#include "core/l2/rocksdb/recovery_log.h"

#include <array>
#include <cstdio>

namespace nearlane::l2::rocks {

namespace {

constexpr std::size_t kLineBytes = 1024;

}  // namespace

void RecoveryLog::Logv(const char* format, va_list args) {
  va_list again;
  va_copy(again, args);
  std::array<char, kLineBytes> line{};
  (void)std::vsnprintf(line.data(), line.size(), format, again);
  va_end(again);
  const std::string text(line.data());
  {
    const std::lock_guard lock(lock_);
    if (loss_.empty() && text.find(": dropping ") != std::string::npos) loss_ = text;
  }
  if (file_) file_->Logv(format, args);
}

}  // namespace nearlane::l2::rocks
