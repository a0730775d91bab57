// The mock between processes: bytes, death, freezing. The child is this very program, told to run one disabled test.
#include <thread>

#include "child_for_test.h"
#include "mock_for_test.h"

namespace kvseam {
namespace {

constexpr const char* kPeer = "MockPeerProcess.*";

TEST(MockPeerProcess, DISABLED_OffersItsPoolUntilItIsKilled) {
  Engine peer(mock::api(), "child", newBook(), 1);
  const uint64_t region = peer.allocate(kBlocks * kBlock, "pool");
  fillWithNoise(peer.data(region), kBlocks * kBlock, 7);
  offerUntilKilled(&peer);
}

/** Two agents of this process, the first of them connected to a child as well. */
struct Met {
  explicit Met(const std::vector<kvseam_rail>& rails = {}) : agents(rails) { meet(); }
  void meet() {
    const std::string& blob = child.metadata();
    const Status status =
        agents.a.agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon, &peer);
    EXPECT_TRUE(status.ok()) << status.text();
    EXPECT_TRUE(agents.a.until([&] { return agents.a.connected(peer); }));
  }
  bool gone() {
    return agents.a.until([&] { return agents.a.agent().peer(peer)->gone; });
  }
  PostRequest read() {
    const std::vector<uint32_t> ids = shuffledIds(kBlocks, 9);
    PostRequest request;
    request.path = agents.a.path(0, peer, 0);
    request.operation = KVSEAM_OP_READ;
    request.localList = agents.a.localList(agents.here, kBlock, ids);
    request.remoteList = agents.a.remoteList(peer, "pool", kBlock, ids);
    return request;
  }
  int32_t outcome(const PostRequest& request) {
    const uint64_t transfer = agents.a.mustPost(request);
    EXPECT_TRUE(agents.a.quiesced(transfer));
    return agents.a.endings[transfer].outcome.code;
  }

