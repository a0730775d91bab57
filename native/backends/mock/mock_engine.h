// Executes operations of one mock agent: copies in chunks, turn by turn, no faster than the rail's model allows.
// Turns make short transfers overtake long ones, so nobody can come to rely on completion order.
#ifndef KVSEAM_BACKENDS_MOCK_MOCK_ENGINE_H_
#define KVSEAM_BACKENDS_MOCK_MOCK_ENGINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "mock_link.h"
#include "mock_memory.h"

namespace kvseam::mock {

/** Modelled speed of a rail; of two rails in a path the slower rate and the sum of the latencies count. */
struct RailModel {
  uint64_t bytesPerSecond = 0;  // 0: as fast as memory
  int64_t latencyNs = 0;
};

class MockEngine {
 public:
  MockEngine(std::vector<RailModel> rails, Links* links)
      : models_(std::move(rails)), rails_(models_.size()), links_(links) {}

  /** Before setPeerRails(), which then cannot fail. */
  void makeRoomFor(uint32_t peer);
  void setPeerRails(uint32_t peer, std::vector<RailModel> rails);
  Status post(const kvseam_op& op);
  void cancel(uint64_t token);
  void peerDown(uint32_t peer, int64_t backendCode);
  /** Moves what is due now; completions go to `out`. Returns how many. */
  uint32_t advance(int64_t nowNs, kvseam_event* out, uint32_t max);
  /** True when advance() has work at once; otherwise the time of the next work. */
  bool busy(int64_t* nextNs) const;
  uint64_t copiedBytes() const { return copiedBytes_; }
  uint64_t active() const { return active_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Op {
    kvseam_op op{};
    RailModel model;
    uint64_t run = 0;
    uint64_t runOffset = 0;
    uint64_t moved = 0;
    int64_t startNs = 0;
    uint64_t serial = 0;
    bool used = false;
    bool queued = false;  // waits for its turn
    uint32_t before = kNone;
    uint32_t after = kNone;
  };
  struct Rail {
    uint32_t first = kNone;  // whose turn it is; the others follow by Op::after
    uint32_t last = kNone;
    int64_t freeAtNs = 0;
  };
  struct Due {
    int64_t atNs;
    uint32_t index;
    uint64_t serial;
    bool operator>(const Due& other) const { return atNs > other.atNs; }
  };

  bool copyChunk(Op* op, uint64_t budget, uint64_t* moved);
  void makeRoom();
  void queue(Rail* rail, uint32_t index);
  void unqueue(Rail* rail, uint32_t index);
  void await(int64_t atNs, uint32_t index);
  void turnRail(Rail* rail, int64_t nowNs, uint64_t* budget);
  void finish(uint32_t index, Code code, Blame blame, int64_t backendCode);
  void complete(uint32_t index);
  void abort(uint32_t index, Code code, Blame blame, int64_t backendCode);

  std::vector<RailModel> models_;
  std::vector<Rail> rails_;
  Links* links_;
  std::vector<std::vector<RailModel>> peerRails_;
  std::vector<Op> ops_;
  std::vector<uint32_t> freeOps_;
  std::vector<Due> due_;            // a heap, the earliest on top
  std::vector<kvseam_event> done_;  // completions not yet handed out
  size_t doneAt_ = 0;
  size_t firstRail_ = 0;
  uint64_t copiedBytes_ = 0;
  uint64_t active_ = 0;
  uint64_t serial_ = 0;
};

}  // namespace kvseam::mock
#endif  // KVSEAM_BACKENDS_MOCK_MOCK_ENGINE_H_
