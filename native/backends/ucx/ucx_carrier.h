// Moves the bytes: hands runs to UCX in bounded windows, turn by turn among the transfers of a line, and follows each
// transfer until its one completion is earned. Progress thread only.
#ifndef KVSEAM_BACKENDS_UCX_UCX_CARRIER_H_
#define KVSEAM_BACKENDS_UCX_UCX_CARRIER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ucx_message.h"
#include "ucx_operation.h"

namespace kvseam::ucx {

class Carrier final : public ByteSink {
 public:
  Carrier(uint64_t incarnation, Rails* rails) : incarnation_(incarnation), rails_(rails) {}
  ~Carrier() override = default;
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;

  /** Opens the line's connection for the bytes, unless it is open. False when UCX refuses; the line is broken then. */
  bool open(Line* line);
  /** The line may still be dialling; it must not be down. */
  void begin(const kvseam_op& op, uint64_t peerIncarnation, Line* line, int64_t nowNs);
  void cancel(uint64_t token, int64_t nowNs);
  /** The peer has, or refused (`code`), everything that operation `number` did. */
  void arrived(uint64_t peerIncarnation, uint64_t number, uint64_t code);
  /** The peer will not send what this read asked for. */
  void unread(uint64_t peerIncarnation, uint64_t request, uint64_t code);
  /** What a read asked for. */
  void bytes(const ByteHeader& header, const uint8_t* data, size_t count) override;
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
  struct Read;
  static void onMoved(void* request, ucs_status_t status, void* operation);
  void note(Operation* operation, const RequestNote& note, ucs_status_t status);
  bool handOver(Line* line, Operation* operation, uint64_t* budget);
  bool findKey(Line* line, Operation* operation, const kvseam_run& run);
  bool oneSided(Line* line, Operation* operation, PeerMemory* theirs, uint8_t* here, uint64_t offset, uint64_t bytes,
                uint64_t* budget);
  bool writeAlone(Line* line, Operation* operation, const PeerMemory& theirs, uint64_t offset, const uint8_t* here,
                  uint64_t bytes);
  bool sendPack(Line* line, Operation* operation);
  bool sent(Line* line, Operation* operation, std::unique_ptr<Outgoing> outgoing, void* request, uint64_t bytes);
  void askFor(Line* line, Operation* operation, const PeerMemory& theirs, uint64_t offset, uint8_t* here,
              uint64_t bytes);
  void sendAsked(Line* line);
  Read* readOf(uint64_t request);
  void readCame(uint64_t from, uint64_t request, const uint8_t* data, size_t count);
  void readOver(Read* read);
  void forsake(const Operation* operation);
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
  /** A read under way as messages. Its place has a generation, so that a late answer finds nothing. */
  struct Read {
    Operation* operation = nullptr;  // null: cancelled, the answer is only counted
    DataLink* link = nullptr;        // null: the place is free
    uint64_t peerIncarnation = 0;
    uint8_t* to = nullptr;
    uint64_t bytes = 0;
    uint32_t generation = 0;
  };
  uint64_t incarnation_;
  Rails* rails_;
  std::unordered_map<uint64_t, Asked> operations_;  // by number
  std::unordered_map<uint64_t, uint64_t> numberOfToken_;
  std::vector<std::unique_ptr<DataLink>> retired_;
  std::vector<Operation*> landed_;
  std::vector<Read> reads_;
  std::vector<uint32_t> freeReads_;
  // Of the turn that is under way.
  std::vector<ReadItem> asking_;
  std::vector<PackedRun> packed_;
  std::string packedBytes_;
  std::deque<kvseam_event> completions_;
  uint64_t nextNumber_ = 1;
  uint64_t movedBytes_ = 0;
  uint64_t fences_ = 0;
  uint32_t cancelled_ = 0;  // not over yet
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_CARRIER_H_
