// The two endings of a transfer over a backend that behaves as badly as backends do.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "engine_for_test.h"
#include "fake_backend.h"

namespace kvseam {
namespace {

constexpr uint64_t kBlock = 64;

/** Reader pulls from owner over the fake; `fake` is the reader's. */
class Transfers : public ::testing::Test {
 protected:
  void open(ProgressOptions options = {}) {
    options_ = options;
    book_ = newBook();
    owner_ = std::make_unique<Engine>(FakeBackend::api(), "owner", book_, 2);
    source_ = owner_->allocate(16 * kBlock, "pool");
    for (uint64_t i = 0; i < 16 * kBlock; ++i) owner_->data(source_)[i] = static_cast<uint8_t>(i * 13 + 1);
    reader_ = std::make_unique<Engine>(FakeBackend::api(), "reader", book_, 1, options);
    fake_ = FakeBackend::latest();
    target_ = reader_->allocate(256 * kBlock, "pool");
    peer_ = reader_->connect(*owner_);
    request_.path = reader_->path(0, peer_, 0);
    request_.operation = KVSEAM_OP_READ;
    request_.localList = reader_->localList(target_, kBlock, {3, 1, 2});
    request_.remoteList = reader_->remoteList(peer_, "pool", kBlock, {0, 7, 15});
  }
  void TearDown() override {
    if (fake_ != nullptr) fake_->release();
    if (reader_ != nullptr) {
      EXPECT_TRUE(reader_->agent().close(kSecond).ok());
    }
    reader_.reset();
    owner_.reset();
  }
  /** `request_` with a destination that it shares with no other number. */
  PostRequest into(uint32_t i) {
    PostRequest request = request_;
    request.localList = reader_->localList(target_, kBlock, {3 * i + 3, 3 * i + 1, 3 * i + 2});
    return request;
  }
  PostRequest withDeadline(int64_t ns, uint32_t i = 0) {
    PostRequest request = into(i);
    request.deadlineNs = nowNs() + ns;
    return request;
  }
  const Ending& ending(uint64_t transfer) { return reader_->endings[transfer]; }

  ProgressOptions options_;
  std::shared_ptr<PermitBook> book_;
  std::unique_ptr<Engine> owner_;
  std::unique_ptr<Engine> reader_;
  std::shared_ptr<FakeBackend> fake_;
  uint64_t source_ = 0;
  uint64_t target_ = 0;
  uint32_t peer_ = 0;
  PostRequest request_;
};

TEST_F(Transfers, SettleOnceAndQuiesceOnceWithTheRightBytes) {
  open();
  const uint64_t transfer = reader_->mustPost(request_);
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_OK);
  EXPECT_EQ(ending(transfer).outcome.bytes, 3 * kBlock);
  const int pairs[][2] = {{3, 0}, {1, 7}, {2, 15}};
  for (const auto& [to, from] : pairs) {
    EXPECT_EQ(std::memcmp(reader_->data(target_) + to * kBlock, owner_->data(source_) + from * kBlock, kBlock), 0);
  }
  EXPECT_EQ(reader_->counters().posted, 1U);
  EXPECT_EQ(reader_->counters().settled, 1U);
  EXPECT_EQ(reader_->counters().quiesced, 1U);
  EXPECT_EQ(book_->counters().redeemed, 1U);
  EXPECT_EQ(reader_->agent().inFlight(), 0U);
  EXPECT_EQ((*reader_->agent().region(target_))->inFlight(), 0U);
}

TEST_F(Transfers, CompleteInAnyOrder) {
  open();
  fake_->completeAtOnce(false);
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < 50; ++i) transfers.push_back(reader_->mustPost(into(i)));
  fake_->waitForPost(49);
  std::vector<FakeBackend::Posted> posted = fake_->posted();
  std::shuffle(posted.begin(), posted.end(), std::mt19937(5));
  for (const auto& operation : posted) fake_->complete(operation.token);
  for (const uint64_t transfer : transfers) {
    ASSERT_TRUE(reader_->quiesced(transfer));
    EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_OK);
  }
  EXPECT_EQ(reader_->counters().duplicateCompletions, 0U);
  EXPECT_EQ(reader_->agent().inFlight(), 0U);
}

