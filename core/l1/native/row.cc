#include "core/l1/native/table.h"
#include "core/l1/rows.h"
#include "core/l1/table_map.h"

namespace nearlane::l1 {

template <class P>
using NativeMap = TableMap<NativeTable, P>;

MapRow native_row() { return row_of<NativeMap>(NativeTable::kName); }

}  // namespace nearlane::l1
