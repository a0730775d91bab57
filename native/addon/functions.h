// The exported functions by subject; addon.cc lists them. Each file reads arguments, calls the core, converts results.
#ifndef KVSEAM_ADDON_FUNCTIONS_H_
#define KVSEAM_ADDON_FUNCTIONS_H_

#include <napi.h>

#include <new>

#include "errors.h"
#include "instance.h"

namespace kvseam::addon {

void addGateFunctions(Napi::Object exports, Instance* instance);
void addAgentFunctions(Napi::Object exports, Instance* instance);
void addMemoryFunctions(Napi::Object exports, Instance* instance);
void addDescriptorFunctions(Napi::Object exports, Instance* instance);
void addTransferFunctions(Napi::Object exports, Instance* instance);
void addMeasureFunctions(Napi::Object exports, Instance* instance);
void addFaultFunctions(Napi::Object exports, Instance* instance);
void addProbeFunctions(Napi::Object exports, Instance* instance);

/** [count, sumNs, maxNs, bucket 0, bucket 1, ...] */
void writeHistogram(const Histogram& source, double* out);
/** The end of a series as the fields of an event. */
void setProbeResult(Instance* instance, Napi::Object item, const ProbeSeries& series, const BackendHandle& backend);

using Call = Napi::Value (*)(const Napi::CallbackInfo&);

/** No C++ exception reaches Node: memory that ran out becomes KVSEAM_NO_MEMORY, an error of JavaScript stays itself. */
template <Call call>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return call(info);
  } catch (const std::bad_alloc&) {
    throwStatus(static_cast<Instance*>(info.Data()),
                Status::local(KVSEAM_NO_MEMORY, "the system has no memory left for this call"));
    return info.Env().Undefined();
  }
}

template <Call call>
void addFunction(Napi::Object exports, Instance* instance, const char* name) {
  exports.Set(name, Napi::Function::New(exports.Env(), guarded<call>, name, instance));
}

/** Arguments of a call on the hot path; those that were not given are undefined. */
struct RawArguments {
  static constexpr size_t kMost = 10;
  size_t count = kMost;
  napi_value values[kMost];
};

/** The same for calls on the hot path, which read their arguments without node-addon-api. */
using RawCall = napi_value (*)(napi_env, const RawArguments&, Instance*);
template <RawCall call>
napi_value guardedRaw(napi_env env, napi_callback_info info) {
  RawArguments arguments;
  void* data = nullptr;
  napi_get_cb_info(env, info, &arguments.count, arguments.values, nullptr, &data);
  auto* const instance = static_cast<Instance*>(data);
  try {
    return call(env, arguments, instance);
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (const std::bad_alloc&) {
    throwStatus(instance, Status::local(KVSEAM_NO_MEMORY, "the system has no memory left for this call"));
  }
  return nullptr;
}

template <RawCall call>
void addRawFunction(Napi::Object exports, Instance* instance, const char* name) {
  napi_value function = nullptr;
  napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, guardedRaw<call>, instance, &function);
  exports.Set(name, function);
}

inline Instance* instanceOf(const Napi::CallbackInfo& info) { return static_cast<Instance*>(info.Data()); }

}  // namespace kvseam::addon
#endif  // KVSEAM_ADDON_FUNCTIONS_H_
