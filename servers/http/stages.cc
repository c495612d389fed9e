#include "servers/http/stages.h"

namespace nearlane::http {

void add_cors(const Request&, Response& response) {
  response.head.set(Field::access_control_allow_origin, "*");
  response.head.set(Field::access_control_expose_headers, "ETag, X-Cache");
}

void add_security_headers(const Request&, Response& response) {
  response.head.set("X-Content-Type-Options", "nosniff");
  response.head.set("X-Frame-Options", "DENY");
  response.head.set("Content-Security-Policy", "default-src 'none'");
  response.head.set("Referrer-Policy", "no-referrer");
  response.head.set("Cross-Origin-Resource-Policy", "cross-origin");
}

std::vector<Stage> full_middleware() { return {add_cors, add_security_headers}; }

Response preflight() {
  Response response;
  response.head.result(Status::no_content);
  response.head.set(Field::access_control_allow_methods, "GET, HEAD, PUT, POST, DELETE");
  response.head.set(Field::access_control_allow_headers,
                    "Authorization, X-API-Key, If-None-Match, If-Match, Content-Type");
  response.head.set(Field::access_control_max_age, "600");
  return response;
}

}  // namespace nearlane::http
