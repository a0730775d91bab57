// Chunked copying under a rate and latency model.
#include "mock_engine.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "../../core/clock.h"

namespace kvseam::mock {

namespace {

constexpr uint64_t kFreeChunkBytes = 256 * 1024;  // without a rate: long enough to stream, short enough to take turns
constexpr uint64_t kPacedChunkBytes = 64 * 1024;
constexpr uint64_t kTurnBudgetBytes = 1024 * 1024;  // then new submissions and deadlines get a look

}  // namespace

void MockEngine::setPeerRails(uint32_t peer, std::vector<RailModel> rails) {
  if (peer >= peerRails_.size()) peerRails_.resize(peer + 1);
  peerRails_[peer] = std::move(rails);
}

Status MockEngine::post(const kvseam_op& op) {
  if (op.local_rail >= rails_.size() || op.peer >= peerRails_.size() || op.remote_rail >= peerRails_[op.peer].size()) {
    return {KVSEAM_NO_PATH, KVSEAM_BLAME_local, "no such rail", 0};
  }
  if (!links_->up(op.peer)) return {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "the peer is down", ECONNRESET};
  uint32_t index = 0;
  if (freeOps_.empty()) {
    index = static_cast<uint32_t>(ops_.size());
    ops_.emplace_back();
  } else {
    index = freeOps_.back();
    freeOps_.pop_back();
  }
  const RailModel& here = models_[op.local_rail];
  const RailModel& there = peerRails_[op.peer][op.remote_rail];
  Op& entry = ops_[index];
  entry = Op{};
  entry.op = op;
  entry.used = true;
  entry.serial = ++serial_;
  entry.startNs = nowNs();
  entry.model.latencyNs = here.latencyNs + there.latencyNs;
  entry.model.bytesPerSecond =
      here.bytesPerSecond == 0 || (there.bytesPerSecond != 0 && there.bytesPerSecond < here.bytesPerSecond)
          ? there.bytesPerSecond
          : here.bytesPerSecond;
  ++active_;
  if (op.run_count != 0) {
    rails_[op.local_rail].turns.push_back(index);
  } else if (entry.model.latencyNs > 0) {
    due_.push({entry.startNs + entry.model.latencyNs, index, entry.serial});
  } else {
    complete(index);
  }
  return {};
}

void MockEngine::cancel(uint64_t token) {
  for (uint32_t index = 0; index < ops_.size(); ++index) {
    if (ops_[index].used && ops_[index].op.token == token)
      abort(index, KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, ECANCELED);
  }
}

void MockEngine::peerDown(uint32_t peer, int64_t backendCode) {
  for (uint32_t index = 0; index < ops_.size(); ++index) {
    if (ops_[index].used && ops_[index].op.peer == peer) abort(index, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, backendCode);
  }
}

// Between two chunks nothing touches the memory, so an operation can be ended on the spot.
void MockEngine::abort(uint32_t index, Code code, Blame blame, int64_t backendCode) {
  std::erase(rails_[ops_[index].op.local_rail].turns, index);
  finish(index, code, blame, backendCode);
}

/** False when a region is no longer offered; bytes already moved are then worth nothing. */
bool MockEngine::copyChunk(Op* op, uint64_t budget, uint64_t* moved) {
  uint64_t left = budget;
  const bool reading = op->op.kind == KVSEAM_OP_READ;
  while (left != 0 && op->run < op->op.run_count) {
    const kvseam_run& run = op->op.runs[op->run];
    const auto* const owner = static_cast<const MemoryHandle*>(run.remote->handle);
    if (!owner->offered()) return false;
    const uint64_t bytes = std::min(left, run.bytes - op->runOffset);
    uint8_t* const here = static_cast<uint8_t*>(run.local->address) + run.local_offset + op->runOffset;
    uint8_t* const there = static_cast<uint8_t*>(run.remote->address) + run.remote_offset + op->runOffset;
    std::memcpy(reading ? here : there, reading ? there : here, bytes);
    // Looked at again afterwards: a region withdrawn meanwhile may have been rewritten under the copy.
    if (!owner->offered()) return false;
    left -= bytes;
    op->runOffset += bytes;
    if (op->runOffset == run.bytes) {
      ++op->run;
      op->runOffset = 0;
    }
  }
  *moved = budget - left;
  op->moved += *moved;
  copiedBytes_ += *moved;
  return true;
}

void MockEngine::turnRail(Rail* rail, int64_t nowNs, uint64_t* budget) {
  while (*budget != 0 && !rail->turns.empty()) {
    const uint32_t index = rail->turns.front();
    Op& op = ops_[index];
    const uint64_t rate = op.model.bytesPerSecond;
    if (rate != 0 && rail->freeAtNs > nowNs) return;
    rail->turns.pop_front();
    uint64_t moved = 0;
    const uint64_t chunk = std::min(rate == 0 ? kFreeChunkBytes : kPacedChunkBytes, *budget);
    if (!copyChunk(&op, chunk, &moved)) {
      finish(index, KVSEAM_STALE_REGION, KVSEAM_BLAME_peer, ESTALE);
      continue;
    }
    *budget -= moved;
    if (rate != 0) {
      rail->freeAtNs = std::max(rail->freeAtNs, op.startNs) +
                       static_cast<int64_t>(static_cast<double>(moved) * 1e9 / static_cast<double>(rate));
    }
    if (op.run < op.op.run_count) {
      rail->turns.push_back(index);
      continue;
    }
    const int64_t arrives = (rate != 0 ? rail->freeAtNs : nowNs) + op.model.latencyNs;
    if (rate == 0 && op.model.latencyNs == 0) {
      complete(index);
    } else {
      due_.push({arrives, index, op.serial});
    }
  }
}

void MockEngine::complete(uint32_t index) {
  Op& op = ops_[index];
  if (!links_->up(op.op.peer)) return finish(index, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, ECONNRESET);
  if (op.op.notify != nullptr && !links_->notify(op.op.peer, op.op.notify, op.op.notify_bytes)) {
    return finish(index, KVSEAM_QUEUE_FULL, KVSEAM_BLAME_peer, EAGAIN);
  }
  finish(index, KVSEAM_OK, KVSEAM_BLAME_none, 0);
}

void MockEngine::finish(uint32_t index, Code code, Blame blame, int64_t backendCode) {
  Op& op = ops_[index];
  kvseam_event event{};
  event.kind = KVSEAM_EVENT_COMPLETION;
  event.token = op.op.token;
  event.code = code;
  event.blame = blame;
  event.backend_code = backendCode;
  event.bytes = op.moved;
  done_.push_back(event);
  op.used = false;
  freeOps_.push_back(index);
  --active_;
}

uint32_t MockEngine::advance(int64_t nowNs, kvseam_event* out, uint32_t max) {
  uint64_t budget = kTurnBudgetBytes;
  // Another rail begins each time: one that could use up every turn must not starve the rest.
  firstRail_ = (firstRail_ + 1) % rails_.size();
  for (size_t i = 0; i < rails_.size(); ++i) turnRail(&rails_[(firstRail_ + i) % rails_.size()], nowNs, &budget);
  while (!due_.empty() && due_.top().atNs <= nowNs) {
    const Due due = due_.top();
    due_.pop();
    // An aborted operation leaves its entry behind; the serial tells it from the next user of the place.
    if (ops_[due.index].used && ops_[due.index].serial == due.serial) complete(due.index);
  }
  const auto count = static_cast<uint32_t>(std::min<size_t>(max, done_.size() - doneAt_));
  std::copy_n(done_.begin() + static_cast<std::ptrdiff_t>(doneAt_), count, out);
  doneAt_ += count;
  if (doneAt_ == done_.size()) {
    done_.clear();
    doneAt_ = 0;
  }
  return count;
}

bool MockEngine::busy(int64_t* nextNs) const {
  *nextNs = std::numeric_limits<int64_t>::max();
  if (doneAt_ != done_.size()) return true;
  for (const Rail& rail : rails_) {
    if (rail.turns.empty()) continue;
    if (ops_[rail.turns.front()].model.bytesPerSecond == 0) return true;
    *nextNs = std::min(*nextNs, rail.freeAtNs);
  }
  if (!due_.empty()) *nextNs = std::min(*nextNs, due_.top().atNs);
  return false;
}

}  // namespace kvseam::mock
