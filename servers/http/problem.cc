#include "servers/http/problem.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nearlane::http {

namespace {

constexpr const char* kRetryAfter = "1";  // seconds: about how long a reconnect takes

nlohmann::json described(Status status, nlohmann::json body) {
  body["title"] = std::string(beast_http::obsolete_reason(status));
  body["status"] = static_cast<unsigned>(status);
  return body;
}

Response make(Status status, const nlohmann::json& body) {
  Response response;
  response.head.result(status);
  response.head.set(Field::content_type, "application/problem+json");
  response.head.set(Field::cache_control, "no-store");
  if (status == Status::service_unavailable) response.head.set(Field::retry_after, kRetryAfter);
  // An L2's own words may be any bytes.
  response.text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  response.text += '\n';
  return response;
}

struct Meaning {
  Status status;
  std::string_view detail;
  bool outcome_unknown;
};

Meaning meaning_of(const Error& error) {
  switch (error.code) {
    case Errc::timeout:
      return {Status::service_unavailable, "L2 did not answer in time", true};
    case Errc::unavailable:
      return {Status::service_unavailable, "L2 cannot be reached; nothing was sent", false};
    case Errc::connection_lost:
      return {Status::service_unavailable, "the connection to L2 was lost", true};
    case Errc::protocol:
      return {Status::service_unavailable, "L2 broke the protocol", true};
    case Errc::too_large:
      return {Status::payload_too_large, "over a configured limit", false};
    case Errc::busy:
      return {Status::service_unavailable, "a cap is reached; nothing was sent", false};
    case Errc::l2_error:
      // Half of it was done (core/tier/calls.cc).
      if (error.detail.starts_with("written, ")) return {Status::service_unavailable, "", true};
      return error.detail.starts_with("WRONGTYPE")
                 ? Meaning{Status::conflict, "the key holds another type than a string", false}
                 : Meaning{Status::service_unavailable, "L2 answered with an error", false};
    case Errc::invalid_argument:
      return {Status::bad_request, "", false};
    case Errc::unsupported:
      return {Status::not_implemented, "this L2 cannot do that", false};
    case Errc::shutting_down:
      return {Status::service_unavailable, "the server is shutting down", true};
    case Errc::refused:
      return {Status::conflict, "", false};
  }
  return {Status::internal_server_error, "", false};
}

}  // namespace

Response problem(Status status, std::string_view detail) {
  return make(status, described(status, {{"detail", detail}}));
}

nlohmann::json problem_body(const Error& error, bool writes, std::chrono::milliseconds l2_timeout) {
  const Meaning meaning = meaning_of(error);
  std::string detail(meaning.detail);
  if (error.code == Errc::timeout) detail += fmt::format(" ({} ms)", l2_timeout.count());
  if (!error.detail.empty()) detail += (detail.empty() ? "" : ": ") + error.detail;
  nlohmann::json body = {{"detail", std::move(detail)},
                         {"code", std::string(to_string(error.code))}};
  if (writes) body["outcome"] = meaning.outcome_unknown ? "unknown" : "not written";
  return described(meaning.status, std::move(body));
}

Response problem(const Error& error, bool writes, std::chrono::milliseconds l2_timeout) {
  return make(meaning_of(error).status, problem_body(error, writes, l2_timeout));
}

}  // namespace nearlane::http
