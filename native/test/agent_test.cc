// The owner's side: what post refuses, what close ends, what stays pinned when a backend never lets go.
#include "../core/agent.h"

#include <cstring>
#include <thread>

#include "engine_for_test.h"
#include "fake_backend.h"

namespace kvseam {
namespace {

constexpr uint64_t kBlock = 64;

struct Pair {
  explicit Pair(const ProgressOptions& options = {}) : book(newBook()), owner(FakeBackend::api(), "owner", book, 2) {
    source = owner.allocate(16 * kBlock, "pool");
    reader = std::make_unique<Engine>(FakeBackend::api(), "reader", book, 1, options);
    fake = FakeBackend::latest();
    target = reader->allocate(256 * kBlock, "pool");
    peer = reader->connect(owner);
    request.path = reader->path(0, peer, 0);
    request.operation = KVSEAM_OP_READ;
    request.localList = reader->localList(target, kBlock, {0, 1, 2});
    request.remoteList = reader->remoteList(peer, "pool", kBlock, {0, 1, 2});
  }
  /** `request` with a destination that it shares with no other number. */
  PostRequest into(uint32_t i) {
    PostRequest own = request;
    own.localList = reader->localList(target, kBlock, {3 * i, 3 * i + 1, 3 * i + 2});
    return own;
  }
  Code refusal(const PostRequest& bad) {
    uint64_t transfer = 0;
    const PermitCounters before = book->counters();
    const Code code = reader->post(bad, &transfer).code();
    if (code != KVSEAM_OK) {
      EXPECT_EQ(book->counters().redeemed, before.redeemed) << "a refused post used a permit";
      EXPECT_EQ(reader->agent().inFlight(), 0U);
      EXPECT_TRUE(fake->posted().empty());
    }
    return code;
  }

