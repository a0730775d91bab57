// The wrapping table, and the operations that are not posts: connect, poll, cancel and memory.
#include "fault_backend.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <new>
#include <utility>

#include "clock.h"
#include "status.h"

namespace kvseam {

namespace {

constexpr uint32_t kMemoryOps = bitOf(FaultOp::op_register) | bitOf(FaultOp::op_deregister) | bitOf(FaultOp::op_load);
constexpr uint32_t kAgentOps = bitOf(FaultOp::op_register) | bitOf(FaultOp::op_deregister) | bitOf(FaultOp::op_poll);
constexpr uint32_t kConnectionOps = bitOf(FaultOp::op_load) | bitOf(FaultOp::op_connect);
constexpr uint32_t kPathOps =
    kFaultPathOps | bitOf(FaultOp::op_cancel) | bitOf(FaultOp::op_probe) | bitOf(FaultOp::op_release);
constexpr int64_t kSliceNs = 2'000'000;
constexpr size_t kUsualPlans = 64;  // armed at once; for more the progress thread has to find memory

FaultOp opOf(uint32_t kind) {
  return kind == KVSEAM_OP_READ ? FaultOp::op_read : kind == KVSEAM_OP_WRITE ? FaultOp::op_write : FaultOp::op_notify;
}

/** The operation that rules know it by: a probe is one of its own, whichever way its bytes go. */
FaultOp opOf(const kvseam_op& op) { return (op.flags & KVSEAM_OP_FLAG_PROBE) != 0 ? FaultOp::op_probe : opOf(op.kind); }

/** The direction after which its path is named. */
FaultOp directionOf(const kvseam_op& op) {
  if ((op.flags & KVSEAM_OP_FLAG_PROBE) == 0) return opOf(op.kind);
  return (op.flags & KVSEAM_OP_FLAG_INBOUND) != 0 ? FaultOp::op_read : FaultOp::op_write;
}

/** Keeps the calling thread in here, as a library call that hangs would; ends early when every plan is disarmed. */
void hold(const std::vector<FaultJudge>& judges, int64_t ns) {
  const int64_t untilNs = nowNs() + ns;
  const auto armed = [&] {
    return std::any_of(judges.begin(), judges.end(), [](const FaultJudge& judge) { return judge.plan()->active(); });
  };
  for (int64_t left = ns; left > 0 && armed(); left = untilNs - nowNs()) {
    const int64_t slice = std::min(left, kSliceNs);
    const timespec pause{slice / 1'000'000'000, slice % 1'000'000'000};
    nanosleep(&pause, nullptr);
  }
}

/** Operations that wait in a rule, as reports tell them. */
void countPauses(const std::vector<FaultPause>& pauses, int64_t by) {
  for (const FaultPause& pause : pauses) {
    pause.plan->counters(pause.rule).paused.fetch_add(by, std::memory_order_relaxed);
  }
}

void eraseJudge(std::vector<FaultJudge>* judges, const std::shared_ptr<FaultPlan>& plan) {
  std::erase_if(*judges, [&](const FaultJudge& judge) { return judge.plan() == plan; });
}

/** No exception crosses the table. */
template <typename F>
kvseam_status guarded(F&& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status::noMemory().toC();
  }
}

kvseam_status statusOf(const FaultError& error, const char* what) {
  return Status(static_cast<Code>(error.code), static_cast<Blame>(error.blame), std::string("injected fault: ") + what,
                error.backendCode)
      .toC();
}

}  // namespace

FaultBackend::FaultBackend(const kvseam_backend_api* inner, kvseam_backend* self)
    : inner_(inner), innerSelf_(self), table_(makeTable(inner->name)), operations_(inner, self) {
  judges_.reserve(kUsualPlans);
}

FaultBackend::~FaultBackend() = default;

