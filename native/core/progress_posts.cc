// The progress thread's part that hands transfers to the backend: taken, posted, refused and tried again, cancelled.
#include <algorithm>
#include <utility>

#include "clock.h"
#include "progress.h"

namespace kvseam {

namespace {

constexpr int64_t kRetryNs = 100'000;       // a refused post is tried again after this, then ever more rarely ...
constexpr int64_t kMaxRetryNs = 3'200'000;  // ... but at least this often, and at once when something completes

}  // namespace

void Progress::begin(uint32_t slot) {
  Transfer& transfer = transfers_[slot];
  held_[slot] = transfer.generation;
  ++unquiesced_;
  const Path& path = *paths_[transfer.path];
  if (path.peer >= links_.size() || !links_[path.peer].up) {
    settle(slot, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, 0, 0, kQuiescedFlag, nowNs());
    return;
  }
  transfer.runs.clear();
  if (transfer.local != nullptr) {
    try {
      DescriptorList::mergeRuns(*transfer.local, *transfer.remote, transfer.first, transfer.count, &transfer.runs);
    } catch (const std::bad_alloc&) {
      settle(slot, KVSEAM_NO_MEMORY, KVSEAM_BLAME_local, 0, 0, kQuiescedFlag, nowNs());
      return;
    }
  }
  wheel_.arm(slot, transfer.deadlineNs);
  // Behind those of its own path that the backend refused, but behind no others.
  if (refusedOnPath_[transfer.path] != 0 || !post(slot)) {
    refused_.push_back(slot);
    ++refusedOnPath_[transfer.path];
  }
}

/** Takes a transfer that the backend has not got out of the queue of those that wait for it. */
void Progress::unrefuse(uint32_t slot) {
  if (std::erase(refused_, slot) != 0) --refusedOnPath_[transfers_[slot].path];
}

/** False when the backend has no room now; every other refusal settles the transfer. */
bool Progress::post(uint32_t slot) {
  Transfer& transfer = transfers_[slot];
  const Path& path = *paths_[transfer.path];
  kvseam_op op{};
  op.token = token(slot);
  op.kind = transfer.operation;
  op.peer = links_[path.peer].backendPeer;
  op.local_rail = path.localRail;
  op.remote_rail = path.remoteRail;
  op.runs = transfer.runs.data();
  op.run_count = transfer.runs.size();
  op.bytes = transfer.bytes;
  op.notify = transfer.notify.empty() ? nullptr : reinterpret_cast<const uint8_t*>(transfer.notify.data());
  op.notify_bytes = static_cast<uint32_t>(transfer.notify.size());
  op.deadline_ns = transfer.deadlineNs;
  op.path = transfer.path;
  op.workload = transfer.workload;
  transfer.postedNs = nowNs();
  const kvseam_status status = api_->post(self_, &op);
  if (status.code == KVSEAM_QUEUE_FULL) return false;
  if (status.code != KVSEAM_OK) {
    settle(slot, status.code, status.blame, status.backend_code, 0, kQuiescedFlag, nowNs());
    return true;
  }
  transfer.state = TransferState::kPosted;
  counters_.posted.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Progress::retryPosts(int64_t nowNs, bool progressed) {
  if (refused_.empty() || (!progressed && nowNs < retryAtNs_)) return;
  retrying_.swap(refused_);
  refused_.clear();
  for (const uint32_t slot : retrying_) refusedOnPath_[transfers_[slot].path] = 0;
  bool posted = false;
  for (const uint32_t slot : retrying_) {
    const uint32_t path = transfers_[slot].path;
    if (refusedOnPath_[path] == 0 && post(slot)) {
      posted = true;
      continue;
    }
    refused_.push_back(slot);
    ++refusedOnPath_[path];
  }
  retryDelayNs_ = posted || progressed ? kRetryNs : std::clamp(retryDelayNs_ * 2, kRetryNs, kMaxRetryNs);
  retryAtNs_ = nowNs + retryDelayNs_;
}

void Progress::abort(uint32_t slot, uint32_t generation) {
  if (held_[slot] != generation) return;  // it has quiesced; the slot may carry another transfer already
  Transfer& transfer = transfers_[slot];
  if (transfer.cancelAsked) return;
  transfer.cancelAsked = true;
  if (transfer.state == TransferState::kQueued) {
    unrefuse(slot);
    settle(slot, KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, 0, 0, kQuiescedFlag, nowNs());
  } else if (transfer.state == TransferState::kPosted) {
    settle(slot, KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, 0, 0, kBytesUnknownFlag, nowNs());
    api_->cancel(self_, token(slot));
  }
}

}  // namespace kvseam
