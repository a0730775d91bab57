// The UCX backend between processes: death, freezing, rebirth of a peer. The child is this very program, told to run
// one disabled test.
#include <cstdlib>

#include "child_for_test.h"
#include "ucx_for_test.h"

namespace kvseam {
namespace {

constexpr const char* kDevices = "KVSEAM_TEST_DEVICES";
constexpr const char* kName = "KVSEAM_TEST_NAME";
constexpr uint64_t kPoolBytes = 64 * kUcxMiB;
constexpr uint64_t kChildBlock = 32768;
constexpr uint32_t kChildBlocks = kPoolBytes / kChildBlock;

std::vector<kvseam_rail> railsOf(const std::string& devices) {
  std::vector<kvseam_rail> rails;
  for (size_t from = 0; from < devices.size();) {
    const size_t end = std::min(devices.find('+', from), devices.size());
    rails.push_back(ucxRail(("r" + std::to_string(rails.size())).c_str(), devices.substr(from, end - from).c_str()));
    from = end + 1;
  }
  return rails;
}

TEST(UcxPeerProcess, DISABLED_OffersItsPoolUntilItIsKilled) {
  const char* const devices = std::getenv(kDevices);
  const char* const name = std::getenv(kName);
  ASSERT_NE(devices, nullptr);
  ASSERT_NE(name, nullptr);
  Engine peer(ucxApi(), name, newBook(), 1, {}, railsOf(devices));
  const uint64_t region = peer.allocate(kPoolBytes, "pool");
  fillWithNoise(peer.data(region), kPoolBytes, 7);
  offerUntilKilled(&peer);
}

struct Child : ChildProcess {
  explicit Child(const std::string& devices, const std::string& name = "child")
      : ChildProcess("UcxPeerProcess.*", {std::string(kDevices) + "=" + devices, std::string(kName) + "=" + name}) {}
};

/** An agent here with memory for a whole pool. */
struct Reader {
  explicit Reader(const std::string& devices) : engine(ucxApi(), "reader", newBook(), 1, {}, railsOf(devices)) {
    here = engine.allocate(kPoolBytes, "pool");
  }
  uint32_t meet(const Child& child) {
    uint32_t peer = 0;
    const std::string& blob = child.metadata();
    const Status status =
        engine.agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon, &peer);
    EXPECT_TRUE(status.ok()) << status.text();
    EXPECT_TRUE(engine.until([&] { return engine.connected(peer); }));
    return peer;
  }
  PostRequest request(uint32_t peer, uint32_t operation, uint32_t blocks = kChildBlocks, uint32_t rail = 0) {
    PostRequest out;
    out.path = engine.path(rail, peer, rail);
    out.operation = operation;
    std::vector<uint32_t> ids = shuffledIds(kChildBlocks, 9);
    ids.resize(blocks);
    out.localList = engine.localList(here, kChildBlock, ids);
    out.remoteList = engine.remoteList(peer, "pool", kChildBlock, ids);
    return out;
  }
  int32_t outcome(const PostRequest& posted) {
    const uint64_t transfer = engine.mustPost(posted);
    EXPECT_TRUE(engine.quiesced(transfer));
    return engine.endings[transfer].outcome.code;
  }
  bool gone(uint32_t peer) {
    return engine.until([&] { return engine.agent().peer(peer)->gone; });
  }
  Engine engine;
  uint64_t here = 0;
};

class UcxProcesses : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Over, UcxProcesses, ::testing::Values("tcp/lo", "shm"),
                         [](const auto& it) { return std::string(it.param) == "shm" ? "SharedMemory" : "Tcp"; });

