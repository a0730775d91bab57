// Random numbers of the fault layer: a draw is a hash of what it is for (seed, rule, step, path, operation, number of
// the operation on that path), never the next value of a shared generator, so that no order of threads can change it.
//
// Integers only: libm differs between machines in the last bit, and one seed has to mean the same everywhere.
//   word(i)   = mix(key + i * golden), mix being SplitMix64's finalizer (Steele, Lea, Flood 2014; public domain)
//   uniform   = lo + floor(word * (hi - lo + 1) / 2^64)
//   normal    = mean + sd * (sum of 12 uniforms - 6): Irwin-Hall, exact in mean and sd, never beyond 6 sd; below 0
//   gives 0 exp       = mean * -ln(u), by a bitwise base-2 logarithm with 32 fractional bits pareto    = scale *
//   2^(-log2(u) / shape), by repeated integer square roots of 2
// u is a multiple of 2^-32 in (0, 1). A drawn time is at most 24 hours.
#ifndef KVSEAM_CORE_FAULT_DRAW_H_
#define KVSEAM_CORE_FAULT_DRAW_H_

#include <cstdint>
#include <string_view>

#include "fault_spec.h"

namespace kvseam {

class FaultDraw {
 public:
  /** `path`: hash of the path's id; `number`: of the operation on that path and of that kind, from 1. */
  FaultDraw(uint64_t seed, uint32_t rule, uint32_t step, uint64_t path, FaultOp op, uint64_t number);

  /** The same index gives the same word, whatever was drawn before. */
  uint64_t word(uint64_t index) const;
  /** An integer 0 .. below - 1. */
  uint64_t below(uint64_t index, uint64_t bound) const;
  /** True with a probability of `ppb` billionths. */
  bool happens(uint32_t ppb) const { return ppb >= FaultStep::kAlways || below(kShare, FaultStep::kAlways) < ppb; }
  int64_t time(const FaultDist& dist) const;

  static uint64_t hash(std::string_view text);
  /** A stream of its own under a word of another one. */
  static FaultDraw under(uint64_t word) { return FaultDraw(word); }

 private:
  explicit FaultDraw(uint64_t key) : key_(key) {}
  // Places in the stream, so that a share, a time and flipped bits never use the same word.
  static constexpr uint64_t kShare = 0;
  static constexpr uint64_t kTime = 16;

  uint64_t key_;
};

/** -log2(word + 0.5) + 32 with 32 fractional bits: of (word + 0.5) / 2^32. */
uint64_t minusLog2(uint32_t word);
/** 2^(exponent / 2^32) rounded down, saturating at 2^63. */
uint64_t powerOfTwo(uint64_t exponent, uint64_t times);

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_DRAW_H_
