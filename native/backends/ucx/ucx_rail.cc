// Opening and ending of contexts, workers and endpoints.
#include "ucx_rail.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "../../core/clock.h"
#include "ucx_status.h"

namespace kvseam::ucx {

namespace {

constexpr unsigned kMessageId = 7;  // active messages: words between agents ...
constexpr unsigned kBytesId = 8;    // ... and bytes
constexpr size_t kMaxMessageBytes = size_t{1} << 20;
constexpr int kProgressTurns = 8;  // of one call: a flood on one rail must not starve the others
constexpr size_t kMaxInbox = 65'536;
constexpr int64_t kSetUpNs = 300'000'000;  // for what is closed while it is set up; a living peer needs a millisecond

/** A rail's name for what UCX calls several transports. */
std::string transportsOf(const std::string& transport) { return transport == "shm" ? "posix,cma" : transport; }

/** All of the named transports are hardware that reads and writes by itself. */
bool hardware(const std::string& transport) {
  static constexpr const char* kKnown[] = {"rc", "rc_v", "rc_x", "rc_verbs", "rc_mlx5", "dc", "dc_x", "dc_mlx5", "ib"};
  for (size_t from = 0; from <= transport.size();) {
    const size_t end = std::min(transport.find(',', from), transport.size());
    const std::string name = transport.substr(from, end - from);
    if (std::none_of(std::begin(kKnown), std::end(kKnown), [&](const char* known) { return name == known; }))
      return false;
    from = end + 1;
  }
  return true;
}

bool safeList(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::strchr("_,:.-", c) != nullptr;
  });
}

/** Whether UCX is done with a request, which is then freed; none counts as done. */
bool ended(void** request) {
  if (*request == nullptr) return true;
  if (ucp_request_check_status(*request) == UCS_INPROGRESS) return false;
  ucp_request_free(*request);
  *request = nullptr;
  return true;
}

struct ConfigRelease {
  void operator()(ucp_config_t* config) const { ucp_config_release(config); }
};

}  // namespace

Worker::~Worker() {
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
}

Status Worker::open(ucp_context_h context, uint32_t rail) {
  rail_ = rail;
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;  // opened on the owner's thread, then the progress thread's alone
  ucs_status_t status = ucp_worker_create(context, &params, &worker_);
  if (status != UCS_OK) return localStatusOf(status, KVSEAM_BACKEND_UNAVAILABLE, "ucp_worker_create");
  status = handle(kMessageId, onMessage);
  if (status == UCS_OK) status = handle(kBytesId, onBytes);
  if (status == UCS_OK) status = ucp_worker_get_efd(worker_, &fd_);
  ucp_address_t* address = nullptr;
  size_t bytes = 0;
  if (status == UCS_OK) status = ucp_worker_get_address(worker_, &address, &bytes);
  if (status != UCS_OK) return localStatusOf(status, KVSEAM_BACKEND_UNAVAILABLE, "setting up a ucx worker");
  address_.assign(reinterpret_cast<const char*>(address), bytes);
  ucp_worker_release_address(worker_, address);
  return {};
}

ucs_status_t Worker::handle(unsigned id, ucp_am_recv_callback_t callback) {
  ucp_am_handler_param_t handler{};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG |
                       UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
  handler.id = id;
  handler.cb = callback;
  handler.arg = this;
  handler.flags = UCP_AM_FLAG_WHOLE_MSG;
  return ucp_worker_set_am_recv_handler(worker_, &handler);
}

bool Worker::progress() {
  bool moved = false;
  // A message is answered before the next look: over tcp that look is a system call which the peer would wait for.
  for (int i = 0; i < kProgressTurns && inbox_.empty() && ucp_worker_progress(worker_) != 0; ++i) moved = true;
  return moved;
}

bool Worker::arm() { return ucp_worker_arm(worker_) != UCS_ERR_BUSY; }

ucs_status_t Worker::onMessage(void* self, const void*, size_t, void* data, size_t bytes,
                               const ucp_am_recv_param_t* param) {
  auto* const worker = static_cast<Worker*>(self);
  // Ours are sent eagerly; anything else did not come from a kvseam of this version.
  const bool whole = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0;
  if (whole && bytes <= kMaxMessageBytes && worker->inbox_.size() < kMaxInbox) {
    worker->inbox_.push_back({worker->rail_, std::string(static_cast<const char*>(data), bytes)});
  }
  return UCS_OK;
}

