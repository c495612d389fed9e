#include "core/l1/cuckoo/table.h"
#include "core/l1/rows.h"
#include "core/l1/table_map.h"

namespace nearlane::l1 {

template <class P>
using CuckooMap = TableMap<CuckooTable, P>;

MapRow cuckoo_row() { return row_of<CuckooMap>(CuckooTable::kName); }

}  // namespace nearlane::l1