TEST_F(Transfers, ThatNeverCompleteEndAtTheirDeadlineAndAreQuarantinedUntilTheyQuiesce) {
  ProgressOptions options;
  options.quiesceGraceNs = 50 * kMillisecond;
  open(options);
  fake_->completeAtOnce(false);
  fake_->completeWhenCancelled(false);
  const int64_t from = nowNs();
  const uint64_t transfer = reader_->mustPost(withDeadline(40 * kMillisecond));
  ASSERT_TRUE(reader_->settled(transfer));
  EXPECT_GE(ending(transfer).settledAtNs - from, 40 * kMillisecond);
  // Natively: a tick and a half after the deadline at most; the rest is the scheduler's on a loaded machine.
  EXPECT_LE(ending(transfer).outcome.totalNs, 40 * kMillisecond + 2 * kMillisecond + 250 * kMillisecond);
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_TIMEOUT);
  EXPECT_EQ(ending(transfer).outcome.blame, KVSEAM_BLAME_path);
  EXPECT_NE(ending(transfer).outcome.flags & kBytesUnknownFlag, 0U);
  EXPECT_EQ(fake_->cancelled().size(), 1U);

  ASSERT_TRUE(reader_->until([&] { return ending(transfer).quarantined != 0; }));
  EXPECT_EQ(reader_->counters().quarantined, 1U);
  EXPECT_EQ(ending(transfer).quiesced, 0);
  EXPECT_EQ(reader_->agent().inFlight(), 1U);
  EXPECT_EQ(reader_->agent().closeRegion(target_).code(), KVSEAM_REGION_BUSY);

  fake_->complete(fake_->posted()[0].token);
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(reader_->counters().quarantined, 0U);
  EXPECT_EQ(reader_->counters().lateCompletions, 1U);
  EXPECT_EQ(reader_->agent().inFlight(), 0U);
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_TIMEOUT);
  EXPECT_TRUE(reader_->agent().closeRegion(target_).ok());
}

TEST_F(Transfers, DeadlinesAreMetWithin2MillisecondsOfWhatTheSchedulerAllows) {
  open();
  fake_->completeAtOnce(false);
  // The median of many, and beside each a plain sleep of the same length: on a loaded machine that is late as well.
  std::vector<int64_t> late;
  std::vector<int64_t> sleptLate;
  for (int i = 0; i < 21; ++i) {
    const int64_t span = (5 + i) * kMillisecond / 2;
    const uint64_t transfer = reader_->mustPost(withDeadline(span));
    ASSERT_TRUE(reader_->quiesced(transfer));
    EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_TIMEOUT);
    late.push_back(ending(transfer).outcome.totalNs - span);
    const int64_t from = nowNs();
    std::this_thread::sleep_for(std::chrono::nanoseconds(span));
    sleptLate.push_back(nowNs() - from - span);
  }
  std::sort(late.begin(), late.end());
  std::sort(sleptLate.begin(), sleptLate.end());
  EXPECT_GE(late.front(), -kMillisecond / 10);  // submit is stamped just after the deadline was computed
  EXPECT_LE(late[late.size() / 2], 2 * kMillisecond + 5 * sleptLate[sleptLate.size() / 2]);
}

TEST_F(Transfers, WithADeadlineAlreadyPastEndAtOnce) {
  open();
  fake_->completeAtOnce(false);
  const uint64_t transfer = reader_->mustPost(withDeadline(-5 * kSecond));
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_TIMEOUT);
}

TEST_F(Transfers, DuplicateAndLateCompletionsAreCountedAndChangeNothing) {
  open();
  fake_->completeAtOnce(false);
  const uint64_t first = reader_->mustPost(request_);
  const uint64_t token = fake_->waitForPost(0).token;
  fake_->complete(token);
  fake_->complete(token, KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path);
  ASSERT_TRUE(reader_->quiesced(first));
  ASSERT_TRUE(reader_->eventually([&] { return reader_->counters().duplicateCompletions == 1; }));
  // The slot carries another transfer now; the old token must not end it.
  const uint64_t second = reader_->mustPost(request_);
  const uint64_t secondToken = fake_->waitForPost(1).token;
  EXPECT_EQ(static_cast<uint32_t>(token), static_cast<uint32_t>(secondToken)) << "the slot was meant to be reused";
  fake_->complete(token);
  fake_->complete(0xffffffffffffULL);
  fake_->complete(0);
  ASSERT_TRUE(reader_->eventually([&] { return reader_->counters().duplicateCompletions == 4; }));
  EXPECT_EQ(ending(second).settled, 0);
  fake_->complete(secondToken);
  ASSERT_TRUE(reader_->quiesced(second));
  EXPECT_EQ(ending(first).outcome.code, KVSEAM_OK);
  EXPECT_EQ(reader_->counters().quiesced, 2U);
}

