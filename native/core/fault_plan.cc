// Counters and log of armed rules.
#include "fault_plan.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kvseam {

void FaultPlan::noteSubject(const FaultSubject& subject, uint32_t ops) {
  for (uint32_t i = 0; i < spec_.rules.size(); ++i) {
    const FaultRule& rule = spec_.rules[i];
    if ((rule.ops & ops) == 0) continue;
    const bool named = std::any_of(subject.names.begin(), subject.names.end(),
                                   [&](const std::string& name) { return rule.matchesName(name); });
    if (named) counters_[i].known.store(true, std::memory_order_relaxed);
  }
}

bool FaultPlan::resume(uint32_t rule) {
  if (rule >= counters_.size()) return false;
  counters_[rule].resumes.fetch_add(1, std::memory_order_acq_rel);
  return true;
}

void FaultPlan::log(FaultFiring firing) {
  const std::lock_guard<std::mutex> lock(logMutex_);
  if (firings_.size() == kMaxFirings) {
    firings_.pop_front();
    lost_.fetch_add(1, std::memory_order_relaxed);
  }
  firings_.push_back(std::move(firing));
}

std::vector<FaultFiring> FaultPlan::takeFirings(size_t most) {
  const std::lock_guard<std::mutex> lock(logMutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, firings_.size()));
  std::vector<FaultFiring> out(std::make_move_iterator(firings_.begin()),
                               std::make_move_iterator(firings_.begin() + count));
  firings_.erase(firings_.begin(), firings_.begin() + count);
  return out;
}

}  // namespace kvseam
