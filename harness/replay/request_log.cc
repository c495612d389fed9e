#include "harness/replay/request_log.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>
#include <fmt/format.h>

namespace nearlane::harness {
namespace {

constexpr std::uint32_t kLastSecond = kNoDeadline - 1;

std::uint32_t capped(std::uint64_t value, std::uint32_t most) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, most));
}

class Loader {
 public:
  Loader(std::string name, const LogLimits& limits) : name_(std::move(name)), limits_(limits) {}

  Result<RequestLog> load(TraceReader& trace) {
    TraceRecord record;
    for (;;) {
      const auto more = trace.next(record);
      if (!more) return more.error();
      if (!*more) break;
      if (log_.requests.size() == limits_.requests) {
        return over(fmt::format("{} requests", limits_.requests));
      }
      add(record);
      if (log_.keys.size() > limits_.keys) return over(fmt::format("{} keys", limits_.keys));
      if (name_bytes_ > limits_.name_bytes) {
        return over(fmt::format("{} bytes of key names", limits_.name_bytes));
      }
    }
    if (log_.reads == 0) {
      return Error{Errc::invalid_argument, fmt::format("{}: a trace without reads", name_)};
    }
    settle();
    log_.trace = name_;
    return std::move(log_);
  }

 private:
  [[nodiscard]] Error over(std::string_view limit) const {
    return {Errc::too_large,
            fmt::format("{}: over the limit of {} that a replay holds in memory", name_, limit)};
  }

  std::uint32_t id_of(const std::string& key) {
    const auto known = ids_.find(key);
    if (known != ids_.end()) return known->second;
    const auto id = static_cast<std::uint32_t>(log_.keys.size());
    const std::string& kept = log_.names.emplace_back(key);
    name_bytes_ += kept.size();
    log_.longest_name = std::max(log_.longest_name, kept.size());
    log_.keys.emplace_back(0U, kept);
    ids_.emplace(kept, id);
    return id;
  }

  /// As recorded; `deadline` holds the TTL until settle() has been here, kNoDeadline for none.
  void add(const TraceRecord& record) {
    if (log_.requests.empty()) first_second_ = record.second;
    latest_second_ = std::max(latest_second_, record.second);
    if (record.second < latest_second_ && log_.backward_records++ == 0) {
      log_.first_backward = log_.requests.size() + 1;
    }
    const auto since = record.second - std::min(record.second, first_second_);
    now_ = std::max(now_, capped(since, kLastSecond));
    Request request{
        .key = id_of(record.key),
        .bytes = capped(record.bytes, std::numeric_limits<std::uint32_t>::max()),
        .second = now_,
        .deadline = record.ttl_s == 0 ? kNoDeadline : capped(record.ttl_s, kLastSecond)};
    switch (record.op) {
      case Op::get:
        ++log_.reads;
        break;
      case Op::set:
        request.kind = Request::Kind::write;
        request.write_if = record.write_if;
        writes_ = true;
        break;
      case Op::touch:
        request.kind = Request::Kind::touch;
        break;
      case Op::erase:
        request.kind = Request::Kind::erase;
        break;
    }
    log_.requests.push_back(request);
  }

  struct Held {
    std::uint32_t bytes = 0;
    std::uint32_t deadline = 0;  // the store holds the key before this second
  };

  static std::uint32_t deadline_of(const Request& request) {
    if (request.deadline == kNoDeadline) return kNoDeadline;
    return capped(std::uint64_t{request.second} + request.deadline, kLastSecond);
  }

  /// Follows the store through the trace. Nothing of it depends on what a cache keeps.
  void settle() {
    std::vector<Held> store(log_.keys.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < log_.requests.size(); ++i) {
      auto& request = log_.requests[kept];
      request = log_.requests[i];
      Held& held = store[request.key];
      const bool holds = held.deadline == kNoDeadline || request.second < held.deadline;
      switch (request.kind) {
        case Request::Kind::write:
          if (!settle_write(request, held, holds)) continue;
          break;
        case Request::Kind::touch:
          if (holds && request.deadline != kNoDeadline) held.deadline = deadline_of(request);
          break;
        case Request::Kind::erase:
          held = {};
          break;
        default:
          settle_read(request, held, holds);
      }
      request.bytes = held.bytes;
      request.deadline = held.deadline;
      if (request.bytes > log_.largest_value) {
        log_.largest_value = request.bytes;
        log_.largest_record = i + 1;
      }
      log_.expires = log_.expires || (held.deadline != kNoDeadline && held.deadline != 0);
      ++kept;
    }
    log_.requests.resize(kept);
  }

  /// False: it writes nothing.
  static bool settle_write(const Request& request, Held& held, bool holds) {
    if (request.write_if == WriteIf::amended) {
      // What is recorded may be the part that is added, so it counts only where nothing is known.
      if (holds && held.bytes == 0) held.bytes = request.bytes;
      return holds;
    }
    if (request.write_if != WriteIf::always && holds != (request.write_if == WriteIf::held)) {
      return false;
    }
    held = {request.bytes, deadline_of(request)};
    return true;
  }

  void settle_read(Request& request, Held& held, bool holds) const {
    if (holds) {
      if (request.bytes != 0) held.bytes = request.bytes;
      return;
    }
    if (request.bytes == 0 && writes_) {
      request.kind = Request::Kind::dead_read;
      return;
    }
    request.kind = Request::Kind::cold_read;
    held = {request.bytes, kNoDeadline};
  }

  std::string name_;
  LogLimits limits_;
  RequestLog log_;
  boost::unordered_flat_map<std::string_view, std::uint32_t> ids_;
  std::uint64_t name_bytes_ = 0;
  std::uint64_t first_second_ = 0;
  std::uint64_t latest_second_ = 0;
  std::uint32_t now_ = 0;
  bool writes_ = false;
};

}  // namespace

Result<RequestLog> load_log(TraceReader& trace, const std::string& name, const LogLimits& limits) {
  return Loader(name, limits).load(trace);
}

}  // namespace nearlane::harness
