// One posted operation. It ends twice, in this order, each exactly once: settled (the caller has its one outcome) and
// quiesced (no thread or device can touch the memory any more). Reuse of slot, memory and capacity waits for quiesced.
#ifndef KVSEAM_CORE_TRANSFER_H_
#define KVSEAM_CORE_TRANSFER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "descriptors.h"

namespace kvseam {

enum class TransferState : uint8_t {
  kFree,      // owner: JavaScript thread
  kQueued,    // owner from here to kQuiesced: progress thread
  kPosted,    // the backend has it
  kSettled,   // outcome delivered, the backend may still touch the memory
  kQuiesced,  // over; the slot goes back once JavaScript has read the record
};

// Neighbours belong to different threads at times, so each has its own lines.
struct alignas(64) Transfer {
  TransferState state = TransferState::kFree;
  bool cancelAsked = false;
  bool quarantined = false;
  bool claimed = false;  // its destination, see WriteClaims; owner's thread only
  uint32_t generation = 0;
  uint32_t path = 0;
  uint32_t operation = 0;
  uint32_t workload = 0;  // class of the request, see PermitTerms
  std::shared_ptr<DescriptorList> local;
  std::shared_ptr<DescriptorList> remote;
  uint64_t first = 0;
  uint64_t count = 0;
  uint64_t bytes = 0;
  int64_t deadlineNs = 0;
  int64_t submittedNs = 0;
  int64_t postedNs = 0;
  std::string notify;
  std::vector<kvseam_run> runs;
};

enum CompletionFlags : uint32_t {
  kSettledFlag = 1,
  kQuiescedFlag = 2,
  kBytesUnknownFlag = 4,  // it failed in a way that leaves open how much arrived
  kSelfDelayedFlag = 8,   // this process was stalled meanwhile; the figures say nothing about the path
  kQuarantinedFlag = 16,  // it did not quiesce within the grace; slot and memory are held back until it does
};

/** What the progress thread tells JavaScript about one transfer; plain data through a ring. */
struct CompletionRecord {
  uint32_t slot = 0;
  uint32_t flags = 0;
  int32_t code = 0;
  int32_t blame = 0;
  int64_t backendCode = 0;
  uint64_t bytes = 0;
  int64_t postNs = 0;   // submit to handed to the backend
  int64_t wireNs = 0;   // handed to the backend to arrived
  int64_t totalNs = 0;  // submit to settled
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_TRANSFER_H_
