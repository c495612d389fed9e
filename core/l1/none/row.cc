#include "core/l1/none/map.h"
#include "core/l1/rows.h"

namespace nearlane::l1 {

MapRow none_row() { return row_of<NoneMap>("none"); }

}  // namespace nearlane::l1
