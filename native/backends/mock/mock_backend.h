// The mock backend: real bytes between real regions, in one process or between processes of one machine, over rails
// whose rate and latency are modelled. Its figures say how the software behaves, never how a network does.
#ifndef KVSEAM_BACKENDS_MOCK_MOCK_BACKEND_H_
#define KVSEAM_BACKENDS_MOCK_MOCK_BACKEND_H_

#include "../../core/backend.h"

namespace kvseam::mock {

const kvseam_backend_api* api();

}  // namespace kvseam::mock
#endif  // KVSEAM_BACKENDS_MOCK_MOCK_BACKEND_H_
