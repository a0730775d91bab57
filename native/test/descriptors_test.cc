// Descriptor lists: bounds that no number can slip through, layouts, joins, and merging only where both sides continue.
#include "../core/descriptors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "memory_for_test.h"

namespace kvseam {
namespace {

using List = std::shared_ptr<DescriptorList>;

constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();

std::shared_ptr<MemoryForTest> sized(uint64_t bytes) {
  return std::make_shared<MemoryForTest>(bytes, MemoryForTest::kNotHere);
}

List blocks(const std::shared_ptr<MemoryForTest>& memory, const BlockLayout& layout, const std::vector<uint32_t>& ids) {
  List list;
  const Status status = DescriptorList::fromBlocks(memory, layout, ids.data(), ids.size(), &list);
  EXPECT_TRUE(status.ok()) << status.text();
  return list;
}

List runs(const std::shared_ptr<MemoryForTest>& memory, const std::vector<double>& offsets,
          const std::vector<double>& lengths) {
  List list;
  const Status status = DescriptorList::fromRuns(memory, offsets.data(), lengths.data(), offsets.size(), &list);
  EXPECT_TRUE(status.ok()) << status.text();
  return list;
}

Code blocksCode(uint64_t regionBytes, const BlockLayout& layout, const std::vector<uint32_t>& ids) {
  List list;
  const Code code = DescriptorList::fromBlocks(sized(regionBytes), layout, ids.data(), ids.size(), &list).code();
  EXPECT_EQ(list != nullptr, code == KVSEAM_OK);
  return code;
}

Code runCode(uint64_t regionBytes, double offset, double length) {
  List list;
  const Code code = DescriptorList::fromRuns(sized(regionBytes), &offset, &length, 1, &list).code();
  EXPECT_EQ(list != nullptr, code == KVSEAM_OK);
  return code;
}

TEST(Descriptors, BlocksEndExactlyAtTheEndOfTheRegionAndNoByteLater) {
  EXPECT_EQ(blocksCode(1024, {0, 0, 1, 256}, {3}), KVSEAM_OK);
  EXPECT_EQ(blocksCode(1024, {0, 0, 1, 256}, {4}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(1023, {0, 0, 1, 256}, {3}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(1024, {1, 0, 1, 256}, {3}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(1024, {0, 0, 1, 256}, {std::numeric_limits<uint32_t>::max()}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(1024, {1024, 0, 1, 1}, {}), KVSEAM_OK);
  EXPECT_EQ(blocksCode(1024, {1024, 0, 1, 1}, {0}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(1024, {1025, 0, 1, 1}, {}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(1024, {0, 0, 1, 0}, {0}), KVSEAM_INVALID_DESCRIPTOR);
  EXPECT_EQ(blocksCode(1024, {0, 0, 0, 16}, {0}), KVSEAM_INVALID_DESCRIPTOR);
}

TEST(Descriptors, NoLayoutOverflowsItsWayIntoBounds) {
  for (const uint64_t big : {kHuge, kHuge - 1, kHuge / 2 + 1, uint64_t{1} << 53, uint64_t{1} << 32}) {
    EXPECT_EQ(blocksCode(4096, {big, 0, 1, 16}, {0}), KVSEAM_OUT_OF_BOUNDS) << big;
    EXPECT_EQ(blocksCode(4096, {0, big, 2, 16}, {0}), KVSEAM_OUT_OF_BOUNDS) << big;
    EXPECT_EQ(blocksCode(4096, {0, 0, 1, big}, {0}), KVSEAM_OUT_OF_BOUNDS) << big;
    EXPECT_EQ(blocksCode(4096, {16, big, 2, 16}, {0}), KVSEAM_OUT_OF_BOUNDS) << big;
  }
  // Two times 2^63 is zero modulo 2^64.
  EXPECT_EQ(blocksCode(4096, {0, uint64_t{1} << 63, 2, 16}, {0}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_NE(blocksCode(4096, {0, 16, std::numeric_limits<uint32_t>::max(), 16}, {0}), KVSEAM_OK);
  List list;
  EXPECT_EQ(DescriptorList::fromBlocks(sized(4096), {0, 0, 1, 16}, nullptr, kHuge, &list).code(),
            KVSEAM_INVALID_DESCRIPTOR);
  EXPECT_EQ(DescriptorList::fromBlocks(sized(4096), {0, 0, 1, 16}, nullptr, 257, &list).code(), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(list, nullptr);
}

TEST(Descriptors, RunsAreCheckedWithoutOverflow) {
  EXPECT_EQ(runCode(1024, 0, 1024), KVSEAM_OK);
  EXPECT_EQ(runCode(1024, 1024, 0), KVSEAM_OK);
  EXPECT_EQ(runCode(1024, 1023, 1), KVSEAM_OK);
  EXPECT_EQ(runCode(1024, 1025, 0), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(runCode(1024, 1024, 1), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(runCode(1024, 1, 1024), KVSEAM_OUT_OF_BOUNDS);
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {-1.0, -0.5, 0.5, 1e300, infinity, -infinity, std::nan(""), 9007199254740994.0,
                           18446744073709551616.0, -1e300}) {
    EXPECT_EQ(runCode(1024, bad, 1), KVSEAM_OUT_OF_BOUNDS) << bad;
    EXPECT_EQ(runCode(1024, 1, bad), KVSEAM_OUT_OF_BOUNDS) << bad;
  }
  EXPECT_EQ(runCode(1024, -0.0, 1), KVSEAM_OK);
}

TEST(Descriptors, ASumOfBytesCannotWrapAroundAndFitASmallPermit) {
  // Each block is 2^50 bytes: 2^14 of them are 2^64, which is 0 modulo 2^64.
  const std::vector<uint32_t> ids(size_t{1} << 14, 0);
  EXPECT_EQ(blocksCode(uint64_t{1} << 50, {0, 0, 1, uint64_t{1} << 50}, ids), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(uint64_t{1} << 50, {0, 0, 1, uint64_t{1} << 50}, {0, 0, 0, 0, 0, 0, 0, 0}), KVSEAM_OK);
  EXPECT_EQ(blocksCode(uint64_t{1} << 50, {0, 0, 1, uint64_t{1} << 50}, {0, 0, 0, 0, 0, 0, 0, 0, 0}),
            KVSEAM_OUT_OF_BOUNDS);
  const auto memory = sized(uint64_t{1} << 53);
  const std::vector<double> offsets(3, 0.0);
  const std::vector<double> lengths = {9007199254740992.0, 1.0, 0.0};
  List list;
  EXPECT_EQ(DescriptorList::fromRuns(memory, offsets.data(), lengths.data(), 2, &list).code(), KVSEAM_OUT_OF_BOUNDS);
  ASSERT_TRUE(DescriptorList::fromRuns(memory, offsets.data(), lengths.data(), 1, &list).ok());
  EXPECT_EQ(list->totalBytes(), DescriptorList::kMaxBytes);
  List joined;
  EXPECT_EQ(DescriptorList::join({list, list}, &joined).code(), KVSEAM_OUT_OF_BOUNDS);
}

TEST(Descriptors, ALayoutTakesTheSameBlocksFromEveryPart) {
  const auto memory = sized(16 + 3 * 1000);
  const List list = blocks(memory, {16, 1000, 3, 100}, {9, 0, 4});
  ASSERT_EQ(list->count(), 9U);
  EXPECT_EQ(list->totalBytes(), 900U);
  const std::vector<uint64_t> expected = {916, 16, 416, 1916, 1016, 1416, 2916, 2016, 2416};
  for (uint64_t i = 0; i < 9; ++i) {
    EXPECT_EQ(list->offset(i), expected[i]);
    EXPECT_EQ(list->length(i), 100U);
    EXPECT_EQ(list->memory(i), memory);
  }
  EXPECT_EQ(blocksCode(16 + 3 * 1000, {16, 1000, 3, 100}, {10}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(16 + 3 * 1000 - 1, {16, 1000, 3, 100}, {9}), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(blocksCode(3000, {0, 0, 3, 100}, {0}), KVSEAM_OUT_OF_BOUNDS);
}

TEST(Descriptors, WithoutIdsAllBlocksComeInOrder) {
  List list;
  ASSERT_TRUE(DescriptorList::fromBlocks(sized(1000), {0, 500, 2, 100}, nullptr, 5, &list).ok());
  ASSERT_EQ(list->count(), 10U);
  for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(list->offset(i), i * 100);
  EXPECT_EQ(list->coalescedCount(), 1U);
}

TEST(Descriptors, AListHoldsAtMostItsLimit) {
  const auto memory = sized(1);
  const std::vector<uint32_t> ids(DescriptorList::kMaxDescriptors, 0);
  EXPECT_EQ(blocks(memory, {0, 0, 1, 1}, ids)->count(), DescriptorList::kMaxDescriptors);
  const std::vector<double> zeros(DescriptorList::kMaxDescriptors + 1, 0.0);
  List list;
  EXPECT_EQ(DescriptorList::fromRuns(memory, zeros.data(), zeros.data(), zeros.size(), &list).code(),
            KVSEAM_INVALID_DESCRIPTOR);
  ASSERT_TRUE(DescriptorList::fromRuns(memory, zeros.data(), zeros.data(), zeros.size() - 1, &list).ok());
  List joined;
  EXPECT_EQ(DescriptorList::join({list, runs(memory, {0}, {1})}, &joined).code(), KVSEAM_INVALID_DESCRIPTOR);
}

TEST(Descriptors, APairMustMatchDescriptorByDescriptor) {
  const auto memory = sized(1 << 20);
  const List four = blocks(memory, {0, 0, 1, 64}, {0, 1, 2, 3});
  const List other = blocks(memory, {0, 0, 1, 32}, {0, 1, 2, 3});
  const List uneven = runs(memory, {0, 100, 200, 300}, {64, 64, 63, 65});
  EXPECT_TRUE(DescriptorList::checkPair(*four, *four, 0, 4).ok());
  EXPECT_TRUE(DescriptorList::checkPair(*four, *four, 4, 0).ok());
  EXPECT_TRUE(DescriptorList::checkPair(*four, *uneven, 0, 2).ok());
  EXPECT_EQ(DescriptorList::checkPair(*four, *other, 0, 4).code(), KVSEAM_INVALID_DESCRIPTOR);
  // Same total, so only a look at each pair finds it.
  EXPECT_EQ(four->totalBytes(), uneven->totalBytes());
  EXPECT_EQ(DescriptorList::checkPair(*four, *uneven, 0, 4).code(), KVSEAM_INVALID_DESCRIPTOR);
  EXPECT_EQ(DescriptorList::checkPair(*uneven, *four, 0, 4).code(), KVSEAM_INVALID_DESCRIPTOR);
  for (const auto& [first, count] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0, 5}, {5, 0}, {4, 1}, {kHuge, 1}, {1, kHuge}, {kHuge, kHuge}, {2, kHuge - 1}}) {
    EXPECT_EQ(DescriptorList::checkPair(*four, *four, first, count).code(), KVSEAM_OUT_OF_BOUNDS)
        << first << " " << count;
  }
}

TEST(Descriptors, MergesNeighboursOnlyWhereBothSidesContinue) {
  const auto here = sized(1 << 20);
  const auto there = sized(1 << 20);
  std::vector<kvseam_run> merged;
  DescriptorList::mergeRuns(*blocks(here, {0, 0, 1, 64}, {0, 1, 2, 3}), *blocks(there, {0, 0, 1, 64}, {5, 6, 7, 8}), 0,
                            4, &merged);
  ASSERT_EQ(merged.size(), 1U);
  EXPECT_EQ(merged[0].local_offset, 0U);
  EXPECT_EQ(merged[0].remote_offset, 5U * 64);
  EXPECT_EQ(merged[0].bytes, 256U);
  // Continuous here, shuffled there.
  DescriptorList::mergeRuns(*blocks(here, {0, 0, 1, 64}, {0, 1, 2, 3}), *blocks(there, {0, 0, 1, 64}, {5, 6, 9, 10}), 0,
                            4, &merged);
  EXPECT_EQ(merged.size(), 2U);
  DescriptorList::mergeRuns(*blocks(here, {0, 0, 1, 64}, {0, 2, 1, 3}), *blocks(there, {0, 0, 1, 64}, {0, 1, 2, 3}), 0,
                            4, &merged);
  EXPECT_EQ(merged.size(), 4U);
  // Repeated block: the next one does not continue behind itself.
  DescriptorList::mergeRuns(*blocks(here, {0, 0, 1, 64}, {0, 0}), *blocks(there, {0, 0, 1, 64}, {0, 1}), 0, 2, &merged);
  EXPECT_EQ(merged.size(), 2U);
  // A range of the pair.
  DescriptorList::mergeRuns(*blocks(here, {0, 0, 1, 64}, {0, 1, 2, 3}), *blocks(there, {0, 0, 1, 64}, {0, 1, 2, 3}), 1,
                            2, &merged);
  ASSERT_EQ(merged.size(), 1U);
  EXPECT_EQ(merged[0].local_offset, 64U);
  EXPECT_EQ(merged[0].bytes, 128U);
  // Nothing to move.
  DescriptorList::mergeRuns(*runs(here, {0, 7}, {0, 0}), *runs(there, {0, 9}, {0, 0}), 0, 2, &merged);
  EXPECT_TRUE(merged.empty());
}

TEST(Descriptors, NeverMergesAcrossRegionsThatLieSideBySide) {
  const auto a = sized(128);
  const auto b = sized(128);
  const auto there = sized(256);
  List local;
  ASSERT_TRUE(DescriptorList::join({runs(a, {0}, {128}), runs(b, {128}, {0}), runs(b, {0}, {128})}, &local).ok());
  EXPECT_EQ(local->memories().size(), 2U);
  std::vector<kvseam_run> merged;
  DescriptorList::mergeRuns(*local, *runs(there, {0, 128, 128}, {128, 0, 128}), 0, 3, &merged);
  ASSERT_EQ(merged.size(), 2U);
  EXPECT_EQ(merged[0].local, &a->backendMemory());
  EXPECT_EQ(merged[1].local, &b->backendMemory());
  EXPECT_EQ(local->coalescedCount(), 3U);
}

TEST(Descriptors, AJoinKeepsOrderAndCountsEachRegionOnce) {
  const auto a = sized(1000);
  const auto b = sized(1000);
  List inner;
  ASSERT_TRUE(DescriptorList::join({blocks(a, {0, 0, 1, 10}, {5, 3}), blocks(b, {0, 0, 1, 10}, {1})}, &inner).ok());
  List outer;
  ASSERT_TRUE(DescriptorList::join({inner, runs(b, {990}, {10}), inner, runs(a, {1}, {7})}, &outer).ok());
  ASSERT_EQ(outer->count(), 8U);
  EXPECT_EQ(outer->memories().size(), 2U);
  EXPECT_EQ(outer->totalBytes(), 77U);
  const std::vector<uint64_t> offsets = {50, 30, 10, 990, 50, 30, 10, 1};
  const std::vector<int> owners = {0, 0, 1, 1, 0, 0, 1, 0};
  for (uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(outer->offset(i), offsets[i]);
    EXPECT_EQ(outer->memory(i), owners[i] == 0 ? a : b);
    EXPECT_EQ(outer->length(i), i == 7 ? 7U : 10U);
  }
  EXPECT_EQ(outer->rangeBytes(6, 2), 17U);
  EXPECT_TRUE(outer->live());
  b->close();
  EXPECT_FALSE(outer->live());
  EXPECT_FALSE(inner->live());
}

TEST(Descriptors, MergedRunsMoveExactlyTheListedBytes) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    std::mt19937 random(seed);
    const auto here = sized(4096);
    const auto there = sized(4096);
    std::vector<double> localOffsets;
    std::vector<double> remoteOffsets;
    std::vector<double> lengths;
    for (int i = 0; i < 40; ++i) {
      lengths.push_back(random() % 4 == 0 ? 0 : random() % 100);
      const bool follows = i != 0 && random() % 2 == 0 && localOffsets.back() + lengths[i - 1] + lengths[i] <= 4096 &&
                           remoteOffsets.back() + lengths[i - 1] + lengths[i] <= 4096;
      localOffsets.push_back(follows ? localOffsets.back() + lengths[i - 1] : random() % 3900);
      remoteOffsets.push_back(follows ? remoteOffsets.back() + lengths[i - 1] : random() % 3900);
    }
    std::vector<std::pair<uint64_t, uint64_t>> expected;
    for (size_t i = 0; i < lengths.size(); ++i) {
      for (uint64_t byte = 0; byte < static_cast<uint64_t>(lengths[i]); ++byte) {
        expected.emplace_back(static_cast<uint64_t>(localOffsets[i]) + byte,
                              static_cast<uint64_t>(remoteOffsets[i]) + byte);
      }
    }
    std::vector<kvseam_run> merged;
    DescriptorList::mergeRuns(*runs(here, localOffsets, lengths), *runs(there, remoteOffsets, lengths), 0,
                              lengths.size(), &merged);
    std::vector<std::pair<uint64_t, uint64_t>> moved;
    for (const kvseam_run& run : merged) {
      EXPECT_NE(run.bytes, 0U);
      for (uint64_t byte = 0; byte < run.bytes; ++byte)
        moved.emplace_back(run.local_offset + byte, run.remote_offset + byte);
    }
    ASSERT_EQ(moved, expected) << "seed " << seed;
  }
}

TEST(Descriptors, TakesARequestOf81920Blocks) {
  std::vector<uint32_t> ids(1024);
  std::iota(ids.begin(), ids.end(), 0U);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(9));
  const BlockLayout layout{0, 4096 * 1024, 80, 4096};
  const auto memory = sized(layout.strideBytes * layout.parts);
  const List list = blocks(memory, layout, ids);
  EXPECT_EQ(list->count(), 81'920U);
  EXPECT_EQ(list->totalBytes(), 81'920U * 4096);
  EXPECT_TRUE(DescriptorList::checkPair(*list, *list, 0, 81'920).ok());
  std::vector<kvseam_run> merged;
  DescriptorList::mergeRuns(*list, *list, 0, 81'920, &merged);
  EXPECT_GT(merged.size(), 70'000U);
}

}  // namespace
}  // namespace kvseam
