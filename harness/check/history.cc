#include "harness/check/history.h"

#include <algorithm>
#include <cassert>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

namespace nearlane::harness {
namespace {

// Old writes are looked for this often, so that a busy key's scan is paid for by many writes.
constexpr auto kForgetEvery = std::chrono::milliseconds(100);

double to_ms(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string name_of(Node node) {
  return node == kStore ? std::string("the store") : fmt::format("instance {}", node);
}

/// `b - a` for a that may be far away.
Duration since(TimePoint a, TimePoint b) {
  if (a >= b) return Duration::zero();
  return a == TimePoint::min() ? Duration::max() : b - a;
}

}  // namespace

void HistoryReport::merge(const HistoryReport& other) {
  reads += other.reads;
  writes += other.writes;
  late += other.late;
  stale += other.stale;
  own_lost += other.own_lost;
  wrong += other.wrong;
  lateness.merge(other.lateness);
  said_old.merge(other.said_old);
  violations.insert(violations.end(), other.violations.begin(), other.violations.end());
}

History::History(HistoryOptions options) : options_(options) {}

History::Shard& History::shard_of(std::string_view key) {
  return shards_[XXH3_64bits(key.data(), key.size()) % shards_.size()];
}

History::Register& History::register_of(Shard& shard, std::string_view key) {
  const auto found = shard.registers.find(key);
  if (found != shard.registers.end()) return found->second;
  Register& made = shard.registers[std::string(key)];
  made.writes.push_back({.absent = true,
                         .begin = TimePoint::min(),
                         .acknowledged = TimePoint::min(),
                         .effect_by = TimePoint::min()});
  if (shard.flush_begin) add_flush(made, *shard.flush_begin);
  return made;
}

std::uint64_t History::begin_write(std::string_view key, Write write) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  ++shard.writes;
  Register& all = register_of(shard, key);
  forget_old(all, write.begin);
  write.number = ++all.last;
  write.may_live_on = all.touches > 0;
  all.writes.push_back(write);
  return Stamp{.writer = write.writer, .number = write.number}.packed();
}

std::uint64_t History::begin_set(std::string_view key, std::uint16_t writer, Node through,
                                 TimePoint begin, Duration ttl) {
  return begin_write(key, {.writer = writer, .through = through, .begin = begin, .ttl = ttl});
}

std::uint64_t History::begin_erase(std::string_view key, std::uint16_t writer, Node through,
                                   TimePoint begin) {
  return begin_write(key, {.writer = writer, .through = through, .absent = true, .begin = begin});
}

void History::end_write(std::string_view key, std::uint64_t version, Effect effect, TimePoint end,
                        std::optional<Node> by) {
  if (effect == Effect::unknown) return;
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  Register& all = register_of(shard, key);
  Write* write = find(all, Stamp::unpack(version).number);
  // A write whose request took longer than the memory may be forgotten: somebody saw its value.
  if (write == nullptr) return;
  if (effect == Effect::none) {
    write->never = true;
    return;
  }
  if (by) write->through = *by;
  write->told = end;
  if (proves_nothing(write->begin)) return;
  write->acknowledged = end;
  write->effect_by = std::min(write->effect_by, end);
}

void History::begin_touch(std::string_view key) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  Register& all = register_of(shard, key);
  ++all.touches;
  for (Write& write : all.writes) write.may_live_on = true;
}

void History::end_touch(std::string_view key, Effect effect) {
  if (effect == Effect::unknown) return;
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  --register_of(shard, key).touches;
}

History::Write* History::find(Register& all, std::uint64_t number) {
  const auto at = std::lower_bound(
      all.writes.begin(), all.writes.end(), number,
      [](const Write& write, std::uint64_t wanted) { return write.number < wanted; });
  return at != all.writes.end() && at->number == number ? &*at : nullptr;
}

void History::forget_old(Register& all, TimePoint now) const {
  if (now - kForgetEvery < all.pruned) return;
  all.pruned = now;
  const TimePoint cutoff = now - options_.memory;
  // What overwrote something before the cutoff began before it too.
  const auto old = std::find_if(all.writes.begin(), all.writes.end(),
                                [&](const Write& write) { return write.begin >= cutoff; });
  // Judged before any of them moves, because what is forgotten may be what overwrote another.
  std::vector<std::uint64_t> forgotten;
  for (auto at = all.writes.begin(); at != old; ++at) {
    const auto overwrites = [&](const Write& newer) {
      return !newer.never && newer.begin >= at->effect_by && newer.effect_by < cutoff;
    };
    const auto by = at->never ? at : std::find_if(at + 1, old, overwrites);
    if (by == old) continue;
    forgotten.push_back(at->number);
    if (by != at) all.forgotten_until = std::max(all.forgotten_until, by->effect_by);
  }
  all.writes.erase(std::remove_if(all.writes.begin(), old,
                                  [&](const Write& write) {
                                    return std::binary_search(forgotten.begin(), forgotten.end(),
                                                              write.number);
                                  }),
                   old);
}