  ChildProcess child{kPeer};
  Agents agents;
  uint32_t peer = 0;
};

// 1.75 s of silence; the rest is patience with a loaded machine.
constexpr int64_t kFrozenKnownNs = 4 * kSecond;

TEST(MockTwoProcesses, AFrozenIdlePeerIsDownAndCanBeMetAgainWhenItThaws) {
  Met met;
  const uint32_t before = met.peer;
  met.child.freeze();
  const int64_t from = nowNs();
  ASSERT_TRUE(met.gone());
  EXPECT_LT(nowNs() - from, kFrozenKnownNs);
  const EngineEvent& news = met.agents.a.events.back();
  EXPECT_EQ(news.kind, EngineEvent::Kind::kPeerDown);
  EXPECT_EQ(news.status.code(), KVSEAM_PEER_DOWN);
  EXPECT_EQ(news.status.blame(), KVSEAM_BLAME_peer);
  EXPECT_EQ(news.status.text(), "the peer has given no sign of life");
  EXPECT_FALSE(met.agents.a.agent().peer(met.agents.peer)->gone);
  met.child.thaw();
  met.meet();
  EXPECT_NE(met.peer, before);
  EXPECT_EQ(met.outcome(met.read()), KVSEAM_OK);
}

TEST(MockTwoProcesses, AFrozenPeersTransfersEndOnceAndTouchNothingAfterwards) {
  Met met({rail("slow", 100'000, 0)});
  std::vector<uint64_t> stuck;
  for (int i = 0; i < 4; ++i) stuck.push_back(met.agents.a.mustPost(met.agents.a.apart(met.read())));
  PostRequest impatient = met.read();
  impatient.deadlineNs = nowNs() + 200 * kMillisecond;
  const uint64_t early = met.agents.a.mustPost(impatient);
  met.child.freeze();
  const int64_t from = nowNs();
  ASSERT_TRUE(met.agents.a.quiesced(early));
  EXPECT_EQ(met.agents.a.endings[early].outcome.code, KVSEAM_TIMEOUT);
  for (const uint64_t transfer : stuck) {
    ASSERT_TRUE(met.agents.a.quiesced(transfer));
    EXPECT_EQ(met.agents.a.endings[transfer].outcome.code, KVSEAM_PEER_DOWN);
    EXPECT_EQ(met.agents.a.endings[transfer].outcome.blame, KVSEAM_BLAME_peer);
  }
  EXPECT_LT(nowNs() - from, kFrozenKnownNs);
  const std::vector<uint8_t> then(met.agents.a.data(met.agents.here),
                                  met.agents.a.data(met.agents.here) + kBlocks * kBlock);
  met.child.thaw();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(std::memcmp(met.agents.a.data(met.agents.here), then.data(), then.size()), 0);
  EXPECT_TRUE(met.agents.a.agent().closeRegion(met.agents.here).ok());
}

TEST(MockTwoProcesses, AShortFreezeIsOnlyADelay) {
  Met met;
  met.child.freeze();
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  met.child.thaw();
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  met.agents.a.drain();
  EXPECT_FALSE(met.agents.a.agent().peer(met.peer)->gone);
  EXPECT_EQ(met.outcome(met.read()), KVSEAM_OK);
}

TEST(MockTwoProcesses, SignsOfLifeCostNextToNothingAndNoneAreNeededInOneProcess) {
  Met met;
  Agents alone;
  const auto sleeps = [](Engine& engine) { return engine.counters().sleeps.load(std::memory_order_relaxed); };
  const uint64_t before = sleeps(met.agents.a);
  const uint64_t beforeAlone = sleeps(alone.a) + sleeps(alone.b);
  const int64_t cpu = cpuNs();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  // Two wake-ups for each of the eight signs of life: the sign, and the look for silence.
  EXPECT_LE(sleeps(met.agents.a) - before, 40U);
  EXPECT_LE(sleeps(alone.a) + sleeps(alone.b) - beforeAlone, 4U);
  EXPECT_LT(cpuNs() - cpu, 2 * kSecond / 20);
}

TEST(MockTwoProcesses, TheBytesOfAnotherProcessArriveAndItsDeathIsNoticed) {
  ChildProcess child{kPeer};
  ASSERT_FALSE(child.metadata().empty());
  // Slow enough that the second transfer is under way when the child dies.
  Agents agents({rail("slow", 100'000'000, 0)});
  Engine& a = agents.a;
  uint32_t peer = 0;
  const std::string& blob = child.metadata();
  ASSERT_TRUE(
      a.agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon, &peer).ok());
  ASSERT_TRUE(a.until([&] { return a.connected(peer); }));
  PostRequest request;
  request.path = a.path(0, peer, 0);
  request.operation = KVSEAM_OP_READ;
  const std::vector<uint32_t> ids = shuffledIds(kBlocks, 9);
  request.localList = a.localList(agents.here, kBlock, ids);
  request.remoteList = a.remoteList(peer, "pool", kBlock, ids);
  const uint64_t good = a.mustPost(request);
  ASSERT_TRUE(a.quiesced(good));
  EXPECT_EQ(a.endings[good].outcome.code, KVSEAM_OK);
  std::vector<uint8_t> expected(kBlocks * kBlock);
  fillWithNoise(expected.data(), expected.size(), 7);
  EXPECT_EQ(std::memcmp(a.data(agents.here), expected.data(), expected.size()), 0);

  std::vector<uint64_t> doomed;
  for (int i = 0; i < 50; ++i) doomed.push_back(a.mustPost(a.apart(request)));
  const int64_t from = nowNs();
  child.kill();
  for (const uint64_t transfer : doomed) ASSERT_TRUE(a.quiesced(transfer, 20 * kSecond));
  // 50 MiB at 100 MB/s are half a second: the first few may have arrived, the rest must have ended with the peer.
  int lost = 0;
  for (const uint64_t transfer : doomed) {
    const int32_t code = a.endings[transfer].outcome.code;
    EXPECT_TRUE(code == KVSEAM_OK || code == KVSEAM_PEER_DOWN) << code;
    lost += code == KVSEAM_PEER_DOWN ? 1 : 0;
  }
  EXPECT_GT(lost, 25);
  EXPECT_LT(nowNs() - from, 5 * kSecond);
  ASSERT_TRUE(a.until([&] { return a.agent().peer(peer)->gone; }));
  // The other peer has noticed nothing.
  const uint64_t unharmed = a.mustPost(agents.request(KVSEAM_OP_READ, {1}, {2}));
  ASSERT_TRUE(a.quiesced(unharmed));
  EXPECT_EQ(a.endings[unharmed].outcome.code, KVSEAM_OK);
  uint64_t refused = 0;
  EXPECT_EQ(a.post(request, &refused).code(), KVSEAM_STALE_EPOCH);
  // And metadata of the dead leads nowhere.
  EXPECT_EQ(
      a.agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon, &peer).code(),
      KVSEAM_PEER_DOWN);
}

}  // namespace
}  // namespace kvseam
