#include "core/l1/mutex/table.h"
#include "core/l1/rows.h"
#include "core/l1/table_map.h"

namespace nearlane::l1 {

template <class P>
using MutexMap = TableMap<MutexTable, P>;

MapRow mutex_row() { return row_of<MutexMap>(MutexTable::kName); }

}  // namespace nearlane::l1
