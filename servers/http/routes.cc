#include "servers/http/routes.h"

#include <utility>

#include <boost/beast/core/string.hpp>
#include <fmt/format.h>

#include "core/base/epoch.h"
#include "core/entry/media_type.h"
#include "core/entry/precompress.h"
#include "servers/http/answer_of.h"
#include "servers/http/batch_run.h"
#include "servers/http/conditions.h"
#include "servers/http/http_date.h"
#include "servers/http/problem.h"

namespace nearlane::http {

using loop::AnsweredBy;
using loop::Outcome;
namespace net = boost::asio;

namespace {

std::optional<std::string_view> field(const Request& request, Field name) {
  const auto found = request.find(name);
  if (found == request.end()) return std::nullopt;
  return std::string_view(found->value().data(), found->value().size());
}

/// A list that may be spread over several lines.
std::optional<std::string> joined(const Request& request, Field name) {
  std::optional<std::string> list;
  const auto [first, last] = request.equal_range(name);
  for (auto line = first; line != last; ++line) {
    if (list) *list += ", ";
    list = list.value_or("").append(line->value().data(), line->value().size());
  }
  return list;
}

std::string_view view(boost::core::string_view text) { return {text.data(), text.size()}; }

Response empty(Status status) {
  Response response;
  response.head.result(status);
  response.head.set(Field::cache_control, "private, no-cache");
  return response;
}

/// A value was stored as it was sent, so its tag is that of what a GET will bring.
Response written(const Request& request, bool replaced) {
  Response response = empty(replaced ? Status::no_content : Status::created);
  response.head.set(Field::etag, EntityTag(Entry::digest_of(request.body()), "").text());
  return response;
}

Response another_value() {
  return problem(Status::precondition_failed, "the value is not, or is, one of those named");
}

/// Asked on a thread of L2's choice, so it owns what it looks at.
cohere::Holds holds(const Preconditions& preconditions) {
  return
      [preconditions](std::optional<std::string_view> value) { return preconditions.hold(value); };
}

/// How a PUT's value is to be stored; views the request.
tier::StoreOptions store_options(const Request& request, const Plan& plan) {
  tier::StoreOptions options{.ask_existed = true, .asks_forms = true};
  if (plan.target.ttl) options.expiry = tier::Expiry::in(*plan.target.ttl);
  // Who says nothing means what is said of the key.
  options.type = field(request, Field::content_type).value_or("");
  return options;
}

/// What is wrong with what a PUT says of its value; empty: nothing.
std::string check_types(const Request& request) {
  if (request.count(Field::content_type) > 1) return "there may be one Content-Type";
  const auto type = field(request, Field::content_type);
  if (!type || is_media_type(*type)) return {};
  return fmt::format(
      "Content-Type is to be a media type, such as application/json, of at most {} bytes",
      kMostMediaType);
}

/// What a GET asks for, where it is to be sent: of the value as it is, so to who accepts that, and only if the client's
/// other parts, where it says so (If-Range), are of the same value. That the value has a date, nobody has told it.
std::optional<RangeSpec> range_of(const Request& request, const Weights& accepted,
                                  const Entry& entry) {
  const auto range = field(request, Field::range);
  if (!range || request.method() != beast_http::verb::get) return std::nullopt;
  if (accepted.identity == 0) return std::nullopt;
  const auto if_range = field(request, Field::if_range);
  if (if_range && *if_range != EntityTag(entry.digest(), "").text()) return std::nullopt;
  return parse_range(*range);
}

/// `body` is of the entry, which is pinned where it is not copied.
void send(Response& response, const Entry& entry, std::string_view body) {
  if (body.size() <= kGatherBytes) {
    response.text = body;
  } else {
    response.entry = EntryPtr::pin(&entry);
    response.part = body;
  }
}

/// What a resource takes.
std::string_view methods_of(Route route) {
  switch (route) {
    case Route::entry:
      return "GET, HEAD, PUT, DELETE, OPTIONS";
    case Route::touch:
    case Route::batch:
      return "POST, OPTIONS";
    default:
      return "GET, HEAD, OPTIONS";
  }
}

Response options(std::string_view allow) {
  Response response = empty(Status::no_content);
  response.head.set(Field::allow, boost::core::string_view(allow.data(), allow.size()));
  return response;
}

Response not_allowed(Route route) {
  const std::string_view allow = methods_of(route);
  Response response = problem(Status::method_not_allowed, "this resource takes other methods");
  response.head.set(Field::allow, boost::core::string_view(allow.data(), allow.size()));
  return response;
}

/// Whether a browser asks for a page that is not ours. Each says so with every POST, and nobody else has to; whoever ends
/// TLS in front of us has made http of https.
bool is_of_another_origin(const Request& request) {
  const auto origin = field(request, Field::origin);
  if (!origin) return false;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin->starts_with(scheme)) continue;
    const std::string_view authority = origin->substr(scheme.size());
    return !boost::beast::iequals(boost::core::string_view(authority.data(), authority.size()),
                                  request[Field::host]);
  }
  return true;
}

