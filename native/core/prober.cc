// Life of probe series and of their operations.
#include "prober.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "clock.h"

namespace kvseam {

Prober::Prober(ProbePort* port) : port_(port), operations_(kMaxOperations) {
  // A probe that is running needs no more memory.
  orders_.reserve(kMaxSeries);
  taken_.reserve(kMaxSeries);
  running_.reserve(kMaxSeries);
  active_.reserve(kMaxOperations);
  free_.reserve(kMaxOperations);
  for (uint32_t i = kMaxOperations; i != 0; --i) free_.push_back(i - 1);
}

void Prober::start(std::shared_ptr<ProbeSeries> series) {
  live_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard<std::mutex> lock(mutex_);
  orders_.push_back(std::move(series));
  ordersWaiting_.fetch_add(1, std::memory_order_release);
}

void Prober::cancel(uint64_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  cancels_.push_back(id);
  ordersWaiting_.fetch_add(1, std::memory_order_release);
}

void Prober::takeOrders(int64_t nowNs) {
  std::vector<uint64_t> cancels;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    taken_.swap(orders_);
    cancels.swap(cancels_);
    ordersWaiting_.store(0, std::memory_order_relaxed);
  }
  for (auto& series : taken_) {
    series->warming = series->warmUp;
    running_.push_back(std::move(series));
  }
  taken_.clear();
  for (const uint64_t id : cancels) {
    for (const auto& series : running_) {
      if (series->id == id) end(series.get(), KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, nowNs);
    }
  }
}

bool Prober::advance(int64_t nowNs) {
  if (idle() && unquiesced() == 0) return false;
  bool worked = ordersWaiting();
  if (worked) takeOrders(nowNs);
  expire(nowNs);
  for (const auto& series : running_) {
    if (!series->over && nowNs >= series->deadlineNs) end(series.get(), KVSEAM_TIMEOUT, KVSEAM_BLAME_path, nowNs);
    while (!series->over) {
      const Posting posting = post(series, nowNs);
      worked |= posting != Posting::kNotNow;
      if (posting != Posting::kPosted) break;
    }
  }
  sweep(nowNs);
  return worked;
}

/** Posts the next operation of a series if it is its turn. */
Prober::Posting Prober::post(const std::shared_ptr<ProbeSeries>& series, int64_t nowNs) {
  // The warm-up is alone: what it waits for must not lengthen the others.
  if (series->warming && series->inFlight != 0) return Posting::kNotNow;
  if (series->begun == series->count || series->inFlight >= series->window) return Posting::kNotNow;
  if (series->refusedSinceNs != 0 && nowNs < series->retryAtNs) return Posting::kNotNow;
  kvseam_op op{};
  if (!port_->backendPeer(series->peer, &op.peer)) {
    end(series.get(), KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, nowNs);
    return Posting::kFailed;
  }
  if (free_.empty()) {
    end(series.get(), KVSEAM_QUEUE_FULL, KVSEAM_BLAME_local, nowNs);
    return Posting::kFailed;
  }
  const uint32_t index = free_.back();
  Operation& operation = operations_[index];
  if (++operation.generation == 0) operation.generation = 1;
  const bool reading = series->kind != ProbeKind::kWrite;
  operation.run.local = &series->local->backendMemory();
  operation.run.remote = &series->remote->backendMemory();
  operation.run.local_offset = reading ? series->local->landingOffset() : series->local->sourceOffset();
  operation.run.remote_offset = reading ? series->remote->sourceOffset() : series->remote->landingOffset();
  operation.run.bytes = series->bytes;
  op.token = token(index);
  op.kind = operationOf(series->kind);
  op.local_rail = series->localRail;
  op.remote_rail = series->remoteRail;
  op.runs = &operation.run;
  op.run_count = 1;
  op.bytes = series->bytes;
  op.path = series->path;
  op.flags = KVSEAM_OP_FLAG_PROBE | (series->inbound ? KVSEAM_OP_FLAG_INBOUND : 0);
  operation.postedNs = kvseam::nowNs();
  operation.dueNs = std::min(operation.postedNs + series->timeoutNs, series->deadlineNs);
  op.deadline_ns = operation.dueNs;
  const kvseam_status status = port_->postProbe(op);
  if (status.code == KVSEAM_QUEUE_FULL) {
    if (series->refusedSinceNs == 0) series->refusedSinceNs = operation.postedNs;
    series->retryAtNs = nowNs + kRetryNs;
    if (nowNs - series->refusedSinceNs < series->timeoutNs) return Posting::kNotNow;
    end(series.get(), KVSEAM_QUEUE_FULL, KVSEAM_BLAME_local, nowNs);
    return Posting::kFailed;
  }
  series->refusedSinceNs = 0;
  if (status.code != KVSEAM_OK) {
    fail(series.get(), status.code, status.blame, status.backend_code, false);
    if (series->warming) {
      series->warming = false;
    } else {
      ++series->begun;
    }
    if (status.blame != KVSEAM_BLAME_path) end(series.get(), status.code, status.blame, nowNs);
    return Posting::kFailed;
  }
  free_.pop_back();
  active_.push_back(index);
  operation.series = series;
  operation.warmUp = series->warming;
  operation.settled = false;
  if (!operation.warmUp) {
    if (series->startedNs == 0) series->startedNs = operation.postedNs;
    ++series->begun;
  }
  ++series->posted;
  ++series->inFlight;
  lastPostNs_ = operation.postedNs;
  unquiesced_.fetch_add(1, std::memory_order_relaxed);
  postedCount_.fetch_add(1, std::memory_order_relaxed);
  return Posting::kPosted;
}