/// `of_value`: the read brought the write's value, so its expiry counts as well.
History::Judgement History::judge(const Register& all, std::size_t at, const Read& read,
                                  bool of_value) const {
  const Write& seen = all.writes[at];
  Judgement judged;
  for (std::size_t i = at + 1; i < all.writes.size(); ++i) {
    const Write& newer = all.writes[i];
    if (newer.never || newer.begin < seen.effect_by) continue;
    if (const auto late = since(newer.effect_by, read.begin); late > judged.late) {
      judged.late = late;
      judged.newer = newer.number;
    }
    if (newer.through == read.through) {
      judged.late_of_own = std::max(judged.late_of_own, since(newer.acknowledged, read.begin));
    }
    // Unless it is lost, or may be.
    if (newer.number == read.behind && newer.acknowledged != kForever) judged.own_lost = true;
  }
  const bool expires = of_value && seen.ttl > Duration::zero() && !seen.may_live_on;
  if (expires && seen.effect_by != kForever) {
    const auto late = since(seen.effect_by + seen.ttl + options_.expiry_slack, read.begin);
    if (late > judged.late) {
      judged.late = late;
      judged.newer = 0;
    }
  }
  if (read.through == kStore) judged.late_of_own = std::max(judged.late_of_own, judged.late);
  return judged;
}

/// The kindest explanation of an absence: a deletion, an expiry, or that nothing was ever written.
std::optional<History::Judgement> History::judge_absence(const Register& all,
                                                         const Read& read) const {
  std::optional<Judgement> kindest;
  for (std::size_t at = all.writes.size(); at-- > 0;) {
    const Write& write = all.writes[at];
    const bool expires = !write.absent && write.ttl > Duration::zero();
    if (write.never || (!write.absent && !expires)) continue;
    const TimePoint earliest =
        expires ? write.begin + write.ttl - options_.expiry_slack : write.begin;
    if (earliest > read.end) continue;
    const Judgement judged = judge(all, at, read, false);
    const auto unkindness = [](const Judgement& of) {
      return std::tie(of.own_lost, of.late_of_own, of.late);
    };
    if (!kindest || unkindness(judged) < unkindness(*kindest)) kindest = judged;
    if (kindest->late == Duration::zero() && !kindest->own_lost) break;
  }
  return kindest;
}

Verdict History::verdict_of(const Judgement& judged, const Read& read) const {
  if (judged.own_lost || judged.late_of_own > Duration::zero()) return Verdict::own_lost;
  if (judged.late == Duration::zero()) return Verdict::fresh;
  const Duration bound = options_.bound + read.said_old.value_or(Duration::zero());
  return read.through == kStore || judged.late > bound ? Verdict::stale : Verdict::late;
}

Verdict History::note(const Read& read, const Judgement& judged, std::string_view what) {
  const Verdict verdict = verdict_of(judged, read);
  if (verdict == Verdict::fresh) return verdict;
  const std::lock_guard lock(report_mutex_);
  if (judged.late > Duration::zero())
    (read.said_old ? report_.said_old : report_.lateness).record(judged.late);
  if (verdict == Verdict::late) {
    report_.late += read.said_old ? 0 : 1;
    return verdict;
  }
  ++(verdict == Verdict::stale ? report_.stale : report_.own_lost);
  if (report_.violations.size() >= options_.kept_violations) return verdict;
  if (judged.own_lost) {
    report_.violations.push_back(fmt::format("{}: {} brought {}, behind its connection's write {}",
                                             read.key, name_of(read.through), what, read.behind));
  } else {
    report_.violations.push_back(fmt::format(
        "{}: {} brought {}{}, {:.3f} ms after {} had overwritten it{}", read.key,
        name_of(read.through), what, read.said_old ? " and said that it may be old" : "",
        to_ms(judged.late),
        judged.newer == 0 ? std::string("its expiry") : fmt::format("write {}", judged.newer),
        verdict == Verdict::own_lost ? ", acknowledged by itself" : ""));
  }
  return verdict;
}

Verdict History::note_wrong(std::string_view key, Node through, std::string_view what) {
  const std::lock_guard lock(report_mutex_);
  ++report_.wrong;
  if (report_.violations.size() < options_.kept_violations) {
    report_.violations.push_back(fmt::format("{}: {} brought {}", key, name_of(through), what));
  }
  return Verdict::wrong;
}

