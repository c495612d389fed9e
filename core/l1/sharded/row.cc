#include "core/l1/rows.h"
#include "core/l1/sharded/table.h"
#include "core/l1/table_map.h"

namespace nearlane::l1 {

template <class P>
using ShardedMap = TableMap<FlatTable, P>;

MapRow sharded_row() { return row_of<ShardedMap>(FlatTable::kName); }

}  // namespace nearlane::l1