bool reads(const Request& request) {
  return request.method() == beast_http::verb::get || request.method() == beast_http::verb::head;
}

}  // namespace

Routes::Routes(tier::TieredCache& tier, RoutesConfig config)
    : tier_(tier),
      config_(std::move(config)),
      api_keys_(config_.api_keys),
      db_(tier.l2_capabilities().default_db) {}

std::optional<FastLane> Routes::fast_lane() const {
  if (!config_.fast_lane || config_.compress || !config_.stages.empty()) return std::nullopt;
  return FastLane(tier_);
}

bool Routes::authorized(const Request& request, Caller& caller) {
  const auto key = request.find("X-API-Key");
  return caller.admitted(field(request, Field::authorization),
                         key == request.end() ? std::nullopt : std::optional(view(key->value())));
}

Plan Routes::plan(const Request& request, Caller& caller, TimePoint now,
                  const std::optional<tier::Lookup>& looked_up) const {
  Plan plan;
  // RFC 9112 section 3.2: a request that does not say whom it means, or says it twice, is refused.
  if (request.version() >= 11 && request.count(Field::host) != 1) {
    plan.response = problem(Status::bad_request, "there must be one Host field");
    return plan;
  }
  auto target = parse_target(view(request.target()));
  if (target.has_error()) {
    plan.response = problem(target.error(), false, config_.l2_timeout);
    return plan;
  }
  plan.target = std::move(*target);
  const Route route = plan.target.route;
  if (config_.cors && request.method() == beast_http::verb::options) {
    plan.response = preflight();
    plan.outcome = Outcome::ok;
  } else if (route != Route::healthz && route != Route::readyz && !authorized(request, caller)) {
    plan.response = problem(Status::unauthorized, "an API key is asked for");
    plan.response->head.set(Field::www_authenticate, "Bearer");
  } else if (request.method() == beast_http::verb::post && !config_.cors &&
             !api_keys_.asked_for() && is_of_another_origin(request)) {
    // A browser that can reach us is no sign that the page may, and asks nobody before a POST of text. A page has no key.
    plan.response = problem(Status::forbidden,
                            "a page of another origin may not write where no key is asked for");
  } else if (request.method() == beast_http::verb::options &&
             (route != Route::unknown || request.target() == "*")) {
    // Of "*" what any resource takes.
    const bool any = route == Route::unknown;
    plan.response = options(any ? "GET, HEAD, PUT, DELETE, POST, OPTIONS" : methods_of(route));
    plan.outcome = Outcome::ok;
  } else if (route == Route::unknown) {
    plan.response = problem(Status::not_found, "there is nothing under this path");
  } else if (route == Route::entry || route == Route::touch) {
    switch (request.method()) {
      case beast_http::verb::get:
      case beast_http::verb::head:
        plan_read(request, plan, now, looked_up);
        break;
      default:
        plan_write(request, plan, now);
    }
  } else if (route == Route::batch) {
    plan.command = Command::batch;
    if (request.method() != beast_http::verb::post) plan.response = not_allowed(route);
  } else if (route == Route::why) {
    if (!reads(request)) plan.response = not_allowed(route);
  } else {
    plan.response = admin_page(request, route);
    plan.outcome = Outcome::ok;
  }
  return plan;
}

Response Routes::admin_page(const Request& request, Route route) const {
  return reads(request) ? page(config_.admin(route)) : not_allowed(route);
}

