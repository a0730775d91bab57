// Contents page of the addon: one instance an environment, functions by subject.
#include <dlfcn.h>
#include <napi.h>

#include <string>

#include "../core/load_guard.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

// Raised whenever an exported function changes its arguments; src/native/binding.ts refuses any other number.
constexpr uint32_t kBindingVersion = 3;

/** Folder of this very file: backends that are shared objects lie beside it. */
std::string ownFolder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&ownFolder), &info) == 0 || info.dli_fname == nullptr) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

Napi::Value setErrorFactory(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  if (!info[0].IsFunction()) {
    throwArgument(instance, "setErrorFactory takes a function");
  } else {
    instance->errorFactory() = Napi::Persistent(info[0].As<Napi::Function>());
  }
  return info.Env().Undefined();
}

/** Whether a backend can be opened here: null, or the error that says why not. */
Napi::Value probeBackend(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  std::string name;
  if (!readText(instance, info[0], "backend", &name)) return info.Env().Undefined();
  const kvseam_backend_api* api = nullptr;
  const Status status = instance->registry().find(name, &api);
  return status.ok() ? info.Env().Null() : errorOf(instance, status);
}

/** What loading a backend's library changed in this process: null for one that was not loaded from a file. */
Napi::Value loadReport(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string name;
  if (!readText(instanceOf(info), info[0], "backend", &name)) return env.Undefined();
  const LoadReport report = loadReportOf(name);
  if (report.file.empty()) return env.Null();
  const auto list = [env](const auto& items, const auto& value) {
    Napi::Array out = Napi::Array::New(env, items.size());
    for (uint32_t i = 0; i < items.size(); ++i) out.Set(i, value(items[i]));
    return out;
  };
  const auto text = [env](const std::string& item) { return Napi::String::New(env, item); };
  Napi::Object out = Napi::Object::New(env);
  out.Set("file", report.file);
  out.Set("variables", list(report.variables, text));
  out.Set("signals", list(report.signals, [env](int item) { return Napi::Number::New(env, item); }));
  out.Set("twins", list(twinLibraries(), text));
  return out;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* const instance = new Instance(env, ownFolder());
  env.SetInstanceData<Instance>(instance);  // deleted with the environment, after its cleanup hooks
  exports.Set("bindingVersion", kBindingVersion);
  exports.Set("contractVersion", KVSEAM_BACKEND_API_VERSION);
  addFunction<setErrorFactory>(exports, instance, "setErrorFactory");
  addFunction<probeBackend>(exports, instance, "probeBackend");
  addFunction<loadReport>(exports, instance, "loadReport");
  addGateFunctions(exports, instance);
  addAgentFunctions(exports, instance);
  addMemoryFunctions(exports, instance);
  addDescriptorFunctions(exports, instance);
  addTransferFunctions(exports, instance);
  addMeasureFunctions(exports, instance);
  addFaultFunctions(exports, instance);
  addProbeFunctions(exports, instance);
  return exports;
}

}  // namespace

NODE_API_MODULE(kvseam, init)

}  // namespace kvseam::addon
