// The progress thread's part that knows peers: connecting to them, losing them, and whom that concerns.
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
    if (linkCommands_.size() >= kMaxConnects) return false;
    linkCommands_.push_back({peer, true, name, incarnation, address, deadlineNs});
    linkCommandsWaiting_.store(static_cast<uint32_t>(linkCommands_.size()), std::memory_order_release);
  }
  wakeThread();
  return true;
}

void Progress::disconnect(uint32_t peer) {
  {
    const std::lock_guard<std::mutex> lock(linkMutex_);
    linkCommands_.push_back({peer, false, {}, 0, {}, 0});
    linkCommandsWaiting_.store(static_cast<uint32_t>(linkCommands_.size()), std::memory_order_release);
  }
  wakeThread();
}

bool Progress::backendPeer(uint32_t peer, uint32_t* out) const {
  if (peer >= links_.size() || !links_[peer].up) return false;
  *out = links_[peer].backendPeer;
  return true;
}

void Progress::takeLinkCommands() {
  std::deque<LinkCommand> waiting;
  {
    const std::lock_guard<std::mutex> lock(linkMutex_);
    waiting.swap(linkCommands_);
    linkCommandsWaiting_.store(0, std::memory_order_relaxed);
  }
  for (const LinkCommand& command : waiting) {
    if (command.connect) {
      beginConnect(command);
    } else if (command.peer < links_.size() && links_[command.peer].known) {
      api_->disconnect(self_, links_[command.peer].backendPeer);
      links_[command.peer].up = false;
      failWaiting(command.peer);
    }
  }
}

void Progress::beginConnect(const LinkCommand& request) {
  const uint32_t peer = request.peer;
  if (peer >= links_.size()) links_.resize(peer + 1);
  PeerLink& link = links_[peer];
  const kvseam_peer_info info{request.name.c_str(), request.incarnation,
                              reinterpret_cast<const uint8_t*>(request.address.data()),
                              static_cast<uint32_t>(request.address.size())};
  const Status status(api_->connect(self_, &info, &link.backendPeer));
  if (!status.ok()) {
    pushEvent({EngineEvent::Kind::kConnected, peer, status, {}, 0, {}});
    return;
  }
  link.known = true;
  link.connectDeadlineNs = request.deadlineNs;
  peerOfBackend_[link.backendPeer] = peer;
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
  const std::deque<uint32_t> waiting = refused_;
  for (const uint32_t slot : waiting) {
    if (paths_[transfers_[slot].path]->peer != peer) continue;
    unrefuse(slot);
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
