// Life of the operations that the fault layer has in its care.
#include "fault_operations.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace kvseam {

namespace {

constexpr int64_t kRetryNs = 100'000;  // the backend's queue was full

}  // namespace

FaultOperations::SubjectState& FaultOperations::subject(uint32_t index) {
  if (index >= subjects_.size()) subjects_.resize(index + 1);
  if (subjects_[index] == nullptr) subjects_[index] = std::make_unique<SubjectState>();
  return *subjects_[index];
}

void FaultOperations::begin(const kvseam_op& op, uint32_t subjectIndex, FaultVerdict verdict, int64_t nowNs) {
  auto owned = std::make_unique<Entry>();
  Entry* const entry = owned.get();
  entry->op = op;
  entry->subject = subjectIndex;
  entry->serial = ++serial_;
  entry->pauses = std::move(verdict.pauses);
  entry->reorder = verdict.reorder;
  entry->lateNs = verdict.lateNs;
  entry->flipKey = verdict.flipKey;
  if (verdict.terminal != nullptr) {
    entry->outcome = verdict.terminal->kind;
    entry->action = *verdict.terminal;
  }
  entry->result.kind = KVSEAM_EVENT_COMPLETION;
  entry->result.peer = op.peer;
  entry->result.token = op.token;
  SubjectState& state = subject(subjectIndex);
  entries_[op.token] = std::move(owned);
  ++state.running;
  if (verdict.stallNs > 0) state.stallUntilNs = std::max(state.stallUntilNs, nowNs) + verdict.stallNs;
  entry->dueNs = std::max(nowNs, state.stallUntilNs) + verdict.delayNs;
  try {
    start(entry, nowNs);
  } catch (const std::bad_alloc&) {
    const auto left = entries_.find(op.token);
    if (left == entries_.end()) return;  // it has ended, and its completion is on its way out
    for (const FaultPause& pause : entry->pauses)
      pause.plan->counters(pause.rule).paused.fetch_sub(1, std::memory_order_relaxed);
    if (entry->state != State::kLost) --state.running;
    flips_.giveBackScratch(entry->serial);
    entries_.erase(left);
    throw;  // the backend did not take it, and here is no trace of it
  }
}

void FaultOperations::start(Entry* entry, int64_t nowNs) {
  if (!entry->pauses.empty()) {
    for (const FaultPause& pause : entry->pauses)
      pause.plan->counters(pause.rule).paused.fetch_add(1, std::memory_order_relaxed);
    entry->state = State::kPaused;
    paused_.push_back(entry->op.token);
  } else if (entry->dueNs > nowNs) {
    wait(entry, State::kWaiting, entry->dueNs);
  } else {
    proceed(entry, nowNs);
  }
}

void FaultOperations::unpause(Entry* entry) {
  for (const FaultPause& pause : entry->pauses)
    pause.plan->counters(pause.rule).paused.fetch_sub(1, std::memory_order_relaxed);
  entry->pauses.clear();
  std::erase(paused_, entry->op.token);
}

void FaultOperations::wait(Entry* entry, State state, int64_t dueNs) {
  entry->state = state;
  entry->dueNs = dueNs;
  due_.push({dueNs, entry->serial, entry->op.token});
}

/** All delays are over. */
void FaultOperations::proceed(Entry* entry, int64_t nowNs) {
  const uint32_t peer = entry->op.peer;
  switch (entry->outcome) {
    case FaultActionKind::kError:
      return fail(entry, entry->action.error.code, entry->action.error.blame, entry->action.error.backendCode, 0);
    case FaultActionKind::kStale:
      return fail(entry, KVSEAM_STALE_REGION, KVSEAM_BLAME_peer, ESTALE, 0);
    case FaultActionKind::kDrop:
      return lose(entry);
    case FaultActionKind::kRestart:
      fail(entry, KVSEAM_STALE_EPOCH, KVSEAM_BLAME_peer, ESTALE, 0);
      return cut(peer, KVSEAM_STALE_EPOCH, ESTALE);
    case FaultActionKind::kDisconnect:
      fail(entry, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, ECONNRESET, 0);
      return cut(peer, KVSEAM_PEER_DOWN, ECONNRESET);
    default:
      return postInner(entry, nowNs);
  }
}

