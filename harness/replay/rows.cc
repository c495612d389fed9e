#include "harness/replay/rows.h"

#include <cmath>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;

Json to_object(const ReplayRow& row) {
  Json object = {{"trace", row.trace},
                 {"policy", row.policy},
                 {"capacity", row.capacity},
                 {"unit", to_string(row.unit)},
                 {"requests", row.requests},
                 {"misses", row.misses},
                 {"miss_ratio", row.miss_ratio()},
                 {"map", row.map},
                 {"offline", row.offline},
                 {"rejections", row.rejections},
                 {"keys", row.keys},
                 {"file", row.file},
                 {"file_hash", row.file_hash},
                 {"revision", row.revision},
                 {"seconds", std::round(row.seconds * 1000) / 1000}};
  if (row.reference) {
    object["reference"] = {{"best", row.reference->best},
                           {"best_policy", row.reference->best_policy},
                           {"excess_percent", row.reference->excess_percent},
                           {"same", row.reference->same}};
  }
  return object;
}

/// No replay has taken a century.
constexpr double kMostSeconds = 3.2e9;

struct NotOurs : std::runtime_error {
  using std::runtime_error::runtime_error;
};

ReplayRow to_row(const Json& object) {
  const auto text = [&](const char* key) { return object.at(key).get<std::string>(); };
  const auto count = [&](const char* key) {
    if (!object.at(key).is_number_unsigned()) throw NotOurs(fmt::format("{} is no count", key));
    return object.at(key).get<std::uint64_t>();
  };
  ReplayRow row{.trace = text("trace"),
                .policy = text("policy"),
                .capacity = count("capacity"),
                .unit = text("unit") == to_string(Unit::bytes) ? Unit::bytes : Unit::objects,
                .requests = count("requests"),
                .misses = count("misses"),
                .map = text("map"),
                .offline = object.at("offline").get<bool>(),
                .rejections = count("rejections"),
                .keys = count("keys"),
                .file = text("file"),
                .file_hash = text("file_hash"),
                .revision = text("revision"),
                .seconds = object.at("seconds").get<double>(),
                .reference = {}};
  if (!(row.seconds >= 0 && row.seconds < kMostSeconds)) throw NotOurs("seconds are out of range");
  if (const auto found = object.find("reference"); found != object.end()) {
    row.reference = Comparison{.best = found->at("best").get<double>(),
                               .best_policy = found->at("best_policy").get<std::string>(),
                               .excess_percent = found->at("excess_percent").get<double>(),
                               .same = found->at("same").get<std::map<std::string, double>>()};
  }
  return row;
}

}  // namespace

std::string to_json(const std::vector<ReplayRow>& rows) {
  std::string out = "[";
  for (const auto& row : rows) {
    out += &row == rows.data() ? "\n  " : ",\n  ";
    out += to_object(row).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return out + "\n]\n";
}

Result<std::vector<ReplayRow>> rows_from_json(const std::string& text) {
  try {
    std::vector<ReplayRow> rows;
    const auto array = Json::parse(text);
    if (!array.is_array()) return Error{Errc::protocol, "not an array of replay rows"};
    for (const auto& object : array) rows.push_back(to_row(object));
    return rows;
  } catch (const std::exception& wrong) {
    return Error{Errc::protocol, fmt::format("not an array of replay rows: {}", wrong.what())};
  }
}

}  // namespace nearlane::harness
