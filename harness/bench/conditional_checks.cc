#include "harness/bench/conditional_checks.h"

#include <array>
#include <map>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/entry/precompress.h"
#include "harness/check/http_client.h"
#include "harness/peers/site.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRead = "conditional-read";
constexpr std::string_view kWritten = "conditional-write";
constexpr Duration kPatience = 20s;
constexpr std::array kCodings = {Coding::identity, Coding::gzip, Coding::br};
constexpr std::string_view kForeign = "\"0123456789abcdef\"";

/// The value of a field, empty where there is none. Precondition: the head names it as we do.
std::string field(const HttpResponse& response, std::string_view name) {
  const auto line = fmt::format("\r\n{}: ", name);
  const auto at = response.head.find(line);
  if (at == std::string::npos) return {};
  const auto from = at + line.size();
  return response.head.substr(from, response.head.find("\r\n", from) - from);
}

/// A request's fields, each as a line.
std::string line(std::string_view name, std::string_view value) {
  return fmt::format("{}: {}\r\n", name, value);
}

/// What a response must be.
struct Right {
  std::string status;
  std::string etag = {};  // empty: whatever it says
  std::string body = {};
};

class Checks {
 public:
  Checks(const Endpoint& http, std::size_t value_bytes) : client_(http) {
    write_document(kRead, 1, value_bytes, page_.value);
    page_.forms = precompress(page_.value);
  }

  Result<std::vector<CheckedGroup>> run() {
    if (const auto known = learn_tags(); !known) return known.error();
    for (const Coding coding : kCodings) {
      for (const char* method : {"GET", "HEAD"}) {
        reads_unless_known(coding, method);
        reads_if_known(coding, method);
      }
    }
    writes();
    return std::vector{std::move(none_match_), std::move(match_), std::move(writes_)};
  }

 private:
  HttpResponse ask(std::string_view method, std::string_view key, std::string_view fields,
                   std::string_view body = {}) {
    // A length would send a read past the fast lane.
    const auto length =
        method == "PUT" ? line("Content-Length", std::to_string(body.size())) : std::string();
    client_.send(fmt::format("{} /cache/{} HTTP/1.1\r\nHost: x\r\n{}{}\r\n{}", method, key, fields,
                             length, body));
    return client_.response(kPatience, method == "HEAD");
  }

  static std::string accepting(Coding coding) { return line("Accept-Encoding", name_of(coding)); }

  /// The forms are made beside the first reads.
  Result<void> learn_tags() {
    if (const auto put = ask("PUT", kRead, "", page_.value); put.status != "201")
      return Error{Errc::unavailable, fmt::format("PUT: {}", put.head)};
    const TimePoint until = Clock::now() + kPatience;
    for (const Coding coding : kCodings) {
      auto got = ask("GET", kRead, accepting(coding));
      while (got.body != page_.form(coding)) {
        if (Clock::now() > until)
          return Error{Errc::unavailable, fmt::format("{} is not served", name_of(coding))};
        std::this_thread::sleep_for(1ms);
        got = ask("GET", kRead, accepting(coding));
      }
      tags_[coding] = field(got, "ETag");
    }
    return {};
  }

  void expect(CheckedGroup& group, std::string_view what, const HttpResponse& got,
              const Right& right) {
    ++group.asked;
    std::string wrong;
    if (got.status != right.status)
      wrong += fmt::format(" status {}, not {};", got.status, right.status);
    if (!right.etag.empty() && field(got, "ETag") != right.etag)
      wrong += fmt::format(" ETag {}, not {};", field(got, "ETag"), right.etag);
    if (got.body != right.body)
      wrong += fmt::format(" {} bytes of body, not these {};", got.body.size(), right.body.size());
    if (!wrong.empty()) group.wrong.push_back(fmt::format("{}:{}", what, wrong));
  }

  /// What a read of this form must bring if nothing holds it up.
  [[nodiscard]] Right whole(Coding coding, std::string_view method) const {
    return {.status = "200",
            .etag = tags_.at(coding),
            .body = method == "GET" ? std::string(page_.form(coding)) : std::string()};
  }

  void read(CheckedGroup& group, Coding coding, std::string_view method,
            const std::string& conditions, const Right& right) {
    const auto what = fmt::format("{}, {}, {}", method, name_of(coding), conditions);
    const auto got = ask(method, kRead, accepting(coding) + conditions);
    expect(group, what, got, right);
    if (right.status == "412") return;
    // Both tell a cache on the way that other clients get other bytes.
    if (field(got, "Vary") != "Accept-Encoding") group.wrong.push_back(what + ": no Vary");
    if (right.status == "200" &&
        field(got, "Content-Length") != std::to_string(page_.form(coding).size()))
      group.wrong.push_back(what + ": Content-Length " + field(got, "Content-Length"));
  }