Response Routes::page(AdminPage page) {
  Response response = empty(static_cast<Status>(page.status));
  response.head.set(Field::content_type, page.content_type);
  response.head.set(Field::cache_control, "no-store");
  response.text = std::move(page.body);
  return response;
}

void Routes::plan_read(const Request& request, Plan& plan, TimePoint now,
                       const std::optional<tier::Lookup>& looked_up) const {
  if (plan.target.route == Route::touch) {
    plan.response = not_allowed(Route::touch);
    return;
  }
  plan.command = request.method() == beast_http::verb::get ? Command::get : Command::head;
  if (plan.target.strict) {
    plan.response = problem(Status::bad_request, "strict is for DELETE");
    return;
  }
  const epoch::Guard guard;
  const KeyRef key(db_, plan.target.key);
  const Entry* entry = looked_up ? looked_up->entry.get() : tier_.find_typed(key, now);
  auto source = looked_up ? looked_up->source : tier::Source::l1;
  if (entry == nullptr && !looked_up) {
    entry = tier_.find_stale(key, now);
    source = tier::Source::stale;
  }
  if (entry == nullptr) return;
  plan.response = found(request, *entry, source);
  plan.answered_by = AnsweredBy::l1;
  plan.outcome = Outcome::hit;
}

void Routes::plan_write(const Request& request, Plan& plan, TimePoint now) const {
  const bool touches = plan.target.route == Route::touch;
  switch (request.method()) {
    case beast_http::verb::put:
      plan.command = Command::put;
      break;
    case beast_http::verb::delete_:
      plan.command = Command::del;
      break;
    case beast_http::verb::post:
      plan.command = Command::touch;
      break;
    default:
      break;
  }
  const bool allowed = touches ? plan.command == Command::touch
                               : plan.command == Command::put || plan.command == Command::del;
  if (!allowed) {
    plan.command = Command::other;
    plan.response = not_allowed(plan.target.route);
    return;
  }
  plan.preconditions = {.if_match = joined(request, Field::if_match),
                        .if_none_match = joined(request, Field::if_none_match)};
  if (plan.preconditions.any() && (touches || plan.target.strict)) {
    plan.response =
        problem(Status::not_implemented,
                "If-Match and If-None-Match are offered on PUT and on DELETE that is not strict");
    return;
  }
  if (plan.target.strict && plan.command != Command::del) {
    plan.response = problem(Status::bad_request, "strict is for DELETE");
  } else if (plan.command == Command::del && plan.target.ttl) {
    plan.response = problem(Status::bad_request, "DELETE takes no ttl or px");
  } else if (touches && !plan.target.ttl) {
    plan.response = problem(Status::bad_request, "touch needs ttl or px");
  } else if (plan.command == Command::put) {
    const auto coded = field(request, Field::content_encoding);
    if (request.count(Field::content_range) > 0) {
      // RFC 9110 section 14.5: else what is meant as a part would become the whole.
      plan.response =
          problem(Status::bad_request, "a value is put as a whole; Content-Range is not taken");
    } else if (coded && *coded != "identity") {
      plan.response = problem(Status::unsupported_media_type,
                              "values are stored as they are sent; Content-Encoding is not kept");
    } else if (const std::string wrong = check_types(request); !wrong.empty()) {
      plan.response = problem(Status::bad_request, wrong);
    }
  } else if (touches) {
    const epoch::Guard guard;
    if (!tier_.slide(KeyRef(db_, plan.target.key), *plan.target.ttl, now)) return;
    plan.answered_by = AnsweredBy::l1;
    plan.response = empty(Status::no_content);
    plan.outcome = Outcome::ok;
  }
}

/// What the entry has, or what is made of it for each request where the profile says so.
Offer Routes::offer(const Entry& entry) const {
  if (!config_.compress) return offer_of(entry);
  const bool may =
      entry.value().size() >= kLeastCompressed && tier_.may_compress(entry.key_with(0).name);
  return {.gzip = may, .br = may};
}

void Routes::set_content_type(Response& response, const Entry& entry) const {
  const std::string_view type = tier_.content_type(entry);
  response.head.set(Field::content_type, boost::core::string_view(type.data(), type.size()));
}

