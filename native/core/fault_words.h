// The vocabulary of the fault language: operations, actions and errors, which action works on which operation, and the
// known word nearest to a misspelt one.
#ifndef KVSEAM_CORE_FAULT_WORDS_H_
#define KVSEAM_CORE_FAULT_WORDS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "backend.h"

namespace kvseam {

#define KVSEAM_FAULT_OPS(X) \
  X(connect) X(load) X(register) X(deregister) X(read) X(write) X(notify) X(poll) X(cancel) X(probe) X(release)

enum class FaultOp : uint8_t {
#define KVSEAM_FAULT_OP(name) op_##name,
  KVSEAM_FAULT_OPS(KVSEAM_FAULT_OP)
#undef KVSEAM_FAULT_OP
};
inline constexpr uint32_t kFaultOpCount = 11;

constexpr uint32_t bitOf(FaultOp op) { return 1u << static_cast<uint32_t>(op); }
inline constexpr uint32_t kFaultPathOps =
    bitOf(FaultOp::op_read) | bitOf(FaultOp::op_write) | bitOf(FaultOp::op_notify);

enum class FaultActionKind : uint8_t {
  kOff,
  kDelay,
  kError,
  kDrop,
  kLose,
  kDup,
  kLate,
  kStall,
  kRate,
  kEagain,
  kPartial,
  kShort,
  kCorrupt,
  kReorder,
  kStale,
  kRestart,
  kDisconnect,
  kBlock,
  kSkew,
  kPause,
  kKill,
};
inline constexpr uint32_t kFaultActionCount = 21;

struct FaultActionWord {
  const char* name;
  uint32_t ops;         // operations it works on; 0: none in this version
  bool terminal;        // decides the outcome: the first such action of an operation wins
  const char* example;  // how it is written
};

struct FaultError {
  int32_t code = KVSEAM_TRANSFER_FAILED;
  int32_t blame = KVSEAM_BLAME_path;
  int64_t backendCode = 0;
};

const char* nameOf(FaultOp op);
const FaultActionWord& wordOf(FaultActionKind kind);
bool findOp(std::string_view name, FaultOp* out);
bool findAction(std::string_view name, FaultActionKind* out);
bool findError(std::string_view name, FaultError* out);
/** "read, write, notify" */
std::string listOps(uint32_t ops);

/** " (did you mean X?)" or "": the nearest known word, same rule as src/did-you-mean.ts. */
std::string didYouMean(std::string_view word, std::span<const char* const> known);
std::span<const char* const> opNames();
std::span<const char* const> actionNames();
std::span<const char* const> errorNames();

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_WORDS_H_
