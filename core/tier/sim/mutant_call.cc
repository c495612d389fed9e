#include "core/tier/sim/mutant_call.h"

#include <algorithm>

#include "core/base/epoch.h"
#include "core/cohere/install_rules.h"

namespace nearlane::sim {

using cohere::Answer;
using cohere::Op;

MutantCall::MutantCall(SimulatedBackend& backend, std::unique_ptr<cohere::Call> proper)
    : Call(proper->command),
      began(backend.world_.now),
      backend_(backend),
      proper_(std::move(proper)) {
  if (command.op == Op::fetch) backend_.fetching_.push_back(this);
}

MutantCall::~MutantCall() { std::erase(backend_.fetching_, this); }

Answer MutantCall::believed(const Answer& answer) const {
  Answer told = answer;
  if (backend_.world_.mutant == Mutant::deadline_from_receipt) told.sent_at = backend_.world_.now;
  return told;
}

void MutantCall::settle(const Answer& answer) noexcept {
  const Mutant mutant = backend_.world_.mutant;
  std::erase(backend_.fetching_, this);
  if (mutant == Mutant::late_bump && command.op == Op::fetch && !answer.error)
    backend_.unread_ = false;
  if (mutant == Mutant::forget_only_before && command.op == Op::raw) return;
  EntryPtr had;
  if (mutant == Mutant::keeps_overwritten && command.op == Op::transact && answer.error) {
    const epoch::Guard guard;
    had = EntryPtr::pin(backend_.map_.find(command.key.ref()));
  }
  proper_->settle(believed(answer));
  if (had && backend_.map_.peek(command.key.ref()) == nullptr) {
    backend_.map_.put(Entry::build(had->key(), had->value(), had->deadline(), had->epoch()));
  }
  if (mutant == Mutant::late_put && command.op == Op::fetch) install(answer);
  if (mutant == Mutant::install_despite_later && command.op == Op::transact && command.value)
    install(answer);
}

void MutantCall::install(const Answer& answer) {
  if (answer.error) return;
  const bool read = command.op == Op::fetch;
  const auto decision =
      read ? cohere::after_fetch(answer.reply, answer.pttl, answer.sent_at, Duration::max())
           : cohere::after_store(answer.reply, answer.pttl, answer.sent_at, Duration::max());
  if (decision.action != cohere::Decision::Action::install) return;
  backend_.map_.put(Entry::build(
      command.key.ref(), read ? std::string_view(answer.reply.text) : command.value->value(),
      decision.deadline, answer.epoch));
}

void MutantCall::complete(Answer answer) noexcept {
  const Answer told = believed(answer);
  proper_->complete(std::move(answer));
  for (const auto& waiter : joined) {
    if (told.error) {
      waiter(*told.error);
    } else if (told.reply.type == protocol::Type::bulk_string) {
      waiter(
          tier::Lookup{Entry::build(command.key.ref(), told.reply.text, {}, 0), tier::Source::l2});
    } else {
      waiter(tier::Lookup{});
    }
  }
}

}  // namespace nearlane::sim
