// What the mock's tests share: rails, noise, and two connected agents of this process.
#ifndef KVSEAM_TEST_MOCK_FOR_TEST_H_
#define KVSEAM_TEST_MOCK_FOR_TEST_H_

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "../backends/mock/mock_backend.h"
#include "engine_for_test.h"

namespace kvseam {

constexpr uint64_t kBlock = 4096;
constexpr uint32_t kBlocks = 256;

inline kvseam_rail rail(const char* name, uint64_t bytesPerSecond, int64_t latencyNs) {
  kvseam_rail out{};
  std::strcpy(out.name, name);
  out.bytes_per_second = bytesPerSecond;
  out.base_latency_ns = latencyNs;
  return out;
}

inline void fill(uint8_t* data, uint64_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i + 8 <= bytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(data + i, &word, 8);
  }
}

inline std::vector<uint32_t> shuffled(uint32_t count, uint32_t seed) {
  std::vector<uint32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0U);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(seed));
  return ids;
}

/** Two agents of this process over the mock, `a` connected to `b`. */
struct Agents {
  explicit Agents(const std::vector<kvseam_rail>& rails = {})
      : book(newBook()), b(mock::api(), "b", book, 2, {}, rails), a(mock::api(), "a", book, 1, {}, rails) {
    there = b.allocate(kBlocks * kBlock, "pool");
    here = a.allocate(kBlocks * kBlock, "pool");
    fill(b.data(there), kBlocks * kBlock, 1);
    fill(a.data(here), kBlocks * kBlock, 2);
    peer = a.connect(b);
  }
  PostRequest request(uint32_t operation, const std::vector<uint32_t>& local, const std::vector<uint32_t>& remote,
                      uint32_t railNumber = 0) {
    PostRequest out;
    out.path = a.path(railNumber, peer, railNumber);
    out.operation = operation;
    out.localList = a.localList(here, kBlock, local);
    out.remoteList = a.remoteList(peer, "pool", kBlock, remote);
    return out;
  }

  std::shared_ptr<PermitBook> book;
  Engine b;
  Engine a;
  uint64_t there = 0;
  uint64_t here = 0;
  uint32_t peer = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_MOCK_FOR_TEST_H_
