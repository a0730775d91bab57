// Reads hostile fault rules. What is refused is told with a place inside the text; what is accepted reads the same
// again, rule by rule, and can be judged against operations of any size at any time.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "../core/fault_judge.h"
#include "../core/fault_names.h"

namespace {

using namespace kvseam;

void check(bool holds) {
  if (!holds) std::abort();
}

void checkError(std::string_view text, const FaultSyntaxError& error) {
  check(!error.message.empty());
  check(error.line >= 1 && error.column >= 1);
  check(error.caret <= error.source.size());
  check(error.column <= text.size() + 1);
  for (const char c : error.source) check(c >= ' ' && c <= '~');
}

void readAgain(const FaultRule& rule) {
  FaultSpec again;
  FaultSyntaxError error;
  check(FaultSpec::parse(rule.text, &again, &error));
  check(again.rules.size() == 1);
  const FaultRule& other = again.rules[0];
  check(other.name == rule.name && other.isPrefix == rule.isPrefix && other.ops == rule.ops);
  check(other.steps.size() == rule.steps.size());
  for (size_t i = 0; i < rule.steps.size(); ++i) {
    check(other.steps[i].ppb == rule.steps[i].ppb && other.steps[i].most == rule.steps[i].most);
    check(other.steps[i].action.kind == rule.steps[i].action.kind &&
          other.steps[i].action.amount == rule.steps[i].action.amount);
  }
  check(other.skip == rule.skip && other.every == rule.every && other.minBytes == rule.minBytes &&
        other.maxBytes == rule.maxBytes);
}

void judge(FaultSpec spec) {
  const uint64_t seed = spec.seed;
  const auto plan = std::make_shared<FaultPlan>(std::move(spec), seed, 0);
  FaultJudge judge(plan);
  FaultSubjects subjects;
  const FaultSubject& path = subjects.intern(subjectOfPathId("a/r0>b/r1"));
  constexpr uint64_t kSizes[] = {0, 1, 4096, uint64_t{1} << 53};
  constexpr int64_t kTimes[] = {0, 1, 1'000'000'000, int64_t{1} << 62};
  for (uint32_t op = 0; op < kFaultOpCount; ++op) {
    for (const uint64_t bytes : kSizes) {
      for (const int64_t now : kTimes) {
        FaultVerdict verdict;
        judge.judge({path, static_cast<FaultOp>(op), bytes, "batch"}, now, &verdict);
        check(verdict.delayNs >= 0 && verdict.stallNs >= 0 && verdict.lateNs >= 0 && verdict.blockNs >= 0);
        check(verdict.terminal == nullptr || verdict.any);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  FaultSpec spec;
  FaultSyntaxError error;
  if (!FaultSpec::parse(text, &spec, &error)) {
    checkError(text, error);
    return 0;
  }
  check(!spec.rules.empty());
  for (const FaultRule& rule : spec.rules) {
    check(!rule.steps.empty() && rule.ops != 0);
    readAgain(rule);
  }
  judge(std::move(spec));
  return 0;
}
