// The owner's side of peers: what is told to them, what they told, and the paths to them.
#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "agent.h"

namespace kvseam {

Status Agent::exportMetadata(std::string* out) try {
  if (closed_) return closedStatus();
  Metadata metadata;
  metadata.backend = (*backend_)->name;
  metadata.agent = name_;
  metadata.incarnation = incarnation_;
  metadata.rails = rails_;
  std::string address(KVSEAM_ADDRESS_MAX, '\0');
  auto addressBytes = static_cast<uint32_t>(address.size());
  Status status(
      (*backend_)->export_address(backend_->self(), reinterpret_cast<uint8_t*>(address.data()), &addressBytes));
  if (!status.ok()) return status;
  address.resize(addressBytes);
  metadata.address = std::move(address);
  regions_.forEach([&](const std::shared_ptr<Region>& region) {
    RegionOffer offer{region->serial(), region->bytes(), region->name(), {}};
    const Status exported = region->exportKey(&offer.key);
    if (!exported.ok()) status = exported;
    metadata.regions.push_back(std::move(offer));
  });
  if (!status.ok()) return status;
  if (probeMemory_ == nullptr) {
    const Status registered = ProbeMemory::allocate(backend_, incarnation_, &probeMemory_);
    // An agent that can't be probed can still move payloads, so this is no reason to fail. Want of memory passes.
    if (registered.code() == KVSEAM_NO_MEMORY) return registered;
  }
  RegionOffer probeOffer;
  if (probeMemory_ != nullptr && probeMemory_->offer(&probeOffer).ok())
    metadata.regions.push_back(std::move(probeOffer));
  return metadata.write(out);
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::connect(const uint8_t* blob, size_t bytes, int64_t deadlineNs, uint32_t* peerOut) try {
  if (closed_) return closedStatus();
  Metadata metadata;
  Status status = Metadata::read(blob, bytes, &metadata);
  if (!status.ok()) return status;
  if (metadata.backend != (*backend_)->name) {
    return Status::protocol(KVSEAM_INCOMPATIBLE, "peer '" + metadata.agent + "' uses backend '" + metadata.backend +
                                                     "' and this agent '" + (*backend_)->name +
                                                     "'; open both with the same backend");
  }
  uint32_t known = static_cast<uint32_t>(peers_.size());
  for (uint32_t i = 0; i < peers_.size(); ++i) {
    if (peers_[i].name == metadata.agent && !peers_[i].gone) known = i;
  }
  const bool sameLife = known < peers_.size() && peers_[known].incarnation == metadata.incarnation;

  const kvseam_peer_info info{metadata.agent.c_str(), metadata.incarnation,
                              reinterpret_cast<const uint8_t*>(metadata.address.data()),
                              static_cast<uint32_t>(metadata.address.size())};
  // Import everything before anything changes: a refused blob leaves the peer table as it was.
  std::vector<std::shared_ptr<RemoteRegion>> regions;
  RegionOffer probeOffer;
  for (RegionOffer& offer : metadata.regions) {
    if (reservedName(offer.name)) {
      if (offer.name == ProbeMemory::kName) probeOffer = std::move(offer);
      continue;
    }
    if (sameLife) {
      const auto& old = peers_[known].regions;
      const auto kept =
          std::find_if(old.begin(), old.end(), [&](const auto& r) { return r->serial() == offer.serial; });
      if (kept != old.end()) {
        regions.push_back(*kept);
        continue;
      }
    }
    std::shared_ptr<RemoteRegion> region;
    status = RemoteRegion::import(backend_, info, offer.key, offer.bytes, offer.serial, offer.name, &region);
    if (!status.ok()) return status;
    shareClaims(region.get());
    regions.push_back(std::move(region));
  }
  if (sameLife) {
    Peer& peer = peers_[known];
    for (const auto& old : peer.regions) {
      if (std::find(regions.begin(), regions.end(), old) == regions.end()) old->drop();
    }
    peer.regions = std::move(regions);
    if (peer.probeOffer.key.empty()) peer.probeOffer = std::move(probeOffer);
    *peerOut = known;
    return {};
  }
  if (peers_.size() >= 65'536)
    return Status::local(KVSEAM_QUEUE_FULL,
                         "65,536 peers have been connected in the life of this agent; open a new agent");
  const auto index = static_cast<uint32_t>(peers_.size());
  if (peers_.size() == peers_.capacity()) peers_.reserve(2 * peers_.size() + 16);
  // Made before the thread is told: from then on nothing may fail.
  Peer added{metadata.agent, metadata.incarnation, metadata.rails,        std::move(regions),
             false,          metadata.address,     std::move(probeOffer), nullptr};
  if (!progress_->connect(index, metadata.agent, metadata.incarnation, metadata.address, deadlineNs)) {
    return Status::local(KVSEAM_QUEUE_FULL, "too many connects are waiting; try again");
  }
  if (known < peers_.size()) dropPeer(known);  // the same name in a new life replaces the old one
  peers_.push_back(std::move(added));
  *peerOut = index;
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

/** A peer that was lost and is connected again has the same bytes under new keys, and old writes may still land. */
void Agent::shareClaims(RemoteRegion* region) const {
  const auto same = [region](const Memory& other) {
    return other.ownerIncarnation() == region->ownerIncarnation() && other.serial() == region->serial();
  };
  if (region->ownerIncarnation() == incarnation_) {
    regions_.forEach([&](const std::shared_ptr<Region>& own) {
      if (same(*own)) region->shareClaims(*own);
    });
  }
  if (writeClaims_ == 0) return;
  for (uint32_t slot = 0; slot < options_.progress.maxTransfers; ++slot) {
    const Transfer& transfer = progress_->transfer(slot);
    if (!transfer.claimed || transfer.operation != KVSEAM_OP_WRITE) continue;
    for (const auto& memory : transfer.remote->memories()) {
      if (same(*memory)) region->shareClaims(*memory);
    }
  }
}

void Agent::dropPeer(uint32_t index) {
  if (index >= peers_.size() || peers_[index].gone) return;
  Peer& peer = peers_[index];
  peer.gone = true;
  for (const auto& region : peer.regions) region->drop();
  peer.regions.clear();
  peer.probeMemory.reset();
  progress_->disconnect(index);
}

std::shared_ptr<RemoteRegion> Agent::remoteRegion(uint32_t peer, const std::string& regionName) const {
  if (peer >= peers_.size()) return nullptr;
  for (const auto& region : peers_[peer].regions) {
    if (region->name() == regionName) return region;
  }
  return nullptr;
}

Status Agent::addPath(uint32_t localRail, uint32_t peer, uint32_t remoteRail, uint32_t* out) try {
  if (closed_) return closedStatus();
  if (peer >= peers_.size())
    return Status::local(KVSEAM_INVALID_ARGUMENT, "the peer is not one of this agent; connect to it first");
  if (localRail >= rails_.size() || remoteRail >= peers_[peer].rails.size()) {
    return Status::local(KVSEAM_NO_PATH, "rail " + std::to_string(localRail) + " here or rail " +
                                             std::to_string(remoteRail) + " of peer '" + peers_[peer].name +
                                             "' does not exist");
  }
  for (uint32_t i = 0; i < progress_->pathCount(); ++i) {
    const Path& known = *progress_->path(i);
    if (known.localRail == localRail && known.peer == peer && known.remoteRail == remoteRail) {
      *out = i;
      return {};
    }
  }
  const uint32_t next = progress_->pathCount();
  if (next >= options_.progress.maxPaths) {
    return Status::local(KVSEAM_QUEUE_FULL,
                         "the agent has its " + std::to_string(options_.progress.maxPaths) + " paths; raise maxPaths");
  }
  // Named first: a name without its path is harmless, and a path is there whole or not at all.
  backend_->faults().names().namePath(next, rails_[localRail].name, peers_[peer].name,
                                      peers_[peer].rails[remoteRail].name);
  backend_->faults().pathAdded(next);
  auto path = std::make_unique<Path>();
  path->localRail = localRail;
  path->peer = peer;
  path->remoteRail = remoteRail;
  path->key = uint64_t{numberInBook_} << 32 | next;
  progress_->addPath(std::move(path));
  *out = next;
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

}  // namespace kvseam
