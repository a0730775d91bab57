// An allocator that fails on demand: this binary's operator new, so that no other test binary has it.
#ifndef KVSEAM_TEST_FAILING_ALLOCATOR_H_
#define KVSEAM_TEST_FAILING_ALLOCATOR_H_

#include <cstdint>

namespace kvseam {

/** Which of a shortage's allocations fail: the n-th alone, or the n-th and all that follow. */
enum class Shortage : uint8_t { kOnce, kLasting };

/** While it lives, allocations of the thread that made it fail from its n-th on. */
class ShortageHere {
 public:
  ShortageHere(int64_t nth, Shortage shortage);
  ~ShortageHere();
  ShortageHere(const ShortageHere&) = delete;
  ShortageHere& operator=(const ShortageHere&) = delete;
  /** Whether one has failed. */
  bool hit() const;
};

/** The same for all other threads together. */
class ShortageElsewhere {
 public:
  ShortageElsewhere(int64_t nth, Shortage shortage);
  ~ShortageElsewhere();
  ShortageElsewhere(const ShortageElsewhere&) = delete;
  ShortageElsewhere& operator=(const ShortageElsewhere&) = delete;
  bool hit() const;
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_FAILING_ALLOCATOR_H_
