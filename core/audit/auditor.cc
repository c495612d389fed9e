#include "core/audit/auditor.h"

#include <algorithm>
#include <bit>

namespace nearlane::audit {
namespace {

using std::chrono::seconds;
using Standing = Present::Standing;

/// Where the sampled bits lie in a hash: maps use the lowest, lanes the upper half.
constexpr unsigned kSampledFrom = 20;

/// Hits that nobody spends are kept for so many audits, and no more.
constexpr std::uint64_t kSavedAudits = 16;

/// A look at an entry, in so far as the lease is concerned: a hundredth later, and never at the very instant.
Duration after_lease(Duration lease) noexcept { return lease + lease / 100 + Duration(1); }

std::uint64_t mask_of(unsigned one_in) noexcept {
  return std::uint64_t{std::bit_ceil(std::max(one_in, 1U)) - 1} << kSampledFrom;
}

}  // namespace

std::string_view name_of(Verdict verdict) noexcept {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Verdict::count)> kNames = {
      "in_flight", "late", "stale", "zombie", "ghost", "ttl_skew", "split"};
  return kNames[static_cast<std::size_t>(verdict)];
}
std::string_view name_of(Age age) noexcept {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Age::count)> kNames = {
      "0s", "lease", "1s", "10s", "60s"};
  return kNames[static_cast<std::size_t>(age)];
}
std::string_view name_of(Outcome outcome) noexcept {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Outcome::count)> kNames = {
      "agreed", "differed", "left", "failed", "undecided"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::optional<Verdict> compare(const Entry& entry, const L2Answer& answer) noexcept {
  if (entry.negative()) {
    return answer.exists ? std::optional(Verdict::ghost) : std::nullopt;
  }
  if (!answer.exists) return Verdict::zombie;
  if (!answer.same) return Verdict::stale;
  // That L1 gives an entry up earlier is its own affair (l1_ttl).
  const bool outlives = answer.ends_by != kForever && entry.deadline() > answer.ends_by + kTtlSkew;
  return outlives ? std::optional(Verdict::ttl_skew) : std::nullopt;
}

Auditor::Auditor(const AuditConfig& config) : config_(config), mask_(mask_of(config.one_in)) {}

void Auditor::earn(std::uint64_t hits, TimePoint now) {
  const std::lock_guard lock(mutex_);
  hits_ = std::min(hits_ + hits, kSavedAudits * config_.hits_per_audit);
  // A second's worth to begin with, and at most.
  if (earned_at_ == TimePoint::min()) earned_at_ = now - seconds(1);
  const std::chrono::duration<double> passed = now - earned_at_;
  tokens_ = std::min<double>(tokens_ + passed.count() * config_.rate, config_.rate);
  earned_at_ = now;
  set_allowance();
}

void Auditor::set_allowance() noexcept {
  const std::uint64_t paid = hits_ / std::max(config_.hits_per_audit, 1U);
  const std::size_t room = config_.max_under_way - audits_.size();
  const auto allowed = std::min({paid, static_cast<std::uint64_t>(tokens_), std::uint64_t{room}});
  allowance_.store(static_cast<unsigned>(allowed), std::memory_order_relaxed);
}

void Auditor::take_up(const Entry& entry, std::uint64_t hash, TimePoint now) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || allowance_.load(std::memory_order_relaxed) == 0) return;
  const std::size_t charge = entry.charge();
  if (pinned_ + charge > config_.max_pinned) return;
  const bool twice =
      std::ranges::any_of(audits_, [hash](const Audit& audit) { return audit.key.hash == hash; });
  if (twice) return;
  audits_.push_back({.id = ++last_id_,
                     .key = Key(entry.key_with(hash)),
                     .entry = EntryPtr::pin(&entry),
                     .differed_at = now,
                     .charge = charge});
  pinned_ += charge;
  hits_ -= std::min<std::uint64_t>(hits_, config_.hits_per_audit);
  tokens_ -= 1;
  set_allowance();
}

TimePoint Auditor::next_look(const Audit& audit) const noexcept {
  static constexpr std::array<Duration, 4> kAges = {Duration::zero(), seconds(1), seconds(10),
                                                    seconds(60)};
  return audit.differed_at + std::max(kAges[audit.next], after_lease(config_.lease));
}
Age Auditor::age_of(const Audit& audit) const noexcept {
  return static_cast<Age>(static_cast<std::size_t>(Age::lease) + audit.next);
}

std::vector<Question> Auditor::due(TimePoint now, const Peek& peek) {
  const std::lock_guard lock(mutex_);
  std::vector<Question> questions;
  for (auto next = audits_.begin(); next != audits_.end();) {
    const auto audit = next++;
    if (audit->stage == Audit::Stage::observed) {
      const Present present = peek(audit->key.ref());
      if (present.standing == Standing::gone || present.entry.get() != audit->entry.get()) {
        end(audit, Outcome::left);
      } else {
        questions.push_back(ask(*audit, false, now));
      }
    } else if (audit->stage == Audit::Stage::waiting && next_look(*audit) <= now) {
      if (look(audit, peek(audit->key.ref()))) questions.push_back(ask(*audit, true, now));
    }
  }
  return questions;
}

