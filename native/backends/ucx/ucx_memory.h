// Memory of the UCX backend: a region is mapped once on every rail whose hardware reaches into it by itself, and its
// life ends in steps, because a peer may still ask for it, and UCX still send from it, when its owner is done with it.
#ifndef KVSEAM_BACKENDS_UCX_UCX_MEMORY_H_
#define KVSEAM_BACKENDS_UCX_UCX_MEMORY_H_

#include <ucp/api/ucp.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "../../core/backend.h"
#include "../../core/status.h"
#include "../mock/mock_memory.h"
#include "ucx_blob.h"
#include "ucx_rail.h"

namespace kvseam::ucx {

using Rails = std::vector<std::unique_ptr<Rail>>;

/** A region of ours. */
struct OwnMemory {
  uint64_t region = 0;
  uint8_t* address = nullptr;
  uint64_t bytes = 0;
  std::unique_ptr<mock::Mapping> shared;  // a peer on this machine can map it too
  bool foreign = false;                   // the caller's own memory
  uint32_t sending = 0;                   // progress thread: messages that UCX still reads from it
  std::vector<std::pair<const Rail*, ucp_mem_h>> mappings;
  KeyBlob key;
};

/** A region of a peer. All but the key belongs to the progress thread. */
struct PeerMemory {
  uint64_t owner = 0;  // incarnation
  KeyBlob key;
  std::unique_ptr<mock::Mapping> shared;  // null where it cannot be mapped
  uint32_t outstanding = 0;               // requests of UCX that touch it
  bool withdrawn = false;
};

/** Maps a peer's region, if this is the machine and the process namespace that it lives in; else null. */
std::unique_ptr<mock::Mapping> openShared(const SharedPlace& place, uint64_t bytes);

/**
 * The regions of one agent. Thread-safe except where it says progress thread.
 * A region goes: offered -> revoked (peers are told) -> given up by the engine -> every peer has answered -> unmapped.
 */
class OwnRegions {
 public:
  static constexpr size_t kMaxRegions = 16'384;
  /** `wakeFd`: an eventfd that is written when the progress thread has to look. */
  OwnRegions(const Rails* rails, int wakeFd) : rails_(rails), wakeFd_(wakeFd) {}
  ~OwnRegions();
  OwnRegions(const OwnRegions&) = delete;
  OwnRegions& operator=(const OwnRegions&) = delete;

  Status add(const kvseam_memory_request& request, std::unique_ptr<OwnMemory>* out);
  void revoke(uint64_t region);
  /** Takes the memory; it is unmapped as soon as no peer can ask for it any more. */
  void giveUp(std::unique_ptr<OwnMemory> memory);
  WelcomeBlob offered() const;
  /** Before a key is given away: what was written so far is what the progress thread will read when a peer asks for it.
   */
  void publish() const { const std::lock_guard<std::mutex> lock(mutex_); }
  uint64_t quarantinedBytes() const { return quarantinedBytes_.load(std::memory_order_relaxed); }

  // Progress thread.
  /** The region, if it is offered and has these bytes; else null and why. What is found stays mapped until the next
   * collect(). */
  OwnMemory* find(uint64_t region, uint64_t offset, uint64_t bytes, Code* why) const;
  bool newsWaiting() const { return news_.load(std::memory_order_acquire); }
  /** Regions revoked since the last call: tell every peer. */
  std::vector<uint64_t> takeRevoked();
  /** One more peer has to answer for it; `answered` takes that back. */
  void expectAnswer(uint64_t region);
  void answered(uint64_t region);
  /** A peer went without an answer: what it may still ask for stays mapped, without its pages. */
  void unanswered(uint64_t region);
  /** A peer fell silent and may come back with old requests: regions that end before `untilNs` stay mapped too. */
  void distrustUntil(int64_t untilNs);
  void lookAgain() { news_.store(true, std::memory_order_release); }
  /** Unmaps what has ended. */
  void collect(int64_t nowNs);
  /** The workers are gone, so nobody can ask any more: what ends from now on is unmapped at once. */
  void endService();

 private:
  struct Fate {
    std::unique_ptr<OwnMemory> memory;  // null until given up
    uint32_t answersOwed = 0;
    bool told = false;
    bool unfenced = false;
  };
  Status map(OwnMemory* memory, const kvseam_memory_request& request);
  static void unmap(OwnMemory* memory);
  void quarantine(std::unique_ptr<OwnMemory> memory);

  void wake();
  bool oneSided() const;

  const Rails* rails_;
  int wakeFd_;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, OwnMemory*> offered_;
  uint64_t newest_ = 0;
  std::unordered_map<uint64_t, Fate> ending_;
  std::vector<uint64_t> revoked_;
  int64_t distrustUntilNs_ = 0;
  bool served_ = true;
  std::atomic<bool> news_{false};
  std::atomic<uint64_t> quarantinedBytes_{0};
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_MEMORY_H_
