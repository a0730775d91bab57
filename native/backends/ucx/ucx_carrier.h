// Moves the bytes: hands runs to UCX in bounded windows, turn by turn among the transfers of a line, and follows each
// transfer until its one completion is earned. Progress thread only.
#ifndef KVSEAM_BACKENDS_UCX_UCX_CARRIER_H_
#define KVSEAM_BACKENDS_UCX_UCX_CARRIER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "ucx_message.h"
#include "ucx_operation.h"

namespace kvseam::ucx {

class Carrier {
 public:
  Carrier(uint64_t incarnation, Rails* rails) : incarnation_(incarnation), rails_(rails) {}
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;

  /** The line may still be dialling; it must not be down. */
  void begin(const kvseam_op& op, uint64_t peerIncarnation, Line* line, int64_t nowNs);
  void cancel(uint64_t token, int64_t nowNs);
  /** The peer sees everything that operation `number` did. */
  void arrived(uint64_t peerIncarnation, uint64_t number);
  /** Hands more to UCX; true when more could be handed over at once. */
  bool pump(Line* line, int64_t nowNs);
  /** After each progress call: goes on with what UCX has let go of. */
  void settleLanded();

  /** Stops what is under way on the line and reports nothing yet: who is to blame is still open. */
  void halt(Line* line);
  /** Reports `why` for everything on a halted line, each as soon as UCX holds nothing of it. */
  void fail(Line* line, const Status& why);
  /** Forgets what was unpacked for memory that nothing touches any more. */
  void forget(PeerMemory* memory, const std::vector<Line*>& lines);
  /** Cuts off links that hold a cancelled transfer and do not move. True while one is waited for. */
  bool tick(int64_t nowNs);
  /** Frees links that were cut off, as far as UCX holds nothing of theirs. */
  void collectLinks();

  std::deque<kvseam_event>& completions() { return completions_; }
  uint64_t active() const { return operations_.size(); }
  uint64_t movedBytes() const { return movedBytes_; }
  uint64_t fences() const { return fences_; }

 private:
  static void onMoved(void* request, ucs_status_t status, void* operation);
  void note(Operation* operation, const RequestNote& note, ucs_status_t status);
  bool open(Line* line);
  bool handOver(Line* line, Operation* operation, uint64_t* budget);
  bool findKey(Line* line, Operation* operation, const kvseam_run& run);
  void held(Operation* operation, void* request, const RequestNote& note);
  void advance(Operation* operation);
  void flush(Operation* operation);
  void ask(Operation* operation);
  void finish(Operation* operation);
  void fence(Line* line);
  void cutOff(Line* line);
  static void reportBroken(Line* line, const Status& why);

  struct Asked {
    uint64_t peerIncarnation;
    std::unique_ptr<Operation> operation;
  };
  uint64_t incarnation_;
  Rails* rails_;
  std::unordered_map<uint64_t, Asked> operations_;  // by number
  std::unordered_map<uint64_t, uint64_t> numberOfToken_;
  std::vector<std::unique_ptr<DataLink>> retired_;
  std::vector<Operation*> landed_;
  std::deque<kvseam_event> completions_;
  uint64_t nextNumber_ = 1;
  uint64_t movedBytes_ = 0;
  uint64_t fences_ = 0;
  uint32_t cancelled_ = 0;  // not over yet
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_CARRIER_H_