// One post after the other under the engine's own token, so that a completion can always be told whose it is.
bool FaultOperations::nextPost(Entry* entry, kvseam_op* op) {
  const bool carries = entry->op.notify != nullptr && entry->op.kind != KVSEAM_OP_NOTIFY;
  *op = entry->op;
  if (entry->outcome == FaultActionKind::kDup && op->kind == KVSEAM_OP_NOTIFY)
    return entry->stage <= entry->action.amount;
  if (entry->reorder != 0 && carries && entry->outcome == FaultActionKind::kOff) {
    // The message overtakes the bytes it speaks of.
    if (entry->stage == 0) {
      op->kind = KVSEAM_OP_NOTIFY;
      op->run_count = op->bytes = 0;
    } else {
      op->notify = nullptr;
      op->notify_bytes = 0;
    }
    return entry->stage < 2;
  }
  if (entry->outcome == FaultActionKind::kCorrupt && op->kind == KVSEAM_OP_WRITE) {
    if (entry->stage == 0) {
      op->notify = nullptr;
      op->notify_bytes = 0;
    }
    return entry->stage < 2;
  }
  if (entry->outcome == FaultActionKind::kPartial || entry->outcome == FaultActionKind::kShort) {
    if (entry->outcome == FaultActionKind::kPartial) {
      op->notify = nullptr;
      op->notify_bytes = 0;
    }
    op->runs = entry->runs.data();
    op->run_count = entry->runs.size();
    op->bytes = entry->result.bytes;
    if (op->run_count == 0) op->kind = KVSEAM_OP_NOTIFY;
    return entry->stage == 0 && (op->run_count != 0 || op->notify != nullptr);
  }
  return entry->stage == 0;
}

void FaultOperations::shorten(Entry* entry, uint64_t prefix) {
  entry->runs.clear();
  entry->result.bytes = prefix;
  for (uint64_t i = 0; i < entry->op.run_count && prefix != 0; ++i) {
    kvseam_run run = entry->op.runs[i];
    run.bytes = std::min(run.bytes, prefix);
    prefix -= run.bytes;
    entry->runs.push_back(run);
  }
}

void FaultOperations::postInner(Entry* entry, int64_t nowNs) {
  if (entry->stage == 0 && (entry->outcome == FaultActionKind::kPartial || entry->outcome == FaultActionKind::kShort)) {
    const FaultAction& action = entry->action;
    const auto share = static_cast<unsigned __int128>(entry->op.bytes) * action.amount / FaultStep::kAlways;
    shorten(entry, action.isShare ? static_cast<uint64_t>(share) : action.amount);
  }
  kvseam_op op;
  if (!nextPost(entry, &op)) return conclude(entry, nowNs);
  if (entry->outcome == FaultActionKind::kCorrupt && entry->stage == 1) {
    if (!flips_.takeScratch(entry->serial)) return wait(entry, State::kWaiting, nowNs + kRetryNs);
    if (!flips_.prepareWrite(entry->action, entry->flipKey, entry->op, &entry->runs)) {
      return fail(entry, KVSEAM_NOT_SUPPORTED, KVSEAM_BLAME_local, ENOTSUP, entry->op.bytes);
    }
    op.runs = entry->runs.data();
    op.run_count = op.bytes = entry->runs.size();
  }
  entry->state = State::kInner;
  const kvseam_status status = inner_->post(self_, &op);
  if (status.code == KVSEAM_QUEUE_FULL) return wait(entry, State::kWaiting, nowNs + kRetryNs);
  if (status.code != KVSEAM_OK) fail(entry, status.code, status.blame, status.backend_code, 0);
}

bool FaultOperations::onCompletion(const kvseam_event& event, int64_t nowNs) {
  const auto found = entries_.find(event.token);
  if (found == entries_.end() || found->second->state != State::kInner) return false;
  Entry* const entry = found->second.get();
  ++entry->stage;
  const uint64_t moved = entry->result.bytes;
  entry->result = event;
  if (event.code != KVSEAM_OK) {
    if (entry->outcome != FaultActionKind::kLate) entry->outcome = FaultActionKind::kOff;
    conclude(entry, nowNs);
    return true;
  }
  // Also the bytes of earlier posts; a flipped byte was counted when it was first written.
  entry->result.bytes = entry->outcome == FaultActionKind::kPartial || entry->outcome == FaultActionKind::kShort
                            ? moved
                            : entry->op.bytes;
  if (entry->outcome == FaultActionKind::kCorrupt && entry->op.kind == KVSEAM_OP_READ &&
      !FaultFlips::flipArrived(entry->action, entry->flipKey, entry->op)) {
    fail(entry, KVSEAM_NOT_SUPPORTED, KVSEAM_BLAME_local, ENOTSUP, entry->op.bytes);
    return true;
  }
  kvseam_op next;
  if (!entry->cancelAsked && nextPost(entry, &next)) {
    postInner(entry, nowNs);
  } else {
    conclude(entry, nowNs);
  }
  return true;
}

