#include "core/l1/rows.h"
#include "core/l1/table_map.h"
#include "core/l1/tbb/table.h"

namespace nearlane::l1 {

template <class P>
using TbbMap = TableMap<TbbTable, P>;

MapRow tbb_row() { return row_of<TbbMap>(TbbTable::kName); }

}  // namespace nearlane::l1
