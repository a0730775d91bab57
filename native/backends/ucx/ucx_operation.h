// One transfer as the UCX backend has it: which part has been handed to UCX, what UCX still holds, what is left to
// prove.
#ifndef KVSEAM_BACKENDS_UCX_UCX_OPERATION_H_
#define KVSEAM_BACKENDS_UCX_UCX_OPERATION_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "../../core/backend.h"
#include "../../core/status.h"
#include "ucx_memory.h"
#include "ucx_rail.h"

namespace kvseam::ucx {

struct Line;
class Carrier;

struct Operation {
  enum class Phase {
    kMoving,    // bytes are being handed to UCX, or UCX still holds some
    kFlushing,  // a write: UCX makes sure that everything is in the peer's memory
    kAsking,    // the peer has been asked, or told, and will answer that it sees everything
  };
  kvseam_op op{};
  Carrier* carrier = nullptr;
  Line* line = nullptr;
  uint64_t number = 0;
  Phase phase = Phase::kMoving;
  uint64_t run = 0;
  uint64_t runOffset = 0;
  uint64_t moved = 0;
  uint32_t outstanding = 0;  // requests
  bool exhausted = false;    // nothing more will be handed to UCX
  bool put = false;          // one-sided, so it needs a flush
  uint64_t sent = 0;         // bytes that went as messages, so the peer has to say that it has them
  bool flushed = false;
  bool judged = false;  // `failure` is the last word
  bool cancelled = false;
  int64_t cancelledNs = 0;
  Status failure;  // the first one
  // Of the run before: runs of one region follow each other.
  const kvseam_memory* remote = nullptr;
  ucp_rkey_h key = nullptr;
  uint8_t* mapped = nullptr;  // the region as this process sees it, when it can
  const DataLink* keyOf = nullptr;

  bool ended() const { return cancelled || !failure.ok(); }
};

/** The connection that carries bytes and nothing else, so that it can be cut off without losing sight of the peer. */
struct DataLink {
  static constexpr uint64_t kWindowBytes = uint64_t{2} << 20;  // a small transfer waits behind what is under way
  std::unique_ptr<Endpoint> endpoint;                          // moved away when it is cut off
  uint32_t mostRequests = 0;                                   // the window
  uint32_t outstanding = 0;                                    // requests
  uint64_t outstandingBytes = 0;
  bool full = false;    // it was, and has not emptied by a quarter yet
  int64_t movedNs = 0;  // when something completed last
  std::unordered_map<PeerMemory*, ucp_rkey_h> keys;

  bool windowFull() const { return outstanding >= mostRequests || outstandingBytes >= kWindowBytes; }
  /** Refilled a quarter at a time: requests then travel together instead of one by one as each answer comes. */
  bool mayTakeMore() {
    const bool low = outstanding <= mostRequests / 4 * 3 && outstandingBytes <= kWindowBytes / 4 * 3;
    full = windowFull() || (full && !low);
    return !full;
  }
};

/** From one of our rails to one rail of a peer: a connection to talk over and one for the bytes. */
struct Line {
  enum class State {
    kDialling,
    kUp,
    kSuspect,  // something broke; soon it will be known whether it was the line or the peer
    kDown,
  };
  uint64_t number = 0;
  uint32_t peer = 0;
  uint32_t localRail = 0;
  uint32_t remoteRail = 0;
  State state = State::kDialling;
  Status why;                            // it is not up
  Status broken;                         // what a transfer met; looked at by the dialler
  const std::string* address = nullptr;  // of the peer's rail
  uint64_t guest = 0;                    // the peer's number for it
  std::unique_ptr<Endpoint> control;
  std::unique_ptr<DataLink> data;
  std::deque<Operation*> moving;
  uint32_t operations = 0;
  int64_t dialledNs = 0;
  int64_t heardNs = 0;
  int64_t excusedNs = 0;  // we were stalled ourselves: silence counts from here
  int64_t pingedNs = 0;
  int64_t brokenNs = 0;  // when it became suspect
  int64_t decideNs = 0;  // kSuspect: not judged before; kDown: when to dial again
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_OPERATION_H_
