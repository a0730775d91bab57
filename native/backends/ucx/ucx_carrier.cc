// Windows, flushes, acknowledgements and fences.
#include "ucx_carrier.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../../core/clock.h"
#include "ucx_codes.h"
#include "ucx_status.h"

namespace kvseam::ucx {

namespace {

constexpr uint32_t kWindowRequests = 64;            // beyond this nothing gets faster, measured
constexpr uint32_t kWindowReads = 1024;             // the same where several go in one message
constexpr uint64_t kTurnBytes = uint64_t{2} << 20;  // copied on the spot (shared memory): then the loop looks around
constexpr int64_t kFenceAfterNs = 500'000'000;      // a cancelled transfer that UCX holds, on a link that does not move
constexpr int64_t kFenceAtLastNs = 1'500'000'000;   // the same on one that does: the engine's patience ends at 2 s

}  // namespace

void Carrier::begin(const kvseam_op& op, uint64_t peerIncarnation, Line* line, int64_t nowNs) {
  const uint64_t number = nextNumber_++;
  auto owned = std::make_unique<Operation>();
  Operation* const operation = owned.get();
  operation->op = op;
  operation->carrier = this;
  operation->line = line;
  operation->number = number;
  operation->exhausted = op.run_count == 0;
  operations_[number] = {peerIncarnation, std::move(owned)};
  numberOfToken_[op.token] = number;
  ++line->operations;
  line->moving.push_back(operation);
  pump(line, nowNs);
}

bool Carrier::open(Line* line) {
  if (line->data != nullptr) return true;
  auto link = std::make_unique<DataLink>();
  link->movedNs = nowNs();
  link->mostRequests = (*rails_)[line->localRail]->oneSided() ? kWindowRequests : kWindowReads;
  const Status status = Endpoint::create(&line->control->worker(), *line->address, &link->endpoint);
  if (!status.ok()) {
    reportBroken(line, status);
    return false;
  }
  line->data = std::move(link);
  return true;
}

bool Carrier::pump(Line* line, int64_t nowNs) {
  // A peer that has not been heard of may have given its memory away by now: ask nothing of it until it speaks.
  if (line->moving.empty() || line->state != Line::State::kUp || nowNs - line->heardNs > kSilentNs || !open(line))
    return false;
  uint64_t budget = kTurnBytes;
  while (!line->moving.empty() && budget != 0) {
    Operation* const operation = line->moving.front();
    if (!operation->exhausted && !operation->ended()) {
      if (!line->data->mayTakeMore()) return false;
      if (!handOver(line, operation, &budget)) operation->exhausted = true;
    }
    line->moving.pop_front();
    operation->exhausted = operation->exhausted || operation->ended();
    if (!operation->exhausted) {
      line->moving.push_back(operation);
    } else if (operation->outstanding == 0) {
      advance(operation);
    }
  }
  return !line->moving.empty();
}

void Carrier::held(Operation* operation, void* request, const RequestNote& note) {
  *static_cast<RequestNote*>(request) = note;
  ++operation->outstanding;
  ++note.link->outstanding;
  note.link->outstandingBytes += note.bytes;
  if (note.memory != nullptr) ++note.memory->outstanding;
  (*rails_)[operation->line->localRail]->dialling().requestBegins();
}

// Runs inside ucp_worker_progress, so it only counts.
void Carrier::onMoved(void* request, ucs_status_t status, void* arg) {
  auto* const operation = static_cast<Operation*>(arg);
  const RequestNote note = *static_cast<RequestNote*>(request);
  ucp_request_free(request);
  delete note.outgoing;
  operation->carrier->note(operation, note, status);
}

void Carrier::note(Operation* operation, const RequestNote& note, ucs_status_t status) {
  (*rails_)[operation->line->localRail]->dialling().requestEnds();
  --operation->outstanding;
  --note.link->outstanding;
  note.link->outstandingBytes -= note.bytes;
  if (note.memory != nullptr) --note.memory->outstanding;
  if (status == UCS_OK) {
    note.link->movedNs = nowNs();
    operation->moved += note.bytes;
    movedBytes_ += note.bytes;
    if (note.flush) operation->flushed = true;
  } else if (operation->failure.ok()) {
    operation->failure = statusOf(status, note.flush                             ? "flush"
                                          : operation->op.kind == KVSEAM_OP_READ ? "reading"
                                                                                 : "writing");
  }
  if (operation->outstanding == 0 && operation->exhausted) landed_.push_back(operation);
}

void Carrier::settleLanded() {
  while (!landed_.empty()) {
    Operation* const operation = landed_.back();
    landed_.pop_back();
    advance(operation);
  }
}

/** UCX holds nothing of it and nothing more will be handed over. */
void Carrier::advance(Operation* operation) {
  Line* const line = operation->line;
  if (operation->phase == Operation::Phase::kAsking) return;
  const bool up = line->state == Line::State::kUp;
  if (!operation->cancelled && !operation->failure.ok()) {
    const int64_t backendCode = operation->failure.backendCode();
    const bool ofTheOperation =
        backendCode == kCodeWithdrawn || backendCode == kCodeFenced || operation->failure.blame() == KVSEAM_BLAME_local;
    if (ofTheOperation || operation->judged) return finish(operation);
    // The connection broke under it. Whether that is the path or the peer, the dialler finds out, and then calls
    // fail().
    if (up && line->broken.ok()) reportBroken(line, operation->failure);
    return;
  }
  const bool onThisLink = line->data != nullptr && operation->keyOf == line->data.get();
  // Also when it was cancelled: what has been put may still be on its way into blocks that the peer wants to reuse.
  if (up && onThisLink && operation->put && !operation->flushed && operation->failure.ok()) {
    flush(operation);
    if (operation->outstanding != 0) return;
    if (!operation->failure.ok()) return advance(operation);
  }
  if (operation->cancelled && !(up && onThisLink && operation->sent != 0 && operation->failure.ok()))
    return finish(operation);
  const bool mapped =
      operation->op.kind == KVSEAM_OP_WRITE && operation->op.bytes != 0 && (*rails_)[line->localRail]->sharedMemory();
  const bool mustAsk = operation->op.notify != nullptr || operation->sent != 0 || mapped;
  const bool flushOwed = operation->put && !operation->flushed;
  if (!mustAsk && !flushOwed) return finish(operation);
  if (up) ask(operation);  // else fail() will come
}

void Carrier::flush(Operation* operation) {
  operation->phase = Operation::Phase::kFlushing;
  DataLink* const link = operation->line->data.get();
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = onMoved;
  param.user_data = operation;
  void* const request = ucp_ep_flush_nbx(link->endpoint->handle(), &param);
  if (UCS_PTR_IS_ERR(request)) {
    operation->failure = statusOf(UCS_PTR_STATUS(request), "ucp_ep_flush_nbx");
  } else if (request == nullptr) {
    operation->flushed = true;
  } else {
    held(operation, request, {0, nullptr, link, nullptr, true});
  }
}

void Carrier::ask(Operation* operation) {
  Line* const line = operation->line;
  operation->phase = Operation::Phase::kAsking;
  MessageHeader header;
  const bool notify = operation->op.notify != nullptr && !operation->cancelled;
  header.kind = notify ? MessageKind::kNotify : MessageKind::kSync;
  header.from = incarnation_;
  header.to = operations_.at(operation->number).peerIncarnation;
  header.line = line->guest;
  header.number = operation->number;
  header.value = operation->sent;
  std::string payload;
  if (notify) payload.assign(reinterpret_cast<const char*>(operation->op.notify), operation->op.notify_bytes);
  const Status status = line->control->send(encode(header, payload));
  if (!status.ok() && line->broken.ok()) reportBroken(line, status);
}

void Carrier::reportBroken(Line* line, const Status& why) {
  line->broken = why;
  line->control->worker().noteBroken();
}

void Carrier::arrived(uint64_t peerIncarnation, uint64_t number, uint64_t code) {
  const auto found = operations_.find(number);
  if (found == operations_.end() || found->second.peerIncarnation != peerIncarnation) return;
  Operation* const operation = found->second.operation.get();
  if (operation->phase != Operation::Phase::kAsking) return;
  if (code != KVSEAM_OK) operation->failure = refusal(code);
  finish(operation);
}

void Carrier::finish(Operation* operation) {
  kvseam_event event{};
  event.kind = KVSEAM_EVENT_COMPLETION;
  event.token = operation->op.token;
  event.bytes = operation->moved;
  if (operation->cancelled) {
    event.code = KVSEAM_CANCELLED;
    event.blame = KVSEAM_BLAME_cancelled;
    --cancelled_;
  } else {
    event.code = operation->failure.code();
    event.blame = operation->failure.blame();
    event.backend_code = operation->failure.backendCode();
  }
  completions_.push_back(event);
  --operation->line->operations;
  std::erase(landed_, operation);
  numberOfToken_.erase(operation->op.token);
  operations_.erase(operation->number);
}

void Carrier::cancel(uint64_t token, int64_t nowNs) {
  const auto found = numberOfToken_.find(token);
  if (found == numberOfToken_.end()) return;
  Operation* const operation = operations_.at(found->second).operation.get();
  if (operation->cancelled) return;
  operation->cancelled = true;
  operation->cancelledNs = nowNs;
  ++cancelled_;
  std::erase(operation->line->moving, operation);
  operation->exhausted = true;
  if (operation->op.kind == KVSEAM_OP_READ) forsake(operation);
  if (operation->phase == Operation::Phase::kAsking) {
    // Bytes that went as messages are in nobody's memory yet, perhaps: the answer is still waited for.
    if (operation->sent == 0) finish(operation);
  } else if (operation->outstanding == 0) {
    advance(operation);
  }
}

void Carrier::halt(Line* line) {
  for (Operation* const operation : line->moving) operation->exhausted = true;
  line->moving.clear();
  cutOff(line);
}

void Carrier::fail(Line* line, const Status& why) {
  line->moving.clear();
  std::vector<Operation*> here;
  for (const auto& [number, asked] : operations_) {
    if (asked.operation->line == line) here.push_back(asked.operation.get());
  }
  for (Operation* const operation : here) {
    operation->exhausted = true;
    operation->judged = true;
    operation->failure = why;
    if (operation->outstanding == 0) finish(operation);
  }
}

void Carrier::forget(PeerMemory* memory, const std::vector<Line*>& lines) {
  const auto drop = [memory](DataLink* link) {
    const auto found = link->keys.find(memory);
    if (found == link->keys.end()) return;
    ucp_rkey_destroy(found->second);
    link->keys.erase(found);
  };
  for (Line* const line : lines) {
    if (line->data != nullptr) drop(line->data.get());
  }
  for (const auto& link : retired_) drop(link.get());
}

bool Carrier::tick(int64_t nowNs) {
  if (cancelled_ == 0) return false;
  std::vector<Line*> stuck;
  for (const auto& [number, asked] : operations_) {
    const Operation& operation = *asked.operation;
    Line* const line = operation.line;
    const bool waits = operation.outstanding != 0 || operation.phase == Operation::Phase::kAsking;
    if (!operation.cancelled || !waits || line->data == nullptr || operation.keyOf != line->data.get()) continue;
    const int64_t waited = nowNs - operation.cancelledNs;
    const bool still = nowNs - line->data->movedNs > kFenceAfterNs;
    if ((waited > kFenceAfterNs && still) || waited > kFenceAtLastNs) stuck.push_back(line);
  }
  for (Line* const line : stuck) {
    if (line->data != nullptr) fence(line);
  }
  return cancelled_ != 0;
}

/** UCX can stop no single get or put: the whole link goes, and what else it held fails with it. */
void Carrier::fence(Line* line) {
  ++fences_;
  std::vector<Operation*> unanswered;
  for (const auto& [number, asked] : operations_) {
    Operation& operation = *asked.operation;
    if (operation.line != line) continue;
    if (operation.phase == Operation::Phase::kAsking && operation.cancelled) unanswered.push_back(&operation);
    if (operation.outstanding == 0) continue;
    operation.exhausted = true;
    std::erase(line->moving, &operation);
    if (operation.failure.ok())
      operation.failure = {KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, "the line did not move and was cut off",
                           kCodeFenced};
  }
  cutOff(line);
  for (Operation* const operation : unanswered) finish(operation);
}

void Carrier::cutOff(Line* line) {
  if (line->data == nullptr) return;
  for (Read& read : reads_) {
    if (read.link == line->data.get()) readOver(&read);
  }
  Endpoint* const endpoint = line->data->endpoint.get();
  endpoint->worker().retire(std::move(line->data->endpoint));
  retired_.push_back(std::move(line->data));
}

void Carrier::collectLinks() {
  std::erase_if(retired_, [](const std::unique_ptr<DataLink>& link) {
    if (link->outstanding != 0) return false;
    for (const auto& [memory, key] : link->keys) ucp_rkey_destroy(key);
    return true;
  });
}

}  // namespace kvseam::ucx
