// The one thread that owns an agent's endpoint: takes whole transfers from a ring, posts, polls, watches deadlines,
// sleeps when there is nothing to do. JavaScript and this thread meet only in two rings, one event queue and the slots.
#ifndef KVSEAM_CORE_PROGRESS_H_
#define KVSEAM_CORE_PROGRESS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "backend_handle.h"
#include "engine_event.h"
#include "path.h"
#include "prober.h"
#include "spsc_ring.h"
#include "timer_wheel.h"
#include "transfer.h"

namespace kvseam {

/** Tells the owner's thread that records or events wait. Called on the progress thread; must not block. */
class WakeTarget {
 public:
  virtual void wake() = 0;

 protected:
  ~WakeTarget() = default;
};

struct ProgressOptions {
  uint32_t maxTransfers = 4096;  // slots: transfers submitted and not yet quiesced
  uint32_t maxPaths = 4096;
  int64_t spinNs = 20'000;                 // polls this long after the last work before it sleeps; see kSpinGrowth
  int64_t quiesceGraceNs = 2'000'000'000;  // settled but not quiesced for longer: quarantined
  bool wakePerCompletion = false;          // measurement only: the design that this engine does not use
};

struct ProgressCounters {
  std::atomic<uint64_t> posted{0};
  std::atomic<uint64_t> settled{0};
  std::atomic<uint64_t> quiesced{0};
  std::atomic<uint64_t> duplicateCompletions{0};
  std::atomic<uint64_t> lateCompletions{0};
  std::atomic<uint64_t> quarantined{0};  // now held back, not a sum
  std::atomic<uint64_t> wakes{0};
  std::atomic<uint64_t> sleeps{0};
  std::atomic<uint64_t> stalls{0};           // gaps of this thread above kStallNs
  std::atomic<uint64_t> memoryShortages{0};  // turns of its loop that ended for want of memory
};

class Progress final : private ProbePort {
 public:
  static constexpr int64_t kStallNs = 20'000'000;
  // A submit that ends a sleep shorter than this many spins doubles the spin up to it; a longer sleep resets it. Owner
  // and thread that put each other to sleep at every turn pay two wake-ups of tens of microseconds for nothing.
  static constexpr int64_t kSpinGrowth = 8;

  Progress(std::shared_ptr<BackendHandle> backend, const ProgressOptions& options, WakeTarget* wake);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Owner's thread -------------------------------------------------------------------------------------------------
  Status start(std::shared_ptr<Progress> self);
  Transfer& transfer(uint32_t slot) { return transfers_[slot]; }
  void submit(uint32_t slot) { send({Command::kSubmit, slot, 0}); }
  /** At most once for each submit: the ring has room for no more. */
  void cancel(uint32_t slot, uint32_t generation) { send({Command::kCancel, slot, generation}); }
  /** False when kMaxConnects wait already. */
  bool probeRoom() const { return prober_.room(); }
  /** Room for the end of a probe; then probe() or withdrawProbe(). */
  void promiseProbe() { events_.promise(1); }
  void withdrawProbe() { events_.withdraw(); }
  /** The end comes as an event. */
  void probe(std::shared_ptr<ProbeSeries> series);
  void cancelSeries(uint64_t id);
  uint64_t probesPosted() const { return prober_.posted(); }
  uint32_t probesUnquiesced() const { return prober_.unquiesced(); }
  bool connect(uint32_t peer, const std::string& name, uint64_t incarnation, const std::string& address,
               int64_t deadlineNs);
  void disconnect(uint32_t peer);
  /** What is submitted after this returns meets the plan. False when too many changes wait. */
  bool armFaults(const std::shared_ptr<FaultPlan>& plan) { return changeFaults({plan, true}); }
  /** Retire the plan first. */
  bool disarmFaults(const std::shared_ptr<FaultPlan>& plan) { return changeFaults({plan, false}); }
  /** Has the thread look again at what waits for something other than the backend, such as a resumed fault. */
  void nudge() { wakeThread(); }
  /** The next of at most maxPaths; stays valid for the life of the object. */
  void addPath(std::unique_ptr<Path> path);
  Path* path(uint32_t index) const { return index < pathCount_ ? paths_[index].get() : nullptr; }
  uint32_t pathCount() const { return pathCount_; }
  /** Before draining: from here on a new record wakes again. */
  void acknowledgeWake() { wakePending_.exchange(false, std::memory_order_acq_rel); }
  bool popCompletion(CompletionRecord* out) { return completions_.pop(out); }
  bool popEvent(EngineEvent* out) { return events_.pop(out); }
  bool eventsPending() const { return events_.pending(); }
  /** Stops the thread: everything in flight settles as CLOSED. False when it did not end in time and was left behind.
   */
  bool stop(int64_t graceNs);
  /** Leaves the thread without the owner to wake; the owner may go away afterwards. */
  void detachWake();
  const ProgressCounters& counters() const { return counters_; }
  /** How long the thread has been inside one turn of its loop; 0 while it sleeps. Long: it is stuck inside the backend.
   */
  int64_t lagNs(int64_t nowNs) const {
    if (sleeping_.load(std::memory_order_acquire)) return 0;
    const int64_t last = lastLoopNs_.load(std::memory_order_relaxed);
    return last == 0 || nowNs < last ? 0 : nowNs - last;
  }
  uint64_t droppedNotifications() const { return events_.dropped(); }
  const ProgressOptions& options() const { return options_; }