void FaultBackend::armMemory(const std::shared_ptr<FaultPlan>& plan) {
  plan->noteSubject(names_.ofAgent(), kAgentOps);
  plan->noteSubject(names_.ofConnection({}), kConnectionOps);
  for (uint32_t path = 0; path < names_.paths(); ++path) notePath(plan.get(), path);
  const std::lock_guard<std::mutex> lock(memoryMutex_);
  memoryJudges_.emplace_back(plan);
  const bool any = std::any_of(memoryJudges_.begin(), memoryJudges_.end(),
                               [](const FaultJudge& judge) { return judge.speaksOf(kMemoryOps); });
  memoryArmed_.store(any, std::memory_order_release);
}

void FaultBackend::disarmMemory(const std::shared_ptr<FaultPlan>& plan) {
  const std::lock_guard<std::mutex> lock(memoryMutex_);
  eraseJudge(&memoryJudges_, plan);
  if (memoryJudges_.empty()) memoryArmed_.store(false, std::memory_order_release);
}

void FaultBackend::pathAdded(uint32_t path) {
  const std::lock_guard<std::mutex> lock(memoryMutex_);
  for (const FaultJudge& judge : memoryJudges_) notePath(judge.plan().get(), path);
}

void FaultBackend::notePath(FaultPlan* plan, uint32_t path) const {
  const FaultSubject read = names_.ofPath(path, FaultOp::op_read);
  plan->noteSubject(read, kPathOps);
  plan->noteSubject(names_.ofPath(path, FaultOp::op_write), kPathOps);
  plan->noteSubject(names_.ofConnection(read.peer), kConnectionOps);
}

void FaultBackend::arm(std::shared_ptr<FaultPlan> plan) {
  judges_.emplace_back(std::move(plan));
  pollJudged_ = pollJudged_ || judges_.back().speaksOf(bitOf(FaultOp::op_poll));
}

void FaultBackend::disarm(const std::shared_ptr<FaultPlan>& plan) {
  eraseJudge(&judges_, plan);
  pollJudged_ = std::any_of(judges_.begin(), judges_.end(),
                            [](const FaultJudge& judge) { return judge.speaksOf(bitOf(FaultOp::op_poll)); });
  if (!judges_.empty()) return;
  refused_.clear();
  operations_.letGo(nowNs());
  for (HeldConnect& held : connects_) held.dueNs = 0;
}

const FaultSubject& FaultBackend::subjectOfPath(uint32_t path, FaultOp op) {
  const size_t place = size_t{path} * 2 + (op == FaultOp::op_read ? 1 : 0);
  if (place >= subjectOfPath_.size()) subjectOfPath_.resize(place + 1);
  if (subjectOfPath_[place] == 0) subjectOfPath_[place] = subjects_.intern(names_.ofPath(path, op)).index + 1;
  return subjects_.at(subjectOfPath_[place] - 1);
}

FaultVerdict FaultBackend::judge(const FaultSubject& subject, FaultOp op, const kvseam_op* posted, int64_t nowNs) {
  FaultVerdict verdict;
  const FaultTarget target{
      subject, op, posted == nullptr ? 0 : posted->bytes, {}, posted == nullptr ? 0 : posted->workload};
  for (FaultJudge& judge : judges_) judge.judge(target, nowNs, &verdict);
  if (verdict.kill) killProcess();
  if (verdict.blockNs > 0 || !verdict.pauses.empty()) notice_ = true;
  return verdict;
}

