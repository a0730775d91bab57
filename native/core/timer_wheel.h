// Deadlines of transfers in O(1): arming, moving and disarming happen for every transfer, expiry for almost none.
// A wheel of 4,096 ticks of 1.05 ms over slot numbers; a deadline farther away than one turn stays in its bucket.
#ifndef KVSEAM_CORE_TIMER_WHEEL_H_
#define KVSEAM_CORE_TIMER_WHEEL_H_

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace kvseam {

class TimerWheel {
 public:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  static constexpr int kTickShift = 20;  // 2^20 ns
  static constexpr uint32_t kBuckets = 4096;

  TimerWheel(uint32_t slots, int64_t nowNs) : entries_(slots), tick_(nowNs >> kTickShift) { heads_.fill(kNone); }

  void arm(uint32_t slot, int64_t dueNs) {
    disarm(slot);
    Entry& entry = entries_[slot];
    // A deadline already past is put into the next tick, so that expiry never happens inside arm().
    const int64_t tick = (dueNs >> kTickShift) + 1;
    entry.dueTick = tick > tick_ ? tick : tick_ + 1;
    const uint32_t bucket = static_cast<uint32_t>(entry.dueTick) & (kBuckets - 1);
    entry.next = heads_[bucket];
    entry.prev = kNone;
    entry.armed = true;
    if (entry.next != kNone) entries_[entry.next].prev = slot;
    heads_[bucket] = slot;
    occupied_[bucket / 64] |= uint64_t{1} << (bucket % 64);
    ++armed_;
  }

  void disarm(uint32_t slot) {
    Entry& entry = entries_[slot];
    if (!entry.armed) return;
    const uint32_t bucket = static_cast<uint32_t>(entry.dueTick) & (kBuckets - 1);
    if (entry.prev != kNone) {
      entries_[entry.prev].next = entry.next;
    } else {
      heads_[bucket] = entry.next;
      if (entry.next == kNone) occupied_[bucket / 64] &= ~(uint64_t{1} << (bucket % 64));
    }
    if (entry.next != kNone) entries_[entry.next].prev = entry.prev;
    entry.armed = false;
    --armed_;
  }

  /** Calls `expired(slot)` for every slot whose time has come; the slot is disarmed first and may be armed again. */
  template <typename F>
  void advance(int64_t nowNs, F&& expired) {
    const int64_t nowTick = nowNs >> kTickShift;
    if (nowTick <= tick_) return;
    const int64_t from = nowTick - tick_ >= kBuckets ? nowTick - kBuckets : tick_;
    tick_ = nowTick;
    if (armed_ == 0) return;
    for (int64_t tick = from + 1; tick <= nowTick; ++tick) {
      const uint32_t bucket = static_cast<uint32_t>(tick) & (kBuckets - 1);
      if ((occupied_[bucket / 64] >> (bucket % 64) & 1) == 0) continue;
      for (uint32_t slot = heads_[bucket]; slot != kNone;) {
        const uint32_t next = entries_[slot].next;
        if (entries_[slot].dueTick <= nowTick) {
          disarm(slot);
          expired(slot);
        }
        slot = next;
      }
    }
  }

  /** A time not later than a tick after the next expiry; INT64_MAX when nothing is armed. */
  int64_t nextNs() const {
    if (armed_ == 0) return std::numeric_limits<int64_t>::max();
    for (uint32_t ahead = 1; ahead <= kBuckets;) {
      const uint32_t bucket = static_cast<uint32_t>(tick_ + ahead) & (kBuckets - 1);
      const uint64_t word = occupied_[bucket / 64] >> (bucket % 64);
      if (word == 0) {
        ahead += 64 - bucket % 64;
        continue;
      }
      ahead += static_cast<uint32_t>(__builtin_ctzll(word));
      return (tick_ + ahead) << kTickShift;
    }
    return (tick_ + kBuckets) << kTickShift;
  }

  uint32_t armed() const { return armed_; }

 private:
  struct Entry {
    int64_t dueTick = 0;
    uint32_t next = kNone;
    uint32_t prev = kNone;
    bool armed = false;
  };
  std::vector<Entry> entries_;
  std::array<uint32_t, kBuckets> heads_{};
  std::array<uint64_t, kBuckets / 64> occupied_{};
  int64_t tick_;
  uint32_t armed_ = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_TIMER_WHEEL_H_
