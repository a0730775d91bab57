// Which rules meet which operation: composition, windows, filters, counts, and one seed for every order.
#include <thread>

#include "fault_bench.h"

namespace kvseam {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST_F(FaultBench, TheFirstTerminalActionWinsAndAllDelaysAddUp) {
  const auto plan = arm("*=error(timeout);*=drop;*=delay(15ms)");
  const int64_t start = nowNs();
  post(1);
  EXPECT_TRUE(quiet());
  EXPECT_EQ(only().code, KVSEAM_TIMEOUT);
  EXPECT_GE(nowNs() - start, 15 * kMs);
  EXPECT_EQ(plan->counters(0).fired, 1U);
  EXPECT_EQ(plan->counters(1).fired, 0U);
  EXPECT_EQ(plan->counters(1).matched, 1U);
}

TEST_F(FaultBench, PlansAddUpInTheOrderOfArming) {
  const auto first = arm("*=error(timeout)");
  const auto second = arm("*=error(backend)");
  post(1);
  EXPECT_EQ(only().code, KVSEAM_TIMEOUT);
  disarm(first);
  post(2);
  EXPECT_EQ(only().code, KVSEAM_TRANSFER_FAILED);
  disarm(second);
  post(3);
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_TRUE(faults_->idle());
}

TEST_F(FaultBench, DisarmingLetsGoWhatIsHeldAndIsIdleThen) {
  const auto plan = arm("rail0=delay(10s);rail1=pause");
  post(1);
  post(2, 1);
  EXPECT_TRUE(quiet());
  disarm(plan);
  EXPECT_FALSE(faults_->idle());
  EXPECT_EQ(pollFor(1000, 2).size(), 2U);
  EXPECT_TRUE(faults_->idle());
}

TEST_F(FaultBench, WindowsCountFromArming) {
  const auto plan = arm("*=drop@20ms..40ms");
  post(1);
  EXPECT_EQ(only().code, KVSEAM_OK);
  std::this_thread::sleep_until(
      std::chrono::steady_clock::time_point(std::chrono::nanoseconds(plan->armedNs() + 25 * kMs)));
  post(2);
  EXPECT_TRUE(quiet());
  std::this_thread::sleep_until(
      std::chrono::steady_clock::time_point(std::chrono::nanoseconds(plan->armedNs() + 45 * kMs)));
  post(3);
  EXPECT_EQ(only().token, 3U);
  cancel(2);
  EXPECT_EQ(only().token, 2U);
}

TEST_F(FaultBench, CountsForEachPathAndOperationApart) {
  arm("*=1*error(timeout)");
  post(1);
  post(2, 1);
  post(3);
  post(4, 0, KVSEAM_OP_WRITE);
  std::map<uint64_t, int32_t> codes;
  for (const kvseam_event& event : pollFor(1000, 4)) codes[event.token] = event.code;
  EXPECT_EQ(codes, (std::map<uint64_t, int32_t>{
                       {1, KVSEAM_TIMEOUT}, {2, KVSEAM_TIMEOUT}, {3, KVSEAM_OK}, {4, KVSEAM_TIMEOUT}}));
}

TEST_F(FaultBench, FiltersDecideWhichOperationsCount) {
  const auto plan =
      arm("rail0.read=error(timeout){skip=1,every=2,min=1KiB,peer=prefill-0};rail0.read=drop{peer=other};*=drop{class="
          "release}");
  std::vector<int32_t> codes;
  for (uint64_t token = 1; token <= 7; ++token) {
    post(token, 0, KVSEAM_OP_READ, token == 3 ? 512 : kBytes);
    codes.push_back(only().code);
  }
  // Without the small one: skipped, 1st, 2nd, 1st, 2nd, 1st.
  EXPECT_EQ(codes, (std::vector<int32_t>{KVSEAM_OK, KVSEAM_OK, KVSEAM_OK, KVSEAM_TIMEOUT, KVSEAM_OK, KVSEAM_TIMEOUT,
                                         KVSEAM_OK}));
  EXPECT_EQ(plan->counters(0).matched, 6U);
  EXPECT_EQ(plan->counters(1).matched, 0U);
  EXPECT_EQ(plan->counters(2).matched, 0U);
}

TEST_F(FaultBench, OpsCountFromOne) {
  arm("rail0=error(timeout)@ops(2..3)");
  std::vector<int32_t> codes;
  for (uint64_t token = 1; token <= 4; ++token) {
    post(token);
    codes.push_back(only().code);
  }
  EXPECT_EQ(codes, (std::vector<int32_t>{KVSEAM_OK, KVSEAM_TIMEOUT, KVSEAM_TIMEOUT, KVSEAM_OK}));
}

std::vector<std::string> logOf(FaultPlan* plan) {
  std::vector<std::string> lines;
  for (const FaultFiring& firing : plan->takeFirings(100'000)) {
    lines.push_back(std::to_string(firing.rule) + " " + firing.path + " " + nameOf(firing.op) + " " +
                    std::to_string(firing.seq) + " " + wordOf(firing.action).name + " " + std::to_string(firing.value));
  }
  return lines;
}

TEST_F(FaultBench, OneSeedFiresTheSameWhateverHappensOnOtherPaths) {
  const char* const spec = "seed=9;rail0=30%delay(exp(1us));rail0=20%error(timeout)->10%dup";
  auto plan = arm(spec);
  for (uint64_t token = 1; token <= 200; ++token) post(token);
  pollFor(200, 200);
  const std::vector<std::string> alone = logOf(plan.get());
  EXPECT_GT(alone.size(), 60U);
  disarm(plan);
  plan = arm(spec);
  for (uint64_t token = 1; token <= 200; ++token) {
    post(token * 3 + 1000);
    if (token % 3 == 0) post(token * 3 + 1001, 1);
    if (token % 5 == 0) post(token * 3 + 1002, 0, KVSEAM_OP_NOTIFY, 0, "x");
  }
  pollFor(200, 300);
  std::vector<std::string> mixed = logOf(plan.get());
  std::erase_if(mixed, [](const std::string& line) { return line.find(" read ") == std::string::npos; });
  EXPECT_EQ(mixed, alone);
  EXPECT_NE(alone[0].find(" prefill-0/rail0>decode-0/rail0 read "), std::string::npos) << alone[0];
}

TEST_F(FaultBench, KnowsWhichRulesNameNothing) {
  const auto plan =
      arm("rail7=drop;prefill-0/"
          "rail0.read=drop;decode-0.poll=off;rail0.connect=drop;nobody.load=error(stale_epoch);decode-0>prefill-0."
          "connect=drop");
  const bool known[] = {false, true, true, false, false, true};
  for (uint32_t i = 0; i < 6; ++i) EXPECT_EQ(plan->counters(i).known, known[i]) << plan->rules()[i].text;
}

}  // namespace
}  // namespace kvseam
