// Life of registered memory: taken from the backend once, given back when the last share is gone.
#include "region.h"

#include <new>

namespace kvseam {

namespace {
std::atomic<uint64_t> liveRegions{0};
}  // namespace

uint64_t Region::liveCount() { return liveRegions.load(std::memory_order_relaxed); }

Status Region::allocate(const std::shared_ptr<BackendHandle>& backend, uint64_t serial, uint64_t bytes,
                        std::string name, uint64_t ownerIncarnation, std::shared_ptr<Region>* out) {
  kvseam_memory_request request{};
  request.kind = KVSEAM_MEMORY_HOST;
  request.bytes = bytes;
  request.region = serial;
  kvseam_memory memory{};
  Status status((*backend)->register_memory(backend->self(), &request, &memory));
  if (!status.ok()) return status;
  try {
    *out = std::make_shared<Region>(backend, memory, std::move(name), ownerIncarnation, serial);
  } catch (const std::bad_alloc&) {
    (*backend)->deregister_memory(backend->self(), &memory);
    return Status::noMemory();
  }
  return status;
}

Region::Region(std::shared_ptr<BackendHandle> backend, kvseam_memory memory, std::string name, uint64_t owner,
               uint64_t serial)
    : Memory(std::move(backend), memory, std::move(name), owner, serial) {
  liveRegions.fetch_add(1, std::memory_order_relaxed);
}

Region::~Region() {
  (*backend_)->deregister_memory(backend_->self(), &memory_);
  liveRegions.fetch_sub(1, std::memory_order_relaxed);
}

Status Region::revoke() {
  if (!live()) return {};
  const uint32_t transfers = inFlight();
  if (transfers != 0) {
    return Status::local(KVSEAM_REGION_BUSY, "region '" + name() + "' has " + std::to_string(transfers) +
                                                 " transfer(s) in flight; wait for `quiesced` or pass { drainMs }");
  }
  withdrawNow();
  return {};
}

void Region::withdrawNow() {
  if (!live()) return;
  withdraw();
  (*backend_)->revoke_memory(backend_->self(), &memory_);
}

Status Region::exportKey(std::string* out) const {
  uint8_t key[KVSEAM_KEY_MAX];
  uint32_t keyBytes = sizeof(key);
  Status status((*backend_)->export_key(backend_->self(), &memory_, key, &keyBytes));
  if (status.ok()) out->assign(reinterpret_cast<const char*>(key), keyBytes);
  return status;
}

Status RemoteRegion::import(const std::shared_ptr<BackendHandle>& backend, const kvseam_peer_info& owner,
                            const std::string& key, uint64_t bytes, uint64_t serial, std::string name,
                            std::shared_ptr<RemoteRegion>* out) {
  kvseam_memory memory{};
  Status status((*backend)->import_key(backend->self(), &owner, reinterpret_cast<const uint8_t*>(key.data()),
                                       static_cast<uint32_t>(key.size()), bytes, &memory));
  if (!status.ok()) return status;
  try {
    *out = std::make_shared<RemoteRegion>(backend, memory, std::move(name), owner.incarnation, serial);
  } catch (const std::bad_alloc&) {
    (*backend)->drop_key(backend->self(), &memory);
    return Status::noMemory();
  }
  return status;
}

RemoteRegion::RemoteRegion(std::shared_ptr<BackendHandle> backend, kvseam_memory memory, std::string name,
                           uint64_t owner, uint64_t serial)
    : Memory(std::move(backend), memory, std::move(name), owner, serial) {}

RemoteRegion::~RemoteRegion() { (*backend_)->drop_key(backend_->self(), &memory_); }

}  // namespace kvseam