/** The backend is done with it and `result` says how; what the fault makes of that. */
void FaultOperations::conclude(Entry* entry, int64_t nowNs) {
  switch (entry->outcome) {
    case FaultActionKind::kPartial:
      entry->result.code = KVSEAM_TRANSFER_FAILED;
      entry->result.blame = KVSEAM_BLAME_path;
      entry->result.backend_code = EIO;
      break;
    case FaultActionKind::kShort:
      entry->result.bytes = entry->op.bytes;
      break;
    case FaultActionKind::kLose:
      if (!entry->cancelAsked) return lose(entry);
      break;
    case FaultActionKind::kLate:
      if (entry->lateNs > 0) {
        const int64_t dueNs = nowNs + entry->lateNs;
        entry->lateNs = 0;
        return wait(entry, State::kResult, dueNs);
      }
      break;
    default:
      break;
  }
  SubjectState& state = subject(entry->subject);
  if (state.stallUntilNs > nowNs && !entry->cancelAsked) return wait(entry, State::kResult, state.stallUntilNs);
  if (entry->reorder == 0 || entry->cancelAsked) return deliver(entry);
  entry->state = State::kReorder;
  state.reordered.push_back(entry->op.token);
  flushReordered(entry->subject, state.reordered.size() >= entry->reorder);
}

void FaultOperations::fail(Entry* entry, int32_t code, int32_t blame, int64_t backendCode, uint64_t bytes) {
  entry->result.code = code;
  entry->result.blame = blame;
  entry->result.backend_code = backendCode;
  entry->result.bytes = bytes;
  entry->outcome = FaultActionKind::kOff;
  deliver(entry);
}

void FaultOperations::lose(Entry* entry) {
  entry->state = State::kLost;
  --subject(entry->subject).running;
  flushReordered(entry->subject, false);
}

void FaultOperations::deliver(Entry* entry) {
  const uint32_t index = entry->subject;
  end(entry);
  flushReordered(index, false);
}

/** Its completion goes out, as often as the fault wants; the entry is gone then. */
void FaultOperations::end(Entry* entry) {
  const uint64_t extra =
      entry->outcome == FaultActionKind::kDup && entry->op.kind != KVSEAM_OP_NOTIFY ? entry->action.amount : 0;
  try {
    for (uint64_t i = 0; i <= extra; ++i) ready_.push_back(entry->result);
  } catch (const std::bad_alloc&) {
    return endLater(entry->op.token);
  }
  if (entry->state == State::kEnding) --unsaid_;
  if (entry->state != State::kLost) --subject(entry->subject).running;
  flips_.giveBackScratch(entry->serial);
  entries_.erase(entry->op.token);
}

void FaultOperations::endLater(uint64_t token) {
  const auto found = entries_.find(token);
  if (found == entries_.end() || found->second->state == State::kEnding) return;
  Entry* const entry = found->second.get();
  if (entry->state == State::kLost) ++subject(entry->subject).running;
  entry->state = State::kEnding;
  ++unsaid_;
}

/** Hands out what waits to be turned round once it is enough, or once nothing else on the path could still join it. */
void FaultOperations::flushReordered(uint32_t subjectIndex, bool force) {
  SubjectState& state = subject(subjectIndex);
  if (state.reordered.empty() || (!force && state.running != state.reordered.size())) return;
  const std::vector<uint64_t> tokens = std::exchange(state.reordered, {});
  for (auto token = tokens.rbegin(); token != tokens.rend(); ++token) {
    const auto found = entries_.find(*token);
    if (found != entries_.end()) end(found->second.get());
  }
}

bool FaultOperations::subjectOf(uint64_t token, uint32_t* out) const {
  const auto found = entries_.find(token);
  if (found == entries_.end()) return false;
  *out = found->second->subject;
  return true;
}

bool FaultOperations::cancel(uint64_t token) {
  const auto found = entries_.find(token);
  if (found == entries_.end()) return false;
  Entry* const entry = found->second.get();
  if (entry->outcome == FaultActionKind::kLate) return true;  // late is late, whatever anybody wants
  entry->cancelAsked = true;
  switch (entry->state) {
    case State::kInner:
      inner_->cancel(self_, token);
      break;
    case State::kResult:
      deliver(entry);
      break;
    case State::kEnding:
      break;
    case State::kReorder:
      std::erase(subject(entry->subject).reordered, token);
      deliver(entry);
      break;
    case State::kPaused:
    case State::kWaiting:
    case State::kLost:
      if (entry->state == State::kPaused) unpause(entry);
      fail(entry, KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, ECANCELED,
           entry->state == State::kLost ? entry->result.bytes : 0);
      break;
  }
  return true;
}

