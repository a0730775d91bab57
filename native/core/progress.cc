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
#include <system_error>
#include <thread>
#include <utility>

#include "clock.h"

namespace kvseam {

namespace {

constexpr int64_t kForeverNs = std::numeric_limits<int64_t>::max();
constexpr int64_t kRetryNs = 100'000;          // a refused post is tried again at the latest after this
constexpr int64_t kNoFdPollNs = 200'000;       // back-off of a backend that has nothing to sleep on
constexpr int64_t kSpinBeforeDueNs = 60'000;   // a sleeping thread wakes tens of microseconds late, so spin the last bit
constexpr uint32_t kEventsAPoll = 256;
constexpr uint32_t kCommandsALoop = 256;
constexpr uint32_t kControlCommands = 256;     // room for connects beside two commands a slot

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

Progress::Progress(std::shared_ptr<BackendHandle> backend, const ProgressOptions& options, WakeTarget* wake)
    : backend_(std::move(backend)),
      options_(options),
      transfers_(options.maxTransfers),
      paths_(options.maxPaths),
      // One submit and one cancel a slot, two records a slot: neither ring can be full.
      commands_(size_t{options.maxTransfers} * 2 + kControlCommands),
      completions_(size_t{options.maxTransfers} * 3 + 1),
      wake_(wake),
      wheel_(options.maxTransfers, nowNs()) {}

Progress::~Progress() {
  Command command{};
  while (commands_.pop(&command)) {
    if (command.kind == Command::kConnect) delete reinterpret_cast<ConnectRequest*>(command.argument);
  }
  if (eventFd_ >= 0) ::close(eventFd_);
}

Status Progress::start(std::shared_ptr<Progress> self) {
  eventFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (eventFd_ < 0) return Status::local(KVSEAM_NO_MEMORY, "no file descriptor for the progress thread's wake-up; raise `ulimit -n`");
  try {
    started_ = true;
    // Detached, because a thread stuck inside a library must be left behind rather than waited for; stop() waits for
    // the exit flag with a bound, and `self` keeps this object alive for as long as the thread runs.
    std::thread([self = std::move(self)] { self->run(); }).detach();
  } catch (const std::system_error& error) {
    started_ = false;
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
  auto request = std::make_unique<ConnectRequest>(ConnectRequest{name, incarnation, address, deadlineNs});
  if (!commands_.push({Command::kConnect, peer, reinterpret_cast<uint64_t>(request.get())})) return false;
  [[maybe_unused]] ConnectRequest* const passedOn = request.release();
  wakeThread();
  return true;
}

bool Progress::disconnect(uint32_t peer) {
  if (!commands_.push({Command::kDisconnect, peer, 0})) return false;
  wakeThread();
  return true;
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
  if (!started_) return true;
  stopByNs_.store(nowNs() + graceNs, std::memory_order_relaxed);
  stopping_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(eventFd_, &one, sizeof(one));
  std::unique_lock<std::mutex> lock(exitMutex_);
  // Beyond the grace the thread only has to leave its loop; longer means that it is stuck inside a library call.
  return exitSignal_.wait_for(lock, std::chrono::nanoseconds(graceNs) + std::chrono::seconds(1), [this] { return exited_; });
}

void Progress::detachWake() {
  const std::lock_guard<std::mutex> lock(wakeMutex_);
  wake_ = nullptr;
}

void Progress::run() {
  pthread_setname_np(pthread_self(), "kvseam-progress");
  prctl(PR_SET_TIMERSLACK, 1'000UL);
  int64_t lastWorkNs = nowNs();
  lastLoopNs_ = lastWorkNs;
  while (!stopping_.load(std::memory_order_acquire)) {
    const int64_t now = nowNs();
    noteLoop(now);
    bool worked = takeCommands();
    const uint32_t events = pollBackend();
    worked |= events != 0;
    retryPosts(now, events != 0);
    wheel_.advance(now, [this, now](uint32_t slot) { expire(slot, now); });
    if (connecting_ != 0) expireConnects(now);
    if (wakeNeeded_) {
      wakeNeeded_ = false;
      wakeOwner();
      worked = true;
    }
    if (worked) {
      lastWorkNs = now;
    } else if (now - lastWorkNs < options_.spinNs) {
      relax();
    } else {
      sleep(now);
    }
  }
  shutDown();
  const std::lock_guard<std::mutex> lock(exitMutex_);
  exited_ = true;
  exitSignal_.notify_all();
}

// A gap in this loop delays every transfer that was in flight across it; that is our fault, not the path's.
void Progress::noteLoop(int64_t nowNs) {
  if (nowNs - lastLoopNs_ > kStallNs) {
    lastStallEndNs_ = nowNs;
    counters_.stalls.fetch_add(1, std::memory_order_relaxed);
  }
  lastLoopNs_ = nowNs;
}

bool Progress::takeCommands() {
  Command command{};
  uint32_t taken = 0;
  while (taken < kCommandsALoop && commands_.pop(&command)) {
    ++taken;
    switch (command.kind) {
      case Command::kSubmit:
        begin(command.slot);
        break;
      case Command::kCancel:
        abort(command.slot, static_cast<uint32_t>(command.argument));
        break;
      case Command::kConnect: {
        const std::unique_ptr<ConnectRequest> request(reinterpret_cast<ConnectRequest*>(command.argument));
        beginConnect(command.slot, *request);
        break;
      }
      case Command::kDisconnect:
        if (command.slot < links_.size() && links_[command.slot].known) {
          (*backend_)->disconnect(backend_->self(), links_[command.slot].backendPeer);
          links_[command.slot].up = false;
        }
        break;
      default:
        break;
    }
  }
  return taken != 0;
}

void Progress::begin(uint32_t slot) {
  Transfer& transfer = transfers_[slot];
  ++unquiesced_;
  const Path& path = *paths_[transfer.path];
  if (path.peer >= links_.size() || !links_[path.peer].up) {
    settle(slot, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, 0, 0, kQuiescedFlag, nowNs());
    return;
  }
  if (transfer.local != nullptr) {
    DescriptorList::mergeRuns(*transfer.local, *transfer.remote, transfer.first, transfer.count, &transfer.runs);
  } else {
    transfer.runs.clear();
  }
  wheel_.arm(slot, transfer.deadlineNs);
  if (!refused_.empty() || !post(slot)) refused_.push_back(slot);
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
  transfer.postedNs = nowNs();
  const kvseam_status status = (*backend_)->post(backend_->self(), &op);
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
  retryAtNs_ = nowNs + kRetryNs;
  while (!refused_.empty()) {
    const uint32_t slot = refused_.front();
    if (transfers_[slot].state == TransferState::kQueued && !post(slot)) return;
    refused_.pop_front();
  }
}

void Progress::abort(uint32_t slot, uint32_t generation) {
  Transfer& transfer = transfers_[slot];
  if (transfer.generation != generation || transfer.cancelAsked) return;
  transfer.cancelAsked = true;
  if (transfer.state == TransferState::kQueued) {
    std::erase(refused_, slot);
    settle(slot, KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, 0, 0, kQuiescedFlag, nowNs());
  } else if (transfer.state == TransferState::kPosted) {
    settle(slot, KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, 0, 0, kBytesUnknownFlag, nowNs());
    (*backend_)->cancel(backend_->self(), token(slot));
  }
}

void Progress::beginConnect(uint32_t peer, const ConnectRequest& request) {
  if (peer >= links_.size()) links_.resize(peer + 1);
  PeerLink& link = links_[peer];
  const kvseam_peer_info info{request.name.c_str(), request.incarnation,
                              reinterpret_cast<const uint8_t*>(request.address.data()),
                              static_cast<uint32_t>(request.address.size())};
  const Status status((*backend_)->connect(backend_->self(), &info, &link.backendPeer));
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
  const uint32_t count = (*backend_)->poll(backend_->self(), events, kEventsAPoll);
  for (uint32_t i = 0; i < count; ++i) {
    const kvseam_event& event = events[i];
    switch (event.kind) {
      case KVSEAM_EVENT_COMPLETION:
        onCompletion(event);
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
        pushEvent({EngineEvent::Kind::kNotification, 0, {}, event.name, event.incarnation,
                   std::string(reinterpret_cast<const char*>(event.data), event.data_bytes)});
        break;
      default:
        break;
    }
  }
  return count;
}

void Progress::onCompletion(const kvseam_event& event) {
  const auto slot = static_cast<uint32_t>(event.token);
  if (slot >= transfers_.size() || token(slot) != event.token) {
    counters_.duplicateCompletions.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Transfer& transfer = transfers_[slot];
  if (transfer.state == TransferState::kPosted) {
    settle(slot, event.code, event.blame, event.backend_code, event.bytes, kQuiescedFlag, nowNs());
  } else if (transfer.state == TransferState::kSettled) {
    counters_.lateCompletions.fetch_add(1, std::memory_order_relaxed);
    counters_.quiesced.fetch_add(1, std::memory_order_relaxed);
    if (transfer.quarantined) counters_.quarantined.fetch_sub(1, std::memory_order_relaxed);
    wheel_.disarm(slot);
    transfer.state = TransferState::kQuiesced;
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
  // Transfers the backend has not taken yet would wait for nothing.
  for (auto it = refused_.begin(); it != refused_.end();) {
    if (paths_[transfers_[*it].path]->peer == found->second) {
      settle(*it, KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, 0, 0, kQuiescedFlag, nowNs());
      it = refused_.erase(it);
    } else {
      ++it;
    }
  }
  pushEvent({EngineEvent::Kind::kPeerDown, found->second, status, {}, 0, {}});
}

void Progress::expire(uint32_t slot, int64_t nowNs) {
  Transfer& transfer = transfers_[slot];
  switch (transfer.state) {
    case TransferState::kQueued:
      std::erase(refused_, slot);
      settle(slot, KVSEAM_TIMEOUT, KVSEAM_BLAME_local, 0, 0, kQuiescedFlag, nowNs);
      break;
    case TransferState::kPosted:
      settle(slot, KVSEAM_TIMEOUT, KVSEAM_BLAME_path, 0, 0, kBytesUnknownFlag, nowNs);
      (*backend_)->cancel(backend_->self(), token(slot));
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
    (*backend_)->disconnect(backend_->self(), link.backendPeer);
    pushEvent({EngineEvent::Kind::kConnected, peer,
               Status(KVSEAM_TIMEOUT, KVSEAM_BLAME_peer, "the peer did not answer the handshake in time"), {}, 0, {}});
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
  int64_t wakeAt = wheel_.nextNs();
  if (!refused_.empty()) wakeAt = std::min(wakeAt, retryAtNs_);
  if (connecting_ != 0) wakeAt = std::min(wakeAt, now + 10'000'000);
  int64_t backendAt = kForeverNs;
  const bool busy = (*backend_)->arm(backend_->self(), &backendAt) != 0;
  const int fd = (*backend_)->wait_fd(backend_->self());
  if (fd < 0 && unquiesced_ != 0) backendAt = std::min(backendAt, now + kNoFdPollNs);
  wakeAt = std::min(wakeAt, backendAt);
  if (busy || !commands_.empty() || stopping_.load(std::memory_order_acquire) || backendAt - now < kSpinBeforeDueNs) {
    sleeping_.store(false, std::memory_order_relaxed);
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
  ppoll(fds, fd >= 0 ? 2 : 1, wakeAt == kForeverNs ? nullptr : &timeout, nullptr);
  sleeping_.store(false, std::memory_order_relaxed);
  if ((fds[0].revents & POLLIN) != 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(eventFd_, &count, sizeof(count));
  }
  lastLoopNs_ = nowNs();  // time asleep is not a stall
}

// Everything ends: what the backend can stop quiesces, what it cannot stays pinned for the life of the process.
void Progress::shutDown() {
  while (takeCommands()) {
  }
  for (uint32_t slot = 0; slot < transfers_.size(); ++slot) {
    const TransferState state = transfers_[slot].state;
    if (state == TransferState::kQueued) {
      // Only slots that were handed over count; a slot being filled by the owner cannot exist while it waits in stop().
      settle(slot, KVSEAM_CLOSED, KVSEAM_BLAME_cancelled, 0, 0, kQuiescedFlag, nowNs());
    } else if (state == TransferState::kPosted) {
      settle(slot, KVSEAM_CLOSED, KVSEAM_BLAME_cancelled, 0, 0, kBytesUnknownFlag, nowNs());
      (*backend_)->cancel(backend_->self(), token(slot));
    }
  }
  const int64_t stopBy = stopByNs_.load(std::memory_order_relaxed);
  while (unquiesced_ != 0 && nowNs() < stopBy) {
    if (pollBackend() == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  const Status closed((*backend_)->close(backend_->self(), std::max(stopBy, nowNs() + 100'000'000)));
  if (unquiesced_ != 0 || !closed.ok()) {
    for (Transfer& transfer : transfers_) {
      if (transfer.state != TransferState::kSettled) continue;
      // Deliberate leak: hardware may still write there, so the memory must never be reused.
      [[maybe_unused]] auto* const pinned = new std::shared_ptr<DescriptorList>[2]{transfer.local, transfer.remote};
    }
  }
  wakeOwner();
}

}  // namespace kvseam
