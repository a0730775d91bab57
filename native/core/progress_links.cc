// The progress thread's part that knows peers: connecting to them, losing them, and whom that concerns.
#include <new>
#include <utility>

#include "clock.h"
#include "progress.h"

namespace kvseam {

namespace {

constexpr uint32_t kMaxConnects = 256;  // waiting for the thread to begin them

}  // namespace

bool Progress::connect(uint32_t peer, const std::string& name, uint64_t incarnation, const std::string& address,
                       int64_t deadlineNs) {
  {
    const std::lock_guard<std::mutex> lock(linkMutex_);
    if (connects_.size() >= kMaxConnects) return false;
    if (disconnects_.capacity() <= peer) disconnects_.reserve(2 * size_t{peer} + 16);
    connects_.push_back({peer, name, incarnation, address, deadlineNs});
    try {
      events_.promise(2);  // connected or not, and down
    } catch (const std::bad_alloc&) {
      connects_.pop_back();
      throw;
    }
    linkCommandsWaiting_.fetch_add(1, std::memory_order_release);
  }
  wakeThread();
  return true;
}

void Progress::disconnect(uint32_t peer) {
  {
    const std::lock_guard<std::mutex> lock(linkMutex_);
    disconnects_.push_back(peer);
    linkCommandsWaiting_.fetch_add(1, std::memory_order_release);
  }
  wakeThread();
}

bool Progress::backendPeer(uint32_t peer, uint32_t* out) const {
  if (peer >= links_.size() || !links_[peer].up) return false;
  *out = links_[peer].backendPeer;
  return true;
}

bool Progress::nextConnect(Connect* out) {
  const std::lock_guard<std::mutex> lock(linkMutex_);
  if (connects_.empty()) return false;
  *out = std::move(connects_.front());
  connects_.pop_front();
  linkCommandsWaiting_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

bool Progress::nextDisconnect(uint32_t* peer) {
  const std::lock_guard<std::mutex> lock(linkMutex_);
  if (disconnects_.empty()) return false;
  *peer = disconnects_.back();
  disconnects_.pop_back();
  linkCommandsWaiting_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

// A peer is never connected after it was disconnected: the next life has another number.
void Progress::takeLinkCommands() {
  for (Connect request; nextConnect(&request);) beginConnect(request);
  for (uint32_t peer = 0; nextDisconnect(&peer);) {
    if (peer >= links_.size() || !links_[peer].known) continue;
    links_[peer].up = false;
    api_->disconnect(self_, links_[peer].backendPeer);
    failWaiting(peer);
  }
}

void Progress::beginConnect(const Connect& request) {
  const uint32_t peer = request.peer;
  const kvseam_peer_info info{request.name.c_str(), request.incarnation,
                              reinterpret_cast<const uint8_t*>(request.address.data()),
                              static_cast<uint32_t>(request.address.size())};
  uint32_t backendPeer = 0;
  bool connected = false;
  Status status;
  try {
    if (peer >= links_.size()) links_.resize(peer + 1);
    status = Status(api_->connect(self_, &info, &backendPeer));
    connected = status.ok();
    if (connected) peerOfBackend_[backendPeer] = peer;
  } catch (const std::bad_alloc&) {
    if (connected) api_->disconnect(self_, backendPeer);
    status = Status::noMemory();
  }
  if (!status.ok()) {
    pushEvent({EngineEvent::Kind::kConnected, peer, std::move(status), {}, 0, {}});
    return;
  }
  PeerLink& link = links_[peer];
  link.backendPeer = backendPeer;
  link.known = true;
  link.connectDeadlineNs = request.deadlineNs;
  ++connecting_;
}

void Progress::onPeerDown(uint32_t backendPeer, const Status& status) {
  const auto found = peerOfBackend_.find(backendPeer);
  if (found == peerOfBackend_.end()) return;
  PeerLink& link = links_[found->second];
  if (!link.up) return;
  link.up = false;
  failWaiting(found->second);
  pushEvent({EngineEvent::Kind::kPeerDown, found->second, status, {}, 0, {}});
}

/** Transfers to a lost peer that the backend has not taken yet would wait for nothing. */
void Progress::failWaiting(uint32_t peer) {
  prober_.onPeerDown(peer, nowNs());
  for (size_t i = 0; i < refused_.size();) {
    const uint32_t slot = refused_[i];
    if (paths_[transfers_[slot].path]->peer != peer) {
      ++i;
      continue;
    }
    unrefuse(slot);  // what follows it moves up
    settle(slot, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, 0, 0, kQuiescedFlag, nowNs());
  }
}

void Progress::expireConnects(int64_t nowNs) {
  for (uint32_t peer = 0; peer < links_.size(); ++peer) {
    PeerLink& link = links_[peer];
    if (link.connectDeadlineNs == 0 || nowNs < link.connectDeadlineNs) continue;
    link.connectDeadlineNs = 0;
    --connecting_;
    api_->disconnect(self_, link.backendPeer);
    pushEvent({EngineEvent::Kind::kConnected,
               peer,
               Status(KVSEAM_TIMEOUT, KVSEAM_BLAME_peer, "the peer did not answer the handshake in time"),
               {},
               0,
               {}});
  }
}

}  // namespace kvseam
