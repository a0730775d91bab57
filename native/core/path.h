// The unit of health as the engine sees it: one local rail to one remote rail of one peer, with what was measured
// there.
#ifndef KVSEAM_CORE_PATH_H_
#define KVSEAM_CORE_PATH_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "backend.h"
#include "histogram.h"
#include "probe.h"

namespace kvseam {

struct Path {
  enum Phase : uint32_t { kPost = 0, kWire = 1, kTotal = 2, kPhases = 3 };

  uint32_t localRail = 0;
  uint32_t peer = 0;
  uint32_t remoteRail = 0;
  uint64_t key = 0;  // as permits name it

  // Successful transfers only: a failure is never a fast sample.
  Histogram latency[2][kPhases];  // [0 read, 1 write]
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> succeeded{0};
  std::atomic<uint64_t> failed{0};

  // Made by the owner's thread before the first probe of the kind; most paths are never probed in all ways.
  std::unique_ptr<ProbeFigures> probes[kProbeKinds];
  uint64_t warmBytes[2] = {};  // [0 read, 1 write] largest probe so far; owner's thread only

  static uint32_t operationIndex(uint32_t operation) { return operation == KVSEAM_OP_WRITE ? 1 : 0; }
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_PATH_H_
