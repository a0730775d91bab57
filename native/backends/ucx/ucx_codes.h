// Backend codes for what UCX itself does not notice, and the times that go with it.
#ifndef KVSEAM_BACKENDS_UCX_UCX_CODES_H_
#define KVSEAM_BACKENDS_UCX_UCX_CODES_H_

#include <cstdint>

namespace kvseam::ucx {

// UCX's own are -1 to -100.
constexpr int64_t kCodeSilent = -1001;
constexpr int64_t kCodeGoodbye = -1002;
constexpr int64_t kCodeFenced = -1003;
constexpr int64_t kCodeWithdrawn = -1004;
constexpr int64_t kCodeOtherLife = -1005;
constexpr int64_t kCodeNoAnswer = -1006;

constexpr int64_t kPingNs = 250'000'000;
// A frozen peer is silent, and neither tcp nor shared memory tells it from a slow one for tens of seconds.
constexpr int64_t kSilentNs = 1'750'000'000;

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_CODES_H_
