// What each action makes of an operation, as the engine would see it through the table.
#include <cerrno>
#include <thread>

#include "fault_bench.h"

namespace kvseam {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST_F(FaultBench, LetsEverythingElsePass) {
  arm("rail1=drop");
  EXPECT_EQ(post(1).code, KVSEAM_OK);
  const kvseam_event event = only();
  EXPECT_EQ(event.token, 1U);
  EXPECT_EQ(event.code, KVSEAM_OK);
  EXPECT_EQ(event.bytes, kBytes);
  EXPECT_EQ(differences(), 0U);
  inner_.complete(99);  // posted before anything was armed
  EXPECT_EQ(only().token, 99U);
}

TEST_F(FaultBench, DelayHoldsBackThePostAndThenGoesOn) {
  arm("rail0=delay(20ms);*.read=delay(10ms)");
  const int64_t start = nowNs();
  post(1);
  EXPECT_TRUE(quiet());
  EXPECT_TRUE(inner_.posted.empty());
  EXPECT_NEAR(static_cast<double>(wakeAtNs() - start), 30.0 * kMs, 5.0 * kMs);
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_GE(nowNs() - start, 30 * kMs);
  EXPECT_EQ(wakeAtNs(), INT64_MAX);
}

TEST_F(FaultBench, ErrorFailsNowWithoutMovingAnything) {
  arm("*=error(remote_disconnect)");
  EXPECT_EQ(post(1).code, KVSEAM_OK);
  const kvseam_event event = only();
  EXPECT_EQ(event.code, KVSEAM_PEER_DOWN);
  EXPECT_EQ(event.blame, KVSEAM_BLAME_peer);
  EXPECT_EQ(event.backend_code, ECONNRESET);
  EXPECT_EQ(event.bytes, 0U);
  EXPECT_TRUE(inner_.posted.empty());
}

TEST_F(FaultBench, DropMovesNothingAndEndsOnlyWhenCancelled) {
  arm("*=drop");
  post(1);
  EXPECT_TRUE(pollFor(20).empty());
  EXPECT_EQ(wakeAtNs(), INT64_MAX);
  cancel(1);
  EXPECT_EQ(only().code, KVSEAM_CANCELLED);
  EXPECT_TRUE(inner_.posted.empty());
  EXPECT_TRUE(inner_.cancelled.empty());
}

TEST_F(FaultBench, LoseMovesTheBytesAndLosesTheCompletion) {
  arm("*=lose");
  post(1);
  EXPECT_TRUE(pollFor(20).empty());
  EXPECT_EQ(differences(), 0U);
  cancel(1);
  EXPECT_EQ(only().code, KVSEAM_CANCELLED);
}

TEST_F(FaultBench, LoseThatIsCancelledInFlightEndsWhenTheBackendIsDone) {
  inner_.atOnce = false;
  arm("*=lose");
  post(1);
  cancel(1);
  EXPECT_EQ(inner_.cancelled, std::vector<uint64_t>{1});
  EXPECT_EQ(only().code, KVSEAM_CANCELLED);
}

TEST_F(FaultBench, DupCompletesAgain) {
  arm("*=dup(2)");
  post(1);
  const std::vector<kvseam_event> events = pollFor(1000, 3);
  ASSERT_EQ(events.size(), 3U);
  for (const kvseam_event& event : events) EXPECT_EQ(event.token, 1U);
  EXPECT_EQ(inner_.posted.size(), 1U);
  EXPECT_TRUE(quiet());
}

TEST_F(FaultBench, DupSendsAMessageAgainAndCompletesOnce) {
  arm("*.notify=dup");
  post(1, 0, KVSEAM_OP_NOTIFY, 0, "hello");
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_TRUE(quiet());
  ASSERT_EQ(inner_.posted.size(), 2U);
  EXPECT_EQ(inner_.posted[1].notify, "hello");
}

TEST_F(FaultBench, LateCompletesAfterItsTimeEvenIfCancelled) {
  arm("*=late(30ms)");
  const int64_t start = nowNs();
  post(1);
  poll();
  cancel(1);
  EXPECT_TRUE(quiet());
  EXPECT_TRUE(inner_.cancelled.empty());
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_GE(nowNs() - start, 30 * kMs);
}

TEST_F(FaultBench, StallStopsItsPathAndNoOther) {
  arm("rail0=1*stall(40ms)");
  inner_.atOnce = false;
  post(1, 1);
  post(2);  // stalls rail0
  post(3);
  post(4, 1);
  inner_.complete(1);
  inner_.complete(4);
  EXPECT_EQ(poll().size(), 2U);
  EXPECT_EQ(inner_.posted.size(), 2U);
  inner_.atOnce = true;
  const int64_t start = nowNs();
  EXPECT_EQ(pollFor(2000, 2).size(), 2U);
  EXPECT_GE(nowNs() - start, 30 * kMs);
}

TEST_F(FaultBench, StallHoldsBackCompletionsThatAreDue) {
  arm("rail0.write=stall(30ms)");
  inner_.atOnce = false;
  post(1);
  post(2, 0, KVSEAM_OP_NOTIFY, 0, "x");
  inner_.complete(1);
  EXPECT_EQ(poll().size(), 1U);  // the read's path is another direction than the write's
  post(3, 0, KVSEAM_OP_WRITE);
  inner_.complete(2);
  const int64_t start = nowNs();
  EXPECT_TRUE(quiet());
  EXPECT_EQ(only().token, 2U);
  EXPECT_GE(nowNs() - start, 25 * kMs);
}

TEST_F(FaultBench, RatePacesTheBytesOfAPath) {
  arm("rail0=rate(2MiB/s)");
  const int64_t start = nowNs();
  post(1);
  post(2);
  post(3, 1);
  EXPECT_EQ(only().token, 3U);
  EXPECT_EQ(pollFor(2000, 2).size(), 2U);
  EXPECT_NEAR(static_cast<double>(nowNs() - start), 62.5 * kMs, 15.0 * kMs);  // 128 KiB
}

TEST_F(FaultBench, EagainRefusesThePostSoOften) {
  arm("rail0=1*eagain(2)");
  EXPECT_EQ(post(1).code, KVSEAM_QUEUE_FULL);
  EXPECT_EQ(post(1).code, KVSEAM_QUEUE_FULL);
  EXPECT_EQ(post(1).code, KVSEAM_OK);
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_EQ(post(2).code, KVSEAM_OK);
}

TEST_F(FaultBench, PartialMovesAPrefixAndFails) {
  arm("*=partial(75%)");
  post(1, 0, KVSEAM_OP_WRITE, kBytes, "done");
  const kvseam_event event = only();
  EXPECT_EQ(event.code, KVSEAM_TRANSFER_FAILED);
  EXPECT_EQ(event.blame, KVSEAM_BLAME_path);
  EXPECT_EQ(event.bytes, kBytes * 3 / 4);
  ASSERT_EQ(inner_.posted.size(), 1U);
  EXPECT_EQ(inner_.posted[0].notify, "");
  EXPECT_EQ(differences(0, kBytes * 3 / 4), 0U);
  EXPECT_GT(differences(kBytes * 3 / 4), 0U);
}

TEST_F(FaultBench, ShortMovesAPrefixAndReportsSuccess) {
  arm("*=short(1KiB)");
  post(1, 0, KVSEAM_OP_WRITE, kBytes, "done");
  const kvseam_event event = only();
  EXPECT_EQ(event.code, KVSEAM_OK);
  EXPECT_EQ(event.bytes, kBytes);
  EXPECT_EQ(inner_.posted.at(0).notify, "done");
  EXPECT_EQ(inner_.posted.at(0).op.bytes, 1024U);
  EXPECT_GT(differences(1024), 0U);
}

TEST_F(FaultBench, ShortDoesNotFireOnWhatIsShorter) {
  const auto plan = arm("*=short(64KiB)");
  post(1);
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_EQ(plan->counters(0).matched, 1U);
  EXPECT_EQ(plan->counters(0).fired, 0U);
}

TEST_F(FaultBench, APrefixOfNothingNeedsNoPost) {
  arm("rail0=partial(0.001%);rail1=short(0.001%)");
  post(1, 0, KVSEAM_OP_WRITE, 100);
  EXPECT_EQ(only().code, KVSEAM_TRANSFER_FAILED);
  post(2, 1, KVSEAM_OP_WRITE, 100);
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_TRUE(inner_.posted.empty());
  post(3, 1, KVSEAM_OP_WRITE, 100, "done");
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_EQ(inner_.posted.at(0).op.kind, static_cast<uint32_t>(KVSEAM_OP_NOTIFY));
}

size_t bitsApart(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  size_t bits = 0;
  for (size_t i = 0; i < a.size(); ++i) bits += static_cast<size_t>(__builtin_popcount(static_cast<unsigned>(a[i] ^ b[i])));
  return bits;
}

TEST_F(FaultBench, CorruptFlipsExactlySoManyBitsOfARead) {
  arm("seed=5;*=corrupt(3bits)");
  post(1);
  EXPECT_EQ(only().code, KVSEAM_OK);
  EXPECT_EQ(bitsApart(local_, remote_), 3U);
}

TEST_F(FaultBench, CorruptChangesExactlySoManyBytesAtThePeerAndNoneHere) {
  arm("seed=5;*=corrupt(100B)");
  for (size_t i = 0; i < kBytes; ++i) local_[i] = static_cast<uint8_t>(i);
  const std::vector<uint8_t> before = local_;
  post(1, 0, KVSEAM_OP_WRITE, kBytes, "done");
  const kvseam_event event = only();
  EXPECT_EQ(event.code, KVSEAM_OK);
  EXPECT_EQ(event.bytes, kBytes);
  EXPECT_EQ(differences(), 100U);
  EXPECT_EQ(local_, before);
  ASSERT_EQ(inner_.posted.size(), 2U);
  EXPECT_EQ(inner_.posted[0].notify, "");
  EXPECT_EQ(inner_.posted[1].notify, "done");  // visible only with the flipped bytes
}

TEST_F(FaultBench, CorruptedWritesTakeTurnsWithTheFlippedBytes) {
  arm("seed=5;*=corrupt(4096B)");
  inner_.atOnce = false;
  post(1, 0, KVSEAM_OP_WRITE, kBytes / 2);
  post(2, 1, KVSEAM_OP_WRITE, kBytes / 2);
  inner_.complete(1);
  inner_.complete(2);
  poll();
  EXPECT_EQ(inner_.posted.size(), 3U);
  inner_.complete(1);
  EXPECT_EQ(only().token, 1U);
  pollFor(10);
  EXPECT_EQ(inner_.posted.size(), 4U);
  inner_.complete(2);
  EXPECT_EQ(only().token, 2U);
}

TEST_F(FaultBench, CorruptFlipsEverythingThereIsAtMost) {
  arm("*=corrupt(64bits)");
  post(1, 0, KVSEAM_OP_READ, 4);
  EXPECT_EQ(only().code, KVSEAM_OK);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(local_[i] ^ remote_[i], 0xff);
}

TEST_F(FaultBench, CorruptSaysSoWhereTheHostSeesNoBytes) {
  arm("*=corrupt(1bit)");
  inner_.atOnce = false;
  post(1);
  localMemory_.address = nullptr;
  inner_.complete(1, KVSEAM_OK, kBytes);
  EXPECT_EQ(only().code, KVSEAM_NOT_SUPPORTED);
}

TEST_F(FaultBench, ReorderTurnsCompletionsRound) {
  arm("rail0=reorder(3)");
  for (uint64_t token = 1; token <= 4; ++token) post(token);
  std::vector<uint64_t> order;
  for (const kvseam_event& event : pollFor(1000, 4)) order.push_back(event.token);
  EXPECT_EQ(order, (std::vector<uint64_t>{3, 2, 1, 4}));  // the fourth waits for nobody
}

TEST_F(FaultBench, ReorderSendsAMessageBeforeItsBytes) {
  arm("*.write=reorder(2)");
  post(1, 0, KVSEAM_OP_WRITE, kBytes, "done");
  EXPECT_EQ(only().code, KVSEAM_OK);
  ASSERT_EQ(inner_.posted.size(), 2U);
  EXPECT_EQ(inner_.posted[0].op.kind, static_cast<uint32_t>(KVSEAM_OP_NOTIFY));
  EXPECT_EQ(inner_.posted[0].notify, "done");
  EXPECT_EQ(inner_.posted[1].notify, "");
  EXPECT_EQ(inner_.posted[1].op.bytes, kBytes);
}

TEST_F(FaultBench, StaleIsRefusedByThePeer) {
  arm("*=stale");
  post(1);
  const kvseam_event event = only();
  EXPECT_EQ(event.code, KVSEAM_STALE_REGION);
  EXPECT_EQ(event.blame, KVSEAM_BLAME_peer);
}

TEST_F(FaultBench, DisconnectBreaksTheConnectionOnceAndTakesAlongWhatIsHeld) {
  arm("rail1=delay(10s);rail0=disconnect");
  post(1, 1);
  post(2);
  post(3);
  const std::vector<kvseam_event> events = pollFor(1000, 4);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0].token, 2U);
  EXPECT_EQ(events[0].code, KVSEAM_PEER_DOWN);
  EXPECT_EQ(events[1].kind, static_cast<uint32_t>(KVSEAM_EVENT_PEER_DOWN));
  EXPECT_EQ(events[1].peer, 3U);
  EXPECT_EQ(events[2].token, 1U);
  EXPECT_EQ(events[2].code, KVSEAM_PEER_DOWN);
  EXPECT_EQ(events[3].token, 3U);
  faults_->api()->disconnect(faults_->self(), 3);  // the engine has understood
  EXPECT_EQ(inner_.disconnected, std::vector<uint32_t>{3});
}

