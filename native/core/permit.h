// The gate's native half: a permit is a single-use leave for one transfer over one path, and nothing is posted without
// one. Numbers are not guessable in practice and never valid twice. One book a seam, used from its JavaScript thread.
#ifndef KVSEAM_CORE_PERMIT_H_
#define KVSEAM_CORE_PERMIT_H_

#include <cstdint>
#include <vector>

#include "status.h"

namespace kvseam {

/** Leave for one series of probes, which move memory of their own; it is no leave to move a user's bytes, nor the
 * reverse. */
inline constexpr uint32_t kProbePermit = 8;

struct PermitTerms {
  uint64_t path = 0;        // key of the path, unique within the book
  uint32_t operations = 0;  // kvseam_op_kind bits, or kProbePermit alone
  uint64_t maxBytes = 0;
  int64_t expiresNs = 0;  // CLOCK_MONOTONIC
  uint32_t workload = 0;  // class of the request as a number (FaultJudge::classHash); 0: not told
};

struct PermitCounters {
  uint64_t minted = 0;    // for transfers
  uint64_t redeemed = 0;  // by transfers
  uint64_t probesMinted = 0;
  uint64_t probesRedeemed = 0;
  uint64_t refused = 0;
  uint64_t expired = 0;
  uint64_t revoked = 0;
};

class PermitBook {
 public:
  static constexpr uint32_t kSlots = 1u << 16;  // permits outstanding at once

  explicit PermitBook(uint64_t secret);

  /** 0 when all slots are taken by permits that have not expired. */
  uint64_t mint(const PermitTerms& terms, int64_t nowNs);
  /** Uses the permit up, unless it does not cover this transfer; then it stays as it was. */
  Status redeem(uint64_t permit, uint64_t path, uint32_t operation, uint64_t bytes, int64_t nowNs,
                uint32_t* workload = nullptr);
  /** Undoes the redemption that was the last call to this book: nothing was posted after all. */
  void undoRedeem(uint64_t permit);
  /** True when the permit was outstanding. */
  bool revoke(uint64_t permit);
  /** A new epoch: every permit minted before it is void. */
  void advanceEpoch();

  uint32_t outstanding() const { return kSlots - static_cast<uint32_t>(free_.size()); }
  uint64_t epoch() const { return epoch_; }
  const PermitCounters& counters() const { return counters_; }

 private:
  struct Slot {
    uint64_t permit = 0;  // 0 = free
    uint64_t epoch = 0;
    PermitTerms terms;
  };
  void release(uint32_t index);
  void sweep(int64_t nowNs);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint64_t secret_;
  uint64_t serial_ = 0;
  uint64_t epoch_ = 1;
  PermitCounters counters_;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_PERMIT_H_
