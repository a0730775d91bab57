// What the tests of the UCX backend share: the table out of kvseam_ucx.so, rails, bytes, and pairs of connected agents.
#ifndef KVSEAM_TEST_UCX_FOR_TEST_H_
#define KVSEAM_TEST_UCX_FOR_TEST_H_

#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "../core/registry.h"
#include "engine_for_test.h"

#ifndef KVSEAM_UCX_FOLDER
#error "CMakeLists.txt names the folder of kvseam_ucx.so"
#endif

namespace kvseam {

constexpr uint64_t kUcxBlock = 4096;
constexpr uint32_t kUcxBlocks = 256;

// A sanitizer looks at every byte that is filled, copied or compared. The large pools are for the plain build, where
// rates matter; order and lifetime, which the sanitizers are for, are the same in an eighth of them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kUcxMiB = uint64_t{1} << 17;
#else
constexpr uint64_t kUcxMiB = uint64_t{1} << 20;
#endif

/** Opened through the registry, as the addon does it, so that its guards are in place. */
inline const kvseam_backend_api* ucxApi() {
  static const kvseam_backend_api* const found = [] {
    static auto* const registry = new Registry(KVSEAM_UCX_FOLDER);
    const kvseam_backend_api* api = nullptr;
    const Status status = registry->find("ucx", &api);
    EXPECT_TRUE(status.ok()) << status.text();
    return api;
  }();
  return found;
}

inline kvseam_rail ucxRail(const char* name, const char* device) {
  kvseam_rail out{};
  std::strcpy(out.name, name);
  std::strcpy(out.device, device);
  return out;
}

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

/** Two agents of this process over UCX, `a` connected to `b`. */
struct UcxAgents {
  explicit UcxAgents(const std::vector<kvseam_rail>& rails, uint64_t bytes = kUcxBlocks * kUcxBlock)
      : book(newBook()), b(ucxApi(), "b", book, 2, {}, rails), a(ucxApi(), "a", book, 1, {}, rails) {
    there = b.allocate(bytes, "pool");
    here = a.allocate(bytes, "pool");
    fillWithNoise(b.data(there), bytes, 1);
    fillWithNoise(a.data(here), bytes, 2);
    peer = a.connect(b);
  }
  PostRequest request(uint32_t operation, const std::vector<uint32_t>& local, const std::vector<uint32_t>& remote,
                      uint32_t rail = 0, uint64_t block = kUcxBlock) {
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
#endif  // KVSEAM_TEST_UCX_FOR_TEST_H_
