#include "servers/nearlane/why_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nearlane::server {

namespace {

using nlohmann::json;

/// "230 ms", "4.2 s", "17 min", "3.0 h", "12 days"
std::string time_text(double ms) {
  if (ms < 0) return "-" + time_text(-ms);
  constexpr double kSecond = 1000;
  constexpr double kMinute = 60 * kSecond;
  constexpr double kHour = 60 * kMinute;
  constexpr double kDay = 24 * kHour;
  if (ms < kSecond) return fmt::format("{:.1f} ms", ms);
  if (ms < 2 * kMinute) return fmt::format("{:.1f} s", ms / kSecond);
  if (ms < 2 * kHour) return fmt::format("{:.1f} min", ms / kMinute);
  if (ms < 2 * kDay) return fmt::format("{:.1f} h", ms / kHour);
  return fmt::format("{:.0f} days", ms / kDay);
}
std::string ago(const json& ms) {
  return ms.is_null() ? "not known of" : time_text(ms.get<double>()) + " ago";
}

/// What a terminal may show of a name: control bytes could be commands to it.
std::string printable(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || c == '"' || c == '\\') {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string copy_text(const json& copy, const json& lane) {
  if (copy.is_null()) return "no copy";
  const auto epoch = copy.at("epoch").get<std::uint64_t>();
  const std::string what = copy.at("negative").get<bool>()
                               ? "that there is no such key"
                               : fmt::format("{} bytes", copy.at("bytes").get<std::uint64_t>());
  const std::string whose = epoch == lane.at("epoch").get<std::uint64_t>()
                                ? "its lane's"
                                : "while its lane's is " + lane.at("epoch").dump();
  return fmt::format("{}, of epoch {}, {}", what, epoch, whose);
}

std::string deadline_text(const json& copy) {
  if (copy.is_null()) return "none";
  const json& deadline = copy.at("deadline_ms");
  if (deadline.is_null()) return "none: until it is changed, or evicted";
  const auto ms = deadline.get<double>();
  return ms < 0 ? "passed " + time_text(-ms) + " ago" : "in " + time_text(ms);
}

std::string lane_text(const json& lane, const json& coherence) {
  std::string text =
      fmt::format("number {} of {}, {}, epoch {}, ", lane.at("number").dump(), lane.at("of").dump(),
                  lane.at("set").get<std::string>(), lane.at("epoch").dump());
  const json& lease = lane.at("lease_ms");
  if (coherence.at("mode") == "local") return text + "which needs no lease: nobody else writes";
  if (lease.is_null()) return text + "which has no lease";
  const auto ms = lease.get<double>();
  return text + (ms < 0 ? "lease ran out " + time_text(-ms) + " ago"
                        : "lease runs " + time_text(ms) + " more");
}

std::string l2_text(const json& l2) {
  if (l2.contains("error")) return "did not say: " + l2.at("error").get<std::string>();
  std::string text = "no such key";
  if (l2.at("exists").get<bool>()) {
    const json& ttl = l2.at("ttl_ms");
    text = ttl.is_null() ? "has it, without an end"
                         : "has it, for " + time_text(ttl.get<double>()) + " more";
  }
  if (l2.contains("as_in_l1")) {
    text += l2.at("as_in_l1").get<bool>() ? "; L1's copy is the same" : "; L1's copy is another";
  }
  return text;
}

std::string rules_text(const json& rules) {
  const auto time = [](const json& ms) {
    if (ms.is_null()) return std::string("none");
    return ms.get<double>() == 0 ? std::string("0") : time_text(ms.get<double>());
  };
  std::string text = fmt::format("l1 {}, l1_ttl {}, negative_ttl {}, max_stale {}",
                                 rules.at("l1").dump(), time(rules.at("l1_ttl_ms")),
                                 time(rules.at("negative_ttl_ms")), time(rules.at("max_stale_ms")));
  for (const char* opted_in : {"touch_coalescing", "refresh", "prefetch", "secret"}) {
    if (rules.at(opted_in).get<bool>()) text.append(", ").append(opted_in);
  }
  return text;
}

std::string events_text(const json& page) {
  const json& complete = page.at("complete_for_ms");
  std::string text = complete.is_null()
                         ? "all since the start\n"
                         : fmt::format("complete for the last {}; older ones may be missing\n",
                                       time_text(complete.get<double>()));
  for (const json& event : page.at("events")) {
    text +=
        fmt::format("  {:>12} ago  {} (epoch {})\n", time_text(event.at("ago_ms").get<double>()),
                    event.at("event").get<std::string>(), event.at("epoch").dump());
  }
  return text;
}

}  // namespace

Result<WhyText> why_text(std::string_view text) {
  const json page = json::parse(text, nullptr, false);
  if (page.is_discarded()) return Error{Errc::invalid_argument, "the answer is not JSON"};
  try {
    const json& last = page.at("last_ms_ago");
    const json& l2 = page.at("l2");
    const bool in_l2 = l2.contains("error") || l2.at("exists").get<bool>();
    WhyText out{.known = in_l2 || !page.at("l1").is_null(), .text = {}};
    const auto row = [&](std::string_view name, const std::string& what) {
      out.text += fmt::format("{:<10}{}\n", name, what);
    };
    row("key",
        fmt::format("\"{}\" in database {}, hash {}", printable(page.at("key").get<std::string>()),
                    page.at("db").dump(), page.at("hash").get<std::string>()));
    row("answer", fmt::format("from {}: {}", page.at("tier") == "l1" ? "L1" : "L2",
                              page.at("reason").get<std::string>()));
    row("L1", copy_text(page.at("l1"), page.at("lane")));
    row("deadline", deadline_text(page.at("l1")));
    row("lane", lane_text(page.at("lane"), page.at("coherence")));
    row("L2", l2_text(l2));
    row("rules", rules_text(page.at("rules")));
    row("audited", page.at("audited").get<bool>() ? "yes" : "no: its hash is not in the sample");
    row("last", fmt::format("fill {}, push {}, write {}, bump {}", ago(last.at("fill")),
                            ago(last.at("push")), ago(last.at("write")), ago(last.at("bump"))));
    row("events", events_text(page));
    out.text.pop_back();
    return out;
  } catch (const json::exception& unknown) {
    return Error{Errc::invalid_argument,
                 std::string("the answer is not of this version: ") + unknown.what()};
  }
}

std::string percent_encode(std::string_view key) {
  std::string out;
  for (const char c : key) {
    const bool bare = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("-._~").find(c) != std::string_view::npos;
    if (bare) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace nearlane::server