TEST_F(Transfers, ThatTheBackendRefusesSettleWithItsReason) {
  open();
  fake_->failPosts(KVSEAM_TRANSFER_FAILED);
  const uint64_t transfer = reader_->mustPost(request_);
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_TRANSFER_FAILED);
  EXPECT_EQ(ending(transfer).outcome.backendCode, 42);
  EXPECT_EQ(reader_->counters().posted, 0U);
  EXPECT_EQ(reader_->agent().path(request_.path)->failed, 1U);
  EXPECT_EQ(reader_->agent().path(request_.path)->latency[0][Path::kTotal].count(), 0U);
}

TEST_F(Transfers, AFullQueueIsTriedAgainUntilThereIsRoom) {
  open();
  fake_->refusePosts(25);
  const uint64_t transfer = reader_->mustPost(request_);
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_OK);
  EXPECT_EQ(fake_->attempts(), 26U);
}

TEST_F(Transfers, AQueueThatStaysFullEndsAtTheDeadlineWithoutSpinning) {
  open();
  fake_->refusePosts(UINT64_MAX);
  const int64_t cpu = cpuNs();
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < 64; ++i) transfers.push_back(reader_->mustPost(withDeadline(kSecond, i)));
  for (const uint64_t transfer : transfers) {
    ASSERT_TRUE(reader_->quiesced(transfer));
    EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_QUEUE_FULL);
    EXPECT_EQ(ending(transfer).outcome.flags & kBytesUnknownFlag, 0U);
  }
  EXPECT_LT(cpuNs() - cpu, kSecond / 5);  // a spinning thread would have used all of the second
  EXPECT_LT(fake_->attempts(), 3000U);
  EXPECT_EQ(reader_->counters().posted, 0U);
}

TEST_F(Transfers, AFullPathDoesNotHoldUpAnother) {
  open();
  Engine other(FakeBackend::api(), "other", book_, 3);
  other.allocate(16 * kBlock, "pool");
  const uint32_t otherPeer = reader_->connect(other);
  PostRequest request = into(20);
  request.path = reader_->path(0, otherPeer, 0);
  request.remoteList = reader_->remoteList(otherPeer, "pool", kBlock, {0, 1, 2});
  fake_->refusePeer(0, true);
  std::vector<uint64_t> stuck;
  for (uint32_t i = 0; i < 10; ++i) stuck.push_back(reader_->mustPost(into(i)));
  for (int i = 0; i < 10; ++i) {
    const uint64_t transfer = reader_->mustPost(request);
    ASSERT_TRUE(reader_->quiesced(transfer, 5 * kSecond)) << "held up by the other path";
    EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_OK);
  }
  for (const uint64_t transfer : stuck) EXPECT_EQ(ending(transfer).settled, 0);
  fake_->refusePeer(0, false);
  for (const uint64_t transfer : stuck) ASSERT_TRUE(reader_->quiesced(transfer));
  // In the order in which they came.
  const std::vector<FakeBackend::Posted> posted = fake_->posted();
  ASSERT_EQ(posted.size(), 20U);
  for (size_t i = 10; i < 20; ++i)
    EXPECT_EQ(static_cast<uint32_t>(posted[i].token), static_cast<uint32_t>(stuck[i - 10] & ((1U << 21) - 1)));
}

TEST_F(Transfers, ALostPeerEndsWhatWaitsForItAndIsReportedOnce) {
  open();
  fake_->completeAtOnce(false);
  const uint64_t posted = reader_->mustPost(request_);
  fake_->waitForPost(0);
  fake_->refusePosts(UINT64_MAX);
  const uint64_t waiting = reader_->mustPost(into(1));
  while (fake_->attempts() < 2) std::this_thread::yield();
  fake_->complete(fake_->posted()[0].token, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer);
  fake_->loseThePeer(0);
  fake_->loseThePeer(0);
  ASSERT_TRUE(reader_->quiesced(posted));
  ASSERT_TRUE(reader_->quiesced(waiting));
  EXPECT_EQ(ending(posted).outcome.code, KVSEAM_PEER_DOWN);
  EXPECT_EQ(ending(waiting).outcome.code, KVSEAM_PEER_DOWN);
  EXPECT_EQ(ending(waiting).outcome.blame, KVSEAM_BLAME_peer);
  ASSERT_TRUE(reader_->until([&] { return reader_->agent().peer(peer_)->gone; }));
  EXPECT_EQ(std::count_if(reader_->events.begin(), reader_->events.end(),
                          [](const EngineEvent& event) { return event.kind == EngineEvent::Kind::kPeerDown; }),
            1);
  uint64_t refused = 0;
  EXPECT_EQ(reader_->post(request_, &refused).code(), KVSEAM_STALE_EPOCH);
  while (fake_->disconnected().empty()) std::this_thread::yield();
}