ucs_status_t Worker::onBytes(void* self, const void* headerBytes, size_t headerSize, void* data, size_t bytes,
                             const ucp_am_recv_param_t* param) {
  auto* const worker = static_cast<Worker*>(self);
  ByteHeader header;
  if (headerSize != sizeof(header) || (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0 || worker->sink_ == nullptr)
    return UCS_OK;
  std::memcpy(&header, headerBytes, sizeof(header));
  if (header.magic == ByteHeader::kMagic) worker->sink_->bytes(header, static_cast<const uint8_t*>(data), bytes);
  return UCS_OK;
}

void* sendBytes(const Endpoint& endpoint, const ByteHeader* header, const void* data, size_t bytes,
                ucp_send_nbx_callback_t callback, void* argument) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER;
  param.cb.send = callback;
  param.user_data = argument;
  return ucp_am_send_nbx(endpoint.handle(), kBytesId, header, sizeof(*header), data, bytes, &param);
}

void Worker::retire(std::unique_ptr<Endpoint> endpoint) {
  if (endpoint == nullptr) return;
  endpoint->beginRetiring();
  retired_.push_back(std::move(endpoint));
}

bool Worker::reap() {
  std::erase_if(retired_, [](const std::unique_ptr<Endpoint>& endpoint) { return endpoint->closed(); });
  return retired_.empty();
}

void Worker::beginFlush() {
  const ucp_request_param_t param{};
  void* const request = ucp_worker_flush_nbx(worker_, &param);
  if (UCS_PTR_IS_PTR(request)) flushing_ = request;
}

bool Worker::flushed() { return ended(&flushing_); }

Status Endpoint::create(Worker* worker, const std::string& address, std::unique_ptr<Endpoint>* out) {
  std::unique_ptr<Endpoint> endpoint(new Endpoint(worker));
  ucp_ep_params_t params{};
  params.field_mask =
      UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;  // without it nothing can be closed by force
  params.err_handler.cb = onError;
  params.err_handler.arg = endpoint.get();
  const ucs_status_t status = ucp_ep_create(worker->handle(), &params, &endpoint->endpoint_);
  if (status != UCS_OK) {
    endpoint->endpoint_ = nullptr;
    return statusOf(status, "ucp_ep_create");
  }
  *out = std::move(endpoint);
  return {};
}

void Endpoint::onError(void* self, ucp_ep_h, ucs_status_t status) {
  auto* const endpoint = static_cast<Endpoint*>(self);
  endpoint->failure_ = status;
  endpoint->worker_->noteBroken();
}

void Endpoint::onSent(void* request, ucs_status_t, void* message) {
  auto* const owned = static_cast<std::pair<Worker*, std::string>*>(message);
  owned->first->requestEnds();
  delete owned;
  ucp_request_free(request);
}

Status Endpoint::send(std::string message) {
  auto owned = std::make_unique<std::pair<Worker*, std::string>>(worker_, std::move(message));
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER;
  param.cb.send = onSent;
  param.user_data = owned.get();
  void* const request =
      ucp_am_send_nbx(endpoint_, kMessageId, nullptr, 0, owned->second.data(), owned->second.size(), &param);
  if (UCS_PTR_IS_ERR(request)) return statusOf(UCS_PTR_STATUS(request), "ucp_am_send_nbx");
  if (request != nullptr) {
    worker_->requestBegins();
    [[maybe_unused]] auto* const held = owned.release();  // onSent frees it
  }
  return {};
}

void Endpoint::beginFlush() {
  if (flushing_ != nullptr) return;
  const ucp_request_param_t param{};
  void* const request = ucp_ep_flush_nbx(endpoint_, &param);
  if (UCS_PTR_IS_PTR(request)) flushing_ = request;
}

bool Endpoint::flushed() { return ended(&flushing_); }

void Endpoint::beginRetiring() {
  if (proven_ || failure_ != UCS_OK) return beginClose();
  closeAtNs_ = nowNs() + kSetUpNs;
  beginFlush();
}

