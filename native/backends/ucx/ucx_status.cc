// Map of UCX's status codes.
#include "ucx_status.h"

#include "ucx_codes.h"

namespace kvseam::ucx {

Status statusOf(ucs_status_t status, const std::string& what) {
  if (status == UCS_OK) return {};
  const std::string text = what + ": " + ucs_status_string(status);
  switch (status) {
    case UCS_ERR_CANCELED:
      return {KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, text, status};
    case UCS_ERR_NO_MEMORY:
      return {KVSEAM_NO_MEMORY, KVSEAM_BLAME_local, text, status};
    case UCS_ERR_INVALID_PARAM:
    case UCS_ERR_UNSUPPORTED:
    case UCS_ERR_NOT_IMPLEMENTED:
      return {KVSEAM_NOT_SUPPORTED, KVSEAM_BLAME_local, text, status};
    // The far end closed or died: a process, not a network, does that at once.
    case UCS_ERR_CONNECTION_RESET:
    case UCS_ERR_ENDPOINT_TIMEOUT:
    case UCS_ERR_NOT_CONNECTED:
    case UCS_ERR_REJECTED:
    case UCS_ERR_SHMEM_SEGMENT:  // its memory has gone with it
      return {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, text, status};
    case UCS_ERR_UNREACHABLE:
      return {KVSEAM_NO_PATH, KVSEAM_BLAME_path, text, status};
    case UCS_ERR_TIMED_OUT:
      return {KVSEAM_TIMEOUT, KVSEAM_BLAME_path, text, status};
    case UCS_ERR_INVALID_ADDR:
      return {KVSEAM_METADATA_INVALID, KVSEAM_BLAME_protocol, text, status};
    default:
      return {KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, text, status};
  }
}

Status localStatusOf(ucs_status_t status, Code code, const std::string& what) {
  if (status == UCS_OK) return {};
  return {status == UCS_ERR_NO_MEMORY ? KVSEAM_NO_MEMORY : code, KVSEAM_BLAME_local,
          what + ": " + ucs_status_string(status), status};
}

Status refusal(uint64_t code) {
  if (code == KVSEAM_OUT_OF_BOUNDS)
    return {KVSEAM_OUT_OF_BOUNDS, KVSEAM_BLAME_protocol, "the peer found the bytes outside of its region",
            kCodeWithdrawn};
  return {KVSEAM_STALE_REGION, KVSEAM_BLAME_peer, "the peer has withdrawn the region", kCodeWithdrawn};
}

}  // namespace kvseam::ucx
