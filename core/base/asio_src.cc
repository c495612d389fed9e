// Boost.Asio's own sources, compiled once for the whole build (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>
