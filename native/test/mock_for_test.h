// What the mock's tests share: modelled rails, and two agents connected over them.
#ifndef KVSEAM_TEST_MOCK_FOR_TEST_H_
#define KVSEAM_TEST_MOCK_FOR_TEST_H_

#include <cstring>
#include <vector>

#include "../backends/mock/mock_backend.h"
#include "agents_for_test.h"

namespace kvseam {

inline kvseam_rail rail(const char* name, uint64_t bytesPerSecond, int64_t latencyNs) {
  kvseam_rail out{};
  std::strcpy(out.name, name);
  out.bytes_per_second = bytesPerSecond;
  out.base_latency_ns = latencyNs;
  return out;
}

struct Agents : ConnectedAgents {
  explicit Agents(const std::vector<kvseam_rail>& rails = {}) : ConnectedAgents(mock::api(), rails, kBlocks * kBlock) {}
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_MOCK_FOR_TEST_H_
