// A bounded lock-free queue between exactly one writing and one reading thread. Full is an answer, never a wait.
#ifndef KVSEAM_CORE_SPSC_RING_H_
#define KVSEAM_CORE_SPSC_RING_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace kvseam {

template <typename T>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>, "records are copied between threads");

 public:
  /** Holds at least `capacity` records; rounded up to a power of two. */
  explicit SpscRing(size_t capacity)
      : mask_(std::bit_ceil(capacity < 2 ? size_t{2} : capacity) - 1), slots_(new T[mask_ + 1]) {}

  bool push(const T& value) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - headSeen_ > mask_) {
      headSeen_ = head_.load(std::memory_order_acquire);
      if (tail - headSeen_ > mask_) return false;
    }
    slots_[tail & mask_] = value;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  bool pop(T* out) {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (head == tailSeen_) {
      tailSeen_ = tail_.load(std::memory_order_acquire);
      if (head == tailSeen_) return false;
    }
    *out = slots_[head & mask_];
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  /** Reader's view; exact for the reader, a lower bound for anybody else. */
  bool empty() const { return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_acquire); }
  size_t capacity() const { return mask_ + 1; }

 private:
  const size_t mask_;
  std::unique_ptr<T[]> slots_;
  // Each side keeps its own index and its last look at the other's on one line, so that the lines do not bounce.
  alignas(64) std::atomic<uint64_t> tail_{0};
  uint64_t headSeen_ = 0;
  alignas(64) std::atomic<uint64_t> head_{0};
  uint64_t tailSeen_ = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_SPSC_RING_H_
