// Memory that transfers may touch. C++ owns the bytes: a share is held by the JavaScript handle, by every ArrayBuffer
// view and by every descriptor list of a transfer in flight. A JavaScript reference does not pin bytes:
// ArrayBuffer.prototype.transfer(), structuredClone and worker.terminate() would free them under the hardware.
#ifndef KVSEAM_CORE_REGION_H_
#define KVSEAM_CORE_REGION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backend_handle.h"
#include "status.h"
#include "write_claims.h"

namespace kvseam {

/** What both sides of a transfer have in common: some bytes at the backend, which may be withdrawn. */
class Memory {
 public:
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  const kvseam_memory& backendMemory() const { return memory_; }
  uint64_t bytes() const { return memory_.bytes; }
  const std::string& name() const { return name_; }
  /** Agent that owns the bytes. */
  uint64_t ownerIncarnation() const { return owner_; }
  /** Number of the region within its agent; never used twice, so it is the generation as well. */
  uint64_t serial() const { return serial_; }
  bool live() const { return live_.load(std::memory_order_acquire); }

  // Transfers that may still touch the bytes: raised at submit, lowered when quiesced.
  void enter() { inFlight_.fetch_add(1, std::memory_order_relaxed); }
  void leave() { inFlight_.fetch_sub(1, std::memory_order_release); }
  uint32_t inFlight() const { return inFlight_.load(std::memory_order_acquire); }

  /** Of the agent that posts; its thread's only. */
  WriteClaims& claims() const { return *claims_; }
  /** For the same bytes under a second key. Before anything is posted with this one. */
  void shareClaims(const Memory& other) { claims_ = other.claims_; }

 protected:
  Memory(std::shared_ptr<BackendHandle> backend, kvseam_memory memory, std::string name, uint64_t owner,
         uint64_t serial)
      : backend_(std::move(backend)),
        memory_(memory),
        name_(std::move(name)),
        owner_(owner),
        serial_(serial),
        claims_(std::make_shared<WriteClaims>(memory.bytes)) {}
  ~Memory() = default;
  void withdraw() { live_.store(false, std::memory_order_release); }

  std::shared_ptr<BackendHandle> backend_;
  kvseam_memory memory_;

 private:
  std::string name_;
  uint64_t owner_;
  uint64_t serial_;
  std::shared_ptr<WriteClaims> claims_;
  std::atomic<bool> live_{true};
  alignas(64) std::atomic<uint32_t> inFlight_{
      0};  // written by the owner for every transfer; the progress thread reads the rest
};

/** Memory of this process. */
class Region : public Memory {
 public:
  static Status allocate(const std::shared_ptr<BackendHandle>& backend, uint64_t serial, uint64_t bytes,
                         std::string name, uint64_t ownerIncarnation, std::shared_ptr<Region>* out);
  Region(std::shared_ptr<BackendHandle> backend, kvseam_memory memory, std::string name, uint64_t owner,
         uint64_t serial);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  uint8_t* data() const { return static_cast<uint8_t*>(memory_.address); }
  /** Peers and new transfers are refused from now on; the bytes stay until the last share is gone. Busy: unchanged. */
  Status revoke();
  /** The same whatever is in flight: for the end of the agent. */
  void withdrawNow();
  Status exportKey(std::string* out) const;

  /** Regions of this process that have not been freed yet; a leak check reads it. */
  static uint64_t liveCount();
};

/** Memory of a peer, as far as its key allows. */
class RemoteRegion : public Memory {
 public:
  static Status import(const std::shared_ptr<BackendHandle>& backend, const kvseam_peer_info& owner,
                       const std::string& key, uint64_t bytes, uint64_t serial, std::string name,
                       std::shared_ptr<RemoteRegion>* out);
  RemoteRegion(std::shared_ptr<BackendHandle> backend, kvseam_memory memory, std::string name, uint64_t owner,
               uint64_t serial);
  ~RemoteRegion();
  RemoteRegion(const RemoteRegion&) = delete;
  RemoteRegion& operator=(const RemoteRegion&) = delete;
  void drop() { withdraw(); }
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_REGION_H_
