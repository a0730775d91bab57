// A measurement made for its own sake: one series of equal operations on one path, timed by the progress thread. The
// owner fills in the order, the progress thread the result; the two never hold it at the same time.
//
// Kinds. `rtt` is a one-sided read of a few bytes: by its nature a whole round trip (the request goes there, the bytes
// come back, done means arrived here) over the very machinery that payloads use, and it needs nobody's attention at the
// other end, whereas an echoed notification would time the peer's thread as well and a small write may report success
// from a local buffer. `read` and `write` are the same with more bytes.
#ifndef KVSEAM_CORE_PROBE_H_
#define KVSEAM_CORE_PROBE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "histogram.h"
#include "probe_memory.h"

namespace kvseam {

enum class ProbeKind : uint32_t { kRtt = 0, kRead = 1, kWrite = 2 };
inline constexpr uint32_t kProbeKinds = 3;

constexpr uint32_t operationOf(ProbeKind kind) { return kind == ProbeKind::kWrite ? KVSEAM_OP_WRITE : KVSEAM_OP_READ; }

/** What the probes of one kind on one path have shown; kept apart from payloads. Written by the progress thread. */
struct ProbeFigures {
  Histogram latency;  // of those that succeeded and were not delayed by ourselves
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> selfDelayed{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<int64_t> lastNs{0};  // when the newest one succeeded, CLOCK_MONOTONIC; 0: never
  // Smoothed difference between neighbours, j += (|D| - j) / 16 (RFC 3550, 6.4.1), in sixteenths of a nanosecond.
  std::atomic<int64_t> jitterNs16{0};
  int64_t previousNs = -1;  // progress thread only

  void record(int64_t ns, uint64_t moved, int64_t atNs) {
    latency.record(ns);
    bytes.fetch_add(moved, std::memory_order_relaxed);
    lastNs.store(atNs, std::memory_order_relaxed);
    if (previousNs >= 0) {
      const int64_t jitter = jitterNs16.load(std::memory_order_relaxed);
      const int64_t difference = ns > previousNs ? ns - previousNs : previousNs - ns;
      jitterNs16.store(jitter + difference - jitter / 16, std::memory_order_relaxed);
    }
    previousNs = ns;
  }
};

struct ProbeSeries {
  static constexpr uint32_t kMaxCount = 10'000;
  static constexpr uint32_t kMaxWindow = 16;

  // The order.
  uint64_t id = 0;
  uint32_t path = 0;
  uint32_t peer = 0;
  uint32_t localRail = 0;
  uint32_t remoteRail = 0;
  ProbeKind kind = ProbeKind::kRtt;
  bool inbound = false;  // the path leads to this agent
  bool warmUp = false;   // one more operation comes first and is not recorded: it meets cold memory
  uint64_t bytes = 0;
  uint32_t count = 0;
  uint32_t window = 1;     // in flight at once
  int64_t timeoutNs = 0;   // of one operation
  int64_t deadlineNs = 0;  // of the whole series
  std::shared_ptr<ProbeMemory> local;
  std::shared_ptr<ProbeMemory> remote;
  ProbeFigures* figures = nullptr;

  // The result.
  struct Sample {
    int64_t ns = 0;
    bool selfDelayed = false;
  };
  std::vector<Sample> samples;  // of the operations that succeeded, in the order in which they ended
  uint32_t posted = 0;          // operations that the backend took, the warm-up included
  uint32_t failed = 0;
  uint32_t timedOut = 0;  // of those that failed
  uint32_t failedSelfDelayed = 0;
  int32_t code = KVSEAM_OK;  // of the newest failure, or why the series ended early
  int32_t blame = KVSEAM_BLAME_none;
  int64_t backendCode = 0;
  bool endedEarly = false;  // cancelled, closed, past its deadline, or pointless to go on
  int64_t startedNs = 0;    // when the first recorded operation was posted; 0: none was
  int64_t endedNs = 0;

  // Progress thread only.
  uint32_t begun = 0;  // operations begun, the warm-up not counted
  uint32_t inFlight = 0;
  bool warming = false;
  bool over = false;
  int64_t refusedSinceNs = 0;  // the backend's queue has been full since then; 0: it is not
  int64_t retryAtNs = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_PROBE_H_
