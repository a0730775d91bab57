// What an opened UCX backend holds, and its turns on the progress thread: looking at workers, handing out events, and
// going to sleep.
#ifndef KVSEAM_BACKENDS_UCX_UCX_BACKEND_H_
#define KVSEAM_BACKENDS_UCX_UCX_BACKEND_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "ucx_carrier.h"
#include "ucx_dialler.h"
#include "ucx_host.h"
#include "ucx_memory.h"

namespace kvseam::ucx {

constexpr int64_t kTickBusyNs = 20'000'000;  // between two looks at what is about to end

struct Watched {
  Rail* rail;
  Worker* worker;
  bool serving;
  int64_t looked_ns = 0;
  int64_t busy_until_ns = 0;
};

}  // namespace kvseam::ucx

// The opaque type of the contract, filled in. Members are destroyed from the last to the first.
struct kvseam_backend {
  uint64_t incarnation = 0;
  std::vector<kvseam_rail> described;
  kvseam::ucx::Rails rails;
  int wake_fd = -1;
  int epoll_fd = -1;
  std::unique_ptr<kvseam::ucx::OwnRegions> regions;
  std::unique_ptr<kvseam::ucx::Carrier> carrier;
  std::unique_ptr<kvseam::ucx::Host> host;
  std::unique_ptr<kvseam::ucx::Dialler> dialler;
  std::vector<kvseam::ucx::Watched> workers;
  std::vector<kvseam::ucx::Delivery> delivered;  // keeps the pointers of the last poll's events alive
  int64_t last_poll_ns = 0;
  int64_t tick_ns = 0;
  bool more = false;
  bool closed = false;
  bool clean = true;
};

namespace kvseam::ucx {

/** One round over the workers that are due, or over all, and over what they brought. True when anything moved. */
bool progress(kvseam_backend* self, int64_t nowNs, bool all);

// Of the contract's table.
uint32_t poll(kvseam_backend* self, kvseam_event* out, uint32_t max);
int arm(kvseam_backend* self, int64_t* wakeAtNs);

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_BACKEND_H_