void FaultOperations::onPeerDown(uint32_t peer, int32_t code) {
  // One at a time in the order of their posts: a list of them would need memory, and this must not fail.
  for (;;) {
    Entry* first = nullptr;
    for (const auto& [token, entry] : entries_) {
      const bool held = entry->state == State::kWaiting || entry->state == State::kPaused ||
                        (entry->state == State::kLost && entry->outcome == FaultActionKind::kDrop);
      if (held && entry->op.peer == peer && (first == nullptr || entry->serial < first->serial)) first = entry.get();
    }
    if (first == nullptr) return;
    if (first->state == State::kPaused) unpause(first);
    fail(first, code, KVSEAM_BLAME_peer, ECONNRESET, 0);
  }
}

void FaultOperations::cut(uint32_t peer, int32_t code, int64_t backendCode) {
  if (cut_.contains(peer)) return;
  kvseam_event down{};
  down.kind = KVSEAM_EVENT_PEER_DOWN;
  down.peer = peer;
  down.code = code;
  down.blame = KVSEAM_BLAME_peer;
  down.backend_code = backendCode;
  ready_.push_back(down);
  try {
    cut_.insert(peer);
  } catch (const std::bad_alloc&) {
    ready_.pop_back();
    throw;
  }
  inner_->disconnect(self_, peer);
  onPeerDown(peer, KVSEAM_PEER_DOWN);
}

void FaultOperations::advance(int64_t nowNs) {
  for (auto it = entries_.begin(); unsaid_ != 0 && it != entries_.end();) {
    Entry* const entry = it->second.get();
    ++it;
    if (entry->state == State::kEnding) end(entry);
  }
  for (size_t i = 0; i < paused_.size();) {
    Entry* const entry = entries_[paused_[i]].get();
    if (!std::all_of(entry->pauses.begin(), entry->pauses.end(),
                     [](const FaultPause& pause) { return pause.over(); })) {
      ++i;
      continue;
    }
    unpause(entry);
    if (entry->dueNs > nowNs) {
      wait(entry, State::kWaiting, entry->dueNs);
    } else {
      proceed(entry, nowNs);
    }
  }
  while (!due_.empty() && due_.top().atNs <= nowNs) {
    const Due due = due_.top();
    due_.pop();
    if (due.serial == 0) {
      if (!cancel(due.token)) inner_->cancel(self_, due.token);
      continue;
    }
    const auto found = entries_.find(due.token);
    if (found == entries_.end() || found->second->serial != due.serial || found->second->dueNs != due.atNs) continue;
    Entry* const entry = found->second.get();
    if (entry->state == State::kResult) {
      conclude(entry, nowNs);
    } else if (entry->state == State::kWaiting) {
      const int64_t stalledNs = subject(entry->subject).stallUntilNs;
      if (stalledNs > nowNs) {
        wait(entry, State::kWaiting, stalledNs);
      } else if (entry->stage == 0) {
        proceed(entry, nowNs);
      } else {
        postInner(entry, nowNs);
      }
    }
  }
}

void FaultOperations::letGo(int64_t nowNs) {
  for (uint32_t i = 0; i < subjects_.size(); ++i) {
    if (subjects_[i] == nullptr) continue;
    subjects_[i]->stallUntilNs = 0;
    flushReordered(i, true);
  }
  for (const auto& [token, entry] : entries_) {
    const bool waits =
        entry->state == State::kWaiting || (entry->state == State::kResult && entry->outcome != FaultActionKind::kLate);
    if (entry->state == State::kPaused) entry->dueNs = nowNs;
    if (waits) wait(entry.get(), entry->state, nowNs);
  }
}

bool FaultOperations::busy(int64_t* wakeAtNs) const {
  if (!ready_.empty() || unsaid_ != 0) return true;
  for (const uint64_t token : paused_) {
    const Entry& entry = *entries_.at(token);
    if (std::all_of(entry.pauses.begin(), entry.pauses.end(), [](const FaultPause& pause) { return pause.over(); }))
      return true;
  }
  if (!due_.empty()) *wakeAtNs = std::min(*wakeAtNs, due_.top().atNs);
  return false;
}

}  // namespace kvseam
