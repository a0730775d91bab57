// The owner's side of an agent: validation, handles, the gate, and the hand-over to the progress thread.
#include "agent.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "clock.h"
#include "load_guard.h"

namespace kvseam {

namespace {

// 21 bits of slot and 32 of generation: exact in a JavaScript number.
constexpr uint64_t kSlotBits = 21;
constexpr uint64_t kSlotMask = (uint64_t{1} << kSlotBits) - 1;

uint64_t randomNumber() {
  uint64_t value = 0;
  while (value == 0) {
    if (getrandom(&value, sizeof(value), 0) != sizeof(value)) value = static_cast<uint64_t>(nowNs());
  }
  return value;
}

Status badHandle(const char* what) {
  return Status::local(KVSEAM_INVALID_ARGUMENT,
                       std::string(what) + " is not one of this agent, or it was released; prepare it again");
}

}  // namespace

Status Agent::open(const kvseam_backend_api* api, const AgentOptions& options, std::shared_ptr<PermitBook> permits,
                   uint32_t numberInBook, WakeTarget* wake, std::unique_ptr<Agent>* out) try {
  if (!validName(options.name)) {
    return Status::local(KVSEAM_INVALID_ARGUMENT,
                         "agent name '" + options.name + "' must have 1 to 63 characters of A-Z a-z 0-9 . _ : @ -");
  }
  const uint32_t slots = options.progress.maxTransfers;
  if (slots == 0 || slots > kSlotMask)
    return Status::local(KVSEAM_INVALID_ARGUMENT, "maxTransfers must be 1 to 2097151");
  const uint64_t incarnation = randomNumber();
  kvseam_open_params params{};
  params.struct_bytes = sizeof(params);
  params.agent_name = options.name.c_str();
  params.incarnation = incarnation;
  params.rails = options.rails.data();
  params.rail_count = static_cast<uint32_t>(options.rails.size());
  kvseam_backend* self = nullptr;
  Status status;
  {
    // Some transports take signals only now, when they open their first device.
    const SignalGuard guard(api->name);
    status = Status(api->open(&params, &self));
  }
  if (!status.ok()) return status;
  std::unique_ptr<kvseam_backend, void (*)(kvseam_backend*)> opened(self, api->destroy);
  auto backend = std::make_shared<BackendHandle>(api, self);
  [[maybe_unused]] kvseam_backend* const handed = opened.release();
  std::unique_ptr<Agent> agent(new Agent(std::move(backend), options, std::move(permits), numberInBook, wake));
  agent->incarnation_ = incarnation;
  status = agent->progress_->start(agent->progress_);
  if (!status.ok()) return status;
  *out = std::move(agent);
  return status;
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Agent::Agent(std::shared_ptr<BackendHandle> backend, AgentOptions options, std::shared_ptr<PermitBook> permits,
             uint32_t numberInBook, WakeTarget* wake)
    : options_(std::move(options)),
      name_(options_.name),
      backend_(std::move(backend)),
      permits_(std::move(permits)),
      numberInBook_(numberInBook),
      progress_(std::make_shared<Progress>(backend_, options_.progress, wake)),
      cancellable_(options_.progress.maxTransfers) {
  rails_.resize(Metadata::kMaxRails);
  rails_.resize((*backend_)->rails(backend_->self(), rails_.data(), static_cast<uint32_t>(rails_.size())));
  std::vector<std::string> railNames;
  railNames.reserve(rails_.size());
  for (const kvseam_rail& rail : rails_) railNames.emplace_back(rail.name);
  backend_->faults().names().nameAgent(name_, railNames);
  freeSlots_.reserve(options_.progress.maxTransfers);
  for (uint32_t i = options_.progress.maxTransfers; i != 0; --i) freeSlots_.push_back(i - 1);
}

Agent::~Agent() {
  [[maybe_unused]] const Status status = close(0);
  progress_->detachWake();
}

kvseam_capabilities Agent::capabilities() const {
  kvseam_capabilities out{};
  out.struct_bytes = sizeof(out);
  (*backend_)->capabilities(backend_->self(), &out);
  return out;
}

Status Agent::allocate(uint64_t bytes, const std::string& name, uint64_t* handle) try {
  if (closed_) return closedStatus();
  if (bytes == 0) return Status::local(KVSEAM_INVALID_ARGUMENT, "a region has at least 1 byte");
  if (!validName(name))
    return Status::local(KVSEAM_INVALID_ARGUMENT,
                         "region name '" + name + "' must have 1 to 63 characters of A-Z a-z 0-9 . _ : @ -");
  if (reservedName(name))
    return Status::local(
        KVSEAM_INVALID_ARGUMENT,
        "region name '" + name + "' begins with 'kvseam.', which the engine keeps for itself; choose another");
  bool taken = false;
  regions_.forEach([&](const std::shared_ptr<Region>& region) { taken = taken || region->name() == name; });
  if (taken)
    return Status::local(KVSEAM_INVALID_ARGUMENT,
                         "agent '" + name_ + "' already has a region '" + name + "'; peers find regions by name");
  std::shared_ptr<Region> region;
  Status status = Region::allocate(backend_, nextSerial_, bytes, name, incarnation_, &region);
  if (!status.ok()) return status;
  ++nextSerial_;
  *handle = regions_.add(std::move(region));
  if (*handle == 0)
    return Status::local(KVSEAM_REGISTRATION_FAILED,
                         "the agent has as many regions as it can number; use fewer, larger ones");
  return status;
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::closeRegion(uint64_t handle) try {
  const auto* found = regions_.find(handle);
  if (found == nullptr) return {};  // closing twice is no error
  Status status = (*found)->revoke();
  if (status.ok()) regions_.remove(handle);
  return status;
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::addList(std::shared_ptr<DescriptorList> list, uint64_t* handle) try {
  if (closed_) return closedStatus();
  *handle = lists_.add(std::move(list));
  if (*handle == 0)
    return Status::local(KVSEAM_QUEUE_FULL, "a million descriptor lists are held; release those that are done");
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::armFaults(const std::shared_ptr<FaultPlan>& plan, bool allowReal) try {
  if (closed_) return closedStatus();
  const uint32_t label = capabilities().label;
  if (label != KVSEAM_LABEL_MOCK && !allowReal) {
    return Status::local(KVSEAM_FAULTS_REFUSED,
                         "faults are armed, but backend '" + std::string((*backend_)->name) +
                             "' moves real traffic; set KVSEAM_FAULTS_ALLOW_REAL=1 if that is meant");
  }
  backend_->faults().armMemory(plan);
  bool armed = false;
  try {
    armed = progress_->armFaults(plan);
  } catch (const std::bad_alloc&) {
    backend_->faults().disarmMemory(plan);
    throw;
  }
  if (armed) return {};
  backend_->faults().disarmMemory(plan);
  return Status::local(KVSEAM_QUEUE_FULL, "too many changes of faults are waiting; try again");
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::disarmFaults(const std::shared_ptr<FaultPlan>& plan) try {
  if (closed_) return {};
  backend_->faults().disarmMemory(plan);
  if (!progress_->disarmFaults(plan))
    return Status::local(KVSEAM_QUEUE_FULL, "too many changes of faults are waiting; try again");
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::takeSlot(uint32_t* slot) {
  if (freeSlots_.empty()) {
    return Status::local(KVSEAM_QUEUE_FULL,
                         std::to_string(options_.progress.maxTransfers) +
                             " transfers are in flight or not yet quiesced; wait for some or raise maxTransfers");
  }
  *slot = freeSlots_.back();
  return {};
}

Status Agent::post(PostRequest request, uint64_t* out) try {
  if (closed_) return closedStatus();
  const auto* local = lists_.find(request.localList);
  const auto* remote = lists_.find(request.remoteList);
  if (local == nullptr) return badHandle("the local descriptor list");
  if (remote == nullptr) return badHandle("the remote descriptor list");
  const Path* const path = progress_->path(request.path);
  if (path == nullptr) return Status::local(KVSEAM_NO_PATH, "path " + std::to_string(request.path) + " does not exist");
  const Peer& peer = peers_[path->peer];
  if (peer.gone)
    return Status(KVSEAM_STALE_EPOCH, KVSEAM_BLAME_peer,
                  "peer '" + peer.name + "' is gone or has restarted; connect to it again");
  if (request.operation != KVSEAM_OP_READ && request.operation != KVSEAM_OP_WRITE) {
    return Status::local(KVSEAM_INVALID_ARGUMENT,
                         "operation " + std::to_string(request.operation) + " is neither read nor write");
  }
  for (const auto& memory : (*local)->memories()) {
    if (memory->ownerIncarnation() != incarnation_) {
      return Status::local(KVSEAM_FOREIGN_REGION,
                           "region '" + memory->name() + "' does not belong to agent '" + name_ + "'");
    }
  }
  for (const auto& memory : (*remote)->memories()) {
    if (memory->ownerIncarnation() != peer.incarnation) {
      return Status::local(KVSEAM_FOREIGN_REGION,
                           "region '" + memory->name() + "' does not belong to peer '" + peer.name + "'");
    }
  }
  if (!(*local)->live() || !(*remote)->live()) {
    return Status(KVSEAM_STALE_REGION, (*local)->live() ? KVSEAM_BLAME_peer : KVSEAM_BLAME_local,
                  "a region of the list was closed; prepare the list again from a live region");
  }
  Status status = DescriptorList::checkPair(**local, **remote, request.first, request.count);
  if (!status.ok()) return status;
  if (request.notify.size() > kControlBytes) {
    return Status::local(KVSEAM_INVALID_ARGUMENT, "a notification has " + std::to_string(request.notify.size()) +
                                                      " bytes and the limit is " + std::to_string(kControlBytes));
  }
  uint32_t slot = 0;
  status = takeSlot(&slot);
  if (!status.ok()) return status;
  const uint64_t bytes = (*local)->rangeBytes(request.first, request.count);
  uint32_t workload = 0;
  const int64_t submittedNs = request.submittedNs != 0 ? request.submittedNs : nowNs();
  status = permits_->redeem(request.permit, path->key, request.operation, bytes, submittedNs, &workload);
  if (!status.ok()) return status;
  // After the gate, so that nobody without a permit learns or costs anything here.
  const DescriptorList& destination = request.operation == KVSEAM_OP_READ ? **local : **remote;
  status = WriteClaims::claim(destination, request.first, request.count);
  if (!status.ok()) {
    permits_->undoRedeem(request.permit);
    if (status.code() != KVSEAM_NO_MEMORY) ++overlapsRefused_;
    return status;
  }

  Transfer& transfer = progress_->transfer(slot);
  transfer.path = request.path;
  transfer.workload = workload;
  transfer.operation = request.operation;
  transfer.local = *local;
  transfer.remote = *remote;
  transfer.first = request.first;
  transfer.count = request.count;
  transfer.bytes = bytes;
  transfer.deadlineNs = request.deadlineNs;
  transfer.claimed = true;
  ++writeClaims_;
  if (!request.notify.empty() || !transfer.notify.empty()) transfer.notify = std::move(request.notify);
  for (const auto& memory : transfer.local->memories()) memory->enter();
  for (const auto& memory : transfer.remote->memories()) memory->enter();
  *out = launch(slot, submittedNs);
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status Agent::notify(uint32_t pathIndex, std::string payload, int64_t deadlineNs, uint64_t* out) try {
  if (closed_) return closedStatus();
  const Path* const path = progress_->path(pathIndex);
  if (path == nullptr) return Status::local(KVSEAM_NO_PATH, "path " + std::to_string(pathIndex) + " does not exist");
  if (payload.empty() || payload.size() > kControlBytes) {
    return Status::local(KVSEAM_INVALID_ARGUMENT, "a notification has " + std::to_string(payload.size()) +
                                                      " bytes; allowed are 1 to " + std::to_string(kControlBytes));
  }
  uint32_t slot = 0;
  const Status status = takeSlot(&slot);
  if (!status.ok()) return status;
  Transfer& transfer = progress_->transfer(slot);
  transfer.path = pathIndex;
  transfer.workload = 0;
  transfer.operation = KVSEAM_OP_NOTIFY;
  transfer.first = transfer.count = transfer.bytes = 0;
  transfer.deadlineNs = deadlineNs;
  transfer.notify = std::move(payload);
  *out = launch(slot, nowNs());
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

uint64_t Agent::launch(uint32_t slot, int64_t submittedNs) {
  freeSlots_.pop_back();
  Transfer& transfer = progress_->transfer(slot);
  if (++transfer.generation == 0) transfer.generation = 1;
  cancellable_[slot] = transfer.generation;
  transfer.state = TransferState::kQueued;
  transfer.cancelAsked = false;
  transfer.quarantined = false;
  transfer.postedNs = 0;
  transfer.submittedNs = submittedNs;
  const uint64_t handle = uint64_t{transfer.generation} << kSlotBits | slot;
  progress_->submit(slot);
  return handle;
}

Status Agent::cancel(uint64_t handle) {
  const auto slot = static_cast<uint32_t>(handle & kSlotMask);
  if (closed_ || slot >= options_.progress.maxTransfers) return {};
  const uint64_t generation = handle >> kSlotBits;
  if (generation == 0 || cancellable_[slot] != generation) return {};  // over, or asked before
  cancellable_[slot] = 0;
  progress_->cancel(slot, static_cast<uint32_t>(generation));
  return {};
}

uint32_t Agent::drain(CompletionRecord* out, uint32_t max) {
  uint32_t count = 0;
  while (count < max && progress_->popCompletion(&out[count])) {
    const CompletionRecord& record = out[count++];
    if ((record.flags & kQuiescedFlag) == 0) continue;
    Transfer& transfer = progress_->transfer(record.slot);
    if (transfer.claimed) giveUpClaim(&transfer);
    if (transfer.local != nullptr) {
      for (const auto& memory : transfer.local->memories()) memory->leave();
      for (const auto& memory : transfer.remote->memories()) memory->leave();
      transfer.local.reset();
      transfer.remote.reset();
    }
    transfer.state = TransferState::kFree;
    cancellable_[record.slot] = 0;
    freeSlots_.push_back(record.slot);
  }
  return count;
}

void Agent::giveUpClaim(Transfer* transfer) {
  const DescriptorList& list = transfer->operation == KVSEAM_OP_READ ? *transfer->local : *transfer->remote;
  WriteClaims::release(list, transfer->first, transfer->count);
  transfer->claimed = false;
  --writeClaims_;
}

bool Agent::popEvent(EngineEvent* out) {
  if (!progress_->popEvent(out)) return false;
  const bool failed =
      out->kind == EngineEvent::Kind::kPeerDown || (out->kind == EngineEvent::Kind::kConnected && !out->status.ok());
  if (failed) dropPeer(out->peer);
  return true;
}

Status Agent::close(int64_t graceNs) try {
  if (closed_) return {};
  closed_ = true;
  const bool ended = progress_->stop(graceNs);
  // Nothing is posted any more, so claims guard nothing; what may still be written is pinned by its shares.
  for (uint32_t slot = 0; writeClaims_ != 0 && slot < options_.progress.maxTransfers; ++slot) {
    if (progress_->transfer(slot).claimed) giveUpClaim(&progress_->transfer(slot));
  }
  // Withdraw what peers could still reach; memory with views or stuck transfers lives on by its other shares.
  regions_.forEach([](const std::shared_ptr<Region>& region) { region->withdrawNow(); });
  regions_.clear();
  lists_.clear();
  for (Peer& peer : peers_) {
    for (const auto& region : peer.regions) region->drop();
    peer.regions.clear();
    peer.probeMemory.reset();
    peer.gone = true;
  }
  if (probeMemory_ != nullptr) probeMemory_->withdrawNow();
  probeMemory_.reset();
  if (!ended) {
    progress_->detachWake();
    return Status::local(KVSEAM_TIMEOUT, "the progress thread of agent '" + name_ +
                                             "' is stuck inside its backend and was left behind with its memory");
  }
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

}  // namespace kvseam
