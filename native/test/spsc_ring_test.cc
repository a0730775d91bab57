// The ring between two threads: order, completeness, and full as an answer.
#include "../core/spsc_ring.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <thread>

namespace kvseam {
namespace {

// Rings are on the heap, as in the engine: g++ 12 under the address sanitizer misplaces over-aligned variables on the
// stack.

TEST(SpscRing, RoundsItsCapacityUpAndSaysWhenItIsFull) {
  const auto owned = std::make_unique<SpscRing<int>>(5);
  SpscRing<int>& ring = *owned;
  EXPECT_EQ(ring.capacity(), 8U);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(ring.push(i));
  EXPECT_FALSE(ring.push(8));
  int value = -1;
  EXPECT_TRUE(ring.pop(&value));
  EXPECT_EQ(value, 0);
  EXPECT_TRUE(ring.push(8));
  EXPECT_FALSE(ring.push(9));
}

TEST(SpscRing, KeepsOrderOverManyTurnsOfItsIndices) {
  const auto owned = std::make_unique<SpscRing<uint64_t>>(4);
  SpscRing<uint64_t>& ring = *owned;
  uint64_t pushed = 0;
  uint64_t popped = 0;
  while (popped < 10'000) {
    while (ring.push(pushed)) ++pushed;
    EXPECT_FALSE(ring.empty());
    for (uint64_t value = 0; ring.pop(&value); ++popped) ASSERT_EQ(value, popped);
    EXPECT_TRUE(ring.empty());
  }
}

TEST(SpscRing, TwoThreadsLoseAndRepeatNothing) {
  struct Record {
    uint64_t number;
    uint64_t check;  // torn copies would not match
  };
  constexpr uint64_t kRecords = 300'000;
  const auto owned = std::make_unique<SpscRing<Record>>(64);
  SpscRing<Record>& ring = *owned;
  std::thread writer([&ring] {
    for (uint64_t i = 0; i < kRecords;) {
      if (ring.push({i, ~i})) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  uint64_t expected = 0;
  bool torn = false;
  while (expected < kRecords) {
    Record record{};
    if (!ring.pop(&record)) {
      std::this_thread::yield();
      continue;
    }
    torn = torn || record.number != expected || record.check != ~expected;
    ++expected;
  }
  writer.join();
  EXPECT_FALSE(torn);
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace kvseam