Response Routes::send_part(Response response, const Entry& entry, const RangeSpec& spec) const {
  const std::string_view value = entry.value();
  const auto range = resolve(spec, value.size());
  if (!range) {
    Response refused = problem(Status::range_not_satisfiable, "the value is shorter than that");
    refused.head.set(Field::content_range, fmt::format("bytes */{}", value.size()));
    return refused;
  }
  response.head.result(Status::partial_content);
  set_content_type(response, entry);
  response.head.set(
      Field::content_range,
      fmt::format("bytes {}-{}/{}", range->first, range->first + range->size - 1, value.size()));
  send(response, entry, value.substr(range->first, range->size));
  return response;
}

Response Routes::found(const Request& request, const Entry& entry, tier::Source source) const {
  tier_.want_forms(entry);
  const Preconditions asked{.if_match = joined(request, Field::if_match)};
  if (asked.any() && !asked.hold(entry.value())) return another_value();
  const auto if_none_match = joined(request, Field::if_none_match);
  const Preference preference{
      .accepted = parse_accept_encoding(joined(request, Field::accept_encoding)),
      .if_none_match = if_none_match};
  const auto range = range_of(request, preference.accepted, entry);
  const auto chosen = choose_representation(preference, entry, range ? Offer{} : offer(entry));
  if (!chosen) {
    return problem(Status::not_acceptable, "Accept-Encoding refuses every coding on offer");
  }
  Coding coding = chosen->coding;
  std::string form;
  if (coding != Coding::identity && config_.compress && !chosen->unchanged) {
    form = compress(entry.value(), coding, kWhileWaiting).value_or("");
    if (form.empty()) coding = Coding::identity;
  }
  Response response = empty(chosen->unchanged ? Status::not_modified : Status::ok);
  response.head.set(Field::etag, EntityTag(entry.digest(), name_of(coding)).text());
  response.head.set(Field::vary, "Accept-Encoding");
  const std::string_view from = x_cache(source);
  response.head.set("X-Cache", boost::core::string_view(from.data(), from.size()));
  if (chosen->unchanged) return response;
  if (range) return send_part(std::move(response), entry, *range);
  set_content_type(response, entry);
  if (coding != Coding::identity) {
    const std::string_view name = name_of(coding);
    response.head.set(Field::content_encoding, boost::core::string_view(name.data(), name.size()));
  }
  if (!form.empty()) {
    response.text = std::move(form);
  } else {
    send(response, entry, entry.form(coding));
  }
  return response;
}

net::awaitable<void> Routes::finish(const Request& request, Plan& plan) const {
  plan.answered_by = AnsweredBy::l2;
  switch (plan.command) {
    case Command::get:
    case Command::head:
      co_await read(request, plan);
      break;
    case Command::put:
      co_await put(request, plan);
      break;
    case Command::del:
      co_await remove(plan);
      break;
    case Command::touch:
      co_await touch(plan);
      break;
    case Command::batch:
      co_await batch(request, plan);
      break;
    case Command::other:
      co_await why(plan);
      break;
    case Command::count:
      plan.response = problem(Status::internal_server_error, "");
  }
}

void Routes::fail(Plan& plan, const Error& error, bool writes) const {
  plan.response = problem(error, writes, config_.l2_timeout);
  plan.outcome = Outcome::error;
}

net::awaitable<void> Routes::read(const Request& request, Plan& plan) const {
  auto looked = co_await answer_of<tier::Lookup>([this, &plan](tier::TieredCache::GetHandler done) {
    tier_.get(Key(db_, plan.target.key), tier::ReadFrom::l1_first, deadline(), std::move(done),
              true);
  });
  if (looked.has_error()) {
    fail(plan, looked.error(), false);
  } else if (!looked->entry) {
    plan.response = problem(Status::not_found, "there is no such key");
    plan.response->head.set("X-Cache", "MISS");
    plan.outcome = Outcome::miss;
  } else {
    plan.response = found(request, *looked->entry, looked->source);
    plan.outcome = Outcome::hit;
  }
}

net::awaitable<void> Routes::put(const Request& request, Plan& plan) const {
  if (plan.preconditions.any()) {
    co_await put_if(request, plan);
    co_return;
  }
  const tier::StoreOptions options = store_options(request, plan);
  const auto stored = co_await answer_of<tier::StoreOutcome>(
      [this, &plan, &request, options](tier::TieredCache::SetHandler done) {
        tier_.set(KeyRef(db_, plan.target.key), request.body(), options, deadline(),
                  std::move(done));
      });
  if (stored.has_error()) {
    fail(plan, stored.error(), true);
  } else {
    plan.response = written(request, stored->existed.value_or(false));
    plan.outcome = Outcome::ok;
  }
}

