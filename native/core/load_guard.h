// Keeps a transport library from hurting its host process when it is loaded. UCX and libfabric's psm replace signal
// handlers (a WebAssembly trap or SIGTERM then kills Node), and UCX's memory hooks patch libc under other threads'
// feet.
#ifndef KVSEAM_CORE_LOAD_GUARD_H_
#define KVSEAM_CORE_LOAD_GUARD_H_

#include <signal.h>

#include <string>
#include <vector>

namespace kvseam {

/** What was done around the loading of one backend; for people who wonder why their process behaves as it does. */
struct LoadReport {
  std::string file;
  std::vector<std::string> variables;  // NAME=value that were unset before
  std::vector<int> signals;            // whose handlers were replaced and put back
};

/** Puts back, at its end, every signal's handler that was replaced during its life. */
class SignalGuard {
 public:
  /** `backend`: whose report names the signals. */
  explicit SignalGuard(std::string backend);
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  std::string backend_;
  struct sigaction before_[NSIG];
  bool known_[NSIG];
};

/** Sets the variables that keep transport libraries quiet, except those that are set already, and notes them in the
 * report. */
void guardEnvironment(const std::string& backend, const std::string& file);

/** Empty when the backend was not loaded from a file. */
LoadReport loadReportOf(const std::string& backend);

/** Libraries of which the process has two copies, as "libucp.so.0 from A and B": each has its own state, which ends
 * badly. */
std::vector<std::string> twinLibraries();

}  // namespace kvseam
#endif  // KVSEAM_CORE_LOAD_GUARD_H_