TEST_F(FaultBench, RestartLooksLikeAPeerInANewLife) {
  arm("*=1*restart");
  post(1);
  const std::vector<kvseam_event> events = pollFor(1000, 2);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].code, KVSEAM_STALE_EPOCH);
  EXPECT_EQ(events[0].blame, KVSEAM_BLAME_peer);
  EXPECT_EQ(events[1].code, KVSEAM_STALE_EPOCH);
}

TEST_F(FaultBench, WhatIsHeldEndsWithItsPeer) {
  arm("rail0=delay(10s);rail1=lose");
  post(1);
  post(2, 1);
  poll();
  kvseam_event down{};
  down.kind = KVSEAM_EVENT_PEER_DOWN;
  down.peer = 3;
  inner_.events.push_back(down);
  const std::vector<kvseam_event> events = pollFor(1000, 2);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].token, 1U);
  EXPECT_EQ(events[1].code, KVSEAM_PEER_DOWN);
  EXPECT_TRUE(quiet());  // what was lost stays lost
}

TEST_F(FaultBench, PauseWaitsForResume) {
  const auto plan = arm("rail0=1*pause");
  post(1);
  post(2);
  EXPECT_TRUE(faults_->takeNotice());
  EXPECT_FALSE(faults_->takeNotice());
  EXPECT_EQ(only().token, 2U);
  EXPECT_EQ(plan->counters(0).paused, 1);
  EXPECT_EQ(wakeAtNs(), INT64_MAX);
  EXPECT_FALSE(plan->resume(1));
  EXPECT_TRUE(plan->resume(0));
  EXPECT_EQ(wakeAtNs(), 0);
  EXPECT_EQ(only().token, 1U);
  EXPECT_EQ(plan->counters(0).paused, 0);
}