kvseam_status FaultBackend::post(const kvseam_op& op) {
  const int64_t now = nowNs();
  const auto again = refused_.find(op.token);
  if (again != refused_.end()) {
    if (--again->second.left != 0) return Status::local(KVSEAM_QUEUE_FULL, "injected fault: eagain").toC();
    const Refused refused = std::move(again->second);
    refused_.erase(again);
    operations_.begin(op, refused.subject, refused.verdict, now);
    return Status().toC();
  }
  if (judges_.empty()) return inner_->post(innerSelf_, &op);
  const FaultSubject& subject = subjectOfPath(op.path, directionOf(op));
  FaultVerdict verdict = judge(subject, opOf(op), &op, now);
  if (verdict.terminal != nullptr && verdict.terminal->kind == FaultActionKind::kEagain) {
    const uint64_t left = verdict.terminal->amount;
    verdict.terminal = nullptr;
    // Posts that were given up meanwhile leave their entries behind.
    std::erase_if(refused_, [now](const auto& entry) { return entry.second.deadlineNs < now; });
    refused_[op.token] = {left, op.deadline_ns, subject.index, std::move(verdict)};
    return Status::local(KVSEAM_QUEUE_FULL, "injected fault: eagain").toC();
  }
  operations_.begin(op, subject.index, std::move(verdict), now);
  return Status().toC();
}

void FaultBackend::cancel(uint64_t token) {
  const int64_t now = nowNs();
  uint32_t subject = 0;
  if (!judges_.empty() && operations_.subjectOf(token, &subject)) {
    const FaultVerdict verdict = judge(subjects_.at(subject), FaultOp::op_cancel, nullptr, now);
    if (verdict.terminal != nullptr) return;  // dropped: the request never got there
    if (verdict.delayNs > 0) return operations_.cancelAt(token, now + verdict.delayNs);
  }
  if (!operations_.cancel(token)) inner_->cancel(innerSelf_, token);
}

kvseam_status FaultBackend::connect(const kvseam_peer_info* peer, uint32_t* outPeer) {
  const int64_t now = nowNs();
  FaultVerdict verdict = judge(subjects_.intern(names_.ofConnection(peer->name)), FaultOp::op_connect, nullptr, now);
  if (verdict.terminal != nullptr && verdict.terminal->kind == FaultActionKind::kError)
    return statusOf(verdict.terminal->error, "connect");
  connects_.reserve(connects_.size() + 1);
  const kvseam_status status = inner_->connect(innerSelf_, peer, outPeer);
  if (status.code == KVSEAM_OK) operations_.forgetCut(*outPeer);
  if (status.code != KVSEAM_OK || !verdict.any) return status;
  HeldConnect held;
  held.peer = *outPeer;
  held.dueNs = now + verdict.delayNs;
  held.dropped = verdict.terminal != nullptr;
  held.pauses = std::move(verdict.pauses);
  countPauses(held.pauses, 1);
  connects_.push_back(std::move(held));
  return status;
}

void FaultBackend::disconnect(uint32_t peer) {
  std::erase_if(connects_, [peer](const HeldConnect& held) {
    if (held.peer != peer) return false;
    countPauses(held.pauses, -1);
    return true;
  });
  if (operations_.wasCut(peer)) return operations_.forgetCut(peer);
  inner_->disconnect(innerSelf_, peer);
  operations_.onPeerDown(peer, KVSEAM_PEER_DOWN);
}

/** True when the answer to a handshake is kept back. */
bool FaultBackend::heldConnect(const kvseam_event& event, int64_t nowNs) {
  for (HeldConnect& held : connects_) {
    if (held.peer != event.peer || held.answered) continue;
    held.answered = true;
    held.event = event;
    advanceConnects(nowNs);
    return true;
  }
  return false;
}

