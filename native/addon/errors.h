// The one place where a status becomes a JavaScript error. The class itself lives in TypeScript and hands in a factory.
#ifndef KVSEAM_ADDON_ERRORS_H_
#define KVSEAM_ADDON_ERRORS_H_

#include <napi.h>

#include <string>

#include "../core/status.h"

namespace kvseam::addon {

class Instance;

/** Leaves a pending exception made by the factory: (code, message, blame, backendCode) => Error. */
void throwStatus(Instance* instance, const Status& status);
/** The same error as a value, for results that are delivered rather than thrown. */
Napi::Value errorOf(Instance* instance, const Status& status);
/** KVSEAM_INVALID_ARGUMENT that names the argument. */
void throwArgument(Instance* instance, const std::string& what);

}  // namespace kvseam::addon
#endif  // KVSEAM_ADDON_ERRORS_H_
