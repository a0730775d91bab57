// Operations in the care of the fault layer, from their post to their completion: held back, changed, lost, doubled.
// Belongs to the progress thread. Whatever it holds ends promptly when it is cancelled, except where the fault is that
// it does not.
#ifndef KVSEAM_CORE_FAULT_OPERATIONS_H_
#define KVSEAM_CORE_FAULT_OPERATIONS_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "fault_flips.h"
#include "fault_judge.h"

namespace kvseam {

class FaultOperations {
 public:
  FaultOperations(const kvseam_backend_api* inner, kvseam_backend* self)
      : inner_(inner), self_(self), flips_(inner, self) {}
  ~FaultOperations() = default;
  FaultOperations(const FaultOperations&) = delete;
  FaultOperations& operator=(const FaultOperations&) = delete;

  void begin(const kvseam_op& op, uint32_t subject, FaultVerdict verdict, int64_t nowNs);
  /** False when the token is not in its care. */
  bool cancel(uint64_t token);
  bool onCompletion(const kvseam_event& event, int64_t nowNs);
  /** There was no memory to go on with what the backend has completed: it ends as it is, once there is some. */
  void endLater(uint64_t token);
  void cancelAt(uint64_t token, int64_t atNs) { due_.push({atNs, 0, token}); }
  /** Subject of an operation in care; false when there is none. */
  bool subjectOf(uint64_t token, uint32_t* subject) const;
  /** The connection is gone: what waits here for that peer ends as the backend's own operations do. */
  void onPeerDown(uint32_t peer, int32_t code);
  void advance(int64_t nowNs);
  /** Disarmed: nothing is held back any longer. What was dropped or lost stays so, what is late comes late. */
  void letGo(int64_t nowNs);
  bool empty() const { return entries_.empty() && ready_.empty(); }

  /** Events to hand to the engine. */
  std::deque<kvseam_event>& ready() { return ready_; }
  /** True when advance() has work at once; lowers *wakeAtNs to the next time otherwise. */
  bool busy(int64_t* wakeAtNs) const;
  /** Breaks the connection of `peer` on both sides of the table; once. */
  void cut(uint32_t peer, int32_t code, int64_t backendCode);
  bool wasCut(uint32_t peer) const { return cut_.contains(peer); }
  void forgetCut(uint32_t peer) { cut_.erase(peer); }
  /** The engine has not said yet that it knows of a broken connection. */
  bool cutsOpen() const { return !cut_.empty(); }

 private:
  enum class State : uint8_t { kWaiting, kPaused, kInner, kResult, kReorder, kLost, kEnding };
  struct Entry {
    kvseam_op op{};
    std::vector<kvseam_run> runs;  // when they differ from the engine's
    std::vector<FaultPause> pauses;
    FaultActionKind outcome = FaultActionKind::kOff;
    FaultAction action;
    std::shared_ptr<FaultPlan> owner;
    uint64_t flipKey = 0;
    uint64_t reorder = 0;
    int64_t lateNs = 0;
    int64_t dueNs = 0;
    uint64_t serial = 0;
    uint32_t subject = 0;
    uint32_t stage = 0;  // posts to the backend that have ended
    State state = State::kWaiting;
    bool cancelAsked = false;
    kvseam_event result{};
  };
  struct SubjectState {
    int64_t stallUntilNs = 0;
    uint32_t running = 0;  // in care and going to end by itself
    std::vector<uint64_t> reordered;
  };
  struct Due {
    int64_t atNs;
    uint64_t serial;  // 0: a cancel that was held back
    uint64_t token;
    bool operator>(const Due& other) const { return atNs > other.atNs; }
  };

  SubjectState& subject(uint32_t index);
  void start(Entry* entry, int64_t nowNs);
  void wait(Entry* entry, State state, int64_t dueNs);
  void proceed(Entry* entry, int64_t nowNs);
  void postInner(Entry* entry, int64_t nowNs);
  bool nextPost(Entry* entry, kvseam_op* op);
  void shorten(Entry* entry, uint64_t prefix);
  void conclude(Entry* entry, int64_t nowNs);
  void fail(Entry* entry, int32_t code, int32_t blame, int64_t backendCode, uint64_t bytes);
  void lose(Entry* entry);
  void deliver(Entry* entry);
  void end(Entry* entry);
  void unpause(Entry* entry);
  void flushReordered(uint32_t subjectIndex, bool force);

  const kvseam_backend_api* inner_;
  kvseam_backend* self_;
  std::unordered_map<uint64_t, std::unique_ptr<Entry>> entries_;
  std::vector<uint64_t> paused_;
  std::vector<std::unique_ptr<SubjectState>> subjects_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::deque<kvseam_event> ready_;
  std::unordered_set<uint32_t> cut_;
  FaultFlips flips_;
  uint64_t serial_ = 0;
  uint32_t unsaid_ = 0;  // entries in State::kEnding
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_OPERATIONS_H_
