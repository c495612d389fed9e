#include "servers/http/messages.h"

#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/serializer.hpp>

namespace nearlane::http {

std::string_view x_cache(tier::Source source) noexcept {
  switch (source) {
    case tier::Source::l1:
      return "L1";
    case tier::Source::l2:
      return "L2";
    case tier::Source::stale:
      return "STALE";
    case tier::Source::miss:
      break;
  }
  return "MISS";
}

void append_head(std::string& out, Response& response) {
  beast_http::response_serializer<beast_http::empty_body> serializer(response.head);
  boost::system::error_code failed;
  while (!serializer.is_done()) {
    serializer.next(failed, [&](boost::system::error_code&, const auto& buffers) {
      std::size_t size = 0;
      for (const auto part : boost::beast::buffers_range_ref(buffers)) {
        out.append(static_cast<const char*>(part.data()), part.size());
        size += part.size();
      }
      serializer.consume(size);
    });
    if (failed) break;
  }
}

std::string_view sent_body(const Request& request, const Response& response) {
  const Status status = response.head.result();
  const bool bare = request.method() == beast_http::verb::head || status == Status::not_modified ||
                    status == Status::no_content;
  return bare ? std::string_view() : response.body();
}

}  // namespace nearlane::http