bool Prober::onCompletion(const kvseam_event& event) {
  const auto index = static_cast<uint32_t>(event.token & ~kProbeBit & 0xffffffff);
  if (index >= operations_.size() || operations_[index].series == nullptr || token(index) != event.token) return false;
  if (!operations_[index].settled) settle(&operations_[index], event.code, event.blame, event.backend_code, nowNs());
  quiesce(index);
  return true;
}

void Prober::settle(Operation* operation, int32_t code, int32_t blame, int64_t backendCode, int64_t nowNs) {
  ProbeSeries* const series = operation->series.get();
  operation->settled = true;
  --series->inFlight;
  series->endedNs = nowNs;
  if (operation->warmUp) series->warming = false;
  const bool selfDelayed = operation->postedNs < port_->stallEndNs();
  if (code != KVSEAM_OK) {
    fail(series, code, blame, backendCode, selfDelayed);
    // What is not the path's doing will be no better in a moment.
    if (blame != KVSEAM_BLAME_path) end(series, code, blame, nowNs);
    return;
  }
  if (operation->warmUp) return;
  const int64_t ns = nowNs - operation->postedNs;
  series->samples.push_back({ns, selfDelayed});
  if (selfDelayed) {
    series->figures->selfDelayed.fetch_add(1, std::memory_order_relaxed);
  } else {
    series->figures->record(ns, series->bytes, nowNs);
  }
}

void Prober::fail(ProbeSeries* series, int32_t code, int32_t blame, int64_t backendCode, bool selfDelayed) {
  ++series->failed;
  if (code == KVSEAM_TIMEOUT) ++series->timedOut;
  if (selfDelayed) ++series->failedSelfDelayed;
  series->code = code;
  series->blame = blame;
  series->backendCode = backendCode;
  series->figures->failed.fetch_add(1, std::memory_order_relaxed);
}

void Prober::expire(int64_t nowNs) {
  for (const uint32_t index : active_) {
    Operation& operation = operations_[index];
    if (operation.settled || nowNs < operation.dueNs) continue;
    settle(&operation, KVSEAM_TIMEOUT, KVSEAM_BLAME_path, 0, nowNs);
    port_->cancelProbe(token(index));
  }
}

/** The series ends before its count is reached; what it has in flight is asked to stop and counts as failed. */
void Prober::end(ProbeSeries* series, int32_t code, int32_t blame, int64_t nowNs) {
  if (series->over) return;
  series->over = true;
  series->endedEarly = true;
  series->code = code;
  series->blame = blame;
  series->endedNs = nowNs;
  for (const uint32_t index : active_) {
    Operation& operation = operations_[index];
    if (operation.series.get() != series || operation.settled) continue;
    operation.settled = true;
    --series->inFlight;
    // A probe that its owner gave up tells nothing about the path.
    if (code == KVSEAM_TIMEOUT) fail(series, code, blame, 0, operation.postedNs < port_->stallEndNs());
    port_->cancelProbe(token(index));
  }
}

void Prober::onPeerDown(uint32_t peer, int64_t nowNs) {
  for (const auto& series : running_) {
    if (series->peer == peer) end(series.get(), KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, nowNs);
  }
  sweep(nowNs);
}

void Prober::quiesce(uint32_t index) {
  operations_[index].series = nullptr;
  std::erase(active_, index);
  free_.push_back(index);
  unquiesced_.fetch_sub(1, std::memory_order_relaxed);
}

/** Hands back what is over. */
void Prober::sweep(int64_t nowNs) {
  for (size_t i = 0; i < running_.size();) {
    ProbeSeries& series = *running_[i];
    if (!series.over && (series.begun != series.count || series.inFlight != 0)) {
      ++i;
      continue;
    }
    series.over = true;
    if (series.endedNs == 0) series.endedNs = nowNs;
    live_.fetch_sub(1, std::memory_order_release);
    port_->probed(std::move(running_[i]));
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

int64_t Prober::nextNs() const {
  int64_t next = std::numeric_limits<int64_t>::max();
  for (const auto& series : running_) {
    next = std::min(next, series->deadlineNs);
    if (series->refusedSinceNs != 0) next = std::min(next, series->retryAtNs);
  }
  for (const uint32_t index : active_) {
    if (!operations_[index].settled) next = std::min(next, operations_[index].dueNs);
  }
  return next;
}

void Prober::close(int64_t nowNs) {
  takeOrders(nowNs);
  for (const auto& series : running_) end(series.get(), KVSEAM_CLOSED, KVSEAM_BLAME_cancelled, nowNs);
  sweep(nowNs);
}

}  // namespace kvseam