/// Whether the entry is still served, so that the lane is to be asked; else the audit goes on or ends.
bool Auditor::look(Audits::iterator audit, const Present& present) {
  if (audit->judged) {
    // Whatever has come since is looked at like the first one.
    if (present.standing == Standing::vouched) {
      audit->entry = present.entry;
      return true;
    }
    put_off(audit);
    return false;
  }
  if (present.standing == Standing::gone || present.entry.get() != audit->entry.get()) {
    find(*audit, Verdict::late, age_of(*audit));
    end(audit, Outcome::differed);
    return false;
  }
  if (present.standing == Standing::vouched) return true;
  put_off(audit);
  return false;
}

Question Auditor::ask(Audit& audit, bool on_lane, TimePoint now) const {
  if (!on_lane) {
    // The lane is asked about the same part: where the first answer differed.
    constexpr std::uint64_t kGolden = 0x9E37'79B9'7F4A'7C15U;  // 2^64 / golden ratio
    const auto draw =
        (audit.key.hash ^ static_cast<std::uint64_t>(now.time_since_epoch().count())) * kGolden;
    const std::size_t windows = audit.entry->value().size() / kWindow + 1;
    audit.window = {.from = kWindow * static_cast<std::size_t>((draw >> 32U) % windows)};
  }
  audit.stage = on_lane ? Audit::Stage::asked_on_lane : Audit::Stage::asked;
  return {.id = audit.id, .entry = audit.entry, .window = audit.window, .on_lane = on_lane};
}

std::optional<Finding> Auditor::answered(std::uint64_t id, const L2Answer& answer,
                                         const Present& present, TimePoint now) {
  const std::lock_guard lock(mutex_);
  const auto audit = std::ranges::find(audits_, id, &Audit::id);
  if (audit == audits_.end()) return std::nullopt;
  const bool there =
      present.standing != Standing::gone && present.entry.get() == audit->entry.get();
  const std::optional<Verdict> difference =
      answer.known ? compare(*audit->entry, answer) : std::nullopt;

  if (audit->stage == Audit::Stage::asked) {
    if (!answer.known || !difference) {
      end(audit, answer.known ? Outcome::agreed : Outcome::failed);
      return std::nullopt;
    }
    audit->suspected = *difference;
    audit->differed_at = now;
    audit->stage = Audit::Stage::waiting;
    if (there) return std::nullopt;
    const Finding finding = find(*audit, Verdict::in_flight, Age::at_once);
    end(audit, Outcome::differed);
    return finding;
  }

  // On the lane, in its order.
  const Age age = age_of(*audit);
  if (answer.known && there && difference) {
    const Finding finding = find(*audit, *difference, age);
    audit->judged = true;
    audit->entry = nullptr;
    pinned_ -= std::exchange(audit->charge, 0);
    put_off(audit);
    return finding;
  }
  if (!answer.known || audit->judged) {
    put_off(audit);
    return std::nullopt;
  }
  // The deadline may have been moved by a touch of ours, which L2 knew of before L1.
  const bool split = there && audit->suspected != Verdict::ttl_skew;
  const Finding finding = find(*audit, split ? Verdict::split : Verdict::late, age);
  end(audit, Outcome::differed);
  return finding;
}

Finding Auditor::find(Audit& audit, Verdict verdict, Age age) {
  ++found_[static_cast<std::size_t>(verdict)][static_cast<std::size_t>(age)];
  return {.verdict = verdict, .age = age, .db = audit.key.db, .hash = audit.key.hash};
}

void Auditor::put_off(Audits::iterator audit) {
  if (audit->judged) audit->entry = nullptr;
  audit->stage = Audit::Stage::waiting;
  ++audit->next;
  if (age_of(*audit) == Age::count) {
    end(audit, audit->judged ? Outcome::differed : Outcome::undecided);
  }
}

void Auditor::end(Audits::iterator audit, Outcome outcome) {
  ++ended_[static_cast<std::size_t>(outcome)];
  pinned_ -= audit->charge;
  audits_.erase(audit);
  set_allowance();
}

void Auditor::stop() noexcept {
  const std::lock_guard lock(mutex_);
  audits_.clear();
  pinned_ = 0;
  hits_ = 0;
  tokens_ = 0;
  set_allowance();
}

std::size_t Auditor::under_way() const {
  const std::lock_guard lock(mutex_);
  return audits_.size();
}
std::uint64_t Auditor::ended(Outcome outcome) const {
  const std::lock_guard lock(mutex_);
  return ended_[static_cast<std::size_t>(outcome)];
}
std::uint64_t Auditor::found(Verdict verdict, Age age) const {
  const std::lock_guard lock(mutex_);
  return found_[static_cast<std::size_t>(verdict)][static_cast<std::size_t>(age)];
}

}  // namespace nearlane::audit