void FaultBackend::advanceConnects(int64_t nowNs) {
  for (size_t i = 0; i < connects_.size();) {
    const HeldConnect& held = connects_[i];
    const bool over =
        std::all_of(held.pauses.begin(), held.pauses.end(), [](const FaultPause& pause) { return pause.over(); });
    if (!held.answered || held.dropped || held.dueNs > nowNs || !over) {
      ++i;
      continue;
    }
    operations_.ready().push_back(held.event);
    countPauses(held.pauses, -1);
    connects_.erase(connects_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

uint32_t FaultBackend::poll(kvseam_event* out, uint32_t max) {
  if (pollJudged_) {
    const FaultVerdict verdict = judge(subjects_.intern(names_.ofAgent()), FaultOp::op_poll, nullptr, nowNs());
    hold(judges_, verdict.delayNs + verdict.stallNs);
  }
  const int64_t now = nowNs();
  operations_.advance(now);
  if (!connects_.empty()) advanceConnects(now);
  std::deque<kvseam_event>& ready = operations_.ready();
  uint32_t count = 0;
  const auto takeReady = [&] {
    for (; count < max && !ready.empty(); ++count) {
      out[count] = ready.front();
      ready.pop_front();
    }
  };
  takeReady();
  // What the backend reports goes through in place; what is turned into something else waits in `ready`.
  const uint32_t first = count;
  const uint32_t got = inner_->poll(innerSelf_, out + first, max - first);
  for (uint32_t i = first; i < first + got; ++i) {
    const kvseam_event event = out[i];
    if (keeps(event, now)) continue;
    if (event.kind == KVSEAM_EVENT_PEER_DOWN) operations_.onPeerDown(event.peer, KVSEAM_PEER_DOWN);
    out[count++] = event;
  }
  takeReady();
  return count;
}

/** True when the event is kept here for now. Want of memory must not lose it, nor those behind it. */
bool FaultBackend::keeps(const kvseam_event& event, int64_t nowNs) {
  try {
    if (event.kind == KVSEAM_EVENT_COMPLETION) return operations_.onCompletion(event, nowNs);
    return event.kind == KVSEAM_EVENT_CONNECTED && heldConnect(event, nowNs);
  } catch (const std::bad_alloc&) {
    if (event.kind == KVSEAM_EVENT_COMPLETION) operations_.endLater(event.token);
    return true;  // an answered connect is looked at again with the next poll
  }
}

int FaultBackend::armSleep(int64_t* wakeAtNs) {
  const int busy = inner_->arm(innerSelf_, wakeAtNs);
  if (busy != 0 || operations_.busy(wakeAtNs)) return 1;
  for (const HeldConnect& held : connects_) {
    if (!held.answered || held.dropped) continue;
    if (std::all_of(held.pauses.begin(), held.pauses.end(), [](const FaultPause& pause) { return pause.over(); }))
      *wakeAtNs = std::min(*wakeAtNs, held.dueNs);
  }
  return 0;
}

kvseam_status FaultBackend::judgeMemory(FaultOp op, const char* peer, uint64_t bytes) {
  FaultVerdict verdict;
  std::vector<FaultJudge> judges;  // for the wait, which must not keep the lock
  {
    const std::lock_guard<std::mutex> lock(memoryMutex_);
    const FaultSubject& subject =
        memorySubjects_.intern(peer == nullptr ? names_.ofAgent() : names_.ofConnection(peer));
    const FaultTarget target{subject, op, bytes};
    for (FaultJudge& judge : memoryJudges_) {
      judge.judge(target, nowNs(), &verdict);
      judges.emplace_back(judge.plan());
    }
  }
  if (verdict.kill) killProcess();
  hold(judges, verdict.delayNs);
  if (verdict.terminal == nullptr) return Status().toC();
  return statusOf(verdict.terminal->error, nameOf(op));
}

kvseam_backend_api FaultBackend::makeTable(const char* name) {
  kvseam_backend_api table{};
  table.api_version = KVSEAM_BACKEND_API_VERSION;
  table.struct_bytes = sizeof(table);
  table.name = name;
  table.open = nullptr;  // what is wrapped is open already
  table.close = [](kvseam_backend* self, int64_t deadlineNs) {
    return of(self).inner_->close(of(self).innerSelf_, deadlineNs);
  };
  table.destroy = [](kvseam_backend* self) {
    FaultBackend* const faults = &of(self);
    const kvseam_backend_api* const inner = faults->inner_;
    kvseam_backend* const innerSelf = faults->innerSelf_;
    delete faults;
    inner->destroy(innerSelf);
  };
  table.capabilities = [](kvseam_backend* self, kvseam_capabilities* out) {
    of(self).inner_->capabilities(of(self).innerSelf_, out);
  };
  table.rails = [](kvseam_backend* self, kvseam_rail* out, uint32_t max) {
    return of(self).inner_->rails(of(self).innerSelf_, out, max);
  };
  table.register_memory = [](kvseam_backend* self, const kvseam_memory_request* request, kvseam_memory* out) {
    FaultBackend& faults = of(self);
    if (faults.memoryArmed_.load(std::memory_order_acquire)) {
      const kvseam_status status =
          guarded([&] { return faults.judgeMemory(FaultOp::op_register, nullptr, request->bytes); });
      if (status.code != KVSEAM_OK) return status;
    }
    return faults.inner_->register_memory(faults.innerSelf_, request, out);
  };
  table.revoke_memory = [](kvseam_backend* self, kvseam_memory* memory) {
    of(self).inner_->revoke_memory(of(self).innerSelf_, memory);
  };
  table.deregister_memory = [](kvseam_backend* self, kvseam_memory* memory) {
    FaultBackend& faults = of(self);
    if (faults.memoryArmed_.load(std::memory_order_acquire))
      guarded([&] { return faults.judgeMemory(FaultOp::op_deregister, nullptr, memory->bytes); });
    faults.inner_->deregister_memory(faults.innerSelf_, memory);
  };
  table.export_address = [](kvseam_backend* self, uint8_t* out, uint32_t* bytes) {
    return of(self).inner_->export_address(of(self).innerSelf_, out, bytes);
  };
  table.export_key = [](kvseam_backend* self, const kvseam_memory* memory, uint8_t* out, uint32_t* bytes) {
    return of(self).inner_->export_key(of(self).innerSelf_, memory, out, bytes);
  };
  table.import_key = [](kvseam_backend* self, const kvseam_peer_info* owner, const uint8_t* key, uint32_t keyBytes,
                        uint64_t regionBytes, kvseam_memory* out) {
    FaultBackend& faults = of(self);
    if (faults.memoryArmed_.load(std::memory_order_acquire)) {
      const kvseam_status status =
          guarded([&] { return faults.judgeMemory(FaultOp::op_load, owner->name, regionBytes); });
      if (status.code != KVSEAM_OK) return status;
    }
    return faults.inner_->import_key(faults.innerSelf_, owner, key, keyBytes, regionBytes, out);
  };
  table.drop_key = [](kvseam_backend* self, kvseam_memory* remote) {
    of(self).inner_->drop_key(of(self).innerSelf_, remote);
  };
  table.connect = [](kvseam_backend* self, const kvseam_peer_info* peer, uint32_t* out) {
    return guarded([&] { return of(self).connect(peer, out); });
  };
  table.disconnect = [](kvseam_backend* self, uint32_t peer) { of(self).disconnect(peer); };
  table.post = [](kvseam_backend* self, const kvseam_op* op) { return guarded([&] { return of(self).post(*op); }); };
  table.cancel = [](kvseam_backend* self, uint64_t token) { of(self).cancel(token); };
  table.poll = [](kvseam_backend* self, kvseam_event* out, uint32_t max) { return of(self).poll(out, max); };
  table.wait_fd = [](kvseam_backend* self) { return of(self).inner_->wait_fd(of(self).innerSelf_); };
  table.arm = [](kvseam_backend* self, int64_t* wakeAtNs) { return of(self).armSleep(wakeAtNs); };
  table.describe = [](kvseam_backend* self, int64_t backendCode, char* out, uint32_t outBytes) {
    of(self).inner_->describe(of(self).innerSelf_, backendCode, out, outBytes);
  };
  table.counters = [](kvseam_backend* self, kvseam_counter* out, uint32_t max) {
    return of(self).inner_->counters(of(self).innerSelf_, out, max);
  };
  return table;
}

}  // namespace kvseam
