// Who may write which bytes, and for how long: at the level of lists, and through an agent whose backend misbehaves.
#include "../core/write_claims.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "engine_for_test.h"
#include "fake_backend.h"
#include "memory_for_test.h"

namespace kvseam {
namespace {

using List = std::shared_ptr<DescriptorList>;

List blocks(const std::shared_ptr<Memory>& memory, uint64_t blockBytes, const std::vector<uint32_t>& ids) {
  List list;
  const Status status = DescriptorList::fromBlocks(memory, {0, 0, 1, blockBytes}, ids.data(), ids.size(), &list);
  EXPECT_TRUE(status.ok()) << status.text();
  return list;
}

List runs(const std::shared_ptr<Memory>& memory, const std::vector<double>& offsets,
          const std::vector<double>& lengths) {
  List list;
  const Status status = DescriptorList::fromRuns(memory, offsets.data(), lengths.data(), offsets.size(), &list);
  EXPECT_TRUE(status.ok()) << status.text();
  return list;
}

Status claim(const List& list) { return WriteClaims::claim(*list, 0, list->count()); }
void release(const List& list) { WriteClaims::release(*list, 0, list->count()); }

TEST(WriteClaims, AreRefusedToASecondListAndFreeAgainAfterTheFirst) {
  const auto memory = std::make_shared<MemoryForTest>(1 << 20, MemoryForTest::kNotHere);
  const List first = blocks(memory, 4096, {3, 9, 4});
  const List second = blocks(memory, 4096, {7, 4});
  ASSERT_TRUE(claim(first).ok());
  const Status refused = claim(second);
  EXPECT_EQ(refused.code(), KVSEAM_REGION_BUSY);
  EXPECT_EQ(refused.blame(), KVSEAM_BLAME_local);
  EXPECT_NE(refused.text().find("offset 16384 of region 'memory'"), std::string::npos) << refused.text();
  EXPECT_NE(refused.text().find("quiesced"), std::string::npos);
  EXPECT_EQ(memory->claims().transfers(), 1U);
  // The refused one left nothing: its other block is free.
  const List seventh = blocks(memory, 4096, {7});
  ASSERT_TRUE(claim(seventh).ok());
  release(first);
  release(seventh);
  EXPECT_FALSE(memory->claims().marked(0, 1 << 20));
  ASSERT_TRUE(claim(second).ok());
  release(second);
  EXPECT_EQ(memory->claims().transfers(), 0U);
}

TEST(WriteClaims, AreExactToTheByteWhateverTheAlignment) {
  const uint64_t gib = uint64_t{1} << 30;  // large, so that single bytes are finer than its finest granule
  const auto memory = std::make_shared<MemoryForTest>(gib, MemoryForTest::kNotHere);
  const List page = runs(memory, {4096}, {4096});
  const List before = runs(memory, {4000}, {96});
  const List after = runs(memory, {8192}, {1});
  const List later = runs(memory, {8193, 8195}, {1, 3});
  for (const List& list : {page, before, after, later}) ASSERT_TRUE(claim(list).ok());
  const struct {
    double offset;
    double bytes;
    const char* at;
  } taken[] = {{4095, 1, "offset 4095 "},   {4095, 2, "offset 4095 "}, {0, 4001, "offset 4000 "},
               {8191, 1, "offset 8191 "},   {8191, 5, "offset 8191 "}, {8194, 2, "offset 8195 "},
               {8197, 900, "offset 8197 "}, {0, 65536, "offset 4000 "}};
  for (const auto& [offset, bytes, at] : taken) {
    const Status refused = claim(runs(memory, {offset}, {bytes}));
    EXPECT_EQ(refused.code(), KVSEAM_REGION_BUSY);
    EXPECT_NE(refused.text().find(at), std::string::npos) << refused.text();
  }
  const List between = runs(memory, {8194, 8198, 3999}, {1, 4096, 1});
  EXPECT_TRUE(claim(between).ok());
  for (const List& list : {between, page, later, before, after}) release(list);
  EXPECT_FALSE(memory->claims().marked(0, gib));
}

TEST(WriteClaims, FinerListsAreToldFromCoarserOnesThatAreStillHeld) {
  const auto memory = std::make_shared<MemoryForTest>(8 << 20, MemoryForTest::kNotHere);
  const List mebibyte = blocks(memory, 1 << 20, {1, 3});
  ASSERT_TRUE(claim(mebibyte).ok());
  const List page = blocks(memory, 4096, {255});
  const List line = runs(memory, {4 << 20}, {64});
  ASSERT_TRUE(claim(page).ok());
  ASSERT_TRUE(claim(line).ok());
  EXPECT_EQ(claim(blocks(memory, 4096, {256})).code(), KVSEAM_REGION_BUSY);
  EXPECT_EQ(claim(runs(memory, {(4 << 20) - 1}, {1})).code(), KVSEAM_REGION_BUSY);
  EXPECT_EQ(claim(blocks(memory, 1 << 20, {4})).code(), KVSEAM_REGION_BUSY);
  release(mebibyte);
  const List first = blocks(memory, 1 << 20, {1, 3});
  EXPECT_TRUE(claim(first).ok());
  for (const List& list : {first, page, line}) release(list);
  EXPECT_FALSE(memory->claims().marked(0, 8 << 20));
}

TEST(WriteClaims, AListThatNamesAByteTwiceIsRefusedForGoodAndAloneToo) {
  const auto memory = std::make_shared<MemoryForTest>(1 << 20, MemoryForTest::kNotHere);
  for (const List& list :
       {blocks(memory, 4096, {5, 1, 5}), runs(memory, {0, 4000}, {4001, 50}), runs(memory, {100, 0}, {10, 101})}) {
    for (int i = 0; i < 2; ++i) {
      const Status refused = claim(list);
      EXPECT_EQ(refused.code(), KVSEAM_INVALID_DESCRIPTOR) << "waiting would not mend it";
      EXPECT_NE(refused.text().find("twice"), std::string::npos) << refused.text();
    }
    EXPECT_FALSE(memory->claims().marked(0, 1 << 20));
    EXPECT_EQ(memory->claims().transfers(), 0U);
  }
  // A part of it that is distinct may be written.
  const List list = blocks(memory, 4096, {5, 1, 5});
  ASSERT_TRUE(WriteClaims::claim(*list, 0, 2).ok());
  EXPECT_EQ(WriteClaims::claim(*list, 1, 2).code(), KVSEAM_REGION_BUSY);
  WriteClaims::release(*list, 0, 2);
}

TEST(WriteClaims, NothingClaimsNothing) {
  const auto memory = std::make_shared<MemoryForTest>(1 << 20, MemoryForTest::kNotHere);
  const List nothing = runs(memory, {0, 0, 7}, {0, 0, 0});
  const List all = runs(memory, {0}, {1 << 20});
  ASSERT_TRUE(claim(nothing).ok());
  ASSERT_TRUE(claim(all).ok());
  ASSERT_TRUE(claim(nothing).ok());
  release(nothing);
  release(all);
  release(nothing);
  EXPECT_EQ(memory->claims().transfers(), 0U);
  EXPECT_FALSE(memory->claims().marked(0, 1 << 20));
}

TEST(WriteClaims, OfSeveralRegionsAreTakenTogetherOrNotAtAll) {
  const auto one = std::make_shared<MemoryForTest>(1 << 20, MemoryForTest::kNotHere);
  const auto two = std::make_shared<MemoryForTest>(1 << 20, MemoryForTest::kNotHere);
  List both;
  ASSERT_TRUE(DescriptorList::join({blocks(one, 4096, {1, 2}), blocks(two, 4096, {1, 2})}, &both).ok());
  const List held = blocks(two, 4096, {2});
  ASSERT_TRUE(claim(held).ok());
  EXPECT_EQ(claim(both).code(), KVSEAM_REGION_BUSY);
  EXPECT_EQ(one->claims().transfers(), 0U);
  EXPECT_FALSE(one->claims().marked(0, 1 << 20));
  release(held);
  ASSERT_TRUE(claim(both).ok());
  EXPECT_EQ(claim(blocks(one, 4096, {1})).code(), KVSEAM_REGION_BUSY);
  EXPECT_EQ(claim(held).code(), KVSEAM_REGION_BUSY);
  const List other = blocks(one, 4096, {3});
  EXPECT_TRUE(claim(other).ok());
  release(both);
  release(other);
  EXPECT_FALSE(one->claims().marked(0, 1 << 20));
  EXPECT_FALSE(two->claims().marked(0, 1 << 20));
}

// A list that was found to name no byte twice is only noted while it is alone; whoever comes next still meets it.
TEST(WriteClaims, ALoneListIsNotMarkedButHeld) {
  const auto memory = std::make_shared<MemoryForTest>(1 << 20, MemoryForTest::kNotHere);
  const List list = blocks(memory, 64, {9, 2, 5, 700});
  ASSERT_TRUE(claim(list).ok());
  EXPECT_TRUE(list->knownDistinct());
  release(list);
  ASSERT_TRUE(claim(list).ok());
  EXPECT_FALSE(memory->claims().marked(0, 1 << 20));
  EXPECT_EQ(claim(list).code(), KVSEAM_REGION_BUSY);
  EXPECT_EQ(claim(blocks(memory, 64, {700})).code(), KVSEAM_REGION_BUSY);
  EXPECT_TRUE(memory->claims().marked(0, 1 << 20));
  release(list);
  EXPECT_FALSE(memory->claims().marked(0, 1 << 20));
  EXPECT_EQ(memory->claims().transfers(), 0U);
}

constexpr uint64_t kBlock = 64;
constexpr uint64_t kBlocks = 1200;

/** Reader and owner over the fake; `fake` is the reader's, which completes nothing unless told. */
class ClaimsOfAnAgent : public ::testing::Test {
 protected:
  void SetUp() override {
    owner_ = std::make_unique<Engine>(FakeBackend::api(), "owner", book_, 2);
    owner_->allocate(kBlocks * kBlock, "pool");
    owner_->allocate(kBlocks * kBlock, "second");
    reader_ = std::make_unique<Engine>(FakeBackend::api(), "reader", book_, 1);
    fake_ = FakeBackend::latest();
    fake_->completeAtOnce(false);
    target_ = reader_->allocate(kBlocks * kBlock, "pool");
    second_ = reader_->allocate(kBlocks * kBlock, "second");
    peer_ = reader_->connect(*owner_);
    path_ = reader_->path(0, peer_, 0);
  }
  void TearDown() override {
    fake_->release();
    EXPECT_TRUE(reader_->agent().close(kSecond).ok());
    EXPECT_EQ(reader_->agent().writeClaims(), 0U);
  }
  PostRequest request(uint32_t operation, const std::vector<uint32_t>& to, const std::vector<uint32_t>& from) {
    PostRequest request;
    request.path = path_;
    request.operation = operation;
    const bool read = operation == KVSEAM_OP_READ;
    request.localList = reader_->localList(target_, kBlock, read ? to : from);
    request.remoteList = reader_->remoteList(peer_, "pool", kBlock, read ? from : to);
    return request;
  }
  uint64_t mustPost(uint32_t operation, const std::vector<uint32_t>& to, const std::vector<uint32_t>& from) {
    return reader_->mustPost(request(operation, to, from));
  }
  Code codeOf(uint32_t operation, const std::vector<uint32_t>& to, const std::vector<uint32_t>& from) {
    uint64_t transfer = 0;
    return reader_->post(request(operation, to, from), &transfer).code();
  }
  Agent& agent() { return reader_->agent(); }

