// Life of the probe region at its owner and at a peer.
#include "probe_memory.h"

#include <new>
#include <utility>

namespace kvseam {

Status ProbeMemory::allocate(const std::shared_ptr<BackendHandle>& backend, uint64_t ownerIncarnation,
                             std::shared_ptr<ProbeMemory>* out) {
  const FaultBackend& faults = backend->faults();
  kvseam_memory_request request{};
  request.kind = KVSEAM_MEMORY_HOST;
  request.bytes = 2 * kHalfBytes;
  request.region = kRegionNumber;
  kvseam_memory memory{};
  Status status(faults.innerApi()->register_memory(faults.innerSelf(), &request, &memory));
  if (!status.ok()) return status;
  try {
    *out = std::make_shared<ProbeMemory>(backend, memory, ownerIncarnation, false);
  } catch (const std::bad_alloc&) {
    faults.innerApi()->deregister_memory(faults.innerSelf(), &memory);
    return Status::noMemory();
  }
  return status;
}

Status ProbeMemory::import(const std::shared_ptr<BackendHandle>& backend, const kvseam_peer_info& owner,
                           const RegionOffer& offer, std::shared_ptr<ProbeMemory>* out) {
  const FaultBackend& faults = backend->faults();
  kvseam_memory memory{};
  Status status(faults.innerApi()->import_key(faults.innerSelf(), &owner,
                                              reinterpret_cast<const uint8_t*>(offer.key.data()),
                                              static_cast<uint32_t>(offer.key.size()), offer.bytes, &memory));
  if (!status.ok()) return status;
  try {
    *out = std::make_shared<ProbeMemory>(backend, memory, owner.incarnation, true);
  } catch (const std::bad_alloc&) {
    faults.innerApi()->drop_key(faults.innerSelf(), &memory);
    return Status::noMemory();
  }
  return status;
}

ProbeMemory::ProbeMemory(std::shared_ptr<BackendHandle> backend, kvseam_memory memory, uint64_t owner, bool imported)
    : Memory(std::move(backend), memory, kName, owner, kRegionNumber), imported_(imported) {}

ProbeMemory::~ProbeMemory() {
  const FaultBackend& faults = backend_->faults();
  if (imported_) {
    faults.innerApi()->drop_key(faults.innerSelf(), &memory_);
  } else {
    faults.innerApi()->deregister_memory(faults.innerSelf(), &memory_);
  }
}

Status ProbeMemory::offer(RegionOffer* out) const {
  const FaultBackend& faults = backend_->faults();
  uint8_t key[KVSEAM_KEY_MAX];
  uint32_t keyBytes = sizeof(key);
  Status status(faults.innerApi()->export_key(faults.innerSelf(), &memory_, key, &keyBytes));
  if (status.ok()) *out = {kRegionNumber, bytes(), kName, std::string(reinterpret_cast<const char*>(key), keyBytes)};
  return status;
}

void ProbeMemory::withdrawNow() {
  if (!live()) return;
  withdraw();
  const FaultBackend& faults = backend_->faults();
  faults.innerApi()->revoke_memory(faults.innerSelf(), &memory_);
}

}  // namespace kvseam
