#include "harness/gate/verdict.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "harness/gate/statistics.h"

namespace nearlane::gate {
namespace {

constexpr std::uint64_t kSeed = 22;  // a verdict made again is the same
constexpr double kLooks = 2;

double percent(double ratio) { return (ratio - 1) * 100; }

/// A program that does not give what the other one gave has lost something: it crashes, or does not
/// come up.
void judge_absent(Finding& finding, bool base_gave, const Absent& absent) {
  if (!base_gave) {
    finding.decision = Decision::not_comparable;
    finding.reason = absent.base.empty() ? "base has no figure" : "base: " + absent.base;
    return;
  }
  finding.decision = absent.head_timed_out ? Decision::inconclusive : Decision::fail;
  finding.reason = absent.head.empty() ? "base has a figure and head has none"
                                       : "base has a figure and head has none: " + absent.head;
}

Finding judge_counted(const Counted& counted) {
  Finding finding{
      .id = counted.id, .what = counted.what, .base = counted.base, .head = counted.head};
  finding.limit = 1 + counted.tolerance;
  if (!counted.base || !counted.head) {
    judge_absent(finding, counted.base.has_value(), counted.absent);
    return finding;
  }
  const double most = *counted.base * (1 + counted.tolerance) + counted.slack;
  if (*counted.base > 0) {
    finding.ratio = *counted.head / *counted.base;
    finding.limit = most / *counted.base;
  }
  finding.decision = *counted.head > most ? Decision::fail : Decision::pass;
  if (finding.decision == Decision::fail) {
    finding.reason =
        fmt::format("{:.6g} a request where {:.6g} would have passed", *counted.head, most);
  }
  return finding;
}

/// A timed metric on its way to a finding.
struct Judged {
  Finding finding;
  std::vector<double> means = {};
  double p = 1;
};

Judged estimate(const Timed& timed) {
  Judged judged{.finding = {.id = timed.id, .what = timed.what}};
  auto& finding = judged.finding;
  finding.limit = std::exp(timed.margin);
  if (!timed.absent.base.empty() || !timed.absent.head.empty()) {
    judge_absent(finding, timed.absent.base.empty(), timed.absent);
    return judged;
  }
  finding.decision = Decision::inconclusive;
  if (timed.blocks.empty()) {
    finding.reason = "no block counts";
    return judged;
  }
  std::vector<double> base;
  std::vector<double> head;
  std::vector<double> ratios;
  for (const auto& block : timed.blocks) {
    base.push_back(block.base);
    head.push_back(block.head);
    ratios.push_back(block.ratio);
  }
  finding.base = median(base);
  finding.head = median(head);
  finding.ratio = std::exp(trimmed_mean(ratios));
  harness::Random random(kSeed);
  judged.means = resampled(ratios, ratios.size(), kResamples, random);
  judged.p = share_up_to(judged.means, timed.margin);
  finding.low = std::exp(quantile(judged.means, 0.025));
  finding.high = std::exp(quantile(judged.means, 0.975));
  return judged;
}

void decide(Judged& judged, std::size_t blocks, bool slower) {
  auto& finding = judged.finding;
  if (!finding.ratio) return;  // its reason is known
  if (blocks < kFirstLook) {
    finding.reason =
        fmt::format("{} blocks count, of {} that a decision needs", blocks, kFirstLook);
  } else if (slower) {
    finding.decision = Decision::fail;
    finding.reason = fmt::format(
        "{:+.1f} % in {} blocks (95 %: {:+.1f} to {:+.1f}), and {:+.1f} % may be chance",
        percent(*finding.ratio), blocks, percent(*finding.low), percent(*finding.high),
        percent(finding.limit));
  } else if (*finding.high < finding.limit) {
    finding.decision = Decision::pass;
  } else {
    finding.reason =
        fmt::format("{:+.1f} to {:+.1f} % has {:+.1f} % within it", percent(*finding.low),
                    percent(*finding.high), percent(finding.limit));
  }
}

std::vector<Finding> judge_timed(const std::vector<Timed>& timed) {
  std::vector<Judged> all;
  std::vector<double> p_values;
  for (const auto& each : timed) {
    all.push_back(estimate(each));
    p_values.push_back(all.back().p);
  }
  const auto slower = holm(p_values, kAlpha / kLooks);
  std::vector<Finding> findings;
  for (std::size_t i = 0; i < all.size(); ++i) {
    decide(all[i], timed[i].blocks.size(), slower[i]);
    findings.push_back(std::move(all[i].finding));
  }
  return findings;
}

/// What all findings together come to.
void conclude(Verdict& verdict, bool invalid_host, bool counted_any, bool timed_any) {
  const auto any = [&](Decision decision) {
    return std::ranges::any_of(verdict.findings,
                               [&](const Finding& f) { return f.decision == decision; });
  };
  for (const auto& finding : verdict.findings) {
    if (finding.decision != Decision::pass) {
      verdict.reasons.push_back(
          fmt::format("{}: {}: {}", finding.id, to_string(finding.decision), finding.reason));
    }
  }
  if (!counted_any) verdict.reasons.emplace_back("nothing could be counted");
  if (!timed_any) verdict.reasons.emplace_back("nothing could be timed");
  if (any(Decision::fail)) {
    verdict.outcome = Outcome::fail;
  } else if (invalid_host) {
    verdict.outcome = Outcome::invalid_host;
  } else if (any(Decision::inconclusive) || !counted_any || !timed_any) {
    verdict.outcome = Outcome::inconclusive;
  } else {
    verdict.outcome = Outcome::pass;
  }
}

}  // namespace

std::string_view to_string(Decision decision) noexcept {
  switch (decision) {
    case Decision::pass:
      return "pass";
    case Decision::fail:
      return "fail";
    case Decision::inconclusive:
      return "inconclusive";
    case Decision::not_comparable:
      break;
  }
  return "not comparable";
}

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::pass:
      return "pass";
    case Outcome::fail:
      return "fail";
    case Outcome::invalid_host:
      return "invalid host";
    case Outcome::inconclusive:
      break;
  }
  return "inconclusive";
}