  std::shared_ptr<PermitBook> book_ = newBook();
  std::unique_ptr<Engine> owner_;
  std::unique_ptr<Engine> reader_;
  std::shared_ptr<FakeBackend> fake_;
  uint64_t target_ = 0;
  uint64_t second_ = 0;
  uint32_t peer_ = 0;
  uint32_t path_ = 0;
};

TEST_F(ClaimsOfAnAgent, HoldADestinationFromSubmitUntilQuiescedInBothDirections) {
  for (const uint32_t operation : {KVSEAM_OP_READ, KVSEAM_OP_WRITE}) {
    const size_t before = fake_->posted().size();
    const uint64_t first = mustPost(operation, {3, 4}, {0, 1});
    const uint64_t redeemed = book_->counters().redeemed;
    uint64_t refusedTransfer = 0;
    PostRequest again = request(operation, {9, 4}, {0, 1});
    again.permit = book_->mint({agent().path(path_)->key, operation, UINT64_MAX, INT64_MAX}, nowNs());
    const Status refused = reader_->post(again, &refusedTransfer);
    EXPECT_EQ(refused.code(), KVSEAM_REGION_BUSY);
    EXPECT_NE(refused.text().find("offset 256 of region 'pool'"), std::string::npos) << refused.text();
    EXPECT_EQ(book_->counters().redeemed, redeemed) << "nothing was posted, so the permit is still good";
    const uint64_t beside = mustPost(operation, {2, 5}, {0, 1});  // the same sources, the granules next to it
    EXPECT_EQ(agent().writeClaims(), 2U);
    fake_->complete(fake_->waitForPost(before).token);
    ASSERT_TRUE(reader_->quiesced(first));
    const uint64_t second = reader_->mustPost(again);
    fake_->complete(fake_->waitForPost(before + 1).token);
    fake_->complete(fake_->waitForPost(before + 2).token);
    ASSERT_TRUE(reader_->quiesced(beside));
    ASSERT_TRUE(reader_->quiesced(second));
    EXPECT_EQ(fake_->posted().size(), before + 3) << "a refused transfer reached the backend";
    EXPECT_EQ(agent().writeClaims(), 0U);
  }
  EXPECT_EQ(agent().overlapsRefused(), 2U);
}

TEST_F(ClaimsOfAnAgent, ATransferThatTimedOutHoldsItsDestinationUntilItsLateCompletion) {
  fake_->completeWhenCancelled(false);
  PostRequest late = request(KVSEAM_OP_READ, {7}, {0});
  late.deadlineNs = nowNs() + 5 * kMillisecond;
  const uint64_t transfer = reader_->mustPost(late);
  ASSERT_TRUE(reader_->settled(transfer));
  EXPECT_EQ(reader_->endings[transfer].outcome.code, KVSEAM_TIMEOUT);
  EXPECT_EQ(codeOf(KVSEAM_OP_READ, {7}, {1}), KVSEAM_REGION_BUSY);
  EXPECT_EQ(agent().writeClaims(), 1U);
  const uint64_t token = fake_->posted()[0].token;
  fake_->complete(token);
  fake_->complete(token);  // a duplicate must not give up a claim twice
  ASSERT_TRUE(reader_->quiesced(transfer));
  ASSERT_TRUE(reader_->eventually([&] { return reader_->counters().duplicateCompletions == 1; }));
  EXPECT_EQ(agent().writeClaims(), 0U);
  EXPECT_EQ(codeOf(KVSEAM_OP_READ, {7}, {1}), KVSEAM_OK);
}

TEST_F(ClaimsOfAnAgent, ACancelledTransferHoldsItsDestinationUntilTheBackendHasLetGo) {
  fake_->completeWhenCancelled(false);
  const uint64_t transfer = mustPost(KVSEAM_OP_WRITE, {7}, {0});
  fake_->waitForPost(0);
  EXPECT_TRUE(agent().cancel(transfer).ok());
  ASSERT_TRUE(reader_->settled(transfer));
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {7}, {1}), KVSEAM_REGION_BUSY);
  fake_->complete(fake_->posted()[0].token);
  ASSERT_TRUE(reader_->quiesced(transfer));
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {7}, {1}), KVSEAM_OK);
}

