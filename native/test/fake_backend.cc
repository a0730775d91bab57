// The table of the fake and its moves.
#include "fake_backend.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>

#include "../core/probe_memory.h"
#include "../core/status.h"

namespace kvseam {

namespace {

std::mutex latestMutex;
std::weak_ptr<FakeBackend>& latestFake() {
  static auto* const fake = new std::weak_ptr<FakeBackend>;
  return *fake;
}
std::atomic<int64_t> registeredRegions{0};

using Shared = std::shared_ptr<FakeBackend>;
FakeBackend* of(kvseam_backend* self) { return reinterpret_cast<Shared*>(self)->get(); }

}  // namespace

FakeBackend::~FakeBackend() {
  if (fd_ >= 0) ::close(fd_);
}

std::shared_ptr<FakeBackend> FakeBackend::latest() {
  const std::lock_guard<std::mutex> lock(latestMutex);
  return latestFake().lock();
}

void FakeBackend::push(kvseam_event event) {
  events_.push_back(event);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof(one));
}

void FakeBackend::move(const Posted& operation) {
  for (const kvseam_run& run : operation.runs) {
    auto* const here = static_cast<uint8_t*>(run.local->address) + run.local_offset;
    auto* const there = static_cast<uint8_t*>(run.remote->address) + run.remote_offset;
    const bool reading = operation.kind == KVSEAM_OP_READ;
    std::memcpy(reading ? here : there, reading ? there : here, run.bytes);
  }
}

void FakeBackend::complete(uint64_t token, kvseam_code code, kvseam_blame blame) {
  const std::lock_guard<std::mutex> lock(mutex_);
  kvseam_event event{};
  event.kind = KVSEAM_EVENT_COMPLETION;
  event.token = token;
  event.code = code;
  event.blame = blame;
  for (const Posted& operation : posted_) {
    if (operation.token == token && code == KVSEAM_OK) event.bytes = operation.bytes;
  }
  push(event);
}

void FakeBackend::loseThePeer(uint32_t peer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  kvseam_event event{};
  event.kind = KVSEAM_EVENT_PEER_DOWN;
  event.peer = peer;
  event.code = KVSEAM_PEER_DOWN;
  event.blame = KVSEAM_BLAME_peer;
  push(event);
}

void FakeBackend::notification(const std::string& from, const std::string& data) {
  const std::lock_guard<std::mutex> lock(mutex_);
  notifications_.emplace_back(from, data);
  kvseam_event event{};
  event.kind = KVSEAM_EVENT_NOTIFICATION;
  push(event);
}

void FakeBackend::block() {
  with([&] { blockAsked_ = true; });
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof(one));
}

void FakeBackend::waitUntilBlocked() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return blocked_; });
}

void FakeBackend::release() {
  const std::lock_guard<std::mutex> lock(mutex_);
  blockAsked_ = false;
  changed_.notify_all();
}

std::vector<FakeBackend::Posted> FakeBackend::posted() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return posted_;
}

FakeBackend::Posted FakeBackend::waitForPost(size_t index) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::seconds(20), [&] { return posted_.size() > index; })) return {};
  return posted_[index];
}

uint64_t FakeBackend::attempts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return attempts_;
}
uint64_t FakeBackend::polls() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return polls_;
}
std::vector<uint64_t> FakeBackend::cancelled() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return cancelled_;
}
std::vector<uint32_t> FakeBackend::disconnected() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return disconnected_;
}
uint64_t FakeBackend::revoked() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return revoked_;
}
bool FakeBackend::closed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return closed_;
}
int64_t FakeBackend::registered() { return registeredRegions.load(); }

uint32_t FakeBackend::poll(kvseam_event* out, uint32_t max) {
  std::unique_lock<std::mutex> lock(mutex_);
  ++polls_;
  if (blockAsked_) {
    blocked_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !blockAsked_; });
    blocked_ = false;
  }
  uint64_t count = 0;
  if (hasFd_) [[maybe_unused]]
    const ssize_t got = ::read(fd_, &count, sizeof(count));
  if (stallNs_ != 0 && !events_.empty()) {
    const auto stall = std::chrono::nanoseconds(std::exchange(stallNs_, 0));
    lock.unlock();
    std::this_thread::sleep_for(stall);
    lock.lock();
  }
  delivered_.clear();
  uint32_t taken = 0;
  while (taken < max && !events_.empty()) {
    kvseam_event event = events_.front();
    events_.pop_front();
    if (event.kind == KVSEAM_EVENT_NOTIFICATION) {
      delivered_.push_back(std::move(notifications_.front()));
      notifications_.pop_front();
      event.name = delivered_.back().first.c_str();
      event.data = reinterpret_cast<const uint8_t*>(delivered_.back().second.data());
      event.data_bytes = static_cast<uint32_t>(delivered_.back().second.size());
    }
    out[taken++] = event;
  }
  return taken;
}

