// Row: one case of reading one map, and how it is measured. The rows of nearlane-micro and the table of
// --ratios are measured by the same functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/micro/order.h"
#include "harness/micro/target.h"

namespace nearlane::micro {

struct Case {
  Fill fill;
  bool zipf = false;
  How how = How::ref;
  unsigned threads = 1;
  unsigned writes = 0;  // percent
};

/// L1Get/<map>/keys:<n>/value:<bytes>/<zipf|uniform>/<ref|copy|batch16>/threads:<t>, and /writes:<percent>
/// where there are any.
[[nodiscard]] std::string row_name(std::string_view map, const Case& what);

/// The two of a number of keys are kept until another number is asked for.
[[nodiscard]] const Order& order_for(const Case& what);

/// What the threads of a row do and what came of it. Each begins at a place of its own in the order.
class Measurement {
 public:
  Measurement(Target& target, const Case& what, const Order& order);

  /// `count` draws in all, `from` draws beyond the start. `around` calls what it is given, once, and may
  /// have a clock of its own around it. A thread does the same number of draws as any other.
  void run(std::size_t from, std::size_t count,
           const std::function<void(const std::function<void()>&)>& around);
  /// Isolated reads, after the timed ones and not part of them. Per thread, sorted, the clock's own cost
  /// subtracted. Unit: ns.
  [[nodiscard]] std::vector<double> sample(std::size_t from, std::size_t count);

  /// Of the last run. Draws a second: each thread by its own clock, summed.
  [[nodiscard]] double rate() const { return rate_; }
  /// False once a read has answered otherwise than the target's content says.
  [[nodiscard]] bool right() const { return right_; }
  /// Draws are used up in multiples of this.
  [[nodiscard]] std::size_t unit() const { return kBatch * case_.threads; }

 private:
  [[nodiscard]] Work work(unsigned thread, std::size_t from, std::size_t count);
  void check(const std::vector<Tally>& tallies);

  Target& target_;
  const Case case_;
  const Order& order_;
  std::vector<std::vector<char>> outs_;
  double rate_ = 0;
  bool right_ = true;
};

/// The value below which the fraction lies. Precondition: sorted and not empty.
[[nodiscard]] double quantile(const std::vector<double>& sorted, double fraction);

}  // namespace nearlane::micro
