// The one way from a progress thread into JavaScript: a thread-safe function behind a mutex and an open flag. The
// environment's exit closes the port first, so that a completion that comes later finds it shut instead of freed.
#ifndef KVSEAM_ADDON_COMPLETION_PORT_H_
#define KVSEAM_ADDON_COMPLETION_PORT_H_

#include <napi.h>

#include <mutex>

#include "../core/progress.h"

namespace kvseam::addon {

class CompletionPort final : public WakeTarget {
 public:
  CompletionPort() = default;
  ~CompletionPort();
  CompletionPort(const CompletionPort&) = delete;
  CompletionPort& operator=(const CompletionPort&) = delete;

  /** `onWake` takes no argument; it is called on the JavaScript thread after one or more wake-ups. */
  bool open(napi_env env, napi_value onWake);
  void wake() override;
  /** JavaScript thread only. Idempotent. */
  void close();
  /** Whether waiting for a wake-up keeps the process alive. JavaScript thread only. */
  void keepAlive(bool keep);

 private:
  std::mutex mutex_;
  bool open_ = false;
  napi_env env_ = nullptr;
  napi_threadsafe_function function_ = nullptr;
};

}  // namespace kvseam::addon
#endif  // KVSEAM_ADDON_COMPLETION_PORT_H_