Verdict judge(const Measured& measured) {
  Verdict verdict;
  std::size_t good = 0;
  for (const auto& timed : measured.timed) good = std::max(good, timed.blocks.size());
  const auto all = static_cast<double>(good + measured.voided);
  const bool invalid_host = static_cast<double>(measured.voided) > kMostVoided * all;
  if (invalid_host) {
    verdict.reasons.push_back(
        fmt::format("{} of {} blocks were disturbed: this host is no place to time anything",
                    measured.voided, good + measured.voided));
  }
  const auto comparable = [&](std::size_t from) {
    return std::any_of(verdict.findings.begin() + static_cast<std::ptrdiff_t>(from),
                       verdict.findings.end(),
                       [](const Finding& f) { return f.decision != Decision::not_comparable; });
  };
  for (const auto& counted : measured.counted) verdict.findings.push_back(judge_counted(counted));
  const bool counted_any = comparable(0);
  const auto counts = verdict.findings.size();
  for (auto& finding : judge_timed(measured.timed)) {
    // Times of a disturbed host prove nothing, not even a slowdown.
    if (invalid_host && finding.ratio) {
      finding.decision = Decision::inconclusive;
      finding.reason = "the host was disturbed";
    }
    verdict.findings.push_back(std::move(finding));
  }
  conclude(verdict, invalid_host, counted_any, comparable(counts));
  return verdict;
}

bool undecided(const Verdict& verdict) {
  return std::ranges::any_of(verdict.findings,
                             [](const Finding& f) { return f.decision == Decision::inconclusive; });
}

std::vector<bool> disturbed(const std::vector<Sentinel>& sentinels) {
  std::vector<double> all;
  for (const auto& sentinel : sentinels) {
    all.push_back(sentinel.before);
    all.push_back(sentinel.after);
  }
  std::vector<bool> found;
  if (all.empty()) return found;
  const double usual = median(std::move(all));
  for (const auto& sentinel : sentinels) {
    const auto [low, high] = std::minmax(sentinel.before, sentinel.after);
    found.push_back(high > kDisturbed * usual || low * kDisturbed < usual);
  }
  return found;
}

}  // namespace nearlane::gate
