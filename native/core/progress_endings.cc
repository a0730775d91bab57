// The progress thread's part that ends transfers: completed, expired, settled once, quiesced once, and told to the
// owner.
#include <utility>

#include "clock.h"
#include "progress.h"

namespace kvseam {

void Progress::onCompletion(const kvseam_event& event, int64_t nowNs) {
  if (Prober::owns(event.token)) {
    if (!prober_.onCompletion(event)) counters_.duplicateCompletions.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const auto slot = static_cast<uint32_t>(event.token);
  if (slot >= transfers_.size() || held_[slot] == 0 || token(slot) != event.token) {
    counters_.duplicateCompletions.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Transfer& transfer = transfers_[slot];
  if (transfer.state == TransferState::kPosted) {
    settle(slot, event.code, event.blame, event.backend_code, event.bytes, kQuiescedFlag, nowNs);
  } else if (transfer.state == TransferState::kSettled) {
    counters_.lateCompletions.fetch_add(1, std::memory_order_relaxed);
    counters_.quiesced.fetch_add(1, std::memory_order_relaxed);
    if (transfer.quarantined) counters_.quarantined.fetch_sub(1, std::memory_order_relaxed);
    wheel_.disarm(slot);
    transfer.state = TransferState::kQuiesced;
    held_[slot] = 0;
    --unquiesced_;
    CompletionRecord record;
    record.slot = slot;
    record.flags = kQuiescedFlag;
    pushRecord(record);
  } else {
    counters_.duplicateCompletions.fetch_add(1, std::memory_order_relaxed);
  }
}

void Progress::expire(uint32_t slot, int64_t nowNs) {
  Transfer& transfer = transfers_[slot];
  switch (transfer.state) {
    case TransferState::kQueued:
      // The backend never had room for it, so no byte of it was touched.
      unrefuse(slot);
      settle(slot, KVSEAM_QUEUE_FULL, KVSEAM_BLAME_local, 0, 0, kQuiescedFlag, nowNs);
      break;
    case TransferState::kPosted:
      settle(slot, KVSEAM_TIMEOUT, KVSEAM_BLAME_path, 0, 0, kBytesUnknownFlag, nowNs);
      api_->cancel(self_, token(slot));
      break;
    case TransferState::kSettled: {
      transfer.quarantined = true;
      counters_.quarantined.fetch_add(1, std::memory_order_relaxed);
      CompletionRecord record;
      record.slot = slot;
      record.flags = kQuarantinedFlag;
      pushRecord(record);
      break;
    }
    default:
      break;
  }
}

void Progress::settle(uint32_t slot, int32_t code, int32_t blame, int64_t backendCode, uint64_t bytes, uint32_t flags,
                      int64_t nowNs) {
  Transfer& transfer = transfers_[slot];
  const bool wasPosted = transfer.state == TransferState::kPosted;
  CompletionRecord record;
  record.slot = slot;
  record.flags = kSettledFlag | flags;
  record.code = code;
  record.blame = blame;
  record.backendCode = backendCode;
  record.bytes = bytes;
  record.totalNs = nowNs - transfer.submittedNs;
  if (wasPosted) {
    record.postNs = transfer.postedNs - transfer.submittedNs;
    record.wireNs = nowNs - transfer.postedNs;
  }
  if (transfer.submittedNs < lastStallEndNs_) record.flags |= kSelfDelayedFlag;
  counters_.settled.fetch_add(1, std::memory_order_relaxed);

  Path& path = *paths_[transfer.path];
  if (code == KVSEAM_OK) {
    path.succeeded.fetch_add(1, std::memory_order_relaxed);
    path.bytes.fetch_add(bytes, std::memory_order_relaxed);
    if (transfer.operation != KVSEAM_OP_NOTIFY && (record.flags & kSelfDelayedFlag) == 0) {
      Histogram* const histograms = path.latency[Path::operationIndex(transfer.operation)];
      histograms[Path::kPost].record(record.postNs);
      histograms[Path::kWire].record(record.wireNs);
      histograms[Path::kTotal].record(record.totalNs);
    }
  } else {
    path.failed.fetch_add(1, std::memory_order_relaxed);
  }
  if ((flags & kQuiescedFlag) != 0) {
    transfer.state = TransferState::kQuiesced;
    held_[slot] = 0;
    wheel_.disarm(slot);
    --unquiesced_;
    counters_.quiesced.fetch_add(1, std::memory_order_relaxed);
  } else {
    transfer.state = TransferState::kSettled;
    wheel_.arm(slot, nowNs + options_.quiesceGraceNs);
  }
  pushRecord(record);
}

void Progress::pushRecord(const CompletionRecord& record) {
  completions_.push(record);
  if (options_.wakePerCompletion) {
    const std::lock_guard<std::mutex> lock(wakeMutex_);
    counters_.wakes.fetch_add(1, std::memory_order_relaxed);
    if (wake_ != nullptr) wake_->wake();
    return;
  }
  wakeNeeded_ = true;
}

void Progress::pushEvent(EngineEvent event) {
  events_.push(std::move(event));
  wakeNeeded_ = true;
}

void Progress::wakeOwner() {
  if (wakePending_.exchange(true, std::memory_order_acq_rel)) return;
  const std::lock_guard<std::mutex> lock(wakeMutex_);
  counters_.wakes.fetch_add(1, std::memory_order_relaxed);
  if (wake_ != nullptr) wake_->wake();
}

}  // namespace kvseam
