// The one place where a ucs_status_t becomes a code of ours and a side to blame.
#ifndef KVSEAM_BACKENDS_UCX_UCX_STATUS_H_
#define KVSEAM_BACKENDS_UCX_UCX_STATUS_H_

#include <ucs/type/status.h>

#include <string>

#include "../../core/status.h"

namespace kvseam::ucx {

/** What a status of UCX means for an operation on a line to a peer. */
Status statusOf(ucs_status_t status, const std::string& what);

/** The same for something that only this process takes part in, such as opening a rail or registering memory. */
Status localStatusOf(ucs_status_t status, Code code, const std::string& what);

/** What a peer means that does not give or take bytes, by the kvseam_code it sent. */
Status refusal(uint64_t code);

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_STATUS_H_
