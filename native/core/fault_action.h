// Reads one action of the fault language, such as `delay(20ms~5ms)`, and refuses it where it could not work.
#ifndef KVSEAM_CORE_FAULT_ACTION_H_
#define KVSEAM_CORE_FAULT_ACTION_H_

#include <cstdint>

#include "fault_spec.h"

namespace kvseam {

class FaultScan;

/** `ops`: the operations of the rule, as bits. False when the scan has reported what is wrong. */
[[nodiscard]] bool readFaultAction(FaultScan* scan, uint32_t ops, FaultAction* out);

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_ACTION_H_