TEST_F(FaultBench, HeldOperationsHonourCancel) {
  const auto plan = arm("rail0=pause;rail1=delay(10s)");
  post(1);
  post(2, 1);
  cancel(1);
  cancel(2);
  EXPECT_EQ(pollFor(1000, 2).size(), 2U);
  EXPECT_TRUE(inner_.posted.empty());
  EXPECT_EQ(plan->counters(0).paused, 0);
  cancel(7);  // not ours
  EXPECT_EQ(inner_.cancelled, std::vector<uint64_t>{7});
}

TEST_F(FaultBench, ADroppedCancelNeverArrives) {
  arm("*.cancel=1*drop->delay(20ms)");
  inner_.atOnce = false;
  post(1);
  cancel(1);
  EXPECT_TRUE(inner_.cancelled.empty());
  cancel(1);
  EXPECT_TRUE(inner_.cancelled.empty());
  EXPECT_EQ(only().code, KVSEAM_CANCELLED);
}

TEST_F(FaultBench, AFullBackendIsTriedAgain) {
  arm("*=off");
  inner_.refusals = 2;
  EXPECT_EQ(post(1).code, KVSEAM_OK);
  EXPECT_EQ(only().code, KVSEAM_OK);
}

TEST_F(FaultBench, StallOnPollHoldsTheThreadItself) {
  arm("decode-0.poll=1*stall(30ms)");
  const int64_t start = nowNs();
  poll();
  EXPECT_GE(nowNs() - start, 30 * kMs);
  poll();
  EXPECT_LT(nowNs() - start, 60 * kMs);
}

