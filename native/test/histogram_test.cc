// Buckets: no gap, no overlap, at most 3.2 % wide where it matters, nothing outside the array.
#include "../core/histogram.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <random>

namespace kvseam {
namespace {

TEST(Histogram, BucketsFollowEachOtherWithoutGapOrOverlap) {
  for (uint32_t bucket = 0; bucket + 1 < Histogram::kBuckets; ++bucket) {
    const uint64_t low = Histogram::lowerBoundNs(bucket);
    const uint64_t high = Histogram::lowerBoundNs(bucket + 1);
    ASSERT_LT(low, high);
    ASSERT_EQ(Histogram::bucketOf(low), bucket);
    ASSERT_EQ(Histogram::bucketOf(high - 1), bucket);
  }
}

TEST(Histogram, IsAtMost3Point2PercentWideFrom32NanosecondsTo60Seconds) {
  for (uint32_t bucket = Histogram::bucketOf(32); Histogram::lowerBoundNs(bucket) <= 60'000'000'000ULL; ++bucket) {
    const auto low = static_cast<double>(Histogram::lowerBoundNs(bucket));
    const double width = static_cast<double>(Histogram::lowerBoundNs(bucket + 1)) - low;
    ASSERT_LE(width / low, 0.032) << "bucket " << bucket;
  }
  EXPECT_GT(Histogram::lowerBoundNs(Histogram::kBuckets - 1), 60'000'000'000ULL);
}

TEST(Histogram, AnyValueFindsABucketInsideTheArray) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{31}, uint64_t{32}, (uint64_t{1} << 36) - 1,
                               uint64_t{1} << 36, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    EXPECT_LT(Histogram::bucketOf(value), Histogram::kBuckets) << value;
  }
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t value = random() >> (random() % 64);
    const uint32_t bucket = Histogram::bucketOf(value);
    ASSERT_LT(bucket, Histogram::kBuckets);
    ASSERT_LE(Histogram::lowerBoundNs(bucket), value);
    if (bucket + 1 < Histogram::kBuckets) {
      ASSERT_GT(Histogram::lowerBoundNs(bucket + 1), value);
    }
  }
}

TEST(Histogram, CountsSumsAndKeepsTheMaximum) {
  const auto histogram = std::make_unique<Histogram>();
  histogram->record(100);
  histogram->record(-5);  // a clock cannot run backwards, but a caller may be wrong
  histogram->record(std::numeric_limits<int64_t>::max());
  histogram->record(100);
  EXPECT_EQ(histogram->count(), 4U);
  EXPECT_EQ(histogram->maxNs(), static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  EXPECT_EQ(histogram->bucketCount(Histogram::bucketOf(100)), 2U);
  EXPECT_EQ(histogram->bucketCount(0), 1U);
  EXPECT_EQ(histogram->bucketCount(Histogram::kBuckets - 1), 1U);
}

}  // namespace
}  // namespace kvseam
