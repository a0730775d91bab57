// Signals, variables and twins around the loading of a transport.
#include "load_guard.h"

#include <link.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace kvseam {

namespace {

struct Variable {
  const char* name;
  const char* value;
};

// Unset ones only: what the user set is meant.
constexpr Variable kVariables[] = {
    {"UCX_ERROR_SIGNALS", ""},           // no handlers for SEGV, BUS, FPE, ILL
    {"UCX_HANDLE_ERRORS", "none"},       // nor a debugger or backtrace in their place
    {"UCX_MEM_MMAP_HOOK_MODE", "none"},  // no patching of libc: about 1 % of exits crashed with it
    {"UCX_LOG_FILE", "stderr"},          // standard output belongs to the program
    {"UCX_LOG_LEVEL", "fatal"},          // what UCX reports comes back as a status
    {"UCX_WARN_UNUSED_ENV_VARS", "n"},
    {"UCX_TCP_TX_SEG_SIZE", "64k"},  // 8 KiB halve the throughput of 1.13
    {"UCX_TCP_RX_SEG_SIZE", "64k"},
    {"UCX_POSIX_ERROR_HANDLING", "y"},  // without it shared memory has no endpoints that can be closed by force
    {"UCX_SYSV_ERROR_HANDLING", "y"},
    {"IPATH_NO_BACKTRACE", "1"},  // psm takes SEGV, BUS, ILL, ABRT, INT and TERM
    {"HFI_NO_BACKTRACE", "1"},
    {"FI_MR_CACHE_MONITOR", "disabled"},  // libfabric's own patching of libc
};

std::mutex& reportsMutex() {
  static auto* const mutex = new std::mutex;  // leaked on purpose: threads may outlive static destruction
  return *mutex;
}

std::map<std::string, LoadReport>& reports() {
  static auto* const all = new std::map<std::string, LoadReport>;
  return *all;
}

bool sameHandler(const struct sigaction& a, const struct sigaction& b) {
  const bool info = (a.sa_flags & SA_SIGINFO) != 0;
  if (info != ((b.sa_flags & SA_SIGINFO) != 0)) return false;
  return info ? a.sa_sigaction == b.sa_sigaction : a.sa_handler == b.sa_handler;
}

/** "libucp" for ".../libucp.so.0.0.0" and for a wheel's ".../libucp-1a2b3c4d.so.0.0.0". */
std::string stemOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.find_first_of(".-"));
}

}  // namespace

SignalGuard::SignalGuard(std::string backend) : backend_(std::move(backend)) {
  for (int number = 1; number < NSIG; ++number) known_[number] = sigaction(number, nullptr, &before_[number]) == 0;
}

SignalGuard::~SignalGuard() {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction now{};
    if (!known_[number] || sigaction(number, nullptr, &now) != 0 || sameHandler(before_[number], now)) continue;
    sigaction(number, &before_[number], nullptr);
    const std::lock_guard<std::mutex> lock(reportsMutex());
    try {
      std::vector<int>& signals = reports()[backend_].signals;
      if (std::find(signals.begin(), signals.end(), number) == signals.end()) signals.push_back(number);
    } catch (const std::bad_alloc&) {
      continue;  // put back it is, and only the report lacks it
    }
  }
}

void guardEnvironment(const std::string& backend, const std::string& file) {
  const std::lock_guard<std::mutex> lock(reportsMutex());
  LoadReport& report = reports()[backend];
  report.file = file;
  for (const Variable& variable : kVariables) {
    if (std::getenv(variable.name) != nullptr || setenv(variable.name, variable.value, 0) != 0) continue;
    report.variables.push_back(std::string(variable.name) + "=" + variable.value);
  }
}

LoadReport loadReportOf(const std::string& backend) {
  const std::lock_guard<std::mutex> lock(reportsMutex());
  const auto found = reports().find(backend);
  return found == reports().end() ? LoadReport{} : found->second;
}

std::vector<std::string> twinLibraries() {
  struct Loaded {
    std::string path;
    ino_t inode;
    dev_t device;
  };
  std::map<std::string, std::vector<Loaded>> byStem;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        if (info->dlpi_name == nullptr || info->dlpi_name[0] == '\0') return 0;
        const std::string stem = stemOf(info->dlpi_name);
        static constexpr const char* kTransports[] = {"libucp", "libuct", "libucs", "libfabric", "libnixl"};
        const bool transport =
            std::any_of(std::begin(kTransports), std::end(kTransports), [&](const char* name) { return stem == name; });
        struct stat file{};
        if (!transport || stat(info->dlpi_name, &file) != 0) return 0;
        std::vector<Loaded>& copies = (*static_cast<std::map<std::string, std::vector<Loaded>>*>(out))[stem];
        const bool known = std::any_of(copies.begin(), copies.end(), [&](const Loaded& copy) {
          return copy.inode == file.st_ino && copy.device == file.st_dev;
        });
        if (!known) copies.push_back({info->dlpi_name, file.st_ino, file.st_dev});
        return 0;
      },
      &byStem);
  std::vector<std::string> twins;
  for (const auto& [stem, copies] : byStem) {
    if (copies.size() > 1) twins.push_back(stem + " from " + copies[0].path + " and " + copies[1].path);
  }
  return twins;
}

}  // namespace kvseam
