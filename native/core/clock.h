// The engine's only clock: CLOCK_MONOTONIC, which no wall-clock jump can move.
#ifndef KVSEAM_CORE_CLOCK_H_
#define KVSEAM_CORE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace kvseam {

inline int64_t nowNs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace kvseam
#endif  // KVSEAM_CORE_CLOCK_H_
