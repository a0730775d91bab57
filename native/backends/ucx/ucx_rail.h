// One rail: a UCX context limited to the transport and device that the user named, with two workers. Peers are served by
// one and dialled by the other, because UCX joins endpoints that two workers open to each other into one connection, and
// then closing mine would break yours.
#ifndef KVSEAM_BACKENDS_UCX_UCX_RAIL_H_
#define KVSEAM_BACKENDS_UCX_UCX_RAIL_H_

#include <ucp/api/ucp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../core/status.h"

namespace kvseam::ucx {

/** What arrived as an active message; looked at after the worker's progress call, never inside it. */
struct Inbound {
  uint32_t rail = 0;
  std::string bytes;
};

class Endpoint;

class Worker {
 public:
  Worker() = default;
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Status open(ucp_context_h context, uint32_t rail);
  /** Runs callbacks; returns whether anything moved. */
  bool progress();
  /** False when there is work now. */
  bool arm();
  int fd() const { return fd_; }
  ucp_worker_h handle() const { return worker_; }
  const std::string& address() const { return address_; }
  std::deque<Inbound>& inbox() { return inbox_; }
  /** True once after UCX reported a connection broken. */
  bool takeBroken() { return std::exchange(broken_, false); }
  bool broken() const { return broken_; }
  void noteBroken() { broken_ = true; }

  // Requests that UCX holds. A worker with any of them left must not be destroyed: UCX aborts the process.
  void requestBegins() { ++requests_; }
  void requestEnds() { --requests_; }
  uint64_t requests() const { return requests_; }

  /** Closes by force and takes the endpoint until UCX has let go of it. */
  void retire(std::unique_ptr<Endpoint> endpoint);
  /** Frees what has been let go of; true when nothing is left. */
  bool reap();

 private:
  static ucs_status_t onMessage(void* self, const void* header, size_t headerBytes, void* data, size_t bytes, const ucp_am_recv_param_t* param);

  ucp_worker_h worker_ = nullptr;
  int fd_ = -1;
  uint32_t rail_ = 0;
  std::string address_;
  std::deque<Inbound> inbox_;
  std::vector<std::unique_ptr<Endpoint>> retired_;
  uint64_t requests_ = 0;
  bool broken_ = false;
};

/** One connection of a worker. Freed only after UCX has ended its closing: the error handler points at it. */
class Endpoint {
 public:
  static Status create(Worker* worker, const std::string& address, std::unique_ptr<Endpoint>* out);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  ucp_ep_h handle() const { return endpoint_; }
  Worker& worker() const { return *worker_; }
  /** UCS_OK until UCX reports it broken. */
  ucs_status_t failure() const { return failure_; }
  /** Sends one message; UCX or this object keeps a copy. */
  Status send(std::string message);
  /** Waits for nothing; `flushed()` tells. */
  void beginFlush();
  bool flushed();

 private:
  friend class Worker;
  explicit Endpoint(Worker* worker) : worker_(worker) {}
  void beginClose();
  bool closed();
  static void onError(void* self, ucp_ep_h, ucs_status_t status);
  static void onSent(void* request, ucs_status_t status, void* message);

  Worker* worker_;
  ucp_ep_h endpoint_ = nullptr;
  ucs_status_t failure_ = UCS_OK;
  void* closing_ = nullptr;
  void* flushing_ = nullptr;
};

struct DataLink;
struct PeerMemory;

/** Kept in UCX's own memory for each request: what its completion callback has to know beside the operation. */
struct RequestNote {
  uint64_t bytes;
  PeerMemory* memory;  // null for a flush
  DataLink* link;
};

class Rail {
 public:
  Rail() = default;
  ~Rail();
  Rail(const Rail&) = delete;
  Rail& operator=(const Rail&) = delete;

  /** `device`: `<transport>[/<device>]`, e.g. `tcp/eth0`, `shm`, `rc/mlx5_0:1`; empty means `tcp`. */
  Status open(uint32_t number, const std::string& name, const std::string& device);
  /** False when requests are left: workers and context are then kept for the life of the process. */
  bool closeWorkers();

  ucp_context_h context() const { return context_; }
  Worker& dialling() { return *dialling_; }
  Worker& serving() { return *serving_; }
  /** Bytes go straight into mapped memory, so that a put "succeeds" although nobody is there any more. */
  bool sharedMemory() const { return sharedMemory_; }
  const std::string& transport() const { return transport_; }

 private:
  ucp_context_h context_ = nullptr;
  std::unique_ptr<Worker> dialling_;
  std::unique_ptr<Worker> serving_;
  std::string transport_;
  bool sharedMemory_ = false;
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_RAIL_H_