Verdict History::read(std::string_view key, Node through, TimePoint begin, TimePoint end,
                      std::optional<std::uint64_t> version, std::uint64_t behind) {
  return judge_read({.key = key,
                     .through = through,
                     .begin = begin,
                     .end = end,
                     .behind = Stamp::unpack(behind).number},
                    version);
}

Verdict History::read_said_old(std::string_view key, Node through, TimePoint begin, TimePoint end,
                               std::uint64_t version, Duration at_most) {
  assert(options_.bound + at_most < options_.memory);
  return judge_read(
      {.key = key, .through = through, .begin = begin, .end = end, .said_old = at_most}, version);
}

Verdict History::judge_read(const Read& read, std::optional<std::uint64_t> version) {
  Shard& shard = shard_of(read.key);
  const std::lock_guard lock(shard.mutex);
  ++shard.reads;
  Register& all = register_of(shard, read.key);
  const auto forgotten = [&] {
    const auto late = since(all.forgotten_until, read.begin);
    return Judgement{.late = late, .newer = all.last};
  };
  if (!version) {
    const auto judged = judge_absence(all, read);
    return note(read, judged ? *judged : forgotten(), "nothing");
  }
  const Stamp stamp = Stamp::unpack(*version);
  const auto what = [&] { return fmt::format("write {}", stamp.number); };
  const auto wrong = [&](std::string_view why) {
    return note_wrong(read.key, read.through, what() + std::string(why));
  };
  if (stamp.number > all.last) return wrong(", which nobody made");
  Write* const write = find(all, stamp.number);
  if (write == nullptr) return note(read, forgotten(), what());
  if (write->absent || write->writer != stamp.writer) return wrong(", which was another one");
  if (write->begin > read.end) return wrong(" before it began");
  // An answer that may be old need not know of a loss that is as young.
  const TimePoint known = read.begin - read.said_old.value_or(Duration::zero());
  if (write->lost && proves_nothing(known)) return Verdict::fresh;
  if (write->lost) return wrong(", which was lost");
  if (write->never) return wrong(", which was refused");
  const auto at = static_cast<std::size_t>(write - all.writes.data());
  const auto judged = judge(all, at, read, true);
  if (!proves_nothing(read.begin)) write->effect_by = std::min(write->effect_by, read.end);
  return verdict_of(judged, read) == Verdict::fresh ? Verdict::fresh : note(read, judged, what());
}

void History::read_damaged(std::string_view key, Node through, std::string_view what) {
  note_wrong(key, through, what);
}

void History::add_flush(Register& all, TimePoint begin) {
  all.flush = ++all.last;
  all.writes.push_back({.through = kStore, .absent = true, .number = all.flush, .begin = begin});
}

void History::begin_flush(TimePoint begin) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.flush_begin = begin;
    for (auto& [key, all] : shard.registers) add_flush(all, begin);
  }
}

void History::end_flush(TimePoint end) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.flush_begin.reset();
    for (auto& [key, all] : shard.registers) {
      // It is there: nothing forgets a write that is not known to have happened.
      Write& flush = *find(all, std::exchange(all.flush, 0));
      flush.acknowledged = flush.effect_by = end;
    }
  }
}

void History::lose(TimePoint from, TimePoint until) {
  lost_at_.store(until, std::memory_order_relaxed);
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto& [key, all] : shard.registers) {
      for (Write& write : all.writes) {
        if (write.effect_by >= from) write.acknowledged = write.effect_by = kForever;
      }
    }
  }
}

std::uint64_t History::lose_newer(std::string_view key, std::optional<std::uint64_t> held) {
  const std::uint64_t newest = held ? Stamp::unpack(*held).number : 0;
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  std::uint64_t lost = 0;
  for (Write& write : register_of(shard, key).writes) {
    if (write.told == kForever) continue;
    if (write.number > newest) {
      write.lost = write.never = true;
      ++lost;
    } else {
      write.acknowledged = write.told;
      write.effect_by = std::min(write.effect_by, write.told);
    }
  }
  return lost;
}

HistoryReport History::take_report() {
  HistoryReport taken;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    taken.reads += std::exchange(shard.reads, 0);
    taken.writes += std::exchange(shard.writes, 0);
  }
  const std::lock_guard lock(report_mutex_);
  std::swap(report_.lateness, taken.lateness);
  std::swap(report_.said_old, taken.said_old);
  std::swap(report_.violations, taken.violations);
  taken.late = std::exchange(report_.late, 0);
  taken.stale = std::exchange(report_.stale, 0);
  taken.own_lost = std::exchange(report_.own_lost, 0);
  taken.wrong = std::exchange(report_.wrong, 0);
  return taken;
}

}  // namespace nearlane::harness
