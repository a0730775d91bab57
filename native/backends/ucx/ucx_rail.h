// One rail: a UCX context limited to the transport and device that the user named, with two workers. Peers are served
// by one and dialled by the other, because UCX joins endpoints that two workers open to each other into one connection,
// and then closing mine would break yours.
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

/** Goes before bytes that travel as a message. */
struct ByteHeader {
  static constexpr uint32_t kMagic = 0x4258554b;  // "KUXB"
  uint32_t magic = kMagic;
  uint32_t packed = 0;  // 0: the bytes of one run; else so many PackedRun and then the bytes of all of them
  uint64_t from = 0;    // incarnation of the sender
  uint64_t line = 0;    // the receiver's number for this connection
  uint64_t number = 0;  // reads: the request; writes: the operation
  uint64_t region = 0;  // writes only
  uint64_t offset = 0;
};

/** One of several small runs in one message: the costs of a message are those of some 20 KiB. */
struct PackedRun {
  uint64_t number = 0;  // reads: the request; writes: the region
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

constexpr uint64_t kPackedRunBytes = 8192;  // larger ones go alone, without being copied together
constexpr size_t kMaxPackedRuns = 256;

/** What UCX reads from until a message has gone. */
struct Outgoing {
  ByteHeader header;
  std::string body;  // of a pack
};

/** Takes bytes that arrived as a message, inside the worker's progress call. */
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void bytes(const ByteHeader& header, const uint8_t* data, size_t count) = 0;
};

class Endpoint;

class Worker {
 public:
  Worker() = default;
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Status open(ucp_context_h context, uint32_t rail);
  void setSink(ByteSink* sink) { sink_ = sink; }
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

  /** Closes by force, an unproven one once it is set up or soon, and takes it until UCX has let go of it. */
  void retire(std::unique_ptr<Endpoint> endpoint);
  /** Frees what has been let go of; true when nothing is left. */
  bool reap();
  /** A peer died on it. UCX may keep halves of connections to the dead, and aborts the process when they are destroyed.
   */
  void distrust() { distrusted_ = true; }
  bool mayBeDestroyed() { return requests_ == 0 && reap() && flushed() && !distrusted_; }
  /**
   * Of all its connections, those too that UCX made for peers which are just dialling: where one is still being set up,
   * `ucp_worker_destroy` aborts the process (1.13). Waits for nothing; `flushed()` tells.
   */
  void beginFlush();
  bool flushed();

 private:
  static ucs_status_t onMessage(void* self, const void* header, size_t headerBytes, void* data, size_t bytes,
                                const ucp_am_recv_param_t* param);
  static ucs_status_t onBytes(void* self, const void* header, size_t headerBytes, void* data, size_t bytes,
                              const ucp_am_recv_param_t* param);
  ucs_status_t handle(unsigned id, ucp_am_recv_callback_t callback);

  ucp_worker_h worker_ = nullptr;
  ByteSink* sink_ = nullptr;
  int fd_ = -1;
  uint32_t rail_ = 0;
  std::string address_;
  std::deque<Inbound> inbox_;
  std::vector<std::unique_ptr<Endpoint>> retired_;
  uint64_t requests_ = 0;
  void* flushing_ = nullptr;
  bool broken_ = false;
  bool distrusted_ = false;
};

/** One connection of a worker. Freed only after UCX has ended its closing: the error handler points at it. */
class Endpoint {
 public:
  static Status create(Worker* worker, const std::string& address, std::unique_ptr<Endpoint>* out);
  ~Endpoint() = default;
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  ucp_ep_h handle() const { return endpoint_; }
  Worker& worker() const { return *worker_; }
  /** UCS_OK until UCX reports it broken. */
  ucs_status_t failure() const { return failure_; }
  /** Sends one message; UCX or this object keeps a copy. */
  Status send(std::string message);
  /**
   * The peer has answered over it, so neither side is setting it up any more. UCX 1.13 aborts the process whose peer
   * closes before that (`ucp_request.c: Assertion ... EP_REMOVED`: its answer is still in a queue).
   */
  void proved() { proven_ = true; }
  /** Waits for nothing; `flushed()` tells. */
  void beginFlush();
  bool flushed();

 private:
  friend class Worker;
  explicit Endpoint(Worker* worker) : worker_(worker) {}
  void beginRetiring();
  void beginClose();
  bool closed();
  static void onError(void* self, ucp_ep_h, ucs_status_t status);
  static void onSent(void* request, ucs_status_t status, void* message);

  Worker* worker_;
  ucp_ep_h endpoint_ = nullptr;
  ucs_status_t failure_ = UCS_OK;
  bool proven_ = false;
  int64_t closeAtNs_ = 0;  // of an unproven one that was retired
  void* closing_ = nullptr;
  void* flushing_ = nullptr;
};

struct DataLink;
struct PeerMemory;

/** Kept in UCX's own memory for each request: what its completion callback has to know beside the operation. */
struct RequestNote {
  uint64_t bytes;
  PeerMemory* memory;  // one-sided operations only
  DataLink* link;
  Outgoing* outgoing;  // messages only: freed with the request
  bool flush;
};

/** Starts sending bytes as one message; the result is as of every UCX call, `header` has to live until it is over. */
void* sendBytes(const Endpoint& endpoint, const ByteHeader* header, const void* data, size_t bytes,
                ucp_send_nbx_callback_t callback, void* argument);

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
  /** Peers' memory can be mapped here. A copy into it "succeeds" although nobody is there any more. */
  bool sharedMemory() const { return sharedMemory_; }
  /**
   * The hardware reads and writes a peer's memory by itself. Elsewhere UCX imitates that in software, and then the
   * process whose memory it is aborts when its reader dies at the wrong moment (seen with 1.13), so bytes travel as
   * messages there.
   */
  bool oneSided() const { return oneSided_; }
  const std::string& transport() const { return transport_; }

 private:
  ucp_context_h context_ = nullptr;
  std::unique_ptr<Worker> dialling_;
  std::unique_ptr<Worker> serving_;
  std::string transport_;
  bool sharedMemory_ = false;
  bool oneSided_ = false;
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_RAIL_H_
