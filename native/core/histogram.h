// Latency in log-linear buckets: fixed memory, one increment a sample, at most 3.2 % wide from 32 ns up to 69 s.
// One thread records, any thread may read; counts are relaxed atomics, so a snapshot may miss the newest samples.
#ifndef KVSEAM_CORE_HISTOGRAM_H_
#define KVSEAM_CORE_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace kvseam {

class Histogram {
 public:
  static constexpr uint32_t kSubBits = 5;              // 32 buckets an octave: width 1/32 of the value
  static constexpr uint32_t kOctaves = 36 - kSubBits;  // values up to 2^36 ns = 68.7 s
  static constexpr uint32_t kBuckets = (kOctaves + 1) << kSubBits;

  static constexpr uint32_t bucketOf(uint64_t ns) {
    if (ns < (1u << kSubBits)) return static_cast<uint32_t>(ns);
    const uint32_t octave = static_cast<uint32_t>(std::bit_width(ns)) - kSubBits - 1;  // 0 for [32, 64)
    if (octave >= kOctaves) return kBuckets - 1;
    return ((octave + 1) << kSubBits) + static_cast<uint32_t>((ns >> octave) - (1u << kSubBits));
  }
  /** Smallest value of a bucket, nanoseconds. */
  static constexpr uint64_t lowerBoundNs(uint32_t bucket) {
    if (bucket < (1u << kSubBits)) return bucket;
    const uint32_t octave = (bucket >> kSubBits) - 1;
    return uint64_t{(bucket & ((1u << kSubBits) - 1)) + (1u << kSubBits)} << octave;
  }

  void record(int64_t ns) {
    const uint64_t value = ns < 0 ? 0 : static_cast<uint64_t>(ns);
    bump(counts_[bucketOf(value)], 1);
    bump(count_, 1);
    bump(sumNs_, value);
    if (value > maxNs_.load(std::memory_order_relaxed)) maxNs_.store(value, std::memory_order_relaxed);
  }

  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  uint64_t sumNs() const { return sumNs_.load(std::memory_order_relaxed); }
  uint64_t maxNs() const { return maxNs_.load(std::memory_order_relaxed); }
  uint64_t bucketCount(uint32_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }

 private:
  // Single writer: a plain load and store is enough and costs no locked instruction.
  static void bump(std::atomic<uint64_t>& cell, uint64_t by) {
    cell.store(cell.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
  std::atomic<uint64_t> count_{0};
  std::atomic<uint64_t> sumNs_{0};
  std::atomic<uint64_t> maxNs_{0};
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_HISTOGRAM_H_
