// Chunked copying under a rate and latency model.
#include "mock_engine.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <utility>

#include "../../core/clock.h"

namespace kvseam::mock {

namespace {

constexpr uint64_t kFreeChunkBytes = 256 * 1024;  // without a rate: long enough to stream, short enough to take turns
constexpr uint64_t kPacedChunkBytes = 64 * 1024;
constexpr uint64_t kTurnBudgetBytes = 1024 * 1024;  // then new submissions and deadlines get a look

template <typename T>
void reserveFor(std::vector<T>* list, size_t count) {
  if (list->capacity() < count) list->reserve(std::max(count, 2 * list->capacity()));
}

}  // namespace

void MockEngine::makeRoomFor(uint32_t peer) {
  if (peer >= peerRails_.size()) peerRails_.resize(peer + 1);
}

void MockEngine::setPeerRails(uint32_t peer, std::vector<RailModel> rails) { peerRails_[peer] = std::move(rails); }

/** For one operation more, from its post to its completion: once it is taken it cannot fail for want of memory. */
void MockEngine::makeRoom() {
  reserveFor(&done_, done_.size() + active_ + 1);
  reserveFor(&due_, due_.size() + active_ + 1);
  if (!freeOps_.empty()) return;
  reserveFor(&freeOps_, ops_.size() + 1);
  ops_.emplace_back();
  freeOps_.push_back(static_cast<uint32_t>(ops_.size() - 1));
}

void MockEngine::queue(Rail* rail, uint32_t index) {
  Op& op = ops_[index];
  op.queued = true;
  op.before = rail->last;
  op.after = kNone;
  (rail->last == kNone ? rail->first : ops_[rail->last].after) = index;
  rail->last = index;
}

void MockEngine::unqueue(Rail* rail, uint32_t index) {
  Op& op = ops_[index];
  if (!op.queued) return;
  op.queued = false;
  (op.before == kNone ? rail->first : ops_[op.before].after) = op.after;
  (op.after == kNone ? rail->last : ops_[op.after].before) = op.before;
}

void MockEngine::await(int64_t atNs, uint32_t index) {
  due_.push_back({atNs, index, ops_[index].serial});
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
}

Status MockEngine::post(const kvseam_op& op) {
  if (op.local_rail >= rails_.size() || op.peer >= peerRails_.size() || op.remote_rail >= peerRails_[op.peer].size()) {
    return {KVSEAM_NO_PATH, KVSEAM_BLAME_local, "no such rail", 0};
  }
  if (!links_->up(op.peer)) return {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "the peer is down", ECONNRESET};
  makeRoom();
  const uint32_t index = freeOps_.back();
  freeOps_.pop_back();
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
    queue(&rails_[op.local_rail], index);
  } else if (entry.model.latencyNs > 0) {
    await(entry.startNs + entry.model.latencyNs, index);
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
  unqueue(&rails_[ops_[index].op.local_rail], index);
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
  while (*budget != 0 && rail->first != kNone) {
    const uint32_t index = rail->first;
    Op& op = ops_[index];
    const uint64_t rate = op.model.bytesPerSecond;
    if (rate != 0 && rail->freeAtNs > nowNs) return;
    unqueue(rail, index);
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
      queue(rail, index);
      continue;
    }
    const int64_t arrives = (rate != 0 ? rail->freeAtNs : nowNs) + op.model.latencyNs;
    if (rate == 0 && op.model.latencyNs == 0) {
      complete(index);
    } else {
      await(arrives, index);
    }
  }
}

void MockEngine::complete(uint32_t index) {
  Op& op = ops_[index];
  if (!links_->up(op.op.peer)) return finish(index, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, ECONNRESET);
  try {
    if (op.op.notify != nullptr && !links_->notify(op.op.peer, op.op.notify, op.op.notify_bytes))
      return finish(index, KVSEAM_QUEUE_FULL, KVSEAM_BLAME_peer, EAGAIN);
  } catch (const std::bad_alloc&) {
    return finish(index, KVSEAM_NO_MEMORY, KVSEAM_BLAME_local, ENOMEM);
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
  while (!due_.empty() && due_.front().atNs <= nowNs) {
    const Due due = due_.front();
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    due_.pop_back();
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
    if (rail.first == kNone) continue;
    if (ops_[rail.first].model.bytesPerSecond == 0) return true;
    *nextNs = std::min(*nextNs, rail.freeAtNs);
  }
  if (!due_.empty()) *nextNs = std::min(*nextNs, due_.front().atNs);
  return false;
}

}  // namespace kvseam::mock
