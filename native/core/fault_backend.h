// The fault layer: a backend that wraps any other backend and does to its operations what armed rules say. The engine
// calls the wrapped table directly while nothing is armed, so an unarmed fault layer costs the data path nothing.
#ifndef KVSEAM_CORE_FAULT_BACKEND_H_
#define KVSEAM_CORE_FAULT_BACKEND_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fault_judge.h"
#include "fault_names.h"
#include "fault_operations.h"

namespace kvseam {

class FaultBackend {
 public:
  FaultBackend(const kvseam_backend_api* inner, kvseam_backend* self);
  ~FaultBackend();
  FaultBackend(const FaultBackend&) = delete;
  FaultBackend& operator=(const FaultBackend&) = delete;

  /** The wrapped backend as it is. */
  const kvseam_backend_api* innerApi() const { return inner_; }
  kvseam_backend* innerSelf() const { return innerSelf_; }
  /** The same with faults. Its memory group may be used at any time, the rest while it is engaged. */
  const kvseam_backend_api* api() const { return &table_; }
  kvseam_backend* self() { return reinterpret_cast<kvseam_backend*>(this); }

  // Owner's thread -------------------------------------------------------------------------------------------------
  FaultNames& names() { return names_; }
  /** Calls of the memory group obey the plan from now on; rules that name what is known here are told so. */
  void armMemory(const std::shared_ptr<FaultPlan>& plan);
  void disarmMemory(const std::shared_ptr<FaultPlan>& plan);
  void pathAdded(uint32_t path);

  // Progress thread ------------------------------------------------------------------------------------------------
  void arm(std::shared_ptr<FaultPlan> plan);
  void disarm(const std::shared_ptr<FaultPlan>& plan);
  /** Nothing is armed and nothing is left in its care. */
  bool idle() const { return judges_.empty() && operations_.empty() && connects_.empty() && !operations_.cutsOpen(); }
  /** True once after something fired that JavaScript has to know at once: block and pause. */
  bool takeNotice() { return std::exchange(notice_, false); }

 private:
  /** What the table's functions find behind `self`. */
  static FaultBackend& of(kvseam_backend* self) { return *reinterpret_cast<FaultBackend*>(self); }
  static kvseam_backend_api makeTable(const char* name);
  struct HeldConnect {
    uint32_t peer = 0;
    int64_t dueNs = 0;
    bool dropped = false;
    bool answered = false;
    std::vector<FaultPause> pauses;
    kvseam_event event{};
  };
  struct Refused {
    uint64_t left = 0;
    int64_t deadlineNs = 0;
    uint32_t subject = 0;
    FaultVerdict verdict;
  };

  FaultVerdict judge(const FaultSubject& subject, FaultOp op, const kvseam_op* posted, int64_t nowNs);
  void notePath(FaultPlan* plan, uint32_t path) const;
  const FaultSubject& subjectOfPath(uint32_t path, FaultOp op);
  kvseam_status judgeMemory(FaultOp op, const char* peer, uint64_t bytes);
  kvseam_status post(const kvseam_op& op);
  void cancel(uint64_t token);
  kvseam_status connect(const kvseam_peer_info* peer, uint32_t* outPeer);
  void disconnect(uint32_t peer);
  uint32_t poll(kvseam_event* out, uint32_t max);
  int armSleep(int64_t* wakeAtNs);
  bool keeps(const kvseam_event& event, int64_t nowNs);
  bool heldConnect(const kvseam_event& event, int64_t nowNs);
  void advanceConnects(int64_t nowNs);

  const kvseam_backend_api* inner_;
  kvseam_backend* innerSelf_;
  kvseam_backend_api table_;
  FaultNames names_;

  std::mutex memoryMutex_;
  std::atomic<bool> memoryArmed_{false};
  std::vector<FaultJudge> memoryJudges_;
  FaultSubjects memorySubjects_;

  // Progress thread only.
  std::vector<FaultJudge> judges_;
  FaultSubjects subjects_;
  std::vector<uint32_t> subjectOfPath_;  // [path * 2 + (1 for reads)], plus 1; 0: not looked up yet
  FaultOperations operations_;
  std::unordered_map<uint64_t, Refused> refused_;  // eagain
  std::vector<HeldConnect> connects_;
  bool pollJudged_ = false;
  bool notice_ = false;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_BACKEND_H_