TEST_F(ClaimsOfAnAgent, ARefusedPermitLeavesNoClaim) {
  PostRequest request = this->request(KVSEAM_OP_READ, {1, 2}, {0, 1});
  request.permit = 12345;
  uint64_t transfer = 0;
  EXPECT_EQ(reader_->post(request, &transfer).code(), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(agent().writeClaims(), 0U);
  EXPECT_EQ((*agent().region(target_))->claims().transfers(), 0U);
  EXPECT_EQ(codeOf(KVSEAM_OP_READ, {2, 3}, {0, 1}), KVSEAM_OK);
}

TEST_F(ClaimsOfAnAgent, OneListIsNoSourceOfTroubleAndNoDestinationOfTwo) {
  // Twice in a source is what prefixes shared between requests look like; twice in a destination is an allocator's bug.
  EXPECT_EQ(codeOf(KVSEAM_OP_READ, {1, 2}, {5, 5}), KVSEAM_OK);
  EXPECT_EQ(codeOf(KVSEAM_OP_READ, {3, 3}, {5, 6}), KVSEAM_INVALID_DESCRIPTOR);
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {8, 7, 8}, {20, 21, 22}), KVSEAM_INVALID_DESCRIPTOR);
  // Forwarding: what is still being written here may be read by the next; whether it is ready is its digest's matter.
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {9}, {1}), KVSEAM_OK);
  EXPECT_EQ(agent().writeClaims(), 2U);
}