TEST_F(FaultBench, DisarmingEndsAStallOnPoll) {
  const auto plan = arm("*.poll=stall(20s)");
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    plan->retire();
  });
  poll();
  other.join();
}

TEST_F(FaultBench, ConnectCanFailStayUnansweredOrTakeLong) {
  arm("*.connect=1*error(timeout)->1*drop->delay(20ms)");
  const kvseam_peer_info info{"prefill-0", 1, nullptr, 0};
  uint32_t peer = 0;
  EXPECT_EQ(faults_->api()->connect(faults_->self(), &info, &peer).code, KVSEAM_TIMEOUT);
  EXPECT_EQ(faults_->api()->connect(faults_->self(), &info, &peer).code, KVSEAM_OK);
  EXPECT_TRUE(pollFor(30).empty());
  faults_->api()->disconnect(faults_->self(), peer);
  EXPECT_EQ(faults_->api()->connect(faults_->self(), &info, &peer).code, KVSEAM_OK);
  EXPECT_TRUE(quiet());
  EXPECT_NE(wakeAtNs(), INT64_MAX);
  EXPECT_EQ(only().peer, peer);
}

TEST_F(FaultBench, RegisteringAndLoadingFailAsTold) {
  arm("*.register=error(memlock){min=1KiB};prefill-0.load=error(stale_epoch)");
  kvseam_memory memory{};
  const kvseam_memory_request small{KVSEAM_MEMORY_HOST, 0, nullptr, 16, 1};
  EXPECT_EQ(faults_->api()->register_memory(faults_->self(), &small, &memory).code, KVSEAM_OK);
  faults_->api()->deregister_memory(faults_->self(), &memory);
  const kvseam_memory_request large{KVSEAM_MEMORY_HOST, 0, nullptr, 4096, 2};
  const kvseam_status refused = faults_->api()->register_memory(faults_->self(), &large, &memory);
  EXPECT_EQ(refused.code, KVSEAM_REGISTRATION_FAILED);
  EXPECT_STREQ(refused.text, "injected fault: register");
  const kvseam_peer_info owner{"prefill-0", 1, nullptr, 0};
  EXPECT_EQ(faults_->api()->import_key(faults_->self(), &owner, nullptr, 0, 0, &memory).code, KVSEAM_STALE_EPOCH);
  const kvseam_peer_info other{"prefill-1", 1, nullptr, 0};
  EXPECT_EQ(faults_->api()->import_key(faults_->self(), &other, nullptr, 0, 0, &memory).code, KVSEAM_OK);
}

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
  std::this_thread::sleep_until(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(plan->armedNs() + 25 * kMs)));
  post(2);
  EXPECT_TRUE(quiet());
  std::this_thread::sleep_until(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(plan->armedNs() + 45 * kMs)));
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
  EXPECT_EQ(codes, (std::map<uint64_t, int32_t>{{1, KVSEAM_TIMEOUT}, {2, KVSEAM_TIMEOUT}, {3, KVSEAM_OK}, {4, KVSEAM_TIMEOUT}}));
}

