// The embedded store on disk: one machine, survives restarts.
//
// One executor thread takes the calls that are waiting, executes them in order over a DiskStore, commits what they
// changed as one batch, and only then settles and completes them: so a command is atomic, a call is answered after
// what it has seen is committed, and many writers share one sync. Nobody else can write, so the lease never ends.
//
// Units:     as L2Backend.
// Errors:    busy: the queue is full, of calls or of their bytes. timeout: the deadline passed in the
//            queue, and nothing was done, or while the disk was at it, which may be done yet. shutting_down.
//            Redis's own texts for commands. After a failed commit: "MISCONF …" for whatever would write, until the
//            disk takes writes again, which is tried once a second; reads go on. What was refused because its own sync
//            failed may be there then, and the text says so. The same "MISCONF" while a sync of Fsync::everysec does
//            not return. A read that fails: "ERR …".
// Threads:   submit from any; settle and complete on the executor; for a call that is late on the watcher, which waits for
//            nothing but deadlines; on the caller's thread where the call never got into the queue.
// Lifetime:  stop() ends the threads and closes the directory; it waits for what the executor is at.
// Cost:      a queue's lock and a wake-up a call; a commit a group.
#pragma once

#include <cstddef>
#include <memory>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/l2_backend.h"
#include "core/l2/rocksdb/disk_store.h"

namespace nearlane::l2 {

struct RocksdbLimits {
  std::size_t queue;  // calls that wait
  /// Bytes of their arguments; one call is taken however large it is.
  std::size_t queue_bytes = std::size_t{256} << 20U;
  std::size_t max_value = embedded::kMaxValue;  // bytes of one value
  /// How long the store may take for one command or commit before it is said not to be ready: as a sync may.
  Duration longest_operation = std::chrono::seconds(2);
};

[[nodiscard]] Result<std::unique_ptr<L2Backend>> make_rocksdb_backend(
    const rocks::DiskConfig& config, const RocksdbLimits& limits);

}  // namespace nearlane::l2
