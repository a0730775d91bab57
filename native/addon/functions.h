// The exported functions by subject; addon.cc lists them. Each file reads arguments, calls the core, converts results.
#ifndef KVSEAM_ADDON_FUNCTIONS_H_
#define KVSEAM_ADDON_FUNCTIONS_H_

#include <napi.h>

#include "instance.h"

namespace kvseam::addon {

void addGateFunctions(Napi::Object exports, Instance* instance);
void addAgentFunctions(Napi::Object exports, Instance* instance);
void addMemoryFunctions(Napi::Object exports, Instance* instance);
void addDescriptorFunctions(Napi::Object exports, Instance* instance);
void addTransferFunctions(Napi::Object exports, Instance* instance);
void addMeasureFunctions(Napi::Object exports, Instance* instance);

using Call = Napi::Value (*)(const Napi::CallbackInfo&);
inline void addFunction(Napi::Object exports, Instance* instance, const char* name, Call call) {
  exports.Set(name, Napi::Function::New(exports.Env(), call, name, instance));
}
inline Instance* instanceOf(const Napi::CallbackInfo& info) { return static_cast<Instance*>(info.Data()); }

}  // namespace kvseam::addon
#endif  // KVSEAM_ADDON_FUNCTIONS_H_
