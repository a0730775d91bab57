// The owner's side of probes: what is refused, the memory of both ends, and the hand-over to the progress thread.
#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "agent.h"
#include "clock.h"

namespace kvseam {

Status Agent::checkProbe(const ProbeRequest& request) const {
  if (closed_) return Status::local(KVSEAM_CLOSED, "agent '" + name_ + "' is closed; open a new one");
  const Path* const path = progress_->path(request.path);
  if (path == nullptr) return Status::local(KVSEAM_NO_PATH, "path " + std::to_string(request.path) + " does not exist");
  const Peer& peer = peers_[path->peer];
  if (peer.gone)
    return Status(KVSEAM_STALE_EPOCH, KVSEAM_BLAME_peer,
                  "peer '" + peer.name + "' is gone or has restarted; connect to it again");
  if (static_cast<uint32_t>(request.kind) >= kProbeKinds) {
    return Status::local(KVSEAM_INVALID_ARGUMENT, "probe kind " + std::to_string(static_cast<uint32_t>(request.kind)) +
                                                      " is not 0 (rtt), 1 (read) or 2 (write)");
  }
  if (request.count == 0 || request.count > ProbeSeries::kMaxCount || request.window == 0 ||
      request.window > ProbeSeries::kMaxWindow) {
    return Status::local(KVSEAM_INVALID_ARGUMENT, "a probe has 1 to " + std::to_string(ProbeSeries::kMaxCount) +
                                                      " operations, 1 to " + std::to_string(ProbeSeries::kMaxWindow) +
                                                      " of them in flight at once");
  }
  if (request.bytes == 0 || request.bytes > ProbeMemory::kHalfBytes) {
    return Status::local(KVSEAM_OUT_OF_BOUNDS, "an operation of a probe has 1 to " +
                                                   std::to_string(ProbeMemory::kHalfBytes) + " bytes, not " +
                                                   std::to_string(request.bytes));
  }
  if (request.timeoutNs <= 0 || request.deadlineNs <= nowNs())
    return Status::local(KVSEAM_INVALID_ARGUMENT, "a probe needs a timeout above 0");
  if ((capabilities().operations & operationOf(request.kind)) == 0) {
    return Status::local(KVSEAM_NOT_SUPPORTED, std::string("backend '") + (*backend_)->name + "' has no one-sided " +
                                                   (request.kind == ProbeKind::kWrite ? "write" : "read") +
                                                   "; probe with another kind");
  }
  return {};
}

/** The two ends of what probes of this peer move. */
Status Agent::takeProbeMemory(Peer* peer) {
  if (probeMemory_ == nullptr) {
    Status status = ProbeMemory::allocate(backend_, incarnation_, &probeMemory_);
    if (!status.ok()) return status;
  }
  if (peer->probeMemory != nullptr) return {};
  if (peer->probeOffer.key.empty()) {
    return Status::protocol(KVSEAM_NOT_SUPPORTED,
                            "peer '" + peer->name + "' offers no memory for probes; run the same kvseam on both sides");
  }
  const kvseam_peer_info info{peer->name.c_str(), peer->incarnation,
                              reinterpret_cast<const uint8_t*>(peer->address.data()),
                              static_cast<uint32_t>(peer->address.size())};
  return ProbeMemory::import(backend_, info, peer->probeOffer, &peer->probeMemory);
}

Status Agent::probe(const ProbeRequest& request, uint64_t* out) try {
  Status status = checkProbe(request);
  if (!status.ok()) return status;
  Path* const path = progress_->path(request.path);
  Peer* const peer = &peers_[path->peer];
  status = takeProbeMemory(peer);
  if (!status.ok()) return status;
  if (request.bytes > peer->probeMemory->halfBytes()) {
    return Status::local(KVSEAM_OUT_OF_BOUNDS,
                         "peer '" + peer->name + "' offers " + std::to_string(peer->probeMemory->halfBytes()) +
                             " bytes for probes and this one has " + std::to_string(request.bytes));
  }
  if (!progress_->probeRoom())
    return Status::local(KVSEAM_QUEUE_FULL, std::to_string(Prober::kMaxSeries) + " probes are running; wait for some");
  // All that needs memory comes before the permit is used up.
  const auto kind = static_cast<uint32_t>(request.kind);
  if (path->probes[kind] == nullptr) path->probes[kind] = std::make_unique<ProbeFigures>();
  uint64_t& warmBytes = path->warmBytes[Path::operationIndex(operationOf(request.kind))];
  auto series = std::make_shared<ProbeSeries>();
  series->id = nextProbe_++;
  series->path = request.path;
  series->peer = path->peer;
  series->localRail = path->localRail;
  series->remoteRail = path->remoteRail;
  series->kind = request.kind;
  series->inbound = request.inbound;
  series->warmUp = request.bytes > warmBytes;
  series->bytes = request.bytes;
  series->count = request.count;
  series->window = request.window;
  series->timeoutNs = request.timeoutNs;
  series->deadlineNs = request.deadlineNs;
  series->local = probeMemory_;
  series->remote = peer->probeMemory;
  series->figures = path->probes[kind].get();
  series->samples.reserve(request.count);
  progress_->promiseProbe();
  status =
      permits_->redeem(request.permit, path->key, kProbePermit, request.bytes * (uint64_t{request.count} + 1), nowNs());
  if (!status.ok()) {
    progress_->withdrawProbe();
    return status;
  }
  warmBytes = std::max(warmBytes, request.bytes);
  *out = series->id;
  progress_->probe(std::move(series));
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::cancelProbe(uint64_t series) try {
  progress_->cancelSeries(series);
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

}  // namespace kvseam
