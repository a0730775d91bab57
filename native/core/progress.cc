// The loop of the progress thread and the two endings of a transfer.
#include "progress.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "clock.h"

namespace kvseam {

namespace {

constexpr int64_t kForeverNs = std::numeric_limits<int64_t>::max();
constexpr int64_t kRetryNs = 100'000;         // a refused post is tried again after this, then ever more rarely ...
constexpr int64_t kMaxRetryNs = 3'200'000;    // ... but at least this often, and at once when something completes
constexpr int64_t kNoFdPollNs = 200'000;      // back-off of a backend that has nothing to sleep on
constexpr int64_t kSpinBeforeDueNs = 60'000;  // a sleeping thread wakes tens of microseconds late, so spin the last bit
constexpr int64_t kLastLookNs = 10'000'000;   // at the end, for cancelled transfers to come back
constexpr uint32_t kEventsAPoll = 256;
constexpr uint32_t kCommandsALoop = 256;
constexpr uint32_t kMaxFaultChanges = 64;  // arming and disarming, waiting for the thread
constexpr uint32_t kMaxConnects = 256;     // waiting for the thread to begin them

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/** What a device may still write to is never given back: the object that holds it lives as long as the process. */
void keepForever(std::shared_ptr<Progress> progress) {
  static std::mutex mutex;
  static auto* const kept =
      new std::vector<std::shared_ptr<Progress>>;  // leaked on purpose, reachable for leak checkers
  const std::lock_guard<std::mutex> lock(mutex);
  kept->push_back(std::move(progress));
}

}  // namespace

Progress::Progress(std::shared_ptr<BackendHandle> backend, const ProgressOptions& options, WakeTarget* wake)
    : backend_(std::move(backend)),
      options_(options),
      transfers_(options.maxTransfers),
      paths_(options.maxPaths),
      // Waiting at once for a slot: a submit, its cancel and the late cancel of the transfer before; three records
      // (settled, quarantined, quiesced). So neither ring can be full.
      commands_(size_t{options.maxTransfers} * 3 + 1 + kMaxFaultChanges),
      completions_(size_t{options.maxTransfers} * 3 + 1),
      wake_(wake),
      api_(backend_->faults().innerApi()),
      self_(backend_->faults().innerSelf()),
      wheel_(options.maxTransfers, nowNs()),
      prober_(this),
      held_(options.maxTransfers),
      spinNs_(options.spinNs) {}

Progress::~Progress() {
  if (eventFd_ >= 0) ::close(eventFd_);
}

Status Progress::start(std::shared_ptr<Progress> self) {
  eventFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (eventFd_ < 0)
    return Status::local(KVSEAM_NO_MEMORY, "no file descriptor for the progress thread's wake-up; raise `ulimit -n`");
  try {
    // `self` keeps this object alive for as long as the thread runs: one that is stuck inside a library is left behind.
    thread_ = std::thread([self = std::move(self), exit = exit_]() mutable {
      const bool quiet = self->run();
      if (!quiet) keepForever(std::move(self));
      self.reset();
      const std::lock_guard<std::mutex> lock(exit->mutex);
      exit->over = true;
      exit->signal.notify_all();
    });
  } catch (const std::system_error& error) {
    return Status::local(KVSEAM_NO_MEMORY, std::string("no progress thread: ") + error.what());
  }
  return {};
}

void Progress::send(const Command& command) {
  commands_.push(command);
  wakeThread();
}

// The push above and this exchange against sleep()'s exchange: whichever comes second sees the other.
void Progress::wakeThread() {
  if (!sleeping_.exchange(false, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  // A full eventfd counter means a wake-up is pending already.
  [[maybe_unused]] const ssize_t written = ::write(eventFd_, &one, sizeof(one));
}

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

void Progress::probe(std::shared_ptr<ProbeSeries> series) {
  prober_.start(std::move(series));
  wakeThread();
}

void Progress::cancelSeries(uint64_t id) {
  prober_.cancel(id);
  wakeThread();
}

bool Progress::backendPeer(uint32_t peer, uint32_t* out) const {
  if (peer >= links_.size() || !links_[peer].up) return false;
  *out = links_[peer].backendPeer;
  return true;
}

void Progress::probed(std::shared_ptr<ProbeSeries> series) {
  EngineEvent event;
  event.kind = EngineEvent::Kind::kProbed;
  event.peer = series->peer;
  event.probe = std::move(series);
  pushEvent(std::move(event));
}

bool Progress::changeFaults(FaultChange change) {
  {
    const std::lock_guard<std::mutex> lock(faultMutex_);
    if (faultChanges_.size() >= kMaxFaultChanges) return false;
    faultChanges_.push_back(std::move(change));
  }
  send({Command::kFaults, 0, 0});
  return true;
}

void Progress::takeFaultChange() {
  FaultChange change;
  {
    const std::lock_guard<std::mutex> lock(faultMutex_);
    change = std::move(faultChanges_.front());
    faultChanges_.pop_front();
  }
  if (change.arm) {
    engageFaults(true);
    backend_->faults().arm(std::move(change.plan));
  } else {
    backend_->faults().disarm(change.plan);
  }
}

// The table is exchanged and not asked each time, so that nothing armed costs nothing.
void Progress::engageFaults(bool engaged) {
  FaultBackend& faults = backend_->faults();
  faultsEngaged_ = engaged;
  api_ = engaged ? faults.api() : faults.innerApi();
  self_ = engaged ? faults.self() : faults.innerSelf();
}

Path* Progress::addPath(uint32_t* index) {
  const uint32_t next = pathCount_.load(std::memory_order_relaxed);
  if (next == paths_.size()) return nullptr;
  paths_[next] = std::make_unique<Path>();
  pathCount_.store(next + 1, std::memory_order_release);
  *index = next;
  return paths_[next].get();
}

bool Progress::stop(int64_t graceNs) {
  if (!thread_.joinable()) return true;
  stopByNs_.store(nowNs() + graceNs, std::memory_order_relaxed);
  stopping_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(eventFd_, &one, sizeof(one));
  std::unique_lock<std::mutex> lock(exit_->mutex);
  // Beyond the grace the thread only has to leave its loop; longer means that it is stuck inside a library call.
  const bool over = exit_->signal.wait_for(lock, std::chrono::nanoseconds(graceNs) + std::chrono::seconds(1),
                                           [this] { return exit_->over; });
  lock.unlock();
  // It has let go of everything by now, so joining waits for its last few instructions only: none is left after
  // close().
  over ? thread_.join() : thread_.detach();
  return over;
}

void Progress::detachWake() {
  const std::lock_guard<std::mutex> lock(wakeMutex_);
  wake_ = nullptr;
}

bool Progress::run() {
  pthread_setname_np(pthread_self(), "kvseam-progress");
  prctl(PR_SET_TIMERSLACK, 1'000UL);
  int64_t lastWorkNs = nowNs();
  lastLoopNs_.store(lastWorkNs, std::memory_order_relaxed);
  while (!stopping_.load(std::memory_order_acquire)) {
    const int64_t now = nowNs();
    noteLoop(now);
    bool worked = takeCommands();
    const uint32_t events = pollBackend();
    worked |= events != 0;
    retryPosts(now, events != 0);
    wheel_.advance(now, [this, now](uint32_t slot) { expire(slot, now); });
    if (connecting_ != 0) expireConnects(now);
    worked |= prober_.advance(now);
    if (faultsEngaged_) {
      if (backend_->faults().takeNotice()) pushEvent({EngineEvent::Kind::kFault, 0, {}, {}, 0, {}});
      if (backend_->faults().idle()) engageFaults(false);
    }
    if (wakeNeeded_) {
      wakeNeeded_ = false;
      wakeOwner();
      worked = true;
    }
    if (worked) {
      lastWorkNs = now;
    } else if (now - lastWorkNs < spinNs_) {
      relax();
    } else {
      sleep(now);
    }
  }
  return shutDown();
}

// A gap in this loop delays every transfer that was in flight across it; that is our fault, not the path's.
void Progress::noteLoop(int64_t nowNs) {
  if (nowNs - lastLoopNs_.load(std::memory_order_relaxed) > kStallNs) {
    lastStallEndNs_ = nowNs;
    counters_.stalls.fetch_add(1, std::memory_order_relaxed);
  }
  lastLoopNs_.store(nowNs, std::memory_order_relaxed);
}

// The ring before the links, and all of it: whoever armed faults and then connects means the handshake to meet them.
bool Progress::takeCommands() {
  const bool links = linkCommandsWaiting_.load(std::memory_order_acquire) != 0;
  const size_t most = links ? commands_.capacity() : kCommandsALoop;
  Command command{};
  size_t taken = 0;
  while (taken < most && commands_.pop(&command)) {
    ++taken;
    if (command.kind == Command::kSubmit) {
      begin(command.slot);
    } else if (command.kind == Command::kCancel) {
      abort(command.slot, command.generation);
    } else {
      takeFaultChange();
    }
  }
  if (links) takeLinkCommands();
  return links || taken != 0;
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
  if (refusedOnPath_.contains(transfer.path) || !post(slot)) {
    refused_.push_back(slot);
    ++refusedOnPath_[transfer.path];
  }
}

/** Takes a transfer that the backend has not got out of the queue of those that wait for it. */
void Progress::unrefuse(uint32_t slot) {
  std::erase(refused_, slot);
  const auto waiting = refusedOnPath_.find(transfers_[slot].path);
  if (--waiting->second == 0) refusedOnPath_.erase(waiting);
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
  std::deque<uint32_t> waiting;
  waiting.swap(refused_);
  refusedOnPath_.clear();
  bool posted = false;
  for (const uint32_t slot : waiting) {
    const uint32_t path = transfers_[slot].path;
    if (!refusedOnPath_.contains(path) && post(slot)) {
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

uint32_t Progress::pollBackend() {
  kvseam_event events[kEventsAPoll];
  const uint32_t count = api_->poll(self_, events, kEventsAPoll);
  if (count == 0) return 0;
  const int64_t now = nowNs();  // of all these events: they had happened when the poll returned
  noteLoop(now);                // the backend may have been stuck on the way to them
  for (uint32_t i = 0; i < count; ++i) {
    const kvseam_event& event = events[i];
    switch (event.kind) {
      case KVSEAM_EVENT_COMPLETION:
        onCompletion(event, now);
        break;
      case KVSEAM_EVENT_CONNECTED: {
        const auto found = peerOfBackend_.find(event.peer);
        if (found == peerOfBackend_.end()) break;
        PeerLink& link = links_[found->second];
        if (link.connectDeadlineNs == 0) break;  // answered after its deadline; the caller has been told
        link.connectDeadlineNs = 0;
        link.up = event.code == KVSEAM_OK;
        --connecting_;
        Status status;
        if (!link.up) {
          status = Status(static_cast<Code>(event.code), static_cast<Blame>(event.blame),
                          backend_->describe(event.backend_code), event.backend_code);
        }
        pushEvent({EngineEvent::Kind::kConnected, found->second, status, {}, 0, {}});
        break;
      }
      case KVSEAM_EVENT_PEER_DOWN:
        onPeerDown(event.peer, Status(static_cast<Code>(event.code), static_cast<Blame>(event.blame),
                                      backend_->describe(event.backend_code), event.backend_code));
        break;
      case KVSEAM_EVENT_NOTIFICATION:
        pushEvent({EngineEvent::Kind::kNotification,
                   0,
                   {},
                   event.name,
                   event.incarnation,
                   std::string(reinterpret_cast<const char*>(event.data), event.data_bytes)});
        break;
      default:
        break;
    }
  }
  return count;
}

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

void Progress::sleep(int64_t now) {
  sleeping_.exchange(true, std::memory_order_acq_rel);
  int64_t wakeAt = std::min(wheel_.nextNs(), prober_.nextNs());
  if (!refused_.empty()) wakeAt = std::min(wakeAt, retryAtNs_);
  if (connecting_ != 0) wakeAt = std::min(wakeAt, now + 10'000'000);
  int64_t backendAt = kForeverNs;
  const bool busy = api_->arm(self_, &backendAt) != 0;
  const int fd = api_->wait_fd(self_);
  if (fd < 0 && (unquiesced_ != 0 || prober_.unquiesced() != 0)) backendAt = std::min(backendAt, now + kNoFdPollNs);
  wakeAt = std::min(wakeAt, backendAt);
  const bool commanded =
      !commands_.empty() || linkCommandsWaiting_.load(std::memory_order_acquire) != 0 || prober_.ordersWaiting();
  if (busy || commanded || prober_.fresh(now) || stopping_.load(std::memory_order_acquire) ||
      backendAt - now < kSpinBeforeDueNs) {
    sleeping_.exchange(false, std::memory_order_acq_rel);
    return;
  }
  pollfd fds[2] = {{eventFd_, POLLIN, 0}, {fd, POLLIN, 0}};
  timespec timeout{};
  if (wakeAt != kForeverNs) {
    const int64_t ns = std::max<int64_t>(0, (wakeAt == backendAt ? wakeAt - kSpinBeforeDueNs / 2 : wakeAt) - now);
    timeout.tv_sec = ns / 1'000'000'000;
    timeout.tv_nsec = ns % 1'000'000'000;
  }
  counters_.sleeps.fetch_add(1, std::memory_order_relaxed);
  lastLoopNs_.store(0, std::memory_order_relaxed);
  ppoll(fds, fd >= 0 ? 2 : 1, wakeAt == kForeverNs ? nullptr : &timeout, nullptr);
  // An exchange, not a store: the owner's exchange must stay visible to the next one (a store would break the chain).
  sleeping_.exchange(false, std::memory_order_acq_rel);
  const bool called = (fds[0].revents & POLLIN) != 0;
  const int64_t longest = options_.spinNs * kSpinGrowth;
  if (nowNs() - now > longest) {
    spinNs_ = options_.spinNs;
  } else if (called) {
    spinNs_ = std::min(spinNs_ * 2, longest);
  }
  if (called) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(eventFd_, &count, sizeof(count));
  }
  // Time asleep is not a stall; being woken late is.
  lastLoopNs_.store(std::min(nowNs(), std::max(now, wakeAt)), std::memory_order_relaxed);
}

// Everything ends: what the backend can stop quiesces, what it cannot stays pinned for the life of the process.
bool Progress::shutDown() {
  while (takeCommands()) {
  }
  for (uint32_t slot = 0; slot < transfers_.size(); ++slot) {
    if (held_[slot] == 0) continue;
    const TransferState state = transfers_[slot].state;
    if (state == TransferState::kQueued) {
      settle(slot, KVSEAM_CLOSED, KVSEAM_BLAME_cancelled, 0, 0, kQuiescedFlag, nowNs());
    } else if (state == TransferState::kPosted) {
      settle(slot, KVSEAM_CLOSED, KVSEAM_BLAME_cancelled, 0, 0, kBytesUnknownFlag, nowNs());
      api_->cancel(self_, token(slot));
    }
  }
  prober_.close(nowNs());
  // Even without any grace, what the backend lets go of when asked is waited for: the alternative is to pin it for
  // ever.
  const int64_t stopBy = std::max(stopByNs_.load(std::memory_order_relaxed), nowNs() + kLastLookNs);
  while ((unquiesced_ != 0 || prober_.unquiesced() != 0) && nowNs() < stopBy) {
    if (pollBackend() == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  const Status closed(api_->close(self_, std::max(stopBy, nowNs() + 100'000'000)));
  wakeOwner();
  return unquiesced_ == 0 && prober_.unquiesced() == 0 && closed.ok();
}

}  // namespace kvseam
