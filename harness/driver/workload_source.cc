#include "harness/driver/workload_source.h"

#include "harness/workload/document.h"

namespace nearlane::harness {

bool WorkloadSource::next(Request& into) {
  auto more = workload_.next(operation_);
  if (!more) error_ = more.error();
  if (!more || !*more) return false;
  into.at = operation_.at;
  into.kind = operation_.op;
  into.key = operation_.key;
  into.ttl = std::chrono::duration_cast<std::chrono::milliseconds>(operation_.ttl);
  into.value.clear();
  if (operation_.op == Op::set) {
    into.tag = version_++;
    write_document(into.key, into.tag, operation_.value_bytes, into.value);
  }
  return true;
}

bool document_of_its_key(const Completion& completion) {
  switch (completion.outcome) {
    case Outcome::hit:
    case Outcome::hit_l1:
    case Outcome::hit_l2:
    case Outcome::stale:
      return verify_document(completion.key, completion.value).has_value();
    default:
      return true;
  }
}

}  // namespace nearlane::harness