net::awaitable<void> Routes::put_if(const Request& request, Plan& plan) const {
  const tier::StoreOptions options = store_options(request, plan);
  const auto compared = co_await answer_of<tier::CompareOutcome>(
      [this, &plan, &request, options](tier::TieredCache::CompareHandler done) {
        tier_.set_if(KeyRef(db_, plan.target.key), request.body(), options,
                     holds(plan.preconditions), deadline(), std::move(done));
      });
  if (compared.has_error()) {
    fail(plan, compared.error(), true);
    co_return;
  }
  plan.response = compared->held ? written(request, compared->existed) : another_value();
  plan.outcome = Outcome::ok;
}

net::awaitable<void> Routes::remove(Plan& plan) const {
  if (plan.preconditions.any()) {
    co_await remove_if(plan);
    co_return;
  }
  const auto removed = co_await answer_of<bool>([this, &plan](tier::TieredCache::BoolHandler done) {
    const KeyRef key(db_, plan.target.key);
    if (plan.target.strict) {
      tier_.revoke(key, deadline(), std::move(done));
    } else {
      tier_.remove(key, deadline(), std::move(done));
    }
  });
  if (removed.has_error()) {
    fail(plan, removed.error(), true);
    co_return;
  }
  plan.response =
      *removed ? empty(Status::no_content) : problem(Status::not_found, "there is no such key");
  plan.outcome = Outcome::ok;
}

net::awaitable<void> Routes::remove_if(Plan& plan) const {
  const auto compared = co_await answer_of<tier::CompareOutcome>(
      [this, &plan](tier::TieredCache::CompareHandler done) {
        tier_.remove_if(KeyRef(db_, plan.target.key), holds(plan.preconditions), deadline(),
                        std::move(done));
      });
  if (compared.has_error()) {
    fail(plan, compared.error(), true);
    co_return;
  }
  if (!compared->held) {
    plan.response = another_value();
  } else if (compared->existed) {
    plan.response = empty(Status::no_content);
  } else {
    plan.response = problem(Status::not_found, "there is no such key");
  }
  plan.outcome = Outcome::ok;
}

net::awaitable<void> Routes::touch(Plan& plan) const {
  const auto touched = co_await answer_of<bool>([this, &plan](tier::TieredCache::BoolHandler done) {
    tier_.touch(KeyRef(db_, plan.target.key), *plan.target.ttl, deadline(), std::move(done));
  });
  if (touched.has_error()) {
    fail(plan, touched.error(), true);
    co_return;
  }
  plan.response =
      *touched ? empty(Status::no_content) : problem(Status::not_found, "there is no such key");
  plan.outcome = Outcome::ok;
}

net::awaitable<void> Routes::why(Plan& plan) const {
  const auto seen = co_await answer_of<tier::Explanation>([this, &plan](auto done) {
    tier_.explain(KeyRef(plan.target.db.value_or(db_), plan.target.key), deadline(),
                  std::move(done));
  });
  plan.response = page(config_.why(KeyRef(plan.target.db.value_or(db_), plan.target.key), *seen));
  plan.outcome = Outcome::ok;
}

net::awaitable<void> Routes::batch(const Request& request, Plan& plan) const {
  auto operations = parse_batch(request.body(), config_.batch);
  if (operations.has_error()) {
    fail(plan, operations.error(), true);
    co_return;
  }
  BatchRun run(tier_, db_, std::move(*operations), config_.l2_timeout, config_.batch.bytes);
  co_await run.work();
  plan.response = page({.content_type = "application/json", .body = run.page()});
  plan.outcome = Outcome::ok;
}

void Routes::complete(const Request& request, Response& response) const {
  response.head.version(request.version());
  response.head.keep_alive(request.keep_alive() && response.head.keep_alive());
  response.head.set(Field::date, http_date());
  const Status status = response.head.result();
  if (status != Status::no_content && status != Status::not_modified) {
    response.head.content_length(response.body().size());
  }
  for (const Stage stage : config_.stages) stage(request, response);
}

}  // namespace nearlane::http
