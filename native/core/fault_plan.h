// Armed rules with what all threads share of them: seed, start of the windows, counters, resumes and the log of
// firings. The rules never change; everything else here is atomic or behind the log's lock.
#ifndef KVSEAM_CORE_FAULT_PLAN_H_
#define KVSEAM_CORE_FAULT_PLAN_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fault_spec.h"

namespace kvseam {

/** What a rule is compared with: a path in one direction, a connection or an agent. */
struct FaultSubject {
  uint32_t index = 0;  // dense within its owner
  std::string id;
  uint64_t hash = 0;               // of the id, so that draws do not depend on the order of opening
  std::vector<std::string> names;  // everything it answers to, the id included
  std::string peer;                // empty for an agent
};

/** One action taken; with the seed it says everything needed to see the same again. */
struct FaultFiring {
  uint32_t rule = 0;  // from 1, as written from left to right
  uint32_t step = 0;  // from 1
  FaultOp op{};
  FaultActionKind action{};
  uint64_t seq = 0;    // number of the operation on this path and of this kind since arming, from 1
  uint64_t value = 0;  // drawn time in ns, bytes moved, count: whatever the action has
  std::string path;
};

struct FaultRuleCounters {
  std::atomic<uint64_t> matched{0};  // operations that it looked at: path, operation, window and filters fit
  std::atomic<uint64_t> fired{0};
  std::atomic<bool> known{false};  // some path or agent answers to its name
  std::atomic<uint32_t> resumes{0};
  std::atomic<int64_t> paused{0};  // operations that wait for resume() now
};

class FaultPlan {
 public:
  static constexpr size_t kMaxFirings = 65'536;

  FaultPlan(FaultSpec spec, uint64_t seed, int64_t armedNs)
      : spec_(std::move(spec)), seed_(seed), armedNs_(armedNs), counters_(spec_.rules.size()) {}

  const std::vector<FaultRule>& rules() const { return spec_.rules; }
  const FaultSpec& spec() const { return spec_; }
  uint64_t seed() const { return seed_; }
  int64_t armedNs() const { return armedNs_; }
  FaultRuleCounters& counters(uint32_t rule) { return counters_[rule]; }

  /** False once disarmed: whatever the plan holds is let go. */
  bool active() const { return active_.load(std::memory_order_acquire); }
  void retire() { active_.store(false, std::memory_order_release); }
  void noteSubject(const FaultSubject& subject, uint32_t ops);
  /** Lets go what `rule` (from 0) has paused; false when there is no such rule. */
  bool resume(uint32_t rule);

  void log(FaultFiring firing);
  /** Oldest first, at most `most`; `lost` counts those that nobody took in time. */
  std::vector<FaultFiring> takeFirings(size_t most);
  uint64_t lostFirings() const { return lost_.load(std::memory_order_relaxed); }

 private:
  const FaultSpec spec_;
  const uint64_t seed_;
  const int64_t armedNs_;
  std::vector<FaultRuleCounters> counters_;
  std::atomic<bool> active_{true};
  std::mutex logMutex_;
  std::deque<FaultFiring> firings_;
  std::atomic<uint64_t> lost_{0};
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_PLAN_H_