TEST_F(Transfers, ToAPeerThatIsNotConnectedYetAreRefusedBelowTheGate) {
  open();
  fake_->answerConnects(false);
  Engine other(FakeBackend::api(), "other", book_, 3);
  other.allocate(16 * kBlock, "pool");
  std::string blob;
  ASSERT_TRUE(other.agent().exportMetadata(&blob).ok());
  uint32_t silent = 0;
  ASSERT_TRUE(
      reader_->agent()
          .connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + 30 * kMillisecond, &silent)
          .ok());
  PostRequest request = request_;
  request.path = reader_->path(0, silent, 0);
  request.remoteList = reader_->remoteList(silent, "pool", kBlock, {0, 1, 2});
  const uint64_t transfer = reader_->mustPost(request);
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_PEER_DOWN);
  EXPECT_TRUE(fake_->posted().empty());
  // The handshake itself ends at its deadline.
  ASSERT_TRUE(reader_->until([&] { return reader_->events.size() == 2; }));
  EXPECT_EQ(reader_->events.back().status.code(), KVSEAM_TIMEOUT);
  EXPECT_TRUE(reader_->agent().peer(silent)->gone);
}

TEST_F(Transfers, CancelSettlesAtOnceAndQuiescesWhenTheBackendHasLetGo) {
  open();
  fake_->completeAtOnce(false);
  fake_->completeWhenCancelled(false);
  const uint64_t transfer = reader_->mustPost(request_);
  const uint64_t token = fake_->waitForPost(0).token;
  EXPECT_TRUE(reader_->agent().cancel(transfer).ok());
  ASSERT_TRUE(reader_->settled(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_CANCELLED);
  EXPECT_EQ(ending(transfer).outcome.blame, KVSEAM_BLAME_cancelled);
  EXPECT_EQ(ending(transfer).quiesced, 0);
  EXPECT_EQ(reader_->agent().closeRegion(target_).code(), KVSEAM_REGION_BUSY);
  fake_->complete(token);
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_CANCELLED);
  EXPECT_TRUE(reader_->agent().cancel(transfer).ok());
  EXPECT_EQ(fake_->cancelled().size(), 1U);
}

TEST_F(Transfers, CancelOfOneThatTheBackendNeverTookTouchesNoMemory) {
  open();
  fake_->refusePosts(UINT64_MAX);
  const uint64_t transfer = reader_->mustPost(request_);
  while (fake_->attempts() == 0) std::this_thread::yield();
  EXPECT_TRUE(reader_->agent().cancel(transfer).ok());
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_CANCELLED);
  EXPECT_EQ(ending(transfer).outcome.flags & kBytesUnknownFlag, 0U);
  EXPECT_TRUE(fake_->cancelled().empty());
}

