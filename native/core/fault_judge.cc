// Rules, windows, filters and steps against one operation.
#include "fault_judge.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "fault_scan.h"

namespace kvseam {

namespace {

constexpr uint64_t kFlipPlace = uint64_t{1} << 32;

/** Bytes that a partial or short operation moves; false when it would be whole. */
bool prefixOf(const FaultAction& action, uint64_t bytes, uint64_t* prefix) {
  *prefix = action.isShare
                ? static_cast<uint64_t>(static_cast<unsigned __int128>(bytes) * action.amount / FaultStep::kAlways)
                : action.amount;
  return *prefix < bytes || (action.kind == FaultActionKind::kPartial && *prefix == bytes);
}

}  // namespace

uint32_t FaultJudge::classHash(std::string_view name) {
  const auto hash = static_cast<uint32_t>(FaultDraw::hash(name) >> 32);
  return hash == 0 ? 1 : hash;
}

bool FaultJudge::speaksOf(uint32_t ops) const {
  return std::any_of(plan_->rules().begin(), plan_->rules().end(),
                     [ops](const FaultRule& rule) { return (rule.ops & ops) != 0; });
}

FaultJudge::SubjectState& FaultJudge::stateOf(const FaultSubject& subject) {
  if (subject.index >= subjects_.size()) subjects_.resize(subject.index + 1);
  std::unique_ptr<SubjectState>& state = subjects_[subject.index];
  if (state == nullptr) {
    auto made = std::make_unique<SubjectState>();
    for (uint32_t i = 0; i < plan_->rules().size(); ++i) {
      const FaultRule& rule = plan_->rules()[i];
      const bool named = std::any_of(subject.names.begin(), subject.names.end(),
                                     [&](const std::string& name) { return rule.matchesName(name); });
      if (!named || (!rule.peer.empty() && rule.peer != subject.peer)) continue;
      RuleOnPath& added = made->rules.emplace_back();
      added.rule = i;
      for (RuleState& perOp : added.states) perOp.stepFirings.resize(rule.steps.size());
    }
    state = std::move(made);  // whole or not at all
  }
  return *state;
}

bool FaultJudge::applies(const FaultRule& rule, const FaultTarget& target, uint64_t number, int64_t nowNs) const {
  if (!rule.concerns(target.op) || target.bytes < rule.minBytes || target.bytes > rule.maxBytes) return false;
  if (!rule.workloadClass.empty()) {
    const bool same = target.workloadClass.empty() ? target.workloadHash == classHash(rule.workloadClass)
                                                   : target.workloadClass == rule.workloadClass;
    if (!same) return false;
  }
  const int64_t sinceNs = std::max<int64_t>(0, nowNs - plan_->armedNs());
  switch (rule.when.kind) {
    case FaultWhen::Kind::kAlways:
      return true;
    case FaultWhen::Kind::kWindow:
      return sinceNs >= rule.when.from && sinceNs < rule.when.to;
    case FaultWhen::Kind::kEvery:
      return sinceNs % rule.when.from < rule.when.to;
    case FaultWhen::Kind::kOps:
      return number >= static_cast<uint64_t>(rule.when.from) && number <= static_cast<uint64_t>(rule.when.to);
  }
  return false;
}

void FaultJudge::judge(const FaultTarget& target, int64_t nowNs, FaultVerdict* verdict) {
  if (!plan_->active()) return;
  SubjectState& subject = stateOf(target.subject);
  const auto op = static_cast<size_t>(target.op);
  const uint64_t number = ++subject.numbers[op];
  for (RuleOnPath& here : subject.rules) {
    const FaultRule& rule = plan_->rules()[here.rule];
    if (!applies(rule, target, number, nowNs)) continue;
    RuleState& state = here.states[op];
    plan_->counters(here.rule).known.store(true, std::memory_order_relaxed);
    plan_->counters(here.rule).matched.fetch_add(1, std::memory_order_relaxed);
    ++state.matched;
    if (state.matched <= rule.skip || (state.matched - rule.skip - 1) % rule.every != rule.every - 1) continue;
    for (uint32_t i = 0; i < rule.steps.size(); ++i) {
      const FaultStep& step = rule.steps[i];
      const FaultActionWord& word = wordOf(step.action.kind);
      uint64_t prefix = 0;
      const bool portion = step.action.kind == FaultActionKind::kPartial || step.action.kind == FaultActionKind::kShort;
      if ((word.ops & bitOf(target.op)) == 0 || (portion && !prefixOf(step.action, target.bytes, &prefix))) continue;
      if (step.most != 0 && state.stepFirings[i] >= step.most) continue;
      const FaultDraw draw(plan_->seed(), here.rule, i, target.subject.hash, target.op, number);
      if (!draw.happens(step.ppb)) continue;
      // An outcome is decided once; a later rule's is not spent on an operation that has its fate already.
      if (word.terminal && verdict->terminal != nullptr) break;
      ++state.stepFirings[i];
      fire(here.rule, i, target, draw, number, nowNs, &state, verdict);
      break;
    }
  }
}

void FaultJudge::fire(uint32_t ruleIndex, uint32_t stepIndex, const FaultTarget& target, const FaultDraw& draw,
                      uint64_t number, int64_t nowNs, RuleState* state, FaultVerdict* verdict) {
  const FaultAction& action = plan_->rules()[ruleIndex].steps[stepIndex].action;
  FaultRuleCounters& counters = plan_->counters(ruleIndex);
  uint64_t value = action.amount;
  switch (action.kind) {
    case FaultActionKind::kDelay: {
      const int64_t delayNs = draw.time(action.dist);
      verdict->delayNs += delayNs;
      value = static_cast<uint64_t>(delayNs);
      break;
    }
    case FaultActionKind::kRate: {
      // Store and forward: the operation goes on when the last of its bytes would have passed.
      const int64_t start = std::max(state->freeAtNs, nowNs);
      const auto wireNs = static_cast<unsigned __int128>(target.bytes) * 1'000'000'000 / action.amount;
      state->freeAtNs = start + static_cast<int64_t>(std::min<unsigned __int128>(wireNs, FaultScan::kMaxDurationNs));
      verdict->delayNs += state->freeAtNs - nowNs;
      break;
    }
    case FaultActionKind::kStall:
      verdict->stallNs += static_cast<int64_t>(action.amount);
      break;
    case FaultActionKind::kReorder:
      verdict->reorder = std::max(verdict->reorder, action.amount);
      break;
    case FaultActionKind::kBlock:
      verdict->blockNs += static_cast<int64_t>(action.amount);
      break;
    case FaultActionKind::kPause:
      verdict->pauses.push_back({plan_, ruleIndex, counters.resumes.load(std::memory_order_acquire)});
      break;
    case FaultActionKind::kKill:
      verdict->kill = true;
      break;
    case FaultActionKind::kLate:
      verdict->lateNs = draw.time(action.dist);
      value = static_cast<uint64_t>(verdict->lateNs);
      break;
    case FaultActionKind::kCorrupt:
      verdict->flipKey = draw.word(kFlipPlace);
      break;
    case FaultActionKind::kPartial:
    case FaultActionKind::kShort:
      prefixOf(action, target.bytes, &value);
      break;
    default:
      break;
  }
  if (wordOf(action.kind).terminal) {
    verdict->terminal = &action;
    verdict->owner = plan_;
  }
  verdict->any = true;
  counters.fired.fetch_add(1, std::memory_order_relaxed);
  if (action.kind == FaultActionKind::kOff) return;  // nothing happened that a log could tell
  plan_->log({ruleIndex + 1, stepIndex + 1, target.op, action.kind, number, value, target.subject.id});
}

void killProcess() { std::raise(SIGKILL); }

}  // namespace kvseam