void Endpoint::beginClose() {
  if (endpoint_ == nullptr) return;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  void* const request = ucp_ep_close_nbx(endpoint_, &param);
  if (UCS_PTR_IS_PTR(request)) closing_ = request;
  endpoint_ = nullptr;
}

bool Endpoint::closed() {
  if (endpoint_ != nullptr) {
    if (!flushed() && failure_ == UCS_OK && nowNs() < closeAtNs_) return false;
    beginClose();
  }
  return flushed() && ended(&closing_);
}

Rail::~Rail() {
  dialling_.reset();
  serving_.reset();
  if (context_ != nullptr) ucp_cleanup(context_);
}

Status Rail::open(uint32_t number, const std::string& name, const std::string& device) {
  const size_t slash = device.find('/');
  transport_ = device.empty() ? "tcp" : device.substr(0, slash);
  const std::string devices = slash == std::string::npos ? "all" : device.substr(slash + 1);
  const std::string where = "rail '" + name + "' (" + (device.empty() ? "tcp" : device) + ")";
  if (!safeList(transport_) || !safeList(devices)) {
    return Status::local(KVSEAM_INVALID_ARGUMENT,
                         where + " must name <transport>[/<device>], such as tcp/eth0, shm or rc/mlx5_0:1");
  }
  ucp_config_t* read = nullptr;
  ucs_status_t status = ucp_config_read(nullptr, nullptr, &read);
  if (status != UCS_OK)
    return localStatusOf(status, KVSEAM_BACKEND_UNAVAILABLE, "reading the UCX configuration (see the UCX_ variables)");
  const std::unique_ptr<ucp_config_t, ConfigRelease> config(read);
  // The user's own environment has the last word; then the rail is what it says.
  if (std::getenv("UCX_TLS") == nullptr) status = ucp_config_modify(read, "TLS", transportsOf(transport_).c_str());
  if (status == UCS_OK && std::getenv("UCX_NET_DEVICES") == nullptr && devices != "all")
    status = ucp_config_modify(read, "NET_DEVICES", devices.c_str());
  if (status != UCS_OK) return localStatusOf(status, KVSEAM_INVALID_ARGUMENT, where);
  sharedMemory_ = transport_ == "shm" || transport_ == "sm" || transport_ == "posix" || transport_ == "sysv" ||
                  transport_ == "xpmem" || transport_ == "all";
  const char* const bytesBy = std::getenv("KVSEAM_UCX_ONE_SIDED");
  oneSided_ = bytesBy == nullptr ? hardware(transport_) : std::strcmp(bytesBy, "1") == 0;
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_REQUEST_SIZE | UCP_PARAM_FIELD_MT_WORKERS_SHARED |
                      UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_RMA | UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.request_size = sizeof(RequestNote);
  params.mt_workers_shared = 1;  // memory is registered on other threads while the workers run
  params.name = name.c_str();
  status = ucp_init(&params, read, &context_);
  if (status != UCS_OK) {
    context_ = nullptr;
    return localStatusOf(
        status, status == UCS_ERR_NO_DEVICE ? KVSEAM_INVALID_ARGUMENT : KVSEAM_BACKEND_UNAVAILABLE,
        where + ": UCX finds no such transport or device here (`ucx_info -d` lists them, and so does /sys/class/net)");
  }
  dialling_ = std::make_unique<Worker>();
  serving_ = std::make_unique<Worker>();
  Status opened = dialling_->open(context_, number);
  if (opened.ok()) opened = serving_->open(context_, number);
  return opened;
}

bool Rail::closeWorkers() {
  bool clean = true;
  for (std::unique_ptr<Worker>* worker : {&dialling_, &serving_}) {
    if (*worker == nullptr) continue;
    if ((*worker)->mayBeDestroyed()) {
      worker->reset();
    } else {
      clean = false;
      [[maybe_unused]] Worker* const kept =
          worker->release();  // leaked on purpose: destroying it would abort the process
    }
  }
  if (!clean) context_ = nullptr;  // goes with the worker that stays
  return clean;
}

}  // namespace kvseam::ucx
