// Beast's compiled parts, once for the whole build.
#include <boost/beast/src.hpp>