TEST_P(UcxProcesses, TheBytesArriveAndDeathHurtsOnlyTheDeadAndTheRebornIsAnother) {
  Child doomed(GetParam());
  const Child steady(GetParam(), "steady");
  ASSERT_FALSE(doomed.metadata().empty());
  ASSERT_FALSE(steady.metadata().empty());
  Reader reader(GetParam());
  const uint32_t peer = reader.meet(doomed);
  const uint32_t unharmed = reader.meet(steady);
  const PostRequest read = reader.request(peer, KVSEAM_OP_READ);
  EXPECT_EQ(reader.outcome(read), KVSEAM_OK);
  std::vector<uint8_t> expected(kPoolBytes);
  fillWithNoise(expected.data(), expected.size(), 7);
  EXPECT_EQ(std::memcmp(reader.engine.data(reader.here), expected.data(), expected.size()), 0);

  std::vector<uint64_t> doomedTransfers;
  std::vector<uint64_t> steadyTransfers;
  const PostRequest write = reader.request(peer, KVSEAM_OP_WRITE);
  const PostRequest onward = reader.request(unharmed, KVSEAM_OP_WRITE);
  for (uint64_t i = 0; i < 40; ++i) {
    doomedTransfers.push_back(reader.engine.mustPost(reader.engine.slice(i % 2 == 0 ? read : write, i / 2, 20)));
    if (i % 4 == 0) steadyTransfers.push_back(reader.engine.mustPost(reader.engine.slice(onward, i / 4, 10)));
  }
  const int64_t from = nowNs();
  doomed.kill();
  ASSERT_TRUE(reader.gone(peer));
  int lost = 0;
  for (const uint64_t transfer : doomedTransfers) {
    ASSERT_TRUE(reader.engine.quiesced(transfer, 20 * kSecond));
    const int32_t code = reader.engine.endings[transfer].outcome.code;
    EXPECT_TRUE(code == KVSEAM_OK || code == KVSEAM_PEER_DOWN) << code;
    EXPECT_TRUE(code == KVSEAM_OK || reader.engine.endings[transfer].outcome.blame == KVSEAM_BLAME_peer);
    lost += code == KVSEAM_PEER_DOWN ? 1 : 0;
  }
  EXPECT_GT(lost, 0);
  EXPECT_LT(nowNs() - from, 8 * kSecond);
  uint64_t refused = 0;
  EXPECT_EQ(reader.engine.post(read, &refused).code(), KVSEAM_STALE_EPOCH);
  // What was under way to the other peer of the same agent arrives, and so does what comes now.
  for (const uint64_t transfer : steadyTransfers) {
    ASSERT_TRUE(reader.engine.quiesced(transfer));
    ASSERT_EQ(reader.engine.endings[transfer].outcome.code, KVSEAM_OK) << "alive: " << steady.alive();
  }
  EXPECT_EQ(reader.outcome(reader.request(unharmed, KVSEAM_OP_READ, 4)), KVSEAM_OK);
  EXPECT_FALSE(reader.engine.agent().peer(unharmed)->gone);

  // Metadata of the dead leads nowhere, in bound.
  uint32_t ghost = 0;
  const std::string& blob = doomed.metadata();
  if (reader.engine.agent()
          .connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + 5 * kSecond, &ghost)
          .ok()) {
    ASSERT_TRUE(reader.gone(ghost));
  }
  const Child reborn(GetParam());
  const uint32_t again = reader.meet(reborn);
  EXPECT_EQ(reader.outcome(reader.request(again, KVSEAM_OP_READ)), KVSEAM_OK);
}