// Slots are reused at once, so a cancel that comes a moment late meets the next transfer of the same slot.
TEST_F(Transfers, CancelRacesCompletionAndEachTransferStillEndsOnce) {
  ProgressOptions options;
  options.maxTransfers = 2;
  open(options);
  std::mt19937 random(17);
  int cancelledCount = 0;
  for (int i = 0; i < 3000; ++i) {
    const uint64_t transfer = reader_->mustPost(request_);
    if (i % 3 != 0) {
      for (uint32_t spin = random() % 2000; spin != 0; --spin) std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    if (i % 2 == 0) reader_->drain();
    EXPECT_TRUE(reader_->agent().cancel(transfer).ok());
    ASSERT_TRUE(reader_->quiesced(transfer)) << i;
    const Ending& seen = ending(transfer);
    ASSERT_EQ(seen.settled, 1);
    ASSERT_EQ(seen.quiesced, 1);
    ASSERT_TRUE(seen.outcome.code == KVSEAM_OK || seen.outcome.code == KVSEAM_CANCELLED);
    cancelledCount += seen.outcome.code == KVSEAM_CANCELLED ? 1 : 0;
    ASSERT_EQ(reader_->agent().inFlight(), 0U);
  }
  EXPECT_EQ(reader_->counters().settled, 3000U);
  EXPECT_EQ(reader_->counters().quiesced, 3000U);
  RecordProperty("cancelled", cancelledCount);
}

TEST_F(Transfers, AFloodOfCancelsLosesNoSubmit) {
  ProgressOptions options;
  options.maxTransfers = 16;
  open(options);
  fake_->completeAtOnce(false);
  const uint64_t first = reader_->mustPost(request_);
  fake_->waitForPost(0);
  fake_->block();
  fake_->waitUntilBlocked();
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(reader_->agent().cancel(first).ok());
  for (uint64_t guess = 0; guess < 10'000; ++guess) EXPECT_TRUE(reader_->agent().cancel(guess).ok());
  fake_->completeAtOnce(true);
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < 15; ++i) transfers.push_back(reader_->mustPost(into(i + 1)));
  fake_->release();
  for (const uint64_t transfer : transfers) {
    ASSERT_TRUE(reader_->quiesced(transfer, 5 * kSecond)) << "its submit was lost";
    EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_OK);
  }
  ASSERT_TRUE(reader_->quiesced(first));
  EXPECT_EQ(ending(first).outcome.code, KVSEAM_CANCELLED);
}

TEST_F(Transfers, AFloodOfConnectsIsBoundedAndLosesNoSubmit) {
  ProgressOptions options;
  options.maxTransfers = 16;
  open(options);
  fake_->block();
  fake_->waitUntilBlocked();
  int full = 0;
  for (int i = 0; i < 2000; ++i) {
    Metadata metadata;
    metadata.backend = "fake";
    metadata.agent = "flood";
    metadata.incarnation = 1000 + i;  // each life replaces the last, so each is dropped again
    metadata.rails.resize(1);
    std::strcpy(metadata.rails[0].name, "rail0");
    std::string blob;
    ASSERT_TRUE(metadata.write(&blob).ok());
    uint32_t peer = 0;
    const Status status =
        reader_->agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon, &peer);
    if (!status.ok()) {
      ASSERT_EQ(status.code(), KVSEAM_QUEUE_FULL);
      ++full;
    }
  }
  EXPECT_GT(full, 1000);
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < 16; ++i) transfers.push_back(reader_->mustPost(into(i)));
  uint64_t refused = 0;
  EXPECT_EQ(reader_->post(request_, &refused).code(), KVSEAM_QUEUE_FULL);
  fake_->release();
  for (const uint64_t transfer : transfers)
    ASSERT_TRUE(reader_->quiesced(transfer, 5 * kSecond)) << "its submit was lost";
}

TEST_F(Transfers, AStallInsideTheBackendMarksWhatItDelayedAndKeepsItOutOfTheHistogram) {
  open();
  fake_->completeAtOnce(false);
  const uint64_t delayed = reader_->mustPost(request_);
  const uint64_t token = fake_->waitForPost(0).token;
  fake_->stallOnce(60 * kMillisecond);
  fake_->complete(token);
  ASSERT_TRUE(reader_->quiesced(delayed));
  EXPECT_EQ(ending(delayed).outcome.code, KVSEAM_OK);
  EXPECT_NE(ending(delayed).outcome.flags & kSelfDelayedFlag, 0U);
  EXPECT_GE(reader_->counters().stalls, 1U);
  const Path* const path = reader_->agent().path(request_.path);
  EXPECT_EQ(path->latency[0][Path::kTotal].count(), 0U);
  EXPECT_EQ(path->succeeded, 1U);
  // Over: the next ones count again. On a loaded machine a single one may meet a real stall.
  fake_->completeAtOnce(true);
  for (int i = 0; i < 200 && path->latency[0][Path::kTotal].count() == 0; ++i)
    ASSERT_TRUE(reader_->quiesced(reader_->mustPost(request_)));
  EXPECT_GE(path->latency[0][Path::kTotal].count(), 1U);
}