  std::shared_ptr<PermitBook> book;
  Engine owner;
  std::unique_ptr<Engine> reader;
  std::shared_ptr<FakeBackend> fake;
  uint64_t source = 0;
  uint64_t target = 0;
  uint32_t peer = 0;
  PostRequest request;
};

TEST(Agent, RefusesAPostThatDoesNotHoldAndKeepsThePermit) {
  Pair pair;
  PostRequest bad = pair.request;
  bad.permit = 12345;
  EXPECT_EQ(pair.refusal(bad), KVSEAM_PERMIT_INVALID);
  bad = pair.request;
  bad.localList += uint64_t{1} << kHandleIndexBits;  // the same place in another generation
  EXPECT_EQ(pair.refusal(bad), KVSEAM_INVALID_ARGUMENT);
  bad = pair.request;
  bad.remoteList = 0;
  EXPECT_EQ(pair.refusal(bad), KVSEAM_INVALID_ARGUMENT);
  bad = pair.request;
  bad.path = UINT32_MAX;
  EXPECT_EQ(pair.refusal(bad), KVSEAM_NO_PATH);
  for (const uint32_t operation : {0U, 3U, 4U, 8U, UINT32_MAX}) {
    bad = pair.request;
    bad.operation = operation;
    EXPECT_EQ(pair.refusal(bad), KVSEAM_INVALID_ARGUMENT) << operation;
  }
  bad = pair.request;
  std::swap(bad.localList, bad.remoteList);
  EXPECT_EQ(pair.refusal(bad), KVSEAM_FOREIGN_REGION);
  bad = pair.request;
  bad.remoteList = bad.localList;
  EXPECT_EQ(pair.refusal(bad), KVSEAM_FOREIGN_REGION);
  bad = pair.request;
  bad.first = 1;
  bad.count = 3;
  EXPECT_EQ(pair.refusal(bad), KVSEAM_OUT_OF_BOUNDS);
  bad = pair.request;
  bad.first = UINT64_MAX;
  bad.count = 2;
  EXPECT_EQ(pair.refusal(bad), KVSEAM_OUT_OF_BOUNDS);
  bad = pair.request;
  bad.remoteList = pair.reader->remoteList(pair.peer, "pool", kBlock / 2, {0, 1, 2});
  EXPECT_EQ(pair.refusal(bad), KVSEAM_INVALID_DESCRIPTOR);
  bad = pair.request;
  bad.notify = std::string(Agent::kControlBytes + 1, 'x');
  EXPECT_EQ(pair.refusal(bad), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.refusal(pair.request), KVSEAM_OK);
}

TEST(Agent, PostsNoMoreThanItsPermitCovers) {
  Pair pair;
  const Path& path = *pair.reader->agent().path(pair.request.path);
  const auto permit = [&](const PermitTerms& terms) {
    PostRequest request = pair.request;
    request.permit = pair.book->mint(terms, nowNs());
    return pair.refusal(request);
  };
  EXPECT_EQ(permit({path.key, KVSEAM_OP_WRITE, UINT64_MAX, INT64_MAX}), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(permit({path.key, KVSEAM_OP_READ, 3 * kBlock - 1, INT64_MAX}), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(permit({path.key + 1, KVSEAM_OP_READ, UINT64_MAX, INT64_MAX}), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(permit({path.key, KVSEAM_OP_READ, UINT64_MAX, nowNs() - 1}), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(permit({path.key, KVSEAM_OP_READ, 3 * kBlock, INT64_MAX}), KVSEAM_OK);
}

TEST(Agent, ClosedRegionsAreStaleAndAListKeepsTheirBytesMapped) {
  Pair pair;
  const uint64_t other = pair.reader->allocate(16 * kBlock, "other");
  PostRequest request = pair.request;
  request.localList = pair.reader->localList(other, kBlock, {0, 1, 2});
  const int64_t registered = FakeBackend::registered();
  EXPECT_TRUE(pair.reader->agent().closeRegion(other).ok());
  EXPECT_TRUE(pair.reader->agent().closeRegion(other).ok());
  EXPECT_EQ(pair.reader->agent().region(other), nullptr);
  EXPECT_EQ(pair.refusal(request), KVSEAM_STALE_REGION);
  EXPECT_EQ(FakeBackend::registered(), registered);
  pair.reader->agent().releaseList(request.localList);
  EXPECT_EQ(FakeBackend::registered(), registered - 1);
  // The name is free again, and the number is a new one.
  EXPECT_NE(pair.reader->allocate(16, "other"), other);
}

TEST(Agent, RefusedMetadataLeavesThePeersAsTheyWere) {
  Pair pair;
  std::string blob;
  ASSERT_TRUE(pair.owner.agent().exportMetadata(&blob).ok());
  const auto connect = [&](const std::string& bytes) {
    uint32_t peer = 0;
    return pair.reader->agent()
        .connect(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), nowNs() + kSecond, &peer)
        .code();
  };
  EXPECT_EQ(connect(blob.substr(0, blob.size() - 1)), KVSEAM_METADATA_INVALID);
  // Another life of the same name whose second region cannot be imported: nothing of it may stay.
  Metadata half;
  half.backend = "fake";
  half.agent = "owner";
  half.incarnation = 77;
  half.rails.resize(1);
  std::strcpy(half.rails[0].name, "rail0");
  half.regions = {{1, 16, "pool", std::string(8, '\0')}, {2, 16, "bad", "short"}};
  ASSERT_TRUE(half.write(&blob).ok());
  EXPECT_EQ(connect(blob), KVSEAM_METADATA_INVALID);
  half.backend = "mock";
  ASSERT_TRUE(half.write(&blob).ok());
  EXPECT_EQ(connect(blob), KVSEAM_INCOMPATIBLE);
  EXPECT_EQ(pair.reader->agent().peer(1), nullptr);
  EXPECT_FALSE(pair.reader->agent().peer(0)->gone);
  EXPECT_EQ(pair.refusal(pair.request), KVSEAM_OK);
}

TEST(Agent, ARestartedPeerIsANewPeerAndTheOldListsAreStale) {
  Pair pair;
  pair.owner.agent().name();
  Engine again(FakeBackend::api(), "owner", pair.book, 5);
  again.allocate(16 * kBlock, "pool");
  const uint32_t peer = pair.reader->connect(again);
  EXPECT_NE(peer, pair.peer);
  EXPECT_TRUE(pair.reader->agent().peer(pair.peer)->gone);
  EXPECT_EQ(pair.refusal(pair.request), KVSEAM_STALE_EPOCH);
  PostRequest request = pair.request;
  request.path = pair.reader->path(0, peer, 0);
  EXPECT_EQ(pair.refusal(request), KVSEAM_FOREIGN_REGION);
  request.remoteList = pair.reader->remoteList(peer, "pool", kBlock, {0, 1, 2});
  EXPECT_EQ(pair.refusal(request), KVSEAM_OK);
  // The fake reads the peer's memory directly, so the reader's last post has to end before that memory goes.
  pair.reader.reset();
}

TEST(Agent, ARefreshInTheSameLifeKeepsWhatIsStillOffered) {
  Pair pair;
  const auto before = pair.reader->agent().remoteRegion(pair.peer, "pool");
  pair.owner.allocate(64, "second");
  EXPECT_EQ(pair.reader->connect(pair.owner), pair.peer);
  EXPECT_EQ(pair.reader->agent().remoteRegion(pair.peer, "pool"), before);
  EXPECT_NE(pair.reader->agent().remoteRegion(pair.peer, "second"), nullptr);
  ASSERT_TRUE(pair.owner.agent().closeRegion(pair.source).ok());
  pair.reader->connect(pair.owner);
  EXPECT_EQ(pair.reader->agent().remoteRegion(pair.peer, "pool"), nullptr);
  EXPECT_FALSE(before->live());
  EXPECT_EQ(pair.refusal(pair.request), KVSEAM_STALE_REGION);
}

TEST(Agent, CloseEndsEverythingInFlightOnceAndWithdrawsItsRegions) {
  ProgressOptions options;
  options.maxTransfers = 128;
  Pair pair(options);
  pair.fake->completeAtOnce(false);
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < 40; ++i) transfers.push_back(pair.reader->mustPost(pair.into(i)));
  pair.fake->waitForPost(39);
  pair.fake->refusePosts(UINT64_MAX);
  for (uint32_t i = 40; i < 80; ++i) transfers.push_back(pair.reader->mustPost(pair.into(i)));
  const int64_t from = nowNs();
  EXPECT_TRUE(pair.reader->agent().close(kSecond).ok());
  EXPECT_LT(nowNs() - from, 5 * kSecond);
  EXPECT_TRUE(pair.fake->closed());
  // While records wait to be drained, the regions still have transfers in flight; peers must be kept out all the same.
  EXPECT_EQ(pair.fake->revoked(), 1U);
  pair.reader->drain();
  for (const uint64_t transfer : transfers) {
    EXPECT_EQ(pair.reader->endings[transfer].settled, 1);
    EXPECT_EQ(pair.reader->endings[transfer].quiesced, 1);
    EXPECT_EQ(pair.reader->endings[transfer].outcome.code, KVSEAM_CLOSED);
  }
  EXPECT_TRUE(pair.reader->agent().close(0).ok());
  uint64_t ignored = 0;
  uint32_t peer = 0;
  std::string blob;
  EXPECT_EQ(pair.reader->agent().post(pair.request, &ignored).code(), KVSEAM_CLOSED);
  EXPECT_EQ(pair.reader->agent().notify(pair.request.path, "x", nowNs(), &ignored).code(), KVSEAM_CLOSED);
  EXPECT_EQ(pair.reader->agent().allocate(1, "late", &ignored).code(), KVSEAM_CLOSED);
  EXPECT_EQ(pair.reader->agent().addList(nullptr, &ignored).code(), KVSEAM_CLOSED);
  EXPECT_EQ(pair.reader->agent().exportMetadata(&blob).code(), KVSEAM_CLOSED);
  EXPECT_EQ(pair.reader->agent().connect(nullptr, 0, 0, &peer).code(), KVSEAM_CLOSED);
  EXPECT_EQ(pair.reader->agent().addPath(0, 0, 0, &peer).code(), KVSEAM_CLOSED);
  EXPECT_TRUE(pair.reader->agent().cancel(transfers[0]).ok());
}

TEST(Agent, GivesAllItsMemoryBackWhenItIsGone) {
  const int64_t registered = FakeBackend::registered();
  const uint64_t live = Region::liveCount();
  {
    Pair pair;
    pair.fake->completeAtOnce(false);
    for (uint32_t i = 0; i < 20; ++i) pair.reader->mustPost(pair.into(i));
    EXPECT_EQ(FakeBackend::registered(), registered + 2);
  }
  EXPECT_EQ(FakeBackend::registered(), registered);
  EXPECT_EQ(Region::liveCount(), live);
}

TEST(Agent, MemoryThatNeverQuiescesIsNeverGivenBack) {
  const int64_t registered = FakeBackend::registered();
  std::weak_ptr<FakeBackend> fake;
  {
    Pair pair;
    fake = pair.fake;
    pair.fake->completeAtOnce(false);
    pair.fake->completeWhenCancelled(false);
    const uint64_t transfer = pair.reader->mustPost(pair.request);
    pair.fake->waitForPost(0);
    EXPECT_TRUE(pair.reader->agent().close(20 * kMillisecond).ok());
    pair.reader->drain();
    EXPECT_EQ(pair.reader->endings[transfer].settled, 1);
    EXPECT_EQ(pair.reader->endings[transfer].quiesced, 0);
    EXPECT_NE(pair.reader->endings[transfer].outcome.flags & kBytesUnknownFlag, 0U);
  }
  // The reader's region stays for ever, and with it what the backend was told to work on; the owner's does not.
  EXPECT_EQ(FakeBackend::registered(), registered + 1);
  ASSERT_FALSE(fake.expired());
  const std::vector<FakeBackend::Posted> posted = fake.lock()->posted();
  ASSERT_EQ(posted.size(), 1U);
  // A device that wakes up now still writes into memory that nobody else has.
  std::memset(static_cast<uint8_t*>(posted[0].runs[0].local->address) + posted[0].runs[0].local_offset, 0xee,
              posted[0].runs[0].bytes);
}

TEST(Agent, ABackendThatFailsToCloseKeepsItsMemoryToo) {
  const int64_t registered = FakeBackend::registered();
  {
    Pair pair;
    pair.fake->failClose(true);
    EXPECT_TRUE(pair.reader->quiesced(pair.reader->mustPost(pair.request)));
  }
  EXPECT_EQ(FakeBackend::registered(), registered + 0) << "nothing was in flight, so the region itself may go";
}

TEST(Agent, AThreadStuckInTheBackendIsLeftBehindWithinTheBound) {
  const int64_t registered = FakeBackend::registered();
  std::shared_ptr<FakeBackend> fake;
  {
    Pair pair;
    fake = pair.fake;
    pair.fake->completeAtOnce(false);
    const uint64_t transfer = pair.reader->mustPost(pair.request);
    pair.fake->waitForPost(0);
    pair.fake->block();
    pair.fake->waitUntilBlocked();
    const int64_t from = nowNs();
    const Status status = pair.reader->agent().close(100 * kMillisecond);
    EXPECT_EQ(status.code(), KVSEAM_TIMEOUT);
    EXPECT_LT(nowNs() - from, 4 * kSecond);
    pair.reader->drain();
    EXPECT_EQ(pair.reader->endings[transfer].settled, 0);
    // Nobody may be woken any more: the owner is about to go.
    pair.reader.reset();
    EXPECT_EQ(FakeBackend::registered(), registered + 2) << "the stuck thread may still write there";
  }
  // The library call returns after all: the thread ends by itself and the memory goes with it.
  fake->release();
  const int64_t by = nowNs() + kSoon;
  while (FakeBackend::registered() != registered && nowNs() < by)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(FakeBackend::registered(), registered);
}

TEST(Agent, RefusesNamesSizesAndDuplicates) {
  Pair pair;
  uint64_t handle = 0;
  EXPECT_EQ(pair.reader->agent().allocate(0, "zero", &handle).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().allocate(16, "pool", &handle).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().allocate(16, "a b", &handle).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().allocate(16, "", &handle).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().liveRegions(), 1U);
  AgentOptions options;
  std::unique_ptr<Agent> agent;
  options.name = "no/slash";
  EXPECT_EQ(Agent::open(FakeBackend::api(), options, pair.book, 9, nullptr, &agent).code(), KVSEAM_INVALID_ARGUMENT);
  options.name = "ok";
  options.progress.maxTransfers = 0;
  EXPECT_EQ(Agent::open(FakeBackend::api(), options, pair.book, 9, nullptr, &agent).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(agent, nullptr);
}

TEST(Agent, PathsAreFoundAgainAndBounded) {
  ProgressOptions options;
  options.maxPaths = 3;
  Pair pair(options);
  EXPECT_EQ(pair.reader->path(0, pair.peer, 0), pair.request.path);
  const uint32_t second = pair.reader->path(1, pair.peer, 1);
  EXPECT_NE(second, pair.request.path);
  EXPECT_NE(pair.reader->agent().path(second)->key, pair.reader->agent().path(pair.request.path)->key);
  pair.reader->path(0, pair.peer, 1);
  uint32_t path = 0;
  EXPECT_EQ(pair.reader->agent().addPath(1, pair.peer, 0, &path).code(), KVSEAM_QUEUE_FULL);
  EXPECT_EQ(pair.reader->agent().addPath(2, pair.peer, 0, &path).code(), KVSEAM_NO_PATH);
  EXPECT_EQ(pair.reader->agent().addPath(0, pair.peer, 2, &path).code(), KVSEAM_NO_PATH);
  EXPECT_EQ(pair.reader->agent().addPath(0, 99, 0, &path).code(), KVSEAM_INVALID_ARGUMENT);
}

TEST(Agent, NotificationsReachTheOwnerInOrderAndAreBoundedInSize) {
  Pair pair;
  for (int i = 0; i < 500; ++i) pair.fake->notification("owner", "note " + std::to_string(i));
  ASSERT_TRUE(pair.reader->until([&] { return pair.reader->events.size() == 501; }));
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(pair.reader->events[i + 1].data, "note " + std::to_string(i));
    EXPECT_EQ(pair.reader->events[i + 1].name, "owner");
  }
  uint64_t transfer = 0;
  EXPECT_EQ(pair.reader->agent().notify(pair.request.path, "", nowNs() + kSecond, &transfer).code(),
            KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().notify(pair.request.path, std::string(1025, 'x'), nowNs() + kSecond, &transfer).code(),
            KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().notify(99, "x", nowNs() + kSecond, &transfer).code(), KVSEAM_NO_PATH);
  ASSERT_TRUE(pair.reader->agent().notify(pair.request.path, "hello", nowNs() + kSoon, &transfer).ok());
  pair.reader->enter(transfer);
  ASSERT_TRUE(pair.reader->quiesced(transfer));
  EXPECT_EQ(pair.fake->posted().back().notify, "hello");
  EXPECT_EQ(pair.fake->posted().back().kind, static_cast<uint32_t>(KVSEAM_OP_NOTIFY));
}

TEST(EventQueue, DropsAndCountsNotificationsBeyondItsBoundButNeverOtherNews) {
  EventQueue queue;
  EXPECT_FALSE(queue.pending());
  for (size_t i = 0; i < EventQueue::kMaxQueued + 10; ++i) queue.pushNotification("peer", 1, nullptr, 0);
  EXPECT_EQ(queue.dropped(), 10U);
  EngineEvent down;
  down.kind = EngineEvent::Kind::kPeerDown;
  queue.push(down);
  EXPECT_TRUE(queue.pending());
  EngineEvent out;
  size_t taken = 0;
  while (queue.pop(&out)) ++taken;
  EXPECT_EQ(taken, EventQueue::kMaxQueued + 1);
  EXPECT_EQ(out.kind, EngineEvent::Kind::kPeerDown);
  EXPECT_FALSE(queue.pending());
}

}  // namespace
}  // namespace kvseam
