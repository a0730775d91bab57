// The mock's side of the backend contract: the C table over memory, links and engine. No exception leaves it.
#include "mock_backend.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "../../core/clock.h"
#include "mock_engine.h"
#include "mock_link.h"
#include "mock_memory.h"

// The opaque type of the contract, filled in.
struct kvseam_backend {
  std::vector<kvseam_rail> rails;
  std::shared_ptr<kvseam::mock::Ledger> ledger;
  kvseam::mock::Links links;
  std::unique_ptr<kvseam::mock::MockEngine> engine;
  std::vector<kvseam::mock::LinkEvent> delivered;  // keeps the pointers of the last poll's events alive
  int64_t looked_at_sockets_ns = 0;
  bool closed = false;
};

namespace kvseam::mock {

namespace {

constexpr uint32_t kMaxRails = 64;
constexpr size_t kMaxDelivered = 256;       // news of one poll
constexpr int64_t kSocketEveryNs = 20'000;  // a look costs a system call, so not at every poll of a busy thread

/** What the metadata blob carries for the mock: where the ledger is and how the rails are modelled. */
struct Address {
  int32_t pid;
  int32_t ledgerFd;
  uint64_t ledgerInode;
  uint32_t rails;
  uint32_t reserved;
};

template <typename F>
kvseam_status guarded(F&& body) {
  try {
    return body().toC();
  } catch (const std::bad_alloc&) {
    return Status::noMemory().toC();
  }
}

kvseam_status open(const kvseam_open_params* params, kvseam_backend** out) {
  return guarded([&]() -> Status {
    if (params->rail_count > kMaxRails)
      return Status::local(KVSEAM_INVALID_ARGUMENT, "the mock backend has at most 64 rails an agent");
    auto self = std::make_unique<kvseam_backend>();
    self->rails.assign(params->rails, params->rails + params->rail_count);
    if (self->rails.empty()) {
      self->rails.resize(2);
      std::strcpy(self->rails[0].name, "rail0");
      std::strcpy(self->rails[1].name, "rail1");
    }
    std::vector<RailModel> models;
    for (const kvseam_rail& rail : self->rails) models.push_back({rail.bytes_per_second, rail.base_latency_ns});
    std::unique_ptr<Mapping> page;
    Status status = Mapping::create("kvseam-ledger", Ledger::mappingBytes(), &page);
    if (!status.ok()) return status;
    self->ledger = std::make_shared<Ledger>(std::move(page));
    status = self->links.open(params->agent_name, params->incarnation);
    if (!status.ok()) return status;
    self->engine = std::make_unique<MockEngine>(std::move(models), &self->links);
    self->delivered.reserve(kMaxDelivered);
    *out = self.release();
    return {};
  });
}

kvseam_status close(kvseam_backend* self, int64_t) {
  self->closed = true;
  self->links.close();
  return Status().toC();
}

void destroy(kvseam_backend* self) { delete self; }

void capabilities(kvseam_backend*, kvseam_capabilities* out) {
  out->struct_bytes = sizeof(*out);
  out->operations = KVSEAM_OP_READ | KVSEAM_OP_WRITE | KVSEAM_OP_NOTIFY;
  out->memory_kinds = KVSEAM_MEMORY_HOST;
  out->label = KVSEAM_LABEL_MOCK;
  out->can_cancel = 1;
  out->can_revoke = 1;
  out->max_runs = UINT64_MAX;
  std::strcpy(out->provider, "memory");
  std::strcpy(out->version, "1");
}

uint32_t rails(kvseam_backend* self, kvseam_rail* out, uint32_t max) {
  uint32_t count = 0;
  for (const kvseam_rail& rail : self->rails) {
    if (count == max) break;
    out[count++] = rail;
  }
  return count;
}

kvseam_status registerMemory(kvseam_backend* self, const kvseam_memory_request* request, kvseam_memory* out) {
  return guarded([&]() -> Status {
    if (request->kind != KVSEAM_MEMORY_HOST || request->address != nullptr) {
      return Status::local(KVSEAM_NOT_SUPPORTED, "the mock backend moves memory that it allocated itself");
    }
    auto handle = std::make_unique<MemoryHandle>();
    Status status = Mapping::create("kvseam-region", request->bytes, &handle->mapping);
    if (!status.ok()) return status;
    handle->serial = request->region;
    if (!self->ledger->claim(request->region, &handle->slot)) {
      return Status::local(KVSEAM_REGISTRATION_FAILED, "too_many_regions: the mock backend offers at most " +
                                                           std::to_string(Ledger::kSlots) + " at once");
    }
    handle->ledger = self->ledger;
    out->address = handle->mapping->data();
    out->bytes = request->bytes;
    out->handle = handle.release();
    return {};
  });
}

void revokeMemory(kvseam_backend* self, kvseam_memory* memory) {
  const auto* const handle = static_cast<const MemoryHandle*>(memory->handle);
  self->ledger->revoke(handle->slot, handle->serial);
}

void deregisterMemory(kvseam_backend* self, kvseam_memory* memory) {
  const std::unique_ptr<MemoryHandle> handle(static_cast<MemoryHandle*>(memory->handle));
  self->ledger->release(handle->slot);
  handle->mapping->discard();
  memory->handle = nullptr;
}

kvseam_status exportAddress(kvseam_backend* self, uint8_t* out, uint32_t* bytes) {
  const Mapping& page = self->ledger->mapping();
  const Address address{getpid(), page.fd(), page.inode(), static_cast<uint32_t>(self->rails.size()), 0};
  const size_t need = sizeof(address) + self->rails.size() * sizeof(RailModel);
  if (need > *bytes) return Status::local(KVSEAM_NO_MEMORY, "address buffer too small").toC();
  std::memcpy(out, &address, sizeof(address));
  for (size_t i = 0; i < self->rails.size(); ++i) {
    const RailModel model{self->rails[i].bytes_per_second, self->rails[i].base_latency_ns};
    std::memcpy(out + sizeof(address) + i * sizeof(model), &model, sizeof(model));
  }
  *bytes = static_cast<uint32_t>(need);
  return Status().toC();
}

/** Checks a peer's address; what comes out of metadata is not to be trusted. */
Status readAddress(const kvseam_peer_info& peer, Address* out, std::vector<RailModel>* models) {
  const Status bad = Status::protocol(KVSEAM_METADATA_INVALID,
                                      "the mock address of peer '" + std::string(peer.name) + "' is malformed");
  if (peer.address_bytes < sizeof(Address)) return bad;
  std::memcpy(out, peer.address, sizeof(Address));
  if (out->pid <= 0 || out->ledgerFd < 0 || out->rails == 0 || out->rails > kMaxRails ||
      peer.address_bytes != sizeof(Address) + out->rails * sizeof(RailModel)) {
    return bad;
  }
  if (models == nullptr) return {};
  models->resize(out->rails);
  std::memcpy(models->data(), peer.address + sizeof(Address), out->rails * sizeof(RailModel));
  for (const RailModel& model : *models) {
    if (model.latencyNs < 0 || model.latencyNs > int64_t{60} * 1'000'000'000) return bad;
  }
  return {};
}

kvseam_status exportKey(kvseam_backend*, const kvseam_memory* memory, uint8_t* out, uint32_t* bytes) {
  const auto* const handle = static_cast<const MemoryHandle*>(memory->handle);
  const RegionKey key{getpid(), handle->mapping->fd(), handle->mapping->inode(), handle->slot, 0, handle->serial};
  std::memcpy(out, &key, sizeof(key));
  *bytes = sizeof(key);
  return Status().toC();
}

kvseam_status importKey(kvseam_backend*, const kvseam_peer_info* owner, const uint8_t* bytes, uint32_t keyBytes,
                        uint64_t regionBytes, kvseam_memory* out) {
  return guarded([&]() -> Status {
    Address address{};
    Status status = readAddress(*owner, &address, nullptr);
    if (!status.ok()) return status;
    RegionKey key{};
    if (keyBytes != sizeof(key))
      return Status::protocol(KVSEAM_METADATA_INVALID, "a mock region key has " + std::to_string(keyBytes) + " bytes");
    std::memcpy(&key, bytes, sizeof(key));
    if (key.slot >= Ledger::kSlots || key.serial == 0 || key.fd < 0 || key.pid != address.pid) {
      return Status::protocol(KVSEAM_METADATA_INVALID, "a mock region key is malformed");
    }
    auto handle = std::make_unique<MemoryHandle>();
    std::unique_ptr<Mapping> page;
    status = Mapping::open(address.pid, address.ledgerFd, address.ledgerInode, Ledger::mappingBytes(), &page);
    if (!status.ok()) return status;
    status = Mapping::open(key.pid, key.fd, key.inode, regionBytes, &handle->mapping);
    if (!status.ok()) return status;
    handle->ledger = std::make_shared<Ledger>(std::move(page));
    handle->slot = key.slot;
    handle->serial = key.serial;
    handle->imported = true;
    out->address = handle->mapping->data();
    out->bytes = regionBytes;
    out->handle = handle.release();
    return {};
  });
}

void dropKey(kvseam_backend*, kvseam_memory* remote) {
  delete static_cast<MemoryHandle*>(remote->handle);
  remote->handle = nullptr;
}

kvseam_status connect(kvseam_backend* self, const kvseam_peer_info* peer, uint32_t* outPeer) {
  return guarded([&]() -> Status {
    Address address{};
    std::vector<RailModel> models;
    Status status = readAddress(*peer, &address, &models);
    if (!status.ok()) return status;
    self->engine->makeRoomFor(self->links.nextPeer());
    status = self->links.connect(peer->incarnation, outPeer);
    if (status.ok()) self->engine->setPeerRails(*outPeer, std::move(models));
    return status;
  });
}

void disconnect(kvseam_backend* self, uint32_t peer) {
  self->links.disconnect(peer);
  self->engine->peerDown(peer, ECONNRESET);
}

kvseam_status post(kvseam_backend* self, const kvseam_op* op) {
  return guarded([&] { return self->engine->post(*op); });
}

void cancel(kvseam_backend* self, uint64_t token) { self->engine->cancel(token); }

uint32_t poll(kvseam_backend* self, kvseam_event* out, uint32_t max) {
  if (self->closed) return 0;
  const int64_t now = nowNs();
  uint32_t count = self->engine->advance(now, out, max);
  if (now - self->looked_at_sockets_ns >= kSocketEveryNs) {
    self->looked_at_sockets_ns = now;
    self->links.poll(now);
  }
  self->delivered.clear();
  const size_t most = std::min<size_t>(max - count, kMaxDelivered);
  for (LinkEvent news; self->delivered.size() < most && self->links.next(&news);)
    self->delivered.push_back(std::move(news));
  // Only now, when the vector moves no more, may events point into it.
  for (const LinkEvent& link : self->delivered) {
    kvseam_event event{};
    event.peer = link.peer;
    event.code = link.code;
    event.blame = link.code == KVSEAM_OK ? KVSEAM_BLAME_none : KVSEAM_BLAME_peer;
    event.backend_code = link.error;
    switch (link.kind) {
      case LinkEvent::Kind::kConnected:
        event.kind = KVSEAM_EVENT_CONNECTED;
        break;
      case LinkEvent::Kind::kDown:
        event.kind = KVSEAM_EVENT_PEER_DOWN;
        self->engine->peerDown(link.peer, link.error);
        break;
      case LinkEvent::Kind::kNotification:
        event.kind = KVSEAM_EVENT_NOTIFICATION;
        event.name = link.name.c_str();
        event.incarnation = link.incarnation;
        event.data = reinterpret_cast<const uint8_t*>(link.data.data());
        event.data_bytes = static_cast<uint32_t>(link.data.size());
        break;
    }
    out[count++] = event;
  }
  return count;
}

int waitFd(kvseam_backend* self) { return self->links.waitFd(); }

int arm(kvseam_backend* self, int64_t* wakeAtNs) {
  self->looked_at_sockets_ns = 0;  // whatever wakes the thread, its next poll looks
  if (self->links.newsWaiting() || self->engine->busy(wakeAtNs)) return 1;
  *wakeAtNs = std::min(*wakeAtNs, self->links.dueNs());
  return 0;
}

void describe(kvseam_backend*, int64_t backendCode, char* out, uint32_t outBytes) {
  const char* text = "";
  if (backendCode == ETIMEDOUT) text = "the peer has given no sign of life";
  if (backendCode != 0 && backendCode != ETIMEDOUT) text = std::strerror(static_cast<int>(backendCode));
  std::strncpy(out, text, outBytes - 1);
  out[outBytes - 1] = '\0';
}

uint32_t counters(kvseam_backend* self, kvseam_counter* out, uint32_t max) {
  if (max < 2) return 0;
  std::strcpy(out[0].name, "copied_bytes");
  out[0].value = self->engine->copiedBytes();
  std::strcpy(out[1].name, "active_operations");
  out[1].value = self->engine->active();
  return 2;
}

}  // namespace

const kvseam_backend_api* api() {
  static const kvseam_backend_api table = {KVSEAM_BACKEND_API_VERSION,
                                           sizeof(kvseam_backend_api),
                                           "mock",
                                           open,
                                           close,
                                           destroy,
                                           capabilities,
                                           rails,
                                           registerMemory,
                                           revokeMemory,
                                           deregisterMemory,
                                           exportAddress,
                                           exportKey,
                                           importKey,
                                           dropKey,
                                           connect,
                                           disconnect,
                                           post,
                                           cancel,
                                           poll,
                                           waitFd,
                                           arm,
                                           describe,
                                           counters};
  return &table;
}

}  // namespace kvseam::mock