TEST_F(FaultBench, FiltersDecideWhichOperationsCount) {
  const auto plan = arm("rail0.read=error(timeout){skip=1,every=2,min=1KiB,peer=prefill-0};rail0.read=drop{peer=other};*=drop{class=release}");
  std::vector<int32_t> codes;
  for (uint64_t token = 1; token <= 7; ++token) {
    post(token, 0, KVSEAM_OP_READ, token == 3 ? 512 : kBytes);
    codes.push_back(only().code);
  }
  // Without the small one: skipped, 1st, 2nd, 1st, 2nd, 1st.
  EXPECT_EQ(codes, (std::vector<int32_t>{KVSEAM_OK, KVSEAM_OK, KVSEAM_OK, KVSEAM_TIMEOUT, KVSEAM_OK, KVSEAM_TIMEOUT, KVSEAM_OK}));
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
    lines.push_back(std::to_string(firing.rule) + " " + firing.path + " " + nameOf(firing.op) + " " + std::to_string(firing.seq) + " " +
                    wordOf(firing.action).name + " " + std::to_string(firing.value));
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
  EXPECT_EQ(alone[0].substr(0, alone[0].find(' ', 2)), "1 prefill-0/rail0>decode-0/rail0");
}

TEST_F(FaultBench, KnowsWhichRulesNameNothing) {
  const auto plan = arm("rail7=drop;prefill-0/rail0.read=drop;decode-0.poll=off;rail0.connect=drop;nobody.load=drop;decode-0>prefill-0.connect=drop");
  const bool known[] = {false, true, true, false, false, true};
  for (uint32_t i = 0; i < 6; ++i) EXPECT_EQ(plan->counters(i).known, known[i]) << plan->rules()[i].text;
}

TEST_F(FaultBench, ForgetsNothingWhenItIsDestroyedInUse) {
  arm("rail0=delay(10s);rail1=corrupt(1bit)");
  post(1);
  post(2, 1, KVSEAM_OP_WRITE);
  pollFor(100);
  EXPECT_EQ(inner_.registered, 1U);
  faults_->api()->destroy(faults_->self());
  EXPECT_EQ(inner_.registered, 0U);
  faults_ = new FaultBackend(ScriptedBackend::api(), inner_.self());
}

}  // namespace
}  // namespace kvseam
