#include "servers/http/batch_run.h"

#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/epoch.h"
#include "servers/http/answer_of.h"
#include "servers/http/conditions.h"
#include "servers/http/problem.h"

namespace nearlane::http {
namespace {

using nlohmann::json;
using Kind = BatchOperation::Kind;

json found(const Entry& entry, bool stale) {
  json out = {{"status", 200}, {"etag", EntityTag(entry.digest(), "").text()}};
  if (stale) out["stale"] = true;
  const std::string_view value = entry.value();
  if (is_utf8(value)) {
    out["value"] = value;
  } else {
    out["value_base64"] = to_base64(value);
  }
  return out;
}

json written(const BatchOperation& operation, bool existed) {
  if (operation.kind == Kind::del) return {{"status", existed ? 204 : 404}};
  return {{"status", existed ? 204 : 201},
          {"etag", EntityTag(Entry::digest_of(operation.value), "").text()}};
}

}  // namespace

BatchRun::BatchRun(tier::TieredCache& tier, std::uint32_t db,
                   std::vector<BatchOperation> operations, std::chrono::milliseconds l2_timeout,
                   std::size_t most_bytes)
    : tier_(tier),
      db_(db),
      operations_(std::move(operations)),
      l2_timeout_(l2_timeout),
      deadline_(Clock::now() + l2_timeout),
      most_bytes_(most_bytes),
      outcomes_(operations_.size()) {}

boost::asio::awaitable<void> BatchRun::work() {
  for (std::size_t from = 0; from < operations_.size();) {
    std::size_t to = from + 1;
    while (to < operations_.size() && operations_[to].kind == operations_[from].kind) ++to;
    const auto ended =
        co_await answer_of<bool>([this, from, to](const std::function<void(Result<bool>)>& done) {
          const auto left = std::make_shared<std::atomic<std::size_t>>(to - from);
          for (std::size_t i = from; i < to; ++i) {
            start(i, [left, done] {
              if (left->fetch_sub(1) == 1) done(true);
            });
          }
        });
    static_cast<void>(ended);
    from = to;
  }
}

void BatchRun::start(std::size_t index, std::function<void()> done) {
  const BatchOperation& operation = operations_[index];
  Outcome& outcome = outcomes_[index];
  const KeyRef key(db_, operation.key);
  switch (operation.kind) {
    case Kind::get: {
      {
        const epoch::Guard guard;
        const TimePoint now = Clock::now();
        const Entry* entry = tier_.find(key, now);
        if (entry == nullptr) {
          entry = tier_.find_stale(key, now);
          outcome.stale = entry != nullptr;
        }
        keep(outcome, EntryPtr::pin(entry));
      }
      if (outcome.entry || outcome.too_long) return done();
      tier_.get(Key(key), tier::ReadFrom::l1_first, deadline_,
                [this, &outcome, done = std::move(done)](Result<tier::Lookup> looked) {
                  if (looked.has_error()) {
                    outcome.failure = looked.error();
                  } else {
                    outcome.stale = looked->source == tier::Source::stale;
                    keep(outcome, std::move(looked->entry));
                  }
                  done();
                });
      return;
    }
    case Kind::set: {
      // A batch says nothing of types.
      tier::StoreOptions options{.ask_existed = true, .asks_forms = true, .type = ""};
      if (operation.ttl) options.expiry = tier::Expiry::in(*operation.ttl);
      return tier_.set(key, operation.value, options, deadline_,
                       [&outcome, done = std::move(done)](Result<tier::StoreOutcome> stored) {
                         if (stored.has_error()) {
                           outcome.failure = stored.error();
                         } else {
                           outcome.existed = stored->existed.value_or(false);
                         }
                         done();
                       });
    }
    case Kind::del:
      return tier_.remove(key, deadline_, [&outcome, done = std::move(done)](Result<bool> removed) {
        if (removed.has_error()) {
          outcome.failure = removed.error();
        } else {
          outcome.existed = *removed;
        }
        done();
      });
  }
}

void BatchRun::keep(Outcome& outcome, EntryPtr entry) noexcept {
  const std::size_t size = entry ? entry->value().size() : 0;
  std::size_t bytes = bytes_.load(std::memory_order_relaxed);
  do {
    if (size > most_bytes_ - bytes) {
      outcome.too_long = true;
      return;
    }
  } while (!bytes_.compare_exchange_weak(bytes, bytes + size, std::memory_order_relaxed));
  outcome.entry = std::move(entry);
}

std::size_t BatchRun::held() const noexcept {
  std::size_t bytes = 0;
  for (const Outcome& outcome : outcomes_)
    bytes += outcome.entry ? outcome.entry->value().size() : 0;
  return bytes;
}

std::string BatchRun::page() const {
  json out = json::array();
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    const BatchOperation& operation = operations_[i];
    const Outcome& outcome = outcomes_[i];
    if (outcome.too_long) {
      out.push_back(
          {{"status", 413}, {"detail", "the values together are too long for one answer"}});
      continue;
    }
    if (outcome.failure) {
      out.push_back(problem_body(*outcome.failure, operation.kind != Kind::get, l2_timeout_));
    } else if (operation.kind != Kind::get) {
      out.push_back(written(operation, outcome.existed));
    } else {
      out.push_back(outcome.entry ? found(*outcome.entry, outcome.stale) : json{{"status", 404}});
    }
  }
  // An L2's own words may be any bytes; values are text here.
  return json{{"results", std::move(out)}}.dump(-1, ' ', false, json::error_handler_t::replace) +
         "\n";
}

}  // namespace nearlane::http
