// Deadlines: never early, at most a tick late, whatever the jumps of the clock.
#include "../core/timer_wheel.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <vector>

namespace kvseam {
namespace {

constexpr int64_t kTick = int64_t{1} << TimerWheel::kTickShift;
constexpr int64_t kTurn = kTick * TimerWheel::kBuckets;

TEST(TimerWheel, ExpiresNeverEarlyAndWithinATick) {
  for (const int64_t start : {int64_t{0}, int64_t{5}, kTick - 1, 1000 * kTick + 77, int64_t{1} << 60}) {
    TimerWheel wheel(1, start);
    const int64_t due = start + 3 * kTick + 12'345;
    wheel.arm(0, due);
    bool expired = false;
    int64_t now = start;
    while (!expired) {
      now += kTick / 16;
      wheel.advance(now, [&](uint32_t) { expired = true; });
      if (expired) {
        EXPECT_GE(now, due);
        EXPECT_LE(now, due + kTick + kTick / 16);
      }
      ASSERT_LT(now, due + 10 * kTick);
    }
    EXPECT_EQ(wheel.armed(), 0U);
  }
}

TEST(TimerWheel, ADeadlineInThePastExpiresInTheNextTickAndNotInsideArm) {
  TimerWheel wheel(2, 10 * kTick);
  wheel.arm(0, 0);
  wheel.arm(1, std::numeric_limits<int64_t>::min() / 2);
  EXPECT_EQ(wheel.armed(), 2U);
  int expired = 0;
  wheel.advance(10 * kTick + kTick / 2, [&](uint32_t) { ++expired; });
  EXPECT_EQ(expired, 0);
  wheel.advance(11 * kTick, [&](uint32_t) { ++expired; });
  EXPECT_EQ(expired, 2);
}

TEST(TimerWheel, ADeadlineBeyondATurnWaitsForItsOwnTurn) {
  TimerWheel wheel(1, 0);
  const int64_t due = 3 * kTurn + 5 * kTick;
  wheel.arm(0, due);
  int64_t expiredAt = -1;
  for (int64_t now = 0; now < due + 2 * kTick && expiredAt < 0; now += kTick) {
    wheel.advance(now, [&](uint32_t) { expiredAt = now; });
    if (expiredAt < 0) {
      EXPECT_LE(wheel.nextNs(), due + 2 * kTick);
    }
  }
  EXPECT_GE(expiredAt, due);
}

TEST(TimerWheel, OneLongJumpExpiresEverythingDueExactlyOnce) {
  TimerWheel wheel(100, 0);
  for (uint32_t slot = 0; slot < 100; ++slot) wheel.arm(slot, slot * kTurn / 10);
  std::vector<int> expired(100);
  const int64_t now = 5 * kTurn + kTick;
  wheel.advance(now, [&](uint32_t slot) { ++expired[slot]; });
  for (uint32_t slot = 0; slot < 100; ++slot) {
    const bool due = slot * kTurn / 10 <= now - kTick;
    EXPECT_EQ(expired[slot], due ? 1 : 0) << slot;
  }
  wheel.advance(now + 20 * kTurn, [&](uint32_t slot) { ++expired[slot]; });
  for (const int count : expired) EXPECT_EQ(count, 1);
}

TEST(TimerWheel, MayBeArmedAgainFromInsideTheExpiry) {
  TimerWheel wheel(3, 0);
  for (uint32_t slot = 0; slot < 3; ++slot) wheel.arm(slot, kTick);
  std::vector<int> expired(3);
  for (int64_t now = 0; now <= 20 * kTick; now += kTick) {
    // One lands a whole turn later, so in the very bucket that is being walked.
    wheel.advance(now, [&](uint32_t slot) {
      if (++expired[slot] < 3) wheel.arm(slot, slot == 1 ? now + kTurn - kTick : now + 2 * kTick);
    });
  }
  EXPECT_EQ(expired[0], 3);
  EXPECT_EQ(expired[1], 1);
  EXPECT_EQ(expired[2], 3);
  EXPECT_EQ(wheel.armed(), 1U);
}

TEST(TimerWheel, SaysNothingIsDueWhenNothingIsArmed) {
  TimerWheel wheel(1, 123 * kTick);
  EXPECT_EQ(wheel.nextNs(), std::numeric_limits<int64_t>::max());
  wheel.arm(0, 130 * kTick);
  EXPECT_LE(wheel.nextNs(), 132 * kTick);
  wheel.disarm(0);
  wheel.disarm(0);
  EXPECT_EQ(wheel.nextNs(), std::numeric_limits<int64_t>::max());
}

TEST(TimerWheel, AgreesWithAModelUnderRandomUse) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    constexpr uint32_t kSlots = 64;
    int64_t now = static_cast<int64_t>(random() % (uint64_t{1} << 50));
    TimerWheel wheel(kSlots, now);
    std::map<uint32_t, int64_t> model;  // slot to due time
    for (int step = 0; step < 2000; ++step) {
      const auto slot = static_cast<uint32_t>(random() % kSlots);
      switch (random() % 4) {
        case 0:
        case 1: {
          const int64_t span = random() % 10 == 0 ? 3 * kTurn : 50 * kTick;
          const int64_t due = now + static_cast<int64_t>(random() % static_cast<uint64_t>(span)) - kTick;
          wheel.arm(slot, due);
          model[slot] = due;
          break;
        }
        case 2:
          wheel.disarm(slot);
          model.erase(slot);
          break;
        default: {
          // The next expiry must not be announced too late: a thread sleeps until then.
          if (!model.empty()) {
            int64_t first = std::numeric_limits<int64_t>::max();
            for (const auto& [_, due] : model) first = std::min(first, std::max(due, now));
            ASSERT_LE(wheel.nextNs(), first + 2 * kTick) << "seed " << seed;
          }
          now += static_cast<int64_t>(random() % static_cast<uint64_t>(random() % 20 == 0 ? 2 * kTurn : 8 * kTick));
          wheel.advance(now, [&](uint32_t expired) {
            ASSERT_TRUE(model.contains(expired)) << "seed " << seed;
            ASSERT_LE(model[expired], now) << "early, seed " << seed;
            model.erase(expired);
          });
          for (const auto& [late, due] : model) ASSERT_GT(due, now - 2 * kTick) << "late " << late << ", seed " << seed;
          break;
        }
      }
      ASSERT_EQ(wheel.armed(), model.size()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace kvseam
