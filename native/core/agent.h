// One end of the data plane in a process: rails, regions, descriptor lists, peers and paths, and the only way to post.
// Every method belongs to the owner's thread; the progress thread is reached through rings.
#ifndef KVSEAM_CORE_AGENT_H_
#define KVSEAM_CORE_AGENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "descriptors.h"
#include "handle_table.h"
#include "metadata.h"
#include "permit.h"
#include "progress.h"
#include "region.h"

namespace kvseam {

struct AgentOptions {
  std::string name;
  std::vector<kvseam_rail> rails;
  ProgressOptions progress;
};

struct PostRequest {
  uint64_t permit = 0;
  uint32_t path = 0;
  uint32_t operation = 0;
  uint64_t localList = 0;
  uint64_t remoteList = 0;
  uint64_t first = 0;
  uint64_t count = 0;
  int64_t deadlineNs = 0;
  std::string notify;
  int64_t submittedNs = 0;  // the caller's own reading of the clock, so that one serves the whole call; 0: read here
};

struct ProbeRequest {
  uint64_t permit = 0;  // a probe permit for `count` + 1 times `bytes`: cold memory is warmed up by one more operation
  uint32_t path = 0;
  ProbeKind kind = ProbeKind::kRtt;
  bool inbound = false;  // the path leads to this agent
  uint64_t bytes = 0;
  uint32_t count = 0;
  uint32_t window = 1;
  int64_t timeoutNs = 0;  // of one operation
  int64_t deadlineNs = 0;
};

class Agent {
 public:
  static constexpr size_t kControlBytes = 1024;  // a notification carries control data, not KV bytes

  static Status open(const kvseam_backend_api* api, const AgentOptions& options, std::shared_ptr<PermitBook> permits,
                     uint32_t numberInBook, WakeTarget* wake, std::unique_ptr<Agent>* out);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  const std::string& name() const { return name_; }
  uint64_t incarnation() const { return incarnation_; }
  const std::vector<kvseam_rail>& rails() const { return rails_; }
  kvseam_capabilities capabilities() const;
  bool closed() const { return closed_; }

  Status allocate(uint64_t bytes, const std::string& name, uint64_t* handle);
  const std::shared_ptr<Region>* region(uint64_t handle) const { return regions_.find(handle); }
  /** Withdraws the region from peers and from new transfers; the bytes live until the last share is gone. */
  Status closeRegion(uint64_t handle);

  Status addList(std::shared_ptr<DescriptorList> list, uint64_t* handle);
  const std::shared_ptr<DescriptorList>* list(uint64_t handle) const { return lists_.find(handle); }
  void releaseList(uint64_t handle) { lists_.remove(handle); }

  Status exportMetadata(std::string* out);
  /** Reads a peer's metadata, imports its regions and starts the handshake; the outcome comes as an event. */
  Status connect(const uint8_t* blob, size_t bytes, int64_t deadlineNs, uint32_t* peer);
  struct Peer {
    std::string name;
    uint64_t incarnation = 0;
    std::vector<kvseam_rail> rails;
    std::vector<std::shared_ptr<RemoteRegion>> regions;
    bool gone = false;
    std::string address;
    RegionOffer probeOffer;                    // no key: the peer offers none
    std::shared_ptr<ProbeMemory> probeMemory;  // imported by the first probe
  };
  const Peer* peer(uint32_t index) const { return index < peers_.size() ? &peers_[index] : nullptr; }
  /** The peer is dead or replaced: its regions become stale, its paths unusable. */
  void dropPeer(uint32_t index);
  std::shared_ptr<RemoteRegion> remoteRegion(uint32_t peer, const std::string& regionName) const;

  Status addPath(uint32_t localRail, uint32_t peer, uint32_t remoteRail, uint32_t* path);
  Path* path(uint32_t index) const { return progress_->path(index); }

  /** What is posted from now on meets the rules. A backend that is not the mock refuses unless `allowReal`. */
  Status armFaults(const std::shared_ptr<FaultPlan>& plan, bool allowReal);
  /** Retire the plan first: what it holds is then let go. */
  Status disarmFaults(const std::shared_ptr<FaultPlan>& plan);

  /** The gate: refuses without a valid permit. On success `transfer` names the transfer until it has quiesced. */
  Status post(PostRequest request, uint64_t* transfer);
  /** Control message of at most kControlBytes; moves no region bytes, so it needs no permit. */
  Status notify(uint32_t path, std::string payload, int64_t deadlineNs, uint64_t* transfer);
  Status cancel(uint64_t transfer);
  /** Until the deadline of what the slot carries, negative when it has passed; for slots that are in flight. */
  int64_t remainingNs(uint32_t slot, int64_t nowNs) const { return progress_->transfer(slot).deadlineNs - nowNs; }
  /** Refuses without a probe permit. The one end of the series comes as an event of kind kProbed with this number. */
  Status probe(const ProbeRequest& request, uint64_t* series);
  Status cancelProbe(uint64_t series);
  /** Copies up to `max` records; a record with kQuiescedFlag ends the life of its slot. */
  uint32_t drain(CompletionRecord* out, uint32_t max);
  bool popEvent(EngineEvent* out);
  void acknowledgeWake() { progress_->acknowledgeWake(); }

  /** Stops the progress thread within the grace. Idempotent. Records that are left can still be drained. */
  Status close(int64_t graceNs);
  Progress& progress() { return *progress_; }
  BackendHandle& backend() { return *backend_; }

  uint64_t liveRegions() const { return regions_.live(); }
  uint64_t liveLists() const { return lists_.live(); }
  /** Transfers whose destination nobody else may write: those submitted and not yet quiesced, none after close(). */
  uint32_t writeClaims() const { return writeClaims_; }
  /** Posts refused because their destination overlaps one of those, or itself. */
  uint64_t overlapsRefused() const { return overlapsRefused_; }
  uint32_t inFlight() const { return options_.progress.maxTransfers - static_cast<uint32_t>(freeSlots_.size()); }

 private:
  Agent(std::shared_ptr<BackendHandle> backend, AgentOptions options, std::shared_ptr<PermitBook> permits,
        uint32_t numberInBook, WakeTarget* wake);
  Status closedStatus() const {
    return Status::local(KVSEAM_CLOSED, "agent '" + name_ + "' is closed; open a new one");
  }
  Status takeSlot(uint32_t* slot);
  uint64_t launch(uint32_t slot, int64_t submittedNs);
  void giveUpClaim(Transfer* transfer);
  void shareClaims(RemoteRegion* region) const;
  Status checkProbe(const ProbeRequest& request) const;
  Status takeProbeMemory(Peer* peer);

  AgentOptions options_;
  std::string name_;
  uint64_t incarnation_ = 0;
  std::shared_ptr<BackendHandle> backend_;
  std::shared_ptr<PermitBook> permits_;
  uint32_t numberInBook_;
  std::shared_ptr<Progress> progress_;
  std::vector<kvseam_rail> rails_;
  HandleTable<Region> regions_;
  HandleTable<DescriptorList> lists_;
  std::vector<Peer> peers_;
  std::shared_ptr<ProbeMemory> probeMemory_;
  uint64_t nextProbe_ = 1;
  std::vector<uint32_t> freeSlots_;
  std::vector<uint32_t> cancellable_;  // by slot: generation that may still be cancelled, once; 0 none
  uint64_t nextSerial_ = 1;
  uint32_t writeClaims_ = 0;
  uint64_t overlapsRefused_ = 0;
  bool closed_ = false;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_AGENT_H_
