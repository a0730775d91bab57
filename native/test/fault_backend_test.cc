// Peers, held operations, and what is not a post: cancel, poll, connect and memory under faults.
#include <thread>

#include "fault_bench.h"

namespace kvseam {
namespace {

constexpr int64_t kMs = 1'000'000;

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

TEST_F(FaultBench, APausedConnectIsToldAndComesAfterResume) {
  const auto plan = arm("*.connect=pause");
  const kvseam_peer_info info{"prefill-0", 1, nullptr, 0};
  uint32_t peer = 0;
  EXPECT_EQ(faults_->api()->connect(faults_->self(), &info, &peer).code, KVSEAM_OK);
  EXPECT_TRUE(faults_->takeNotice());
  EXPECT_TRUE(quiet());
  EXPECT_EQ(plan->counters(0).paused, 1);
  EXPECT_TRUE(plan->resume(0));
  EXPECT_EQ(only().peer, peer);
  EXPECT_EQ(plan->counters(0).paused, 0);
  EXPECT_EQ(faults_->api()->connect(faults_->self(), &info, &peer).code, KVSEAM_OK);
  faults_->api()->disconnect(faults_->self(), peer);
  EXPECT_EQ(plan->counters(0).paused, 0);
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