  void reads_unless_known(Coding coding, std::string_view method) {
    const std::string& own = tags_.at(coding);
    const auto with = [&](const std::string& tags, const Right& right) {
      read(none_match_, coding, method, line("If-None-Match", tags), right);
    };
    const Right known{.status = "304", .etag = own};
    for (const auto& tags : {own, "W/" + own, "\"x\", " + own + ", \"y\"", "\"a,b\" ,\tW/" + own,
                             ", " + own + " ,", std::string("*")})
      with(tags, known);
    // Whatever else it accepts, it accepts the value as it is.
    with(tags_.at(Coding::identity), {.status = "304", .etag = tags_.at(Coding::identity)});
    const Right all = whole(coding, method);
    for (const auto& tags : {std::string(kForeign), std::string("\"x\", W/\"y\""),
                             std::string("\"*\""), own.substr(1, own.size() - 2), std::string(" ")})
      with(tags, all);
    for (const Coding other : {Coding::gzip, Coding::br}) {
      if (other != coding) with(tags_.at(other), all);  // it could not read that
    }
  }

  void reads_if_known(Coding coding, std::string_view method) {
    const std::string& own = tags_.at(coding);
    const auto with = [&](const std::string& tags, const Right& right) {
      read(match_, coding, method, line("If-Match", tags), right);
    };
    const Right all = whole(coding, method);
    for (const auto& tags : {own, "\"x\", " + own, std::string("*"), tags_.at(Coding::identity),
                             tags_.at(Coding::gzip), tags_.at(Coding::br)})
      with(tags, all);
    const auto refused = [&](const std::string& conditions) {
      const auto got = ask(method, kRead, accepting(coding) + conditions);
      expect(match_, fmt::format("{}, {}, {}", method, name_of(coding), conditions), got,
             {.status = "412", .body = got.body});
    };
    for (const auto& tags : {std::string(kForeign), "W/" + own, "\"x\", W/" + own})
      refused(line("If-Match", tags));
    // If-Match is looked at first.
    read(match_, coding, method, line("If-Match", own) + line("If-None-Match", own),
         {.status = "304", .etag = own});
    refused(line("If-Match", kForeign) + line("If-None-Match", own));
  }

  /// `value`: what must be there afterwards.
  void write(std::string_view method, const std::string& conditions, std::string_view body,
             const std::string& status, const std::string& value) {
    const auto what = fmt::format("{} {}", method, conditions);
    const auto got = ask(method, kWritten, conditions, body);
    // What a refusal says of itself is not asked.
    expect(writes_, what, got, {.status = status, .body = got.body});
    const auto now = ask("GET", kWritten, accepting(Coding::identity));
    if (value.empty()) {
      expect(writes_, what + ", then GET", now, {.status = "404", .body = now.body});
      return;
    }
    const bool written = method == "PUT" && (status == "201" || status == "204");
    expect(writes_, what + ", then GET", now,
           {.status = "200", .etag = written ? field(got, "ETag") : std::string(), .body = value});
    tag_ = field(now, "ETag");
  }

  void writes() {
    const auto match = [](const std::string& tags) { return line("If-Match", tags); };
    const auto none_match = [](const std::string& tags) { return line("If-None-Match", tags); };
    write("PUT", match("*"), "a", "412", "");
    write("PUT", match(std::string(kForeign)), "a", "412", "");
    write("DELETE", match("*"), "", "412", "");
    write("PUT", none_match("*"), "a", "201", "a");
    write("PUT", none_match("*"), "b", "412", "a");
    write("PUT", match(std::string(kForeign)), "b", "412", "a");
    write("PUT", match("W/" + tag_), "b", "412", "a");
    write("PUT", none_match(tag_), "b", "412", "a");
    write("PUT", none_match("W/" + tag_), "b", "412", "a");
    const std::string old = tag_;
    write("PUT", match(tag_), "b", "204", "b");
    write("PUT", match(old), "c", "412", "b");
    // The tag that the value's gzip form would have.
    write("PUT", match("\"x\", " + tag_.substr(0, tag_.size() - 1) + "-gzip\""), "c", "204", "c");
    write("PUT", match("*"), "d", "204", "d");
    write("PUT", none_match(old), "e", "204", "e");
    write("PUT", match(tag_) + none_match("*"), "f", "412", "e");
    write("DELETE", match(old), "", "412", "e");
    write("DELETE", match("W/" + tag_), "", "412", "e");
    write("DELETE", none_match("*"), "", "412", "e");
    write("DELETE", match("\"x\", " + tag_), "", "204", "");
    write("DELETE", match(tag_), "", "412", "");
  }

  HttpClient client_;
  Page page_;
  std::map<Coding, std::string> tags_;
  std::string tag_;  // of what was written last
  CheckedGroup none_match_{"none_match", "GET and HEAD with If-None-Match"};
  CheckedGroup match_{"match", "GET and HEAD with If-Match"};
  CheckedGroup writes_{"writes", "PUT and DELETE, and what is there afterwards"};
};

}  // namespace

Result<std::vector<CheckedGroup>> check_conditions(const Endpoint& http, std::size_t value_bytes) {
  return Checks(http, value_bytes).run();
}

}  // namespace nearlane::harness
