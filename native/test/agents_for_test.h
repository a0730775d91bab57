// Two connected agents of this process over any backend, and the bytes that tests move between them.
#ifndef KVSEAM_TEST_AGENTS_FOR_TEST_H_
#define KVSEAM_TEST_AGENTS_FOR_TEST_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "engine_for_test.h"

namespace kvseam {

constexpr uint64_t kBlock = 4096;
constexpr uint32_t kBlocks = 256;

inline void fillWithNoise(uint8_t* data, uint64_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i + 8 <= bytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(data + i, &word, 8);
  }
}

inline std::vector<uint32_t> shuffledIds(uint32_t count, uint32_t seed) {
  std::vector<uint32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0U);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(seed));
  return ids;
}

/** `a` is connected to `b`; each has a region 'pool' full of noise. */
struct ConnectedAgents {
  ConnectedAgents(const kvseam_backend_api* api, const std::vector<kvseam_rail>& rails, uint64_t bytes)
      : book(newBook()), b(api, "b", book, 2, {}, rails), a(api, "a", book, 1, {}, rails) {
    there = b.allocate(bytes, "pool");
    here = a.allocate(bytes, "pool");
    fillWithNoise(b.data(there), bytes, 1);
    fillWithNoise(a.data(here), bytes, 2);
    peer = a.connect(b);
  }
  PostRequest request(uint32_t operation, const std::vector<uint32_t>& local, const std::vector<uint32_t>& remote,
                      uint32_t rail = 0, uint64_t block = kBlock) {
    PostRequest out;
    out.path = a.path(rail, peer, rail);
    out.operation = operation;
    out.localList = a.localList(here, block, local);
    out.remoteList = a.remoteList(peer, "pool", block, remote);
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
#endif  // KVSEAM_TEST_AGENTS_FOR_TEST_H_
