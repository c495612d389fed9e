// Compressed forms of what L1 holds, made in the background.
//
// Late work must not bring back what was changed meanwhile: the entry with its forms takes the place of the very
// entry that they were made of, or of none (L1Map::replace_if). That entry is pinned all the while, so no other one
// can have its address. Whoever moves a deadline does so in one step with regard to the key's flights, and so is the
// replacement: no deadline is moved on the old entry after it was read for the new one.
//
// That step holds locks that everybody waits for, through evictions at worst, and who makes the forms may be kept off
// the processor for long. So another thread does it, and what waits for that has a bound in bytes.
#include "core/entry/precompress.h"

#include "core/base/epoch.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {

void TieredCache::Impl::want_forms(const Entry& entry, const KeyRules& rules, bool asked) noexcept {
  const std::size_t size = entry.value().size();
  if (size < kLeastCompressed || entry.considered()) return;
  const bool wanted = rules.precompress == Precompress::always ||
                      (asked && rules.precompress == Precompress::asked);
  if (!wanted || rules.secret || !rules.l1 || size > kMostPrecompressed) {
    if (asked) static_cast<void>(entry.consider());  // nobody will be told otherwise
    return;
  }
  // Not considered where there is no room: a later read may find some.
  if (precompress_queue_.full()) return Counts::add(Count::precompress_dropped);
  if (!entry.consider()) return;
  if (precompress_queue_.offer(EntryPtr::pin(&entry))) return;
  entry.reconsider();
  Counts::add(Count::precompress_dropped);
}

void TieredCache::Impl::put_forms(const Entry& entry) {
  const KeyRef key = entry.key();
  {
    const epoch::Guard guard;
    if (l1_->peek(key) != &entry) return Counts::add(Count::precompress_late);
  }
  const Variants variants = precompress(entry.value());
  if (variants.empty()) return Counts::add(Count::precompress_useless);
  const std::uint64_t size = entry.value().size();
  if (forms_waiting_.fetch_add(size) + size > config_.precompression.most_bytes) {
    forms_waiting_ -= size;
    entry.reconsider();
    return Counts::add(Count::precompress_dropped);
  }
  auto put = [this, size, plain = EntryPtr::pin(&entry),
              next = Entry::build_with(entry, variants)] {
    bool done = false;
    flights_.in_one_step(plain->key(), [&] {
      next->set_deadline(plain->deadline());
      next->set_epoch(plain->epoch());
      next->set_unused(plain->unused());
      done = l1_->replace_if(plain.get(), next);
    });
    Counts::add(done ? Count::precompressed : Count::precompress_late);
    forms_waiting_ -= size;
  };
  if (!config_.after) return put();
  config_.after(Duration::zero(), std::move(put));
}

}  // namespace nearlane::tier