TEST_F(ClaimsOfAnAgent, SeparateRegionsAndSidesHaveTheirOwn) {
  EXPECT_EQ(codeOf(KVSEAM_OP_READ, {1}, {1}), KVSEAM_OK);
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {1}, {2}), KVSEAM_OK) << "block 1 there is not block 1 here";
  PostRequest other = request(KVSEAM_OP_READ, {1}, {1});
  other.localList = reader_->localList(second_, kBlock, {1});
  reader_->mustPost(other);
  EXPECT_EQ(agent().writeClaims(), 3U);
}

TEST_F(ClaimsOfAnAgent, AWindowOfAThousandInOneRegionIsHeldBlockByBlock) {
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < 1024; ++i) transfers.push_back(mustPost(KVSEAM_OP_READ, {(i * 7) % 1200}, {0}));
  uint32_t refused = 0;
  for (uint32_t block = 0; block < kBlocks; ++block) {
    const Code code = codeOf(KVSEAM_OP_READ, {block}, {0});
    refused += code == KVSEAM_REGION_BUSY ? 1 : 0;
  }
  EXPECT_EQ(refused, 1024U);
  fake_->completeAtOnce(true);
  fake_->waitForPost(1199);
  for (const auto& operation : fake_->posted()) fake_->complete(operation.token);
  for (const uint64_t transfer : transfers) ASSERT_TRUE(reader_->quiesced(transfer));
  ASSERT_TRUE(reader_->eventually([&] { return agent().writeClaims() == 0; }));
  EXPECT_FALSE((*agent().region(target_))->claims().marked(0, kBlocks * kBlock));
}

