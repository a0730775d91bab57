// Shared objects that are not quite backends, one a build of this file: KVSEAM_ODD says what is wrong with it.
#include <cstdint>

#include "../../core/backend.h"

#define KVSEAM_ODD_FINE 0
#define KVSEAM_ODD_OLD 1
#define KVSEAM_ODD_SHORT 2
#define KVSEAM_ODD_OTHER_NAME 3
#define KVSEAM_ODD_REFUSES 4
#define KVSEAM_ODD_NO_ENTRY 5

#if KVSEAM_ODD != KVSEAM_ODD_NO_ENTRY
extern "C" __attribute__((visibility("default"))) const kvseam_backend_api* kvseam_backend_entry() {
  static kvseam_backend_api table = {};
  table.api_version = KVSEAM_BACKEND_API_VERSION + (KVSEAM_ODD == KVSEAM_ODD_OLD ? 1 : 0);
  table.struct_bytes = KVSEAM_ODD == KVSEAM_ODD_SHORT ? 16 : sizeof(kvseam_backend_api);
  table.name = KVSEAM_ODD == KVSEAM_ODD_OTHER_NAME ? "somebody_else" : KVSEAM_ODD_NAME;
  return KVSEAM_ODD == KVSEAM_ODD_REFUSES ? nullptr : &table;
}
#else
extern "C" __attribute__((visibility("default"))) int kvseam_nothing() { return 0; }
#endif
