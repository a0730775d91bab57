// The mock moves real bytes between real regions of one process, under its model of rate and latency.
#include <sys/mman.h>

#include <thread>

#include "../core/digest.h"
#include "mock_for_test.h"

namespace kvseam {
namespace {

class MockBytes : public ::testing::TestWithParam<uint32_t> {};

TEST_P(MockBytes, ArriveWhereTheyShouldAndNowhereElse) {
  const bool reading = GetParam() == KVSEAM_OP_READ;
  Agents agents;
  std::vector<uint32_t> local = shuffledIds(kBlocks, 3);
  std::vector<uint32_t> remote = shuffledIds(kBlocks, 4);
  local.resize(100);
  remote.resize(100);
  uint8_t* const from = reading ? agents.b.data(agents.there) : agents.a.data(agents.here);
  uint8_t* const to = reading ? agents.a.data(agents.here) : agents.b.data(agents.there);
  const std::vector<uint8_t> source(from, from + kBlocks * kBlock);
  std::vector<uint8_t> expected(to, to + kBlocks * kBlock);
  for (size_t i = 0; i < local.size(); ++i) {
    const uint32_t in = reading ? remote[i] : local[i];
    const uint32_t out = reading ? local[i] : remote[i];
    std::memcpy(expected.data() + out * kBlock, source.data() + in * kBlock, kBlock);
  }
  const uint64_t transfer = agents.a.mustPost(agents.request(GetParam(), local, remote));
  ASSERT_TRUE(agents.a.quiesced(transfer));
  EXPECT_EQ(agents.a.endings[transfer].outcome.code, KVSEAM_OK);
  EXPECT_EQ(agents.a.endings[transfer].outcome.bytes, 100 * kBlock);
  EXPECT_EQ(std::memcmp(to, expected.data(), expected.size()), 0);
  EXPECT_EQ(std::memcmp(from, source.data(), source.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(BothWays, MockBytes, ::testing::Values(KVSEAM_OP_READ, KVSEAM_OP_WRITE),
                         [](const auto& it) { return it.param == KVSEAM_OP_READ ? "Read" : "Write"; });

TEST(Mock, ZeroBytesAndOneByteAreTransfersToo) {
  Agents agents;
  const double offsets[] = {7, 100};
  const double lengths[] = {1, 0};
  std::shared_ptr<DescriptorList> list;
  uint64_t local = 0;
  uint64_t remote = 0;
  ASSERT_TRUE(DescriptorList::fromRuns(*agents.a.agent().region(agents.here), offsets, lengths, 2, &list).ok());
  ASSERT_TRUE(agents.a.agent().addList(list, &local).ok());
  ASSERT_TRUE(
      DescriptorList::fromRuns(agents.a.agent().remoteRegion(agents.peer, "pool"), offsets, lengths, 2, &list).ok());
  ASSERT_TRUE(agents.a.agent().addList(list, &remote).ok());
  PostRequest request = agents.request(KVSEAM_OP_READ, {}, {});
  const uint64_t nothing = agents.a.mustPost(request);
  ASSERT_TRUE(agents.a.quiesced(nothing));
  EXPECT_EQ(agents.a.endings[nothing].outcome.code, KVSEAM_OK);
  EXPECT_EQ(agents.a.endings[nothing].outcome.bytes, 0U);
  request.localList = local;
  request.remoteList = remote;
  const uint64_t one = agents.a.mustPost(request);
  ASSERT_TRUE(agents.a.quiesced(one));
  EXPECT_EQ(agents.a.endings[one].outcome.bytes, 1U);
  EXPECT_EQ(agents.a.data(agents.here)[7], agents.b.data(agents.there)[7]);
}

TEST(Mock, AWithdrawnRegionIsStaleAndItsMemoryComesBack) {
  Agents agents;
  const PostRequest request = agents.request(KVSEAM_OP_READ, {0, 1}, {0, 1});
  ASSERT_TRUE(agents.a.quiesced(agents.a.mustPost(request)));
  const std::vector<uint8_t> before(agents.a.data(agents.here), agents.a.data(agents.here) + kBlocks * kBlock);
  // The reader's mapping of it is still there, and must not hold the pages.
  const auto imported = agents.a.agent().remoteRegion(agents.peer, "pool");
  ASSERT_TRUE(agents.b.agent().closeRegion(agents.there).ok());
  const uint64_t stale = agents.a.mustPost(request);
  ASSERT_TRUE(agents.a.quiesced(stale));
  EXPECT_EQ(agents.a.endings[stale].outcome.code, KVSEAM_STALE_REGION);
  EXPECT_EQ(agents.a.endings[stale].outcome.blame, KVSEAM_BLAME_peer);
  EXPECT_EQ(std::memcmp(agents.a.data(agents.here), before.data(), before.size()), 0);
  auto* const pages = static_cast<uint8_t*>(imported->backendMemory().address);
  unsigned char resident[kBlocks];
  ASSERT_EQ(mincore(pages, kBlocks * kBlock, resident), 0);
  EXPECT_EQ(std::count_if(resident, resident + kBlocks, [](unsigned char page) { return (page & 1) != 0; }), 0);
  // Written anew under the old name, it is another region: the old lists stay stale.
  agents.b.allocate(kBlocks * kBlock, "pool");
  const uint64_t still = agents.a.mustPost(request);
  ASSERT_TRUE(agents.a.quiesced(still));
  EXPECT_EQ(agents.a.endings[still].outcome.code, KVSEAM_STALE_REGION);
  agents.a.connect(agents.b);
  const uint64_t fresh = agents.a.mustPost(agents.request(KVSEAM_OP_READ, {0}, {0}));
  ASSERT_TRUE(agents.a.quiesced(fresh));
  EXPECT_EQ(agents.a.endings[fresh].outcome.code, KVSEAM_OK);
}

TEST(Mock, KeysAreNeverUsedTwice) {
  Agents agents;
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) {
    const uint64_t region = agents.b.allocate(64, "again");
    std::string key;
    ASSERT_TRUE((*agents.b.agent().region(region))->exportKey(&key).ok());
    EXPECT_EQ(std::count(keys.begin(), keys.end(), key), 0);
    keys.push_back(key);
    ASSERT_TRUE(agents.b.agent().closeRegion(region).ok());
  }
}

TEST(Mock, ANotificationComesAfterTheBytesAreVisible) {
  Agents agents;
  for (uint32_t round = 0; round < 50; ++round) {
    fillWithNoise(agents.a.data(agents.here), kBlocks * kBlock, 100 + round);
    PostRequest request = agents.request(KVSEAM_OP_WRITE, shuffledIds(kBlocks, round), shuffledIds(kBlocks, round + 1));
    request.notify = "done " + std::to_string(round);
    const uint64_t transfer = agents.a.mustPost(request);
    ASSERT_TRUE(agents.b.until([&] { return agents.b.events.size() == round + 1; }));
    EXPECT_EQ(agents.b.events.back().data, request.notify);
    EXPECT_EQ(agents.b.events.back().name, "a");
    uint32_t sent = 0;
    uint32_t arrived = 0;
    ASSERT_TRUE(digestOf(**agents.a.agent().list(request.localList), 0, kBlocks, &sent).ok());
    std::shared_ptr<DescriptorList> list;
    const std::vector<uint32_t> ids = shuffledIds(kBlocks, round + 1);
    ASSERT_TRUE(DescriptorList::fromBlocks(*agents.b.agent().region(agents.there), {0, 0, 1, kBlock}, ids.data(),
                                           ids.size(), &list)
                    .ok());
    ASSERT_TRUE(digestOf(*list, 0, kBlocks, &arrived).ok());
    EXPECT_EQ(sent, arrived);
    ASSERT_TRUE(agents.a.quiesced(transfer));
  }
}

TEST(Mock, PromisesNoOrderAShortTransferOvertakesALongOne) {
  // A modelled rate, so that the long one is sure to be under way when the short one comes.
  Agents agents({rail("slow", 4'000'000, 0)});
  const uint64_t large =
      agents.a.mustPost(agents.request(KVSEAM_OP_READ, shuffledIds(kBlocks, 1), shuffledIds(kBlocks, 2)));
  const uint64_t small = agents.a.mustPost(agents.a.apart(agents.request(KVSEAM_OP_READ, {0}, {0})));
  ASSERT_TRUE(agents.a.quiesced(small));
  EXPECT_EQ(agents.a.endings[large].settled, 0);
  ASSERT_TRUE(agents.a.quiesced(large));
}

TEST(Mock, ABusyRailDoesNotStarveAnother) {
  Agents agents;
  std::vector<uint64_t> flood;
  PostRequest whole = agents.request(KVSEAM_OP_READ, shuffledIds(kBlocks, 1), shuffledIds(kBlocks, 2), 0);
  for (int i = 0; i < 128; ++i) flood.push_back(agents.a.mustPost(agents.a.apart(whole)));
  const uint64_t small = agents.a.mustPost(agents.a.apart(agents.request(KVSEAM_OP_READ, {0}, {0}, 1)));
  ASSERT_TRUE(agents.a.quiesced(flood.back()));
  for (const uint64_t transfer : flood) ASSERT_TRUE(agents.a.quiesced(transfer));
  ASSERT_TRUE(agents.a.quiesced(small));
  // 128 MiB were queued before it, and it is a single page on a rail of its own. Starved, it would come last.
  int64_t last = 0;
  for (const uint64_t transfer : flood) last = std::max(last, agents.a.endings[transfer].outcome.totalNs);
  EXPECT_LT(agents.a.endings[small].outcome.totalNs, last / 10 * 9);
}

TEST(Mock, KeepsToItsRateAndLatency) {
  constexpr int64_t kLatency = 5 * kMillisecond;
  Agents agents({rail("paced", 20'000'000, kLatency / 2)});
  const uint64_t page = agents.a.mustPost(agents.request(KVSEAM_OP_READ, {0}, {0}));
  ASSERT_TRUE(agents.a.quiesced(page));
  EXPECT_GE(agents.a.endings[page].outcome.wireNs, kLatency);
  EXPECT_LT(agents.a.endings[page].outcome.wireNs, kLatency + 500 * kMillisecond);
  // 1 MiB at 20 MB/s is 52 ms.
  const uint64_t pool =
      agents.a.mustPost(agents.request(KVSEAM_OP_READ, shuffledIds(kBlocks, 1), shuffledIds(kBlocks, 2)));
  ASSERT_TRUE(agents.a.quiesced(pool));
  EXPECT_GE(agents.a.endings[pool].outcome.wireNs, kLatency + 52 * kMillisecond);
  EXPECT_LT(agents.a.endings[pool].outcome.wireNs, kLatency + 52 * kMillisecond + kSecond);
}

TEST(Mock, CancelStopsAPacedTransferAndTouchesNothingAfterwards) {
  Agents agents({rail("slow", 2'000'000, 0)});
  const uint64_t transfer =
      agents.a.mustPost(agents.request(KVSEAM_OP_READ, shuffledIds(kBlocks, 1), shuffledIds(kBlocks, 2)));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(agents.a.agent().cancel(transfer).ok());
  ASSERT_TRUE(agents.a.quiesced(transfer));
  EXPECT_EQ(agents.a.endings[transfer].outcome.code, KVSEAM_CANCELLED);
  const std::vector<uint8_t> then(agents.a.data(agents.here), agents.a.data(agents.here) + kBlocks * kBlock);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(std::memcmp(agents.a.data(agents.here), then.data(), then.size()), 0);
  EXPECT_TRUE(agents.a.agent().closeRegion(agents.here).ok());
}

TEST(Mock, AnAgentThatClosesIsAPeerThatIsDown) {
  auto agents = std::make_unique<Agents>();
  Engine third(mock::api(), "third", agents->book, 3);
  const uint32_t closing = third.connect(agents->a);
  const uint32_t staying = third.connect(agents->b);
  const uint64_t region = third.allocate(kBlock, "pool");
  ASSERT_TRUE(agents->a.agent().close(kSecond).ok());
  ASSERT_TRUE(third.until([&] { return third.agent().peer(closing)->gone; }));
  EXPECT_FALSE(third.agent().peer(staying)->gone);
  PostRequest request;
  request.path = third.path(0, staying, 0);
  request.operation = KVSEAM_OP_READ;
  request.localList = third.localList(region, kBlock, {0});
  request.remoteList = third.remoteList(staying, "pool", kBlock, {5});
  const uint64_t transfer = third.mustPost(request);
  ASSERT_TRUE(third.quiesced(transfer));
  EXPECT_EQ(third.endings[transfer].outcome.code, KVSEAM_OK);
  EXPECT_EQ(std::memcmp(third.data(region), agents->b.data(agents->there) + 5 * kBlock, kBlock), 0);
}

TEST(Mock, RefusesForgedAddressesAndKeys) {
  Agents agents;
  std::string blob;
  ASSERT_TRUE(agents.b.agent().exportMetadata(&blob).ok());
  Metadata honest;
  ASSERT_TRUE(Metadata::read(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), &honest).ok());
  const auto connect = [&](Metadata forged) {
    forged.incarnation ^= 1;  // a new life, so that everything is imported again
    std::string bytes;
    EXPECT_TRUE(forged.write(&bytes).ok());
    uint32_t peer = 0;
    return agents.a.agent()
        .connect(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), nowNs() + kSecond, &peer)
        .code();
  };
  for (size_t at = 0; at < honest.address.size() + 1; ++at) {
    Metadata forged = honest;
    forged.address.resize(at);
    if (at != honest.address.size()) {
      EXPECT_EQ(connect(forged), KVSEAM_METADATA_INVALID) << at;
    }
  }
  std::mt19937 random(31);
  for (int i = 0; i < 300; ++i) {
    Metadata forged = honest;
    std::string& key = forged.regions[0].key;
    key[random() % key.size()] = static_cast<char>(random());
    if (i % 3 == 0) forged.regions[0].bytes += 1 + random() % 100'000;
    if (i % 5 == 0) key.resize(random() % key.size());
    const Code code = connect(forged);
    if (forged.regions[0].key == honest.regions[0].key && forged.regions[0].bytes == honest.regions[0].bytes) continue;
    // Either refused at once, or the ledger knows no such region and a transfer would be stale; never a crash.
    EXPECT_TRUE(code == KVSEAM_OK || code == KVSEAM_METADATA_INVALID || code == KVSEAM_STALE_REGION ||
                code == KVSEAM_PEER_DOWN || code == KVSEAM_REGISTRATION_FAILED)
        << code;
  }
}

}  // namespace
}  // namespace kvseam