TEST_F(Transfers, ABlockedPollMarksTheDeadlinesItMadeLate) {
  open();
  fake_->completeAtOnce(false);
  const uint64_t transfer = reader_->mustPost(withDeadline(20 * kMillisecond));
  fake_->waitForPost(0);
  fake_->block();
  fake_->waitUntilBlocked();
  std::this_thread::sleep_for(std::chrono::milliseconds(80));
  EXPECT_GE(reader_->agent().progress().lagNs(nowNs()), 60 * kMillisecond);
  fake_->release();
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(ending(transfer).outcome.code, KVSEAM_TIMEOUT);
  EXPECT_NE(ending(transfer).outcome.flags & kSelfDelayedFlag, 0U);
}

TEST_F(Transfers, AnIdleAgentSleepsCostsNothingAndLagsNothing) {
  open();
  ASSERT_TRUE(reader_->quiesced(reader_->mustPost(request_)));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const int64_t cpu = cpuNs();
  const uint64_t polls = fake_->polls();
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_LT(cpuNs() - cpu, 40 * kMillisecond);
  EXPECT_LT(fake_->polls() - polls, 20U);
  EXPECT_EQ(reader_->agent().progress().lagNs(nowNs()), 0);
  // And it still wakes: a submit into a sleeping thread, many times, none lost.
  for (int i = 0; i < 50; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    const uint64_t transfer = reader_->mustPost(request_);
    EXPECT_LT(reader_->agent().progress().lagNs(nowNs()), kSecond / 5);
    ASSERT_TRUE(reader_->quiesced(transfer));
  }
}

TEST_F(Transfers, ABackendWithNothingToSleepOnStillCompletesAndMeetsDeadlines) {
  open();
  fake_->withoutWaitFd();
  fake_->completeAtOnce(false);
  const uint64_t done = reader_->mustPost(request_);
  fake_->complete(fake_->waitForPost(0).token);
  ASSERT_TRUE(reader_->quiesced(done));
  const uint64_t late = reader_->mustPost(withDeadline(30 * kMillisecond));
  ASSERT_TRUE(reader_->quiesced(late));
  EXPECT_EQ(ending(late).outcome.code, KVSEAM_TIMEOUT);
}

TEST_F(Transfers, ManyThreadsOfPressureLeaveNoSlotBehind) {
  ProgressOptions options;
  options.maxTransfers = 64;
  open(options);
  fake_->completeAtOnce(false);
  std::atomic<bool> stop{false};
  // Completes, sometimes twice, sometimes late, in its own time.
  std::thread network([&] {
    std::mt19937 random(23);
    size_t next = 0;
    while (!stop.load()) {
      const std::vector<FakeBackend::Posted> posted = fake_->posted();
      for (; next < posted.size(); ++next) {
        fake_->complete(posted[next].token, random() % 5 == 0 ? KVSEAM_TRANSFER_FAILED : KVSEAM_OK, KVSEAM_BLAME_path);
        if (random() % 10 == 0) fake_->complete(posted[next].token);
      }
      std::this_thread::yield();
    }
  });
  std::mt19937 random(29);
  std::vector<uint64_t> transfers;
  std::vector<PostRequest> requests;
  for (uint32_t i = 0; i < 64; ++i) requests.push_back(into(i));
  std::vector<uint64_t> held(64);  // by destination: the transfer that had it last
  for (int i = 0; i < 1500; ++i) {
    size_t free = 0;
    while (free < 63 && held[free] != 0 && ending(held[free]).quiesced == 0) ++free;
    uint64_t transfer = 0;
    const Status status = reader_->post(requests[free], &transfer);
    if (status.ok()) {
      transfers.push_back(transfer);
      held[free] = transfer;
      if (random() % 4 == 0) {
        EXPECT_TRUE(reader_->agent().cancel(transfer).ok());
      }
    } else {
      ASSERT_EQ(status.code(), KVSEAM_QUEUE_FULL);
      ASSERT_TRUE(reader_->until([&] { return reader_->agent().inFlight() < 64; }));
    }
  }
  for (const uint64_t transfer : transfers) ASSERT_TRUE(reader_->quiesced(transfer));
  stop = true;
  network.join();
  EXPECT_EQ(reader_->agent().inFlight(), 0U);
  EXPECT_EQ(reader_->counters().settled, transfers.size());
  EXPECT_EQ(reader_->counters().quiesced, transfers.size());
  EXPECT_EQ((*reader_->agent().region(target_))->inFlight(), 0U);
  EXPECT_EQ(book_->counters().redeemed, transfers.size());
}

}  // namespace
}  // namespace kvseam
