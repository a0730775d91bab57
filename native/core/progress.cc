// The loop of the progress thread: its start and end, commands, polls and sleep. What it does to peers, posts and
// endings stands in the files beside this one.
#include "progress.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
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
constexpr int64_t kNoFdPollNs = 200'000;      // back-off of a backend that has nothing to sleep on
constexpr int64_t kSpinBeforeDueNs = 60'000;  // a sleeping thread wakes tens of microseconds late, so spin the last bit
constexpr int64_t kLastLookNs = 10'000'000;   // at the end, for cancelled transfers to come back
constexpr int64_t kCloseNs = 500'000'000;     // at least: a backend needs it only where a peer does not answer
constexpr int64_t kCrowdedNs = 1'000'000;     // away for this long after giving way: others have much to do here ...
constexpr int64_t kCrowdedForNs = 100'000'000;  // ... so sleep at once for a while, since whoever wakes goes first
constexpr int kEndingTries = 100;               // without memory for it; then what is left is kept for ever
constexpr uint32_t kEventsAPoll = 256;
constexpr uint32_t kCommandsALoop = 256;
constexpr uint32_t kMaxFaultChanges = 64;  // arming and disarming, waiting for the thread

/** What a device may still write to is never given back: the object that holds it lives as long as the process. */
struct Kept {
  std::shared_ptr<Progress> progress;
  Kept* next = nullptr;
};

/** Leaked on purpose, reachable for leak checkers; made in advance, since the end may come for want of memory. */
void keepForever(Kept* kept, std::shared_ptr<Progress> progress) {
  static std::atomic<Kept*> newest{nullptr};
  kept->progress = std::move(progress);
  kept->next = newest.load(std::memory_order_relaxed);
  while (!newest.compare_exchange_weak(kept->next, kept, std::memory_order_acq_rel)) {
  }
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
      refusedOnPath_(options.maxPaths),
      spinNs_(options.spinNs) {
  refused_.reserve(options.maxTransfers);
  retrying_.reserve(options.maxTransfers);
}

Progress::~Progress() {
  if (eventFd_ >= 0) ::close(eventFd_);
}

Status Progress::start(std::shared_ptr<Progress> self) {
  eventFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (eventFd_ < 0)
    return Status::local(KVSEAM_NO_MEMORY, "no file descriptor for the progress thread's wake-up; raise `ulimit -n`");
  try {
    // `self` keeps this object alive for as long as the thread runs: one that is stuck inside a library is left behind.
    thread_ = std::thread([self = std::move(self), exit = exit_, kept = std::make_unique<Kept>()]() mutable {
      const bool quiet = self->run();
      if (!quiet) keepForever(kept.release(), std::move(self));
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

void Progress::probe(std::shared_ptr<ProbeSeries> series) {
  prober_.start(std::move(series));
  wakeThread();
}

void Progress::cancelSeries(uint64_t id) {
  prober_.cancel(id);
  wakeThread();
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

void Progress::addPath(std::unique_ptr<Path> path) {
  const uint32_t next = pathCount_.load(std::memory_order_relaxed);
  paths_[next] = std::move(path);
  pathCount_.store(next + 1, std::memory_order_release);
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
  lastWorkNs_ = nowNs();
  lastLoopNs_.store(lastWorkNs_, std::memory_order_relaxed);
  while (!stopping_.load(std::memory_order_acquire)) {
    try {
      turn();
    } catch (const std::bad_alloc&) {
      // What the engine and the mock need for a transfer they hold from its submit on. The rest (the fault layer, a
      // transport's own) comes here: no transfer is lost by it, since each has its deadline.
      counters_.memoryShortages.fetch_add(1, std::memory_order_relaxed);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  for (int tries = 0; tries < kEndingTries; ++tries) {
    try {
      return shutDown();
    } catch (const std::bad_alloc&) {
      counters_.memoryShortages.fetch_add(1, std::memory_order_relaxed);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return false;
}

void Progress::turn() {
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
    if (backend_->faults().takeNotice()) {
      events_.pushFault();
      wakeNeeded_ = true;
    }
    if (backend_->faults().idle()) engageFaults(false);
  }
  if (wakeNeeded_) {
    wakeNeeded_ = false;
    wakeOwner();
    worked = true;
  }
  if (worked) {
    lastWorkNs_ = now;
  } else if (now - lastWorkNs_ < spinNs_ && now >= crowdedUntilNs_) {
    giveWay();
  } else {
    sleep(now);
  }
}

// Where cores are few, what a spinning thread waits for may need the one that it spins on. But who gives way to a
// thread that has much to do comes back after that one's slice, milliseconds later.
void Progress::giveWay() {
  const int64_t before = nowNs();
  sched_yield();
  const int64_t after = nowNs();
  if (after - before > kCrowdedNs) crowdedUntilNs_ = after + kCrowdedForNs;
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
        pushEvent(
            {EngineEvent::Kind::kConnected, found->second, link.up ? Status() : backend_->statusOf(event), {}, 0, {}});
        break;
      }
      case KVSEAM_EVENT_PEER_DOWN:
        onPeerDown(event.peer, backend_->statusOf(event));
        break;
      case KVSEAM_EVENT_NOTIFICATION:
        events_.pushNotification(event.name, event.incarnation, event.data, event.data_bytes);
        wakeNeeded_ = true;
        break;
      default:
        break;
    }
  }
  return count;
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
  const Status closed(api_->close(self_, std::max(stopBy, nowNs() + kCloseNs)));
  wakeOwner();
  return unquiesced_ == 0 && prober_.unquiesced() == 0 && closed.ok();
}

}  // namespace kvseam