TEST_P(UcxProcesses, AFrozenPeerIsNoticedAndCanBeMetAgainWhenItThaws) {
  const Child child(GetParam());
  Reader reader(GetParam());
  const uint32_t peer = reader.meet(child);
  const PostRequest write = reader.request(peer, KVSEAM_OP_WRITE);
  EXPECT_EQ(reader.outcome(write), KVSEAM_OK);
  child.freeze();
  const int64_t from = nowNs();
  std::vector<uint64_t> stuck;
  for (uint64_t i = 0; i < 4; ++i) stuck.push_back(reader.engine.mustPost(reader.engine.slice(write, i, 4)));
  ASSERT_TRUE(reader.gone(peer));
  // 1.75 s of silence and one ping; the rest is patience with a loaded machine.
  EXPECT_LT(nowNs() - from, 6 * kSecond);
  for (const uint64_t transfer : stuck) {
    ASSERT_TRUE(reader.engine.quiesced(transfer));
    // Puts into directly mapped memory "succeed" although nobody is there; only an answer counts.
    EXPECT_EQ(reader.engine.endings[transfer].outcome.code, KVSEAM_PEER_DOWN);
    EXPECT_EQ(reader.engine.endings[transfer].quarantined, 0);
  }
  EXPECT_TRUE(reader.engine.agent().closeRegion(reader.here).ok());
  child.thaw();
  reader.here = reader.engine.allocate(kPoolBytes, "again");
  const uint32_t again = reader.meet(child);
  EXPECT_NE(again, peer);
  EXPECT_EQ(reader.outcome(reader.request(again, KVSEAM_OP_READ)), KVSEAM_OK);
  EXPECT_TRUE(child.alive());
}

TEST_P(UcxProcesses, AShortFreezeIsOnlyADelay) {
  const Child child(GetParam());
  Reader reader(GetParam());
  const uint32_t peer = reader.meet(child);
  child.freeze();
  const uint64_t transfer = reader.engine.mustPost(reader.request(peer, KVSEAM_OP_WRITE, 64));
  usleep(300'000);
  child.thaw();
  ASSERT_TRUE(reader.engine.quiesced(transfer));
  EXPECT_EQ(reader.engine.endings[transfer].outcome.code, KVSEAM_OK);
  EXPECT_FALSE(reader.engine.agent().peer(peer)->gone);
}

TEST_P(UcxProcesses, ADeadlineAgainstAFrozenPeerSettlesAndQuiesces) {
  const Child child(GetParam());
  Reader reader(GetParam());
  const uint32_t peer = reader.meet(child);
  EXPECT_EQ(reader.outcome(reader.request(peer, KVSEAM_OP_WRITE, 4)), KVSEAM_OK);
  child.freeze();
  PostRequest write = reader.request(peer, KVSEAM_OP_WRITE);
  write.deadlineNs = nowNs() + 200 * kMillisecond;
  const uint64_t transfer = reader.engine.mustPost(write);
  ASSERT_TRUE(reader.engine.quiesced(transfer));
  EXPECT_EQ(reader.engine.endings[transfer].outcome.code, KVSEAM_TIMEOUT);
  EXPECT_EQ(reader.engine.endings[transfer].outcome.blame, KVSEAM_BLAME_path);
  child.thaw();
}

TEST(UcxProcessesMixed, DeathIsBlamedOnThePeerOnEveryRail) {
  Child child("tcp/lo+shm");
  Reader reader("tcp/lo+shm");
  const uint32_t peer = reader.meet(child);
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < 20; ++i) {
    const PostRequest whole = reader.request(peer, KVSEAM_OP_WRITE, kChildBlocks, i % 2);
    transfers.push_back(reader.engine.mustPost(reader.engine.slice(whole, i, 20)));
  }
  child.kill();
  ASSERT_TRUE(reader.gone(peer));
  for (const uint64_t transfer : transfers) {
    ASSERT_TRUE(reader.engine.quiesced(transfer, 20 * kSecond));
    const Ending& ending = reader.engine.endings[transfer];
    // Over tcp it is known within milliseconds that something broke; that it was the peer shows when shared memory is
    // silent too.
    EXPECT_TRUE(ending.outcome.code == KVSEAM_OK || ending.outcome.code == KVSEAM_PEER_DOWN) << ending.outcome.code;
    EXPECT_NE(ending.outcome.blame, KVSEAM_BLAME_path);
  }
}

}  // namespace
}  // namespace kvseam
