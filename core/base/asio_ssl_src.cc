// Boost.Asio's TLS, compiled once for the whole build.
#include <boost/asio/ssl/impl/src.hpp>
