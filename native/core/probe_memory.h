// The memory that probes move, so that they never touch a user's: one small region for each agent, of the same kind and
// at the same backend as payloads, half of it read from and half of it written to. Its name is reserved. What is in it
// means nothing; several probes may write to one landing half at once.
#ifndef KVSEAM_CORE_PROBE_MEMORY_H_
#define KVSEAM_CORE_PROBE_MEMORY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "metadata.h"
#include "region.h"

namespace kvseam {

class ProbeMemory final : public Memory {
 public:
  static constexpr uint64_t kHalfBytes = uint64_t{4} << 20;  // pages are taken when a probe first touches them
  static constexpr uint64_t kRegionNumber = UINT64_MAX - 1;  // the engine counts its regions from 1
  static constexpr const char* kName = "kvseam.probe";

  // Past the fault layer: rules speak of a user's regions, and these must not use up what is meant for those.
  static Status allocate(const std::shared_ptr<BackendHandle>& backend, uint64_t ownerIncarnation,
                         std::shared_ptr<ProbeMemory>* out);
  static Status import(const std::shared_ptr<BackendHandle>& backend, const kvseam_peer_info& owner,
                       const RegionOffer& offer, std::shared_ptr<ProbeMemory>* out);
  ProbeMemory(std::shared_ptr<BackendHandle> backend, kvseam_memory memory, uint64_t owner, bool imported);
  ~ProbeMemory();
  ProbeMemory(const ProbeMemory&) = delete;
  ProbeMemory& operator=(const ProbeMemory&) = delete;

  uint64_t halfBytes() const { return bytes() / 2; }
  uint64_t sourceOffset() const { return 0; }
  uint64_t landingOffset() const { return halfBytes(); }
  Status offer(RegionOffer* out) const;
  /** Peers are refused from now on. Own memory only. */
  void withdrawNow();

 private:
  bool imported_;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_PROBE_MEMORY_H_
