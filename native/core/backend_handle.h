// Keeps an opened backend alive for as long as any memory it registered: a JavaScript view may outlive its agent.
#ifndef KVSEAM_CORE_BACKEND_HANDLE_H_
#define KVSEAM_CORE_BACKEND_HANDLE_H_

#include <string>

#include "backend.h"
#include "fault_backend.h"
#include "status.h"

namespace kvseam {

class BackendHandle {
 public:
  BackendHandle(const kvseam_backend_api* api, kvseam_backend* self)
      : faults_(new FaultBackend(api, self)), api_(faults_->api()), self_(faults_->self()) {}
  ~BackendHandle() { api_->destroy(self_); }  // the fault layer goes with it
  BackendHandle(const BackendHandle&) = delete;
  BackendHandle& operator=(const BackendHandle&) = delete;

  const kvseam_backend_api* operator->() const { return api_; }
  kvseam_backend* self() const { return self_; }
  FaultBackend& faults() const { return *faults_; }

  /** What an event says, with the backend's own words for its code. */
  Status statusOf(const kvseam_event& event) const {
    kvseam_status status{event.code, event.blame, event.backend_code, {}};
    api_->describe(self_, event.backend_code, status.text, sizeof(status.text));
    return Status(status);
  }

  std::string describe(int64_t backendCode) const {
    char text[sizeof(kvseam_status::text)] = {};
    api_->describe(self_, backendCode, text, sizeof(text));
    return text;
  }

 private:
  FaultBackend* faults_;  // wraps the backend; freed by `destroy`
  const kvseam_backend_api* api_;
  kvseam_backend* self_;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_BACKEND_HANDLE_H_
