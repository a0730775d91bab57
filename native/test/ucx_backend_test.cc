// The UCX backend keeps the contract between two agents of one process, over tcp and over shared memory.
#include <algorithm>
#include <atomic>
#include <thread>

#include "../core/digest.h"
#include "../core/load_guard.h"
#include "ucx_for_test.h"

namespace kvseam {
namespace {

class Ucx : public ::testing::TestWithParam<const char*> {
 protected:
  static std::vector<kvseam_rail> rails() { return {ucxRail("r0", GetParam())}; }
};

INSTANTIATE_TEST_SUITE_P(Over, Ucx, ::testing::Values("tcp/lo", "shm"),
                         [](const auto& it) { return std::string(it.param) == "shm" ? "SharedMemory" : "Tcp"; });

TEST_P(Ucx, BytesArriveWhereTheyShouldAndNowhereElse) {
  for (const uint32_t operation : {KVSEAM_OP_READ, KVSEAM_OP_WRITE}) {
    const bool reading = operation == KVSEAM_OP_READ;
    UcxAgents agents(rails());
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
    const uint64_t transfer = agents.a.mustPost(agents.request(operation, local, remote));
    ASSERT_TRUE(agents.a.quiesced(transfer));
    EXPECT_EQ(agents.a.endings[transfer].outcome.code, KVSEAM_OK);
    EXPECT_EQ(agents.a.endings[transfer].outcome.bytes, 100 * kBlock);
    EXPECT_EQ(std::memcmp(to, expected.data(), expected.size()), 0);
    EXPECT_EQ(std::memcmp(from, source.data(), source.size()), 0);
  }
}

TEST_P(Ucx, ZeroBytesAndOneByteAreTransfersToo) {
  UcxAgents agents(rails());
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
  for (const uint32_t operation : {KVSEAM_OP_WRITE, KVSEAM_OP_READ}) {
    PostRequest request = agents.request(operation, {}, {});
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
}

TEST_P(Ucx, ANotificationComesAfterTheBytesAreVisible) {
  UcxAgents agents(rails());
  for (uint32_t round = 0; round < 50; ++round) {
    fillWithNoise(agents.a.data(agents.here), kBlocks * kBlock, 100 + round);
    PostRequest request = agents.request(KVSEAM_OP_WRITE, shuffledIds(kBlocks, round), shuffledIds(kBlocks, round + 1));
    request.notify = "done " + std::to_string(round);
    const uint64_t transfer = agents.a.mustPost(request);
    ASSERT_TRUE(agents.b.until([&] { return agents.b.events.size() == round + 1; }));
    EXPECT_EQ(agents.b.events.back().data, request.notify);
    EXPECT_EQ(agents.b.events.back().name, "a");
    EXPECT_EQ(agents.b.events.back().incarnation, agents.a.agent().incarnation());
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

TEST_P(Ucx, NotificationsAloneArriveOnceAndInOrder) {
  UcxAgents agents(rails());
  const uint32_t path = agents.a.path(0, agents.peer, 0);
  for (int i = 0; i < 300; ++i) {
    uint64_t transfer = 0;
    ASSERT_TRUE(agents.a.agent().notify(path, "n" + std::to_string(i), nowNs() + kSoon, &transfer).ok());
    agents.a.enter(transfer);
  }
  ASSERT_TRUE(agents.b.until([&] { return agents.b.events.size() >= 300; }));
  for (int i = 0; i < 300; ++i) EXPECT_EQ(agents.b.events[static_cast<size_t>(i)].data, "n" + std::to_string(i));
  for (auto& [transfer, ending] : agents.a.endings) ASSERT_TRUE(agents.a.quiesced(transfer));
  EXPECT_EQ(agents.b.events.size(), 300U);
}

TEST_P(Ucx, AWithdrawnRegionGoesStaleEvenForOldMetadataAndNobodyCrashes) {
  UcxAgents agents(rails());
  const PostRequest request = agents.request(KVSEAM_OP_READ, shuffledIds(kBlocks, 1), shuffledIds(kBlocks, 2));
  ASSERT_TRUE(agents.a.quiesced(agents.a.mustPost(request)));
  std::string old;
  ASSERT_TRUE(agents.b.agent().exportMetadata(&old).ok());
  // Withdrawn with readers under way: each read ends as a success or as stale, and the owner unmaps when they are done.
  std::vector<uint64_t> reads;
  for (int i = 0; i < 50; ++i) reads.push_back(agents.a.mustPost(agents.a.apart(request)));
  ASSERT_TRUE(agents.b.agent().closeRegion(agents.there).ok());
  for (const uint64_t transfer : reads) {
    ASSERT_TRUE(agents.a.quiesced(transfer));
    const int32_t code = agents.a.endings[transfer].outcome.code;
    EXPECT_TRUE(code == KVSEAM_OK || code == KVSEAM_STALE_REGION) << code;
  }
  const auto staleNow = [](Engine& engine, const PostRequest& again) {
    const uint64_t transfer = engine.mustPost(again);
    EXPECT_TRUE(engine.quiesced(transfer));
    EXPECT_TRUE(engine.endings[transfer].outcome.code != KVSEAM_STALE_REGION ||
                engine.endings[transfer].outcome.blame == KVSEAM_BLAME_peer);
    return engine.endings[transfer].outcome.code == KVSEAM_STALE_REGION;
  };
  ASSERT_TRUE(agents.a.until([&] { return staleNow(agents.a, request); }));
  // Somebody who comes with metadata from before the withdrawal is told when they meet.
  Engine late(ucxApi(), "late", agents.book, 3, {}, rails());
  uint32_t peer = 0;
  ASSERT_TRUE(
      late.agent().connect(reinterpret_cast<const uint8_t*>(old.data()), old.size(), nowNs() + kSoon, &peer).ok());
  ASSERT_TRUE(late.until([&] { return late.connected(peer); }));
  PostRequest stale;
  stale.path = late.path(0, peer, 0);
  stale.operation = KVSEAM_OP_READ;
  stale.localList = late.localList(late.allocate(kBlock, "pool"), kBlock, {0});
  stale.remoteList = late.remoteList(peer, "pool", kBlock, {0});
  EXPECT_TRUE(staleNow(late, stale));
  // A region anew under the old name is another region.
  agents.b.allocate(kBlocks * kBlock, "pool");
  EXPECT_TRUE(staleNow(agents.a, request));
  agents.a.connect(agents.b);
  const uint64_t fresh = agents.a.mustPost(agents.request(KVSEAM_OP_READ, {0}, {0}));
  ASSERT_TRUE(agents.a.quiesced(fresh));
  EXPECT_EQ(agents.a.endings[fresh].outcome.code, KVSEAM_OK);
}

TEST_P(Ucx, KeysAreNeverUsedTwice) {
  UcxAgents agents(rails());
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

TEST_P(Ucx, AShortTransferOvertakesALongOne) {
  constexpr uint64_t kBytes = 256 * kUcxMiB;
  UcxAgents agents(rails(), kBytes);
  std::vector<uint64_t> large;
  const PostRequest whole =
      agents.request(KVSEAM_OP_READ, shuffledIds(kBytes / 65536, 1), shuffledIds(kBytes / 65536, 2), 0, 65536);
  const uint64_t parts = 4;
  for (uint64_t i = 0; i < parts; ++i) large.push_back(agents.a.mustPost(agents.a.slice(whole, i, parts)));
  const uint64_t small = agents.a.mustPost(agents.a.apart(agents.request(KVSEAM_OP_READ, {0}, {0})));
  ASSERT_TRUE(agents.a.quiesced(small));
  EXPECT_EQ(agents.a.endings[small].outcome.code, KVSEAM_OK);
  for (const uint64_t transfer : large) ASSERT_TRUE(agents.a.quiesced(transfer));
  int64_t last = 0;
  for (const uint64_t transfer : large) last = std::max(last, agents.a.endings[transfer].outcome.totalNs);
  // Posted last, it is over before the last of them.
  EXPECT_LT(agents.a.endings[small].outcome.totalNs, last);
}

TEST_P(Ucx, CancelQuiescesAndTouchesNothingAfterwards) {
  constexpr uint64_t kBytes = 128 * kUcxMiB;
  for (const uint32_t operation : {KVSEAM_OP_READ, KVSEAM_OP_WRITE}) {
    UcxAgents agents(rails(), kBytes);
    std::vector<uint64_t> transfers;
    const PostRequest request =
        agents.request(operation, shuffledIds(kBytes / 32768, 1), shuffledIds(kBytes / 32768, 2), 0, 32768);
    for (uint64_t i = 0; i < 8; ++i) transfers.push_back(agents.a.mustPost(agents.a.slice(request, i, 8)));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    for (const uint64_t transfer : transfers) ASSERT_TRUE(agents.a.agent().cancel(transfer).ok());
    int cancelled = 0;
    for (const uint64_t transfer : transfers) {
      ASSERT_TRUE(agents.a.quiesced(transfer));
      cancelled += agents.a.endings[transfer].outcome.code == KVSEAM_CANCELLED ? 1 : 0;
      EXPECT_EQ(agents.a.endings[transfer].quarantined, 0);
    }
    EXPECT_GT(cancelled, 0);
    Engine& written = operation == KVSEAM_OP_READ ? agents.a : agents.b;
    uint8_t* const target = written.data(operation == KVSEAM_OP_READ ? agents.here : agents.there);
    const std::vector<uint8_t> then(target, target + kBytes);
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_EQ(std::memcmp(target, then.data(), then.size()), 0);
    EXPECT_TRUE(agents.a.agent().closeRegion(agents.here).ok());
    // The line is still good.
    agents.here = agents.a.allocate(kBlock, "again");
    const uint64_t after = agents.a.mustPost(agents.request(KVSEAM_OP_READ, {0}, {0}));
    ASSERT_TRUE(agents.a.quiesced(after));
    EXPECT_EQ(agents.a.endings[after].outcome.code, KVSEAM_OK);
  }
}

TEST_P(Ucx, AnAgentThatClosesIsAPeerThatIsDownAndOthersNoticeNothing) {
  auto agents = std::make_unique<UcxAgents>(rails());
  Engine third(ucxApi(), "third", agents->book, 3, {}, rails());
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

TEST_P(Ucx, ManyDescriptorsAndMoreThanTwoGibibytesInTotal) {
  constexpr uint32_t kDescriptors = 81'920;
  constexpr uint64_t kSmall = kUcxMiB / 1024;
  UcxAgents agents(rails(), kDescriptors * kSmall);
  PostRequest request =
      agents.request(KVSEAM_OP_WRITE, shuffledIds(kDescriptors, 5), shuffledIds(kDescriptors, 6), 0, kSmall);
  const uint64_t transfer = agents.a.mustPost(request);
  ASSERT_TRUE(agents.a.quiesced(transfer));
  EXPECT_EQ(agents.a.endings[transfer].outcome.code, KVSEAM_OK);
  uint32_t sent = 0;
  uint32_t arrived = 0;
  ASSERT_TRUE(digestOf(**agents.a.agent().list(request.localList), 0, kDescriptors, &sent).ok());
  std::shared_ptr<DescriptorList> list;
  const std::vector<uint32_t> ids = shuffledIds(kDescriptors, 6);
  ASSERT_TRUE(DescriptorList::fromBlocks(*agents.b.agent().region(agents.there), {0, 0, 1, kSmall}, ids.data(),
                                         ids.size(), &list)
                  .ok());
  ASSERT_TRUE(digestOf(*list, 0, kDescriptors, &arrived).ok());
  EXPECT_EQ(sent, arrived);
  const PostRequest back =
      agents.request(KVSEAM_OP_READ, shuffledIds(kDescriptors, 7), shuffledIds(kDescriptors, 8), 0, kSmall);
  const uint64_t scattered = agents.a.mustPost(back);
  ASSERT_TRUE(agents.a.quiesced(scattered));
  EXPECT_EQ(agents.a.endings[scattered].outcome.code, KVSEAM_OK);
  const std::vector<uint32_t> to = shuffledIds(kDescriptors, 7);
  const std::vector<uint32_t> from = shuffledIds(kDescriptors, 8);
  for (uint32_t i = 0; i < kDescriptors; ++i) {
    ASSERT_EQ(std::memcmp(agents.a.data(agents.here) + to[i] * kSmall, agents.b.data(agents.there) + from[i] * kSmall,
                          kSmall),
              0)
        << i;
  }
  // 27 x 80 MiB are more than 2 GiB, except under a sanitizer.
  const PostRequest whole = agents.request(KVSEAM_OP_READ, {0}, {0}, 0, kDescriptors * kSmall);
  uint64_t total = 0;
  for (int i = 0; i < 27; ++i) {
    const uint64_t read = agents.a.mustPost(whole);
    ASSERT_TRUE(agents.a.quiesced(read));
    ASSERT_EQ(agents.a.endings[read].outcome.code, KVSEAM_OK);
    total += agents.a.endings[read].outcome.bytes;
  }
  EXPECT_GT(total, 2048 * kUcxMiB);
  EXPECT_EQ(std::memcmp(agents.a.data(agents.here), agents.b.data(agents.there), kDescriptors * kSmall), 0);
}

TEST(UcxRails, EachIsAPathOfItsOwnAndABusyOneDoesNotStarveAnother) {
  UcxAgents agents({ucxRail("t0", "tcp/lo"), ucxRail("t1", "tcp/lo"), ucxRail("s0", "shm")});
  ASSERT_EQ(agents.a.agent().rails().size(), 3U);
  std::vector<uint64_t> flood;
  const PostRequest whole = agents.request(KVSEAM_OP_READ, shuffledIds(kBlocks, 1), shuffledIds(kBlocks, 2), 0);
  for (int i = 0; i < 128; ++i) flood.push_back(agents.a.mustPost(agents.a.apart(whole)));
  const uint64_t small = agents.a.mustPost(agents.a.apart(agents.request(KVSEAM_OP_READ, {0}, {0}, 1)));
  const uint64_t shared = agents.a.mustPost(agents.request(KVSEAM_OP_WRITE, {1}, {1}, 2));
  for (const uint64_t transfer : flood) ASSERT_TRUE(agents.a.quiesced(transfer));
  int64_t last = 0;
  for (const uint64_t transfer : flood) last = std::max(last, agents.a.endings[transfer].outcome.totalNs);
  for (const uint64_t transfer : {small, shared}) {
    ASSERT_TRUE(agents.a.quiesced(transfer));
    EXPECT_EQ(agents.a.endings[transfer].outcome.code, KVSEAM_OK);
    EXPECT_LT(agents.a.endings[transfer].outcome.totalNs, last / 2);
  }
  // Rails of unlike number may be a path too, where UCX can connect them.
  const uint32_t crossed = agents.a.path(0, agents.peer, 1);
  PostRequest request = agents.request(KVSEAM_OP_READ, {3}, {3});
  request.path = crossed;
  const uint64_t transfer = agents.a.mustPost(request);
  ASSERT_TRUE(agents.a.quiesced(transfer));
  EXPECT_EQ(agents.a.endings[transfer].outcome.code, KVSEAM_OK);
  // And where it cannot, the path is to blame and nothing else.
  request.path = agents.a.path(0, agents.peer, 2);
  const uint64_t impossible = agents.a.mustPost(request);
  ASSERT_TRUE(agents.a.quiesced(impossible));
  EXPECT_NE(agents.a.endings[impossible].outcome.code, KVSEAM_OK);
  EXPECT_EQ(agents.a.endings[impossible].outcome.blame, KVSEAM_BLAME_path);
  EXPECT_FALSE(agents.a.agent().peer(agents.peer)->gone);
}

TEST(UcxRails, WhatIsNotThereIsRefusedWithItsName) {
  for (const char* const device : {"tcp/nosuch0", "nosuch", "tcp/lo;x"}) {
    AgentOptions options;
    options.name = "a";
    options.rails = {ucxRail("odd", device)};
    WakeForTest wake;
    std::unique_ptr<Agent> agent;
    const Status status = Agent::open(ucxApi(), options, newBook(), 1, &wake, &agent);
    EXPECT_EQ(status.code(), KVSEAM_INVALID_ARGUMENT) << device << ": " << status.text();
    EXPECT_NE(status.text().find("odd"), std::string::npos) << status.text();
    EXPECT_NE(status.text().find(device), std::string::npos) << status.text();
  }
}

TEST(UcxLife, ClosesInBoundWithTransfersUnderWayAndGivesMemoryBack) {
  const uint64_t before = Region::liveCount();
  for (const char* const device : {"tcp/lo", "shm"}) {
    UcxAgents agents({ucxRail("r0", device)}, 64 * kUcxMiB);
    constexpr uint32_t kMany = 64 * kUcxMiB / 32768;
    const PostRequest request = agents.request(KVSEAM_OP_READ, shuffledIds(kMany, 1), shuffledIds(kMany, 2), 0, 32768);
    for (uint64_t i = 0; i < 10; ++i) agents.a.mustPost(agents.a.slice(request, i, 10));
    const int64_t from = nowNs();
    ASSERT_TRUE(agents.a.agent().close(2 * kSecond).ok());
    EXPECT_LT(nowNs() - from, 10 * kSecond);
    agents.a.drain();
    for (auto& [transfer, ending] : agents.a.endings) EXPECT_EQ(ending.quiesced, 1);
  }
  EXPECT_EQ(Region::liveCount(), before);
}

TEST(UcxLife, IdleAgentsSleep) {
  UcxAgents agents({ucxRail("t", "tcp/lo"), ucxRail("s", "shm")});
  ASSERT_TRUE(agents.a.quiesced(agents.a.mustPost(agents.request(KVSEAM_OP_READ, {0}, {0}))));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const int64_t before = cpuNs();
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  // Two agents with two rails that ask each other for a sign of life four times a second.
  EXPECT_LT(cpuNs() - before, 100 * kMillisecond);
  const uint64_t again = agents.a.mustPost(agents.request(KVSEAM_OP_READ, {1}, {1}));
  ASSERT_TRUE(agents.a.quiesced(again));
  EXPECT_EQ(agents.a.endings[again].outcome.code, KVSEAM_OK);
}

std::atomic<uint32_t> movedWords{0};

uint32_t pollAndCount(kvseam_backend* self, kvseam_event* out, uint32_t max) {
  const uint32_t count = ucxApi()->poll(self, out, max);
  for (uint32_t i = 0; i < count; ++i) movedWords += out[i].kind == KVSEAM_EVENT_MOVED ? 1 : 0;
  return count;
}

// The peer of a series of reads has no event of its own, and would fall asleep after each if the backend did not say
// so.
TEST(UcxLife, WhoServesReadsIsToldThatSomethingMoved) {
  constexpr uint32_t kReads = 100;
  static const kvseam_backend_api counting = [] {
    kvseam_backend_api api = *ucxApi();
    api.poll = pollAndCount;
    return api;
  }();
  const std::vector<kvseam_rail> rails = {ucxRail("t", "tcp/lo")};
  const std::shared_ptr<PermitBook> book = newBook();
  Engine b(&counting, "b", book, 2, {}, rails);
  Engine a(ucxApi(), "a", book, 1, {}, rails);
  b.allocate(kBlock, "pool");
  const uint64_t here = a.allocate(kBlock, "pool");
  const uint32_t peer = a.connect(b);
  PostRequest request;
  request.path = a.path(0, peer, 0);
  request.operation = KVSEAM_OP_READ;
  request.localList = a.localList(here, kBlock, {0});
  request.remoteList = a.remoteList(peer, "pool", kBlock, {0});
  const uint32_t before = movedWords;
  for (uint32_t i = 0; i < kReads; ++i) ASSERT_TRUE(a.quiesced(a.mustPost(request)));
  // A crowded machine has shown fewer than one a read; without the word there would be none.
  EXPECT_GE(movedWords - before, kReads / 2);
}

TEST(UcxLoad, LeavesSignalsAloneAndSaysWhatItChanged) {
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &before), 0);
  const UcxAgents agents({ucxRail("t", "tcp/lo")});
  struct sigaction after{};
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &after), 0);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
  const LoadReport report = loadReportOf("ucx");
  EXPECT_NE(report.file.find("kvseam_ucx.so"), std::string::npos);
  EXPECT_TRUE(twinLibraries().empty());
}

}  // namespace
}  // namespace kvseam
