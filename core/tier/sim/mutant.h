// Mutant: a planted error, to prove that the simulation would have caught it.
//
// None of them needs a switch in the code that ships: each sits at a seam of the simulation, where
// it does what the mistaken code would have done (docs/decisions/0010-mutants-at-the-seams.md).
#pragma once

#include <cstdint>

namespace nearlane::sim {

enum class Mutant : std::uint8_t {
  none,
  no_multi,       // SET, CLIENT CACHING YES, PTTL: three commands instead of a transaction
  naive_install,  // what a bare SET wrote is installed, though NOLOOP has dropped the registration
  late_bump,      // the epoch is bumped after the first read of a new connection
  lease_from_receipt,      // the lease counts from when the reply came
  broadcast,               // BCAST: a PONG overtakes the invalidations of its event-loop turn
  evict_without_cancel,    // a push drops the entry and leaves the fill in flight to install
  deadline_from_receipt,   // PTTL counts from when the reply came
  install_despite_later,   // EXEC installs although a later command of the key is in flight
  read_overtakes_write,    // a read answered by L1 while a write of its connection is unanswered
  write_overtakes_joined,  // a write is sent before the answer of a read that joined another's fetch
  join_cancelled,          // a read joins a fill that was cancelled
  join_old,                // a read joins a fill however old
  late_put,                // a fill installs although the key was invalidated meanwhile
  slide_serves_longer,     // a touch that was not sent to L2 moves L1's deadline
  refresh_keeps_body,      // what somebody touched is kept, since a touch changes no body
  hint_installs,           // a hint brings the value, and L1 takes it
  forget_only_before,      // a write of unknown result drops the key only before it is sent
  early_news,              // a write is published before it is made
  silent_resubscription,   // what was read while nobody listened is kept when the channel is back
  stale_while_asked,       // what nobody vouches for is served while L2 is well
  stale_for_longer,        // it is served for longer than max_stale
  stale_past_its_end,      // it is served though its TTL is over
  keeps_overwritten,       // a write of unknown result leaves the copy in L1
};

}  // namespace nearlane::sim