/** The C functions; a friend, so that the moves can stay private. */
struct FakeTable {
  static kvseam_status open(const kvseam_open_params* params, kvseam_backend** out) {
    auto fake = std::make_shared<FakeBackend>();
    fake->rails_.assign(params->rails, params->rails + params->rail_count);
    if (fake->rails_.empty()) {
      fake->rails_.resize(2);
      std::strcpy(fake->rails_[0].name, "rail0");
      std::strcpy(fake->rails_[1].name, "rail1");
    }
    fake->fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    {
      const std::lock_guard<std::mutex> lock(latestMutex);
      latestFake() = fake;
    }
    *out = reinterpret_cast<kvseam_backend*>(new Shared(std::move(fake)));
    return Status().toC();
  }
  static kvseam_status close(kvseam_backend* self, int64_t) {
    FakeBackend* const fake = of(self);
    const std::lock_guard<std::mutex> lock(fake->mutex_);
    fake->closed_ = true;
    if (fake->closeFails_) return Status::local(KVSEAM_TIMEOUT, "the transport did not stop").toC();
    return Status().toC();
  }
  static void destroy(kvseam_backend* self) { delete reinterpret_cast<Shared*>(self); }
  static void capabilities(kvseam_backend*, kvseam_capabilities* out) {
    out->operations = KVSEAM_OP_READ | KVSEAM_OP_WRITE | KVSEAM_OP_NOTIFY;
    out->memory_kinds = KVSEAM_MEMORY_HOST;
    out->label = KVSEAM_LABEL_MOCK;
    out->can_cancel = 1;
  }
  static uint32_t rails(kvseam_backend* self, kvseam_rail* out, uint32_t max) {
    const std::vector<kvseam_rail>& rails = of(self)->rails_;
    const uint32_t count = std::min(max, static_cast<uint32_t>(rails.size()));
    std::copy_n(rails.begin(), count, out);
    return count;
  }
  static kvseam_status registerMemory(kvseam_backend*, const kvseam_memory_request* request, kvseam_memory* out) {
    out->address = std::calloc(1, request->bytes);  // NOLINT(cppcoreguidelines-no-malloc): as a C library would
    if (out->address == nullptr) return Status::local(KVSEAM_NO_MEMORY, "no memory").toC();
    out->bytes = request->bytes;
    // What the engine registers for its own probes is not what tests count.
    out->handle = request->region == ProbeMemory::kRegionNumber ? out->address : nullptr;
    if (out->handle == nullptr) registeredRegions.fetch_add(1);
    return Status().toC();
  }
  static void revokeMemory(kvseam_backend* self, kvseam_memory*) {
    FakeBackend* const fake = of(self);
    fake->with([&] { ++fake->revoked_; });
  }
  static void deregisterMemory(kvseam_backend*, kvseam_memory* memory) {
    std::free(memory->address);  // NOLINT(cppcoreguidelines-no-malloc)
    if (memory->handle == nullptr) registeredRegions.fetch_sub(1);
  }
  static kvseam_status exportAddress(kvseam_backend*, uint8_t* out, uint32_t* bytes) {
    out[0] = 1;
    *bytes = 1;
    return Status().toC();
  }
  static kvseam_status exportKey(kvseam_backend*, const kvseam_memory* memory, uint8_t* out, uint32_t* bytes) {
    std::memcpy(out, &memory->address, sizeof(void*));
    *bytes = sizeof(void*);
    return Status().toC();
  }
  static kvseam_status importKey(kvseam_backend*, const kvseam_peer_info*, const uint8_t* key, uint32_t keyBytes,
                                 uint64_t regionBytes, kvseam_memory* out) {
    if (keyBytes != sizeof(void*)) return Status::protocol(KVSEAM_METADATA_INVALID, "bad key").toC();
    std::memcpy(&out->address, key, sizeof(void*));
    out->bytes = regionBytes;
    return Status().toC();
  }
  static void dropKey(kvseam_backend*, kvseam_memory*) {}
  static kvseam_status connect(kvseam_backend* self, const kvseam_peer_info*, uint32_t* peer) {
    FakeBackend* const fake = of(self);
    const std::lock_guard<std::mutex> lock(fake->mutex_);
    *peer = fake->peers_++;
    if (fake->answerConnects_) {
      kvseam_event event{};
      event.kind = KVSEAM_EVENT_CONNECTED;
      event.peer = *peer;
      fake->push(event);
    }
    return Status().toC();
  }
  static void disconnect(kvseam_backend* self, uint32_t peer) {
    FakeBackend* const fake = of(self);
    fake->with([&] { fake->disconnected_.push_back(peer); });
  }
  static kvseam_status post(kvseam_backend* self, const kvseam_op* op) {
    FakeBackend* const fake = of(self);
    const std::lock_guard<std::mutex> lock(fake->mutex_);
    ++fake->attempts_;
    fake->changed_.notify_all();
    if (fake->refusals_ != 0 || fake->fullPeers_.contains(op->peer)) {
      if (fake->refusals_ != 0) --fake->refusals_;
      return Status::local(KVSEAM_QUEUE_FULL, "full").toC();
    }
    if (fake->postCode_ != KVSEAM_OK) return Status(fake->postCode_, KVSEAM_BLAME_path, "refused", 42).toC();
    const std::string notify =
        op->notify == nullptr ? "" : std::string(reinterpret_cast<const char*>(op->notify), op->notify_bytes);
    fake->posted_.push_back(
        {op->token, op->kind, op->peer, op->local_rail, op->bytes, {op->runs, op->runs + op->run_count}, notify});
    if (fake->atOnce_) {
      fake->move(fake->posted_.back());
      kvseam_event event{};
      event.kind = KVSEAM_EVENT_COMPLETION;
      event.token = op->token;
      event.bytes = op->bytes;
      fake->push(event);
    }
    return Status().toC();
  }
  static void cancel(kvseam_backend* self, uint64_t token) {
    FakeBackend* const fake = of(self);
    const std::lock_guard<std::mutex> lock(fake->mutex_);
    fake->cancelled_.push_back(token);
    if (!fake->onCancel_) return;
    kvseam_event event{};
    event.kind = KVSEAM_EVENT_COMPLETION;
    event.token = token;
    event.code = KVSEAM_CANCELLED;
    event.blame = KVSEAM_BLAME_cancelled;
    fake->push(event);
  }
  static uint32_t poll(kvseam_backend* self, kvseam_event* out, uint32_t max) { return of(self)->poll(out, max); }
  static int waitFd(kvseam_backend* self) {
    FakeBackend* const fake = of(self);
    const std::lock_guard<std::mutex> lock(fake->mutex_);
    return fake->hasFd_ ? fake->fd_ : -1;
  }
  static int arm(kvseam_backend* self, int64_t* wakeAtNs) {
    FakeBackend* const fake = of(self);
    const std::lock_guard<std::mutex> lock(fake->mutex_);
    *wakeAtNs = std::numeric_limits<int64_t>::max();
    return fake->blockAsked_ || !fake->events_.empty() ? 1 : 0;
  }
  static void describe(kvseam_backend*, int64_t code, char* out, uint32_t bytes) {
    const std::string text = "fake " + std::to_string(code);
    std::strncpy(out, text.c_str(), bytes - 1);
    out[bytes - 1] = '\0';
  }
  static uint32_t counters(kvseam_backend*, kvseam_counter*, uint32_t) { return 0; }
};

const kvseam_backend_api* FakeBackend::api() {
  static const kvseam_backend_api table = {KVSEAM_BACKEND_API_VERSION,
                                           sizeof(kvseam_backend_api),
                                           "fake",
                                           FakeTable::open,
                                           FakeTable::close,
                                           FakeTable::destroy,
                                           FakeTable::capabilities,
                                           FakeTable::rails,
                                           FakeTable::registerMemory,
                                           FakeTable::revokeMemory,
                                           FakeTable::deregisterMemory,
                                           FakeTable::exportAddress,
                                           FakeTable::exportKey,
                                           FakeTable::importKey,
                                           FakeTable::dropKey,
                                           FakeTable::connect,
                                           FakeTable::disconnect,
                                           FakeTable::post,
                                           FakeTable::cancel,
                                           FakeTable::poll,
                                           FakeTable::waitFd,
                                           FakeTable::arm,
                                           FakeTable::describe,
                                           FakeTable::counters};
  return &table;
}

}  // namespace kvseam
