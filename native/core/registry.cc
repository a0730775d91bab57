// Opening of backends that are shared objects.
#include "registry.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstring>

#include "load_guard.h"

namespace kvseam {

namespace {

bool safeName(const std::string& name) {
  if (name.empty() || name.size() > 32) return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

Status unavailable(const std::string& name, const std::string& why) {
  return Status::local(KVSEAM_BACKEND_UNAVAILABLE, "backend '" + name + "' is not available: " + why);
}

}  // namespace

Status Registry::find(const std::string& name, const kvseam_backend_api** out) {
  // The name becomes part of a file name that is loaded into the process.
  if (!safeName(name)) return unavailable(name, "a backend name has 1 to 32 characters of a-z 0-9 _");
  for (const auto* list : {&builtIn_, &opened_}) {
    for (const kvseam_backend_api* api : *list) {
      if (name == api->name) {
        *out = api;
        return {};
      }
    }
  }
  const std::string path = folder_ + "/kvseam_" + name + ".so";
  // Only what exists is guarded against: a name that leads nowhere changes nothing in the process.
  if (access(path.c_str(), R_OK) == 0) guardEnvironment(name, path);
  const SignalGuard guard(name);
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* const reason = dlerror();
    return unavailable(name, reason != nullptr ? reason : "it could not be loaded");
  }
  using Entry = const kvseam_backend_api* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, KVSEAM_BACKEND_ENTRY));
  if (entry == nullptr) return unavailable(name, path + " has no " KVSEAM_BACKEND_ENTRY);
  const kvseam_backend_api* const api = entry();
  if (api == nullptr) return unavailable(name, path + " refused to start");
  if (api->api_version != KVSEAM_BACKEND_API_VERSION || api->struct_bytes < sizeof(kvseam_backend_api)) {
    return unavailable(name, path + " speaks version " + std::to_string(api->api_version) +
                                 " of the backend contract and this build version " +
                                 std::to_string(KVSEAM_BACKEND_API_VERSION) + "; install matching packages");
  }
  if (name != api->name) return unavailable(name, path + " calls itself '" + api->name + "'");
  opened_.push_back(api);
  *out = api;
  return {};
}

}  // namespace kvseam