TEST_F(ClaimsOfAnAgent, ALostPeerGivesThemBackAndAReconnectStillMeetsLateWrites) {
  fake_->completeWhenCancelled(false);
  const uint64_t stuck = mustPost(KVSEAM_OP_WRITE, {4}, {0});
  const uint64_t token = fake_->waitForPost(0).token;
  fake_->loseThePeer(0);
  ASSERT_TRUE(reader_->until([&] { return agent().peer(peer_)->gone; }));
  EXPECT_EQ(agent().writeClaims(), 1U) << "it has not quiesced";
  // The same life of the peer under new keys: the old write may still land there.
  peer_ = reader_->connect(*owner_);
  path_ = reader_->path(0, peer_, 0);
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {4}, {1}), KVSEAM_REGION_BUSY);
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {5}, {1}), KVSEAM_OK);
  fake_->complete(token, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer);
  ASSERT_TRUE(reader_->quiesced(stuck));
  EXPECT_EQ(codeOf(KVSEAM_OP_WRITE, {4}, {1}), KVSEAM_OK);
}

TEST_F(ClaimsOfAnAgent, CloseLeavesNoneEvenWhenItsThreadIsStuck) {
  mustPost(KVSEAM_OP_READ, {1}, {1});
  fake_->waitForPost(0);
  fake_->block();
  fake_->waitUntilBlocked();
  mustPost(KVSEAM_OP_WRITE, {1}, {2});
  EXPECT_EQ(agent().writeClaims(), 2U);
  std::shared_ptr<Region> region = *agent().region(target_);
  EXPECT_EQ(agent().close(0).code(), KVSEAM_TIMEOUT);
  EXPECT_EQ(agent().writeClaims(), 0U);
  EXPECT_EQ(region->claims().transfers(), 0U);
  fake_->release();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  reader_->drain();
  EXPECT_EQ(agent().writeClaims(), 0U);
}

// Not a benchmark: far above what a claim takes on a loaded machine, and far below what a walk over all claims would.
TEST_F(ClaimsOfAnAgent, AreCheapHoweverManyAreHeld) {
  const auto memory = std::make_shared<MemoryForTest>(uint64_t{4096} << 20, MemoryForTest::kNotHere);
  std::vector<List> lists;
  for (uint32_t i = 0; i < 65'536; ++i) lists.push_back(blocks(memory, 65'536, {(i * 40'503U) % 65'536U}));
  const int64_t from = nowNs();
  for (const List& list : lists) ASSERT_TRUE(claim(list).ok());
  const int64_t claimed = nowNs();
  for (const List& list : lists) release(list);
  const int64_t released = nowNs();
  RecordProperty("claimNs", static_cast<int>((claimed - from) / 65'536));
  RecordProperty("releaseNs", static_cast<int>((released - claimed) / 65'536));
  EXPECT_LT((claimed - from) / 65'536, 20'000);
  EXPECT_LT((released - claimed) / 65'536, 20'000);
}

}  // namespace
}  // namespace kvseam