 private:
  struct Command {
    enum Kind : uint32_t { kSubmit, kCancel, kFaults };
    uint32_t kind;
    uint32_t slot;
    uint32_t generation;
  };
  /** Rare, so these wait in a queue of their own and never take a submit's place in the ring. */
  struct Connect {
    uint32_t peer = 0;
    std::string name;
    uint64_t incarnation = 0;
    std::string address;
    int64_t deadlineNs = 0;
  };
  struct FaultChange {
    std::shared_ptr<FaultPlan> plan;
    bool arm;
  };
  struct PeerLink {
    uint32_t backendPeer = 0;
    bool known = false;
    bool up = false;
    int64_t connectDeadlineNs = 0;  // 0: not connecting
  };

  void send(const Command& command);
  bool changeFaults(FaultChange change);
  void takeFaultChange();
  void engageFaults(bool engaged);
  void wakeThread();
  /** Until stop(); says whether everything has quiesced. */
  bool run();
  void turn();
  bool takeCommands();
  void takeLinkCommands();
  void begin(uint32_t slot);
  bool post(uint32_t slot);
  void unrefuse(uint32_t slot);
  void retryPosts(int64_t nowNs, bool progressed);
  void abort(uint32_t slot, uint32_t generation);
  bool nextConnect(Connect* out);
  bool nextDisconnect(uint32_t* peer);
  void beginConnect(const Connect& request);
  uint32_t pollBackend();
  void onCompletion(const kvseam_event& event, int64_t nowNs);
  void onPeerDown(uint32_t backendPeer, const Status& status);
  void failWaiting(uint32_t peer);
  void expire(uint32_t slot, int64_t nowNs);
  void expireConnects(int64_t nowNs);
  kvseam_status postProbe(const kvseam_op& op) override { return api_->post(self_, &op); }
  void cancelProbe(uint64_t probeToken) override { api_->cancel(self_, probeToken); }
  bool backendPeer(uint32_t peer, uint32_t* out) const override;
  int64_t stallEndNs() const override { return lastStallEndNs_; }
  void probed(std::shared_ptr<ProbeSeries> series) override;
  void settle(uint32_t slot, int32_t code, int32_t blame, int64_t backendCode, uint64_t bytes, uint32_t flags,
              int64_t nowNs);
  void pushRecord(const CompletionRecord& record);
  void pushEvent(EngineEvent event);
  void wakeOwner();
  void giveWay();
  void noteLoop(int64_t nowNs);
  void sleep(int64_t nowNs);
  bool shutDown();
  uint64_t token(uint32_t slot) const { return uint64_t{held_[slot]} << 32 | slot; }

  std::shared_ptr<BackendHandle> backend_;
  const ProgressOptions options_;
  std::vector<Transfer> transfers_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::atomic<uint32_t> pathCount_{0};
  SpscRing<Command> commands_;
  SpscRing<CompletionRecord> completions_;
  std::mutex linkMutex_;
  std::deque<Connect> connects_;
  std::vector<uint32_t> disconnects_;  // has room for every peer there is, so that losing one needs no memory
  std::atomic<uint32_t> linkCommandsWaiting_{0};
  std::mutex faultMutex_;
  std::deque<FaultChange>
      faultChanges_;  // one for each kFaults in the ring, which keeps them in order with the submits
  EventQueue events_;
  ProgressCounters counters_;

  std::mutex wakeMutex_;  // only against detachWake()
  WakeTarget* wake_;
  std::atomic<bool> wakePending_{false};
  // The owner writes this at every submit and the thread the next line's at every turn: together they would bounce.
  alignas(64) std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> stopByNs_{0};
  alignas(64) std::atomic<int64_t> lastLoopNs_{0};  // written by the progress thread at every turn of its loop
  int eventFd_ = -1;

  // Progress thread only.
  const kvseam_backend_api* api_;  // the backend itself, or the fault layer around it while that has work
  kvseam_backend* self_;
  bool faultsEngaged_ = false;
  TimerWheel wheel_;
  Prober prober_;
  // Generation of a slot from the moment its submit is taken until it has quiesced, else 0. A late cancel or a
  // duplicate completion is told by this: the slot itself belongs to the owner again and must not even be read.
  std::vector<uint32_t> held_;
  std::vector<PeerLink> links_;
  std::unordered_map<uint32_t, uint32_t> peerOfBackend_;
  std::vector<uint32_t> refused_;        // the backend's queue was full; posted again when it moves
  std::vector<uint32_t> retrying_;       // refused_ while it is gone through
  std::vector<uint32_t> refusedOnPath_;  // by path: how many; a full path must not hold up the others
  int64_t retryAtNs_ = 0;
  int64_t retryDelayNs_ = 0;
  uint32_t connecting_ = 0;
  uint32_t unquiesced_ = 0;
  int64_t lastStallEndNs_ = 0;
  int64_t lastWorkNs_ = 0;
  int64_t crowdedUntilNs_ = 0;  // no spinning until then
  int64_t spinNs_;              // now; from options_.spinNs to kSpinGrowth times that
  bool wakeNeeded_ = false;

  /** Outlives this object, so that the thread can say that it is over when it has let go of it. */
  struct Exit {
    std::mutex mutex;
    std::condition_variable signal;
    bool over = false;
  };
  const std::shared_ptr<Exit> exit_ = std::make_shared<Exit>();
  std::thread thread_;  // owner's
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_PROGRESS_H_
