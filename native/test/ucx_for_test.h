// What the tests of the UCX backend share: the table out of kvseam_ucx.so, rails, and two agents connected over them.
#ifndef KVSEAM_TEST_UCX_FOR_TEST_H_
#define KVSEAM_TEST_UCX_FOR_TEST_H_

#include <cstring>
#include <string>
#include <vector>

#include "../core/registry.h"
#include "agents_for_test.h"

#ifndef KVSEAM_UCX_FOLDER
#error "CMakeLists.txt names the folder of kvseam_ucx.so"
#endif

namespace kvseam {

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

struct UcxAgents : ConnectedAgents {
  explicit UcxAgents(const std::vector<kvseam_rail>& rails, uint64_t bytes = kBlocks * kBlock)
      : ConnectedAgents(ucxApi(), rails, bytes) {}
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_UCX_FOR_TEST_H_
