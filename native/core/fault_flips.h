// Corruption: which bytes of an operation flip, in memory after a read or at the peer by a second write.
#ifndef KVSEAM_CORE_FAULT_FLIPS_H_
#define KVSEAM_CORE_FAULT_FLIPS_H_

#include <cstdint>
#include <vector>

#include "backend.h"
#include "fault_spec.h"

namespace kvseam {

class FaultFlips {
 public:
  FaultFlips(const kvseam_backend_api* inner, kvseam_backend* self) : inner_(inner), self_(self) {}
  ~FaultFlips();
  FaultFlips(const FaultFlips&) = delete;
  FaultFlips& operator=(const FaultFlips&) = delete;

  /** Flips in memory what has just been read. False when the host cannot see that memory. */
  static bool flipArrived(const FaultAction& action, uint64_t flipKey, const kvseam_op& op);

  /** The memory that flipped bytes are written from serves one operation at a time, known by its serial (never 0). */
  bool takeScratch(uint64_t serial);
  void giveBackScratch(uint64_t serial);
  /** Runs of a second write: the flipped bytes, from the scratch memory, over those that were just sent. */
  bool prepareWrite(const FaultAction& action, uint64_t flipKey, const kvseam_op& op, std::vector<kvseam_run>* runs);

 private:
  const kvseam_backend_api* inner_;
  kvseam_backend* self_;
  bool held_ = false;
  kvseam_memory scratch_{};
  uint64_t user_ = 0;  // 0: free
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_FLIPS_H_
