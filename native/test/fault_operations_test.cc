// What each action makes of an operation, as the engine would see it through the table.
#include <cerrno>

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
  for (size_t i = 0; i < a.size(); ++i)
    bits += static_cast<size_t>(__builtin_popcount(static_cast<unsigned>(a[i] ^ b[i])));
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

}  // namespace
}  // namespace kvseam
