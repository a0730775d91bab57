// Wake-ups from native threads.
#include "completion_port.h"

namespace kvseam::addon {

namespace {

void callOnWake(napi_env env, napi_value onWake, void*, void*) {
  if (env == nullptr || onWake == nullptr) return;  // the environment is going away
  napi_value undefined = nullptr;
  napi_get_undefined(env, &undefined);
  // An exception here becomes an uncaught exception of the environment, as from any callback.
  napi_call_function(env, undefined, onWake, 0, nullptr, nullptr);
}

}  // namespace

CompletionPort::~CompletionPort() { close(); }

bool CompletionPort::open(napi_env env, napi_value onWake) {
  napi_value name = nullptr;
  napi_create_string_utf8(env, "kvseam", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, onWake, nullptr, name, 0, 1, nullptr, nullptr, nullptr, callOnWake,
                                      &function_) != napi_ok) {
    return false;
  }
  env_ = env;
  napi_unref_threadsafe_function(env, function_);  // an idle agent does not hold the process
  const std::lock_guard<std::mutex> lock(mutex_);
  open_ = true;
  return true;
}

void CompletionPort::wake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (open_) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void CompletionPort::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!open_) return;
    open_ = false;
  }
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
}

void CompletionPort::keepAlive(bool keep) {
  if (!open_) return;
  if (keep) {
    napi_ref_threadsafe_function(env_, function_);
  } else {
    napi_unref_threadsafe_function(env_, function_);
  }
}

}  // namespace kvseam::addon
