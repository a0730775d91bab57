// Decides what the armed rules do to one operation. One judge serves one thread; its counts are kept for each rule,
// path and operation apart, so that what fires on a path depends on that path's own operations and on nothing else.
#ifndef KVSEAM_CORE_FAULT_JUDGE_H_
#define KVSEAM_CORE_FAULT_JUDGE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fault_draw.h"
#include "fault_plan.h"

namespace kvseam {

/** An operation that waits until somebody resumes the rule. */
struct FaultPause {
  std::shared_ptr<FaultPlan> plan;
  uint32_t rule = 0;
  uint32_t resumesSeen = 0;

  bool over() const {
    return !plan->active() || plan->counters(rule).resumes.load(std::memory_order_acquire) != resumesSeen;
  }
};

/** All that is to happen to one operation; plans add to it in the order in which they were armed. */
struct FaultVerdict {
  bool any = false;      // something fired
  int64_t delayNs = 0;   // before the operation begins: delays and pacing
  int64_t stallNs = 0;   // for which the path stands still
  uint64_t reorder = 0;  // completions to be turned round; 0: none
  int64_t blockNs = 0;   // for which the JavaScript thread is busy
  bool kill = false;
  const FaultAction* terminal = nullptr;  // first action that decides the outcome; lives as long as `owner`
  int64_t lateNs = 0;                     // drawn time of a terminal late
  uint64_t flipKey = 0;                   // of a terminal corrupt: where it flips
  std::vector<FaultPause> pauses;
  std::shared_ptr<FaultPlan> owner;  // of the terminal action
};

struct FaultTarget {
  const FaultSubject& subject;
  FaultOp op;
  uint64_t bytes = 0;
  std::string_view workloadClass = {};
  uint32_t workloadHash = 0;  // where only that is known
};

class FaultJudge {
 public:
  explicit FaultJudge(std::shared_ptr<FaultPlan> plan) : plan_(std::move(plan)) {}

  void judge(const FaultTarget& target, int64_t nowNs, FaultVerdict* verdict);
  const std::shared_ptr<FaultPlan>& plan() const { return plan_; }
  /** Whether any rule speaks of one of these operations. */
  bool speaksOf(uint32_t ops) const;

  /** Number by which a workload class crosses into native code; never 0. */
  static uint32_t classHash(std::string_view name);

 private:
  struct RuleState {
    uint64_t matched = 0;  // after path, operation, window and filters, before skip and every
    std::vector<uint64_t> stepFirings;
    int64_t freeAtNs = 0;  // rate: when the paced path is free again
  };
  struct RuleOnPath {
    uint32_t rule = 0;
    RuleState states[kFaultOpCount];
  };
  struct SubjectState {
    uint64_t numbers[kFaultOpCount] = {};
    std::vector<RuleOnPath> rules;
  };

  SubjectState& stateOf(const FaultSubject& subject);
  bool applies(const FaultRule& rule, const FaultTarget& target, uint64_t number, int64_t nowNs) const;
  void fire(uint32_t ruleIndex, uint32_t stepIndex, const FaultTarget& target, const FaultDraw& draw, uint64_t number,
            int64_t nowNs, RuleState* state, FaultVerdict* verdict);

  std::shared_ptr<FaultPlan> plan_;
  std::vector<std::unique_ptr<SubjectState>> subjects_;
};

/** Ends the process on the spot, as the kernel's out-of-memory killer does. */
void killProcess();

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_JUDGE_H_
