// The UCX backend's side of the contract: the C table over rails, regions, the dialling and the serving side. No
// exception leaves it. A shared object of its own, kvseam_ucx.so, so that the addon links no transport.
#include "ucx_backend.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "../../core/clock.h"
#include "ucx_codes.h"
#include "ucx_status.h"

namespace {

constexpr int64_t kGoodbyeNs = 50'000'000;

}  // namespace

namespace kvseam::ucx {

namespace {

template <typename F>
kvseam_status guarded(F&& body) {
  try {
    return body().toC();
  } catch (const std::bad_alloc&) {
    return Status::local(KVSEAM_NO_MEMORY, "ucx backend: out of memory").toC();
  }
}

/** The library in the process may be another than the headers were: a newer one keeps its word to older callers. */
Status checkRuntime() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  ucp_get_version(&major, &minor, &release);
  if (major == UCP_API_MAJOR && minor >= UCP_API_MINOR) return {};
  return Status::local(KVSEAM_BACKEND_UNAVAILABLE,
                       "the UCX library here is " + std::string(ucp_get_version_string()) +
                           " and kvseam_ucx.so was built for " + std::to_string(UCP_API_MAJOR) + "." +
                           std::to_string(UCP_API_MINOR) +
                           " or a newer one of that series; install it or rebuild (npx kvseam rebuild)");
}

void destroy(kvseam_backend* self);

Status openRails(const kvseam_open_params& params, kvseam_backend* self) {
  self->described.assign(params.rails, params.rails + params.rail_count);
  if (self->described.empty()) {
    self->described.resize(1);
    std::strcpy(self->described[0].name, "tcp");
  }
  if (self->described.size() > kMaxRails) {
    return Status::local(KVSEAM_INVALID_ARGUMENT,
                         "the ucx backend has at most " + std::to_string(kMaxRails) + " rails an agent");
  }
  for (kvseam_rail& rail : self->described) {
    if (rail.device[0] == '\0') std::strcpy(rail.device, "tcp");
    rail.base_latency_ns = 0;  // a model's figure; nothing is modelled here
    auto opened = std::make_unique<Rail>();
    const Status status = opened->open(static_cast<uint32_t>(self->rails.size()), rail.name, rail.device);
    if (!status.ok()) return status;
    self->rails.push_back(std::move(opened));
  }
  return {};
}

Status watch(kvseam_backend* self) {
  for (const auto& rail : self->rails) {
    self->workers.push_back({rail.get(), &rail->dialling(), false});
    self->workers.push_back({rail.get(), &rail->serving(), true});
  }
  std::vector<int> fds{self->wake_fd};
  for (const Watched& watched : self->workers) fds.push_back(watched.worker->fd());
  for (const int fd : fds) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
      return Status::local(KVSEAM_BACKEND_UNAVAILABLE, std::string("ucx backend: epoll_ctl: ") + std::strerror(errno));
    }
  }
  return {};
}

kvseam_status open(const kvseam_open_params* params, kvseam_backend** out) {
  return guarded([&]() -> Status {
    Status status = checkRuntime();
    if (!status.ok()) return status;
    std::unique_ptr<kvseam_backend, void (*)(kvseam_backend*)> self(new kvseam_backend, destroy);
    self->incarnation = params->incarnation;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->wake_fd < 0 || self->epoll_fd < 0) {
      return Status::local(KVSEAM_NO_MEMORY, "ucx backend: no file descriptor left; raise `ulimit -n`");
    }
    status = openRails(*params, self.get());
    if (!status.ok()) return status;
    self->regions = std::make_unique<OwnRegions>(&self->rails, self->wake_fd);
    self->carrier = std::make_unique<Carrier>(params->incarnation, &self->rails);
    self->host = std::make_unique<Host>(params->incarnation, self->regions.get());
    self->dialler =
        std::make_unique<Dialler>(params->agent_name, params->incarnation, &self->rails, self->carrier.get());
    for (const auto& rail : self->rails) {
      rail->serving().setSink(self->host.get());
      rail->dialling().setSink(self->carrier.get());
    }
    status = watch(self.get());
    if (status.ok()) *out = self.release();
    return status;
  });
}

int waitFd(kvseam_backend* self) { return self->epoll_fd; }

kvseam_status close(kvseam_backend* self, int64_t deadlineNs) {
  return guarded([&]() -> Status {
    if (self->closed) return {};
    self->closed = true;
    const auto until = [&](int64_t byNs, auto&& done) {
      while (!done() && nowNs() < byNs) progress(self, nowNs(), true);
    };
    // Peers that are told need not wait for silence. What is not told in time finds out by itself.
    self->host->sayGoodbye();
    self->dialler->sayGoodbye();
    until(std::min(deadlineNs, nowNs() + kGoodbyeNs),
          [&] { return self->host->goodbyeSaid() && self->dialler->goodbyeSaid(); });
    self->dialler->leave();
    self->host->leave();
    until(deadlineNs, [&] {
      return std::all_of(self->workers.begin(), self->workers.end(), [](const Watched& watched) {
        return watched.worker->requests() == 0 && watched.worker->reap();
      });
    });
    for (const Watched& watched : self->workers) watched.worker->beginFlush();
    until(deadlineNs, [&] {
      return std::all_of(self->workers.begin(), self->workers.end(),
                         [](const Watched& watched) { return watched.worker->flushed(); });
    });
    self->carrier->collectLinks();
    for (const Watched& watched : self->workers)
      epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, watched.worker->fd(), nullptr);
    self->workers.clear();
    for (const auto& rail : self->rails) self->clean = rail->closeWorkers() && self->clean;
    self->regions->endService();
    if (self->clean) return {};
    return Status::local(KVSEAM_TIMEOUT,
                         "UCX did not let go of everything in time; its workers stay for the life of the process");
  });
}

void destroy(kvseam_backend* self) {
  if (self->dialler != nullptr && !self->closed) close(self, nowNs() + 100'000'000);
  self->dialler.reset();
  self->host.reset();
  if (self->clean) {
    self->carrier.reset();
  } else {
    [[maybe_unused]] Carrier* const kept = self->carrier.release();  // requests that UCX still holds point at it
  }
  self->regions.reset();
  self->rails.clear();
  if (self->epoll_fd >= 0) ::close(self->epoll_fd);
  if (self->wake_fd >= 0) ::close(self->wake_fd);
  delete self;
}

void capabilities(kvseam_backend* self, kvseam_capabilities* out) {
  out->struct_bytes = sizeof(*out);
  out->operations = KVSEAM_OP_READ | KVSEAM_OP_WRITE | KVSEAM_OP_NOTIFY;
  out->memory_kinds = KVSEAM_MEMORY_HOST;
  out->label = KVSEAM_LABEL_REAL;
  out->can_cancel = 0;
  out->can_revoke = 0;  // peers are told and stop; UCX itself has no way to keep them out of mapped memory
  out->max_runs = UINT64_MAX;
  std::vector<std::string> transports;
  for (const auto& rail : self->rails) {
    if (std::find(transports.begin(), transports.end(), rail->transport()) == transports.end())
      transports.push_back(rail->transport());
  }
  std::string provider = "ucx/";
  for (const std::string& transport : transports) provider += (provider.back() == '/' ? "" : "+") + transport;
  std::snprintf(out->provider, sizeof(out->provider), "%s", provider.c_str());
  std::snprintf(out->version, sizeof(out->version), "%s", ucp_get_version_string());
}

uint32_t rails(kvseam_backend* self, kvseam_rail* out, uint32_t max) {
  const auto count = static_cast<uint32_t>(std::min<size_t>(max, self->described.size()));
  std::copy_n(self->described.begin(), count, out);
  return count;
}

kvseam_status registerMemory(kvseam_backend* self, const kvseam_memory_request* request, kvseam_memory* out) {
  return guarded([&]() -> Status {
    std::unique_ptr<OwnMemory> memory;
    Status status = self->regions->add(*request, &memory);
    if (!status.ok()) return status;
    out->address = memory->address;
    out->bytes = memory->bytes;
    out->handle = memory.release();
    return status;
  });
}

void revokeMemory(kvseam_backend* self, kvseam_memory* memory) {
  self->regions->revoke(static_cast<const OwnMemory*>(memory->handle)->region);
}

void deregisterMemory(kvseam_backend* self, kvseam_memory* memory) {
  self->regions->giveUp(std::unique_ptr<OwnMemory>(static_cast<OwnMemory*>(memory->handle)));
  memory->handle = nullptr;
}

kvseam_status exportAddress(kvseam_backend* self, uint8_t* out, uint32_t* bytes) {
  return guarded([&]() -> Status {
    if (self->closed) return Status::local(KVSEAM_CLOSED, "the agent is closed");
    AddressBlob blob;
    for (const auto& rail : self->rails) blob.rails.push_back(rail->serving().address());
    return blob.write(out, bytes);
  });
}

kvseam_status exportKey(kvseam_backend* self, const kvseam_memory* memory, uint8_t* out, uint32_t* bytes) {
  self->regions->publish();
  return guarded([&] { return static_cast<const OwnMemory*>(memory->handle)->key.write(out, bytes); });
}

kvseam_status importKey(kvseam_backend* self, const kvseam_peer_info* owner, const uint8_t* key, uint32_t keyBytes,
                        uint64_t regionBytes, kvseam_memory* out) {
  return guarded([&]() -> Status {
    AddressBlob address;
    Status status = AddressBlob::read(owner->address, owner->address_bytes, &address);
    if (!status.ok()) return status;
    KeyBlob blob;
    status = KeyBlob::read(key, keyBytes, &blob);
    if (!status.ok()) return status;
    if (blob.bytes != regionBytes || blob.rails.size() != address.rails.size()) {
      return Status::protocol(KVSEAM_METADATA_INVALID,
                              "a ucx region key does not fit its region; fetch the metadata again");
    }
    out->address = nullptr;
    out->bytes = regionBytes;
    const bool sharing =
        std::any_of(self->rails.begin(), self->rails.end(), [](const auto& rail) { return rail->sharedMemory(); });
    std::unique_ptr<mock::Mapping> shared = sharing ? openShared(blob.shared, regionBytes) : nullptr;
    out->handle = self->dialler->import(owner->incarnation, std::move(blob), std::move(shared));
    return status;
  });
}

void dropKey(kvseam_backend* self, kvseam_memory* remote) {
  self->dialler->drop(static_cast<PeerMemory*>(remote->handle));
  remote->handle = nullptr;
}

kvseam_status connect(kvseam_backend* self, const kvseam_peer_info* peer, uint32_t* outPeer) {
  return guarded([&]() -> Status {
    AddressBlob address;
    Status status = AddressBlob::read(peer->address, peer->address_bytes, &address);
    if (!status.ok()) return status;
    self->tick_ns = 0;
    return self->dialler->connect(*peer, std::move(address), nowNs(), outPeer);
  });
}

void disconnect(kvseam_backend* self, uint32_t peer) {
  self->dialler->disconnect(peer);
  self->tick_ns = 0;
}

kvseam_status post(kvseam_backend* self, const kvseam_op* op) {
  return guarded([&] { return self->dialler->post(*op, nowNs()); });
}

void cancel(kvseam_backend* self, uint64_t token) {
  self->carrier->cancel(token, nowNs());
  self->tick_ns = std::min(self->tick_ns, nowNs() + kTickBusyNs);
}

void describe(kvseam_backend*, int64_t backendCode, char* out, uint32_t outBytes) {
  const char* text = "";
  switch (backendCode) {
    case 0:
      break;
    case kCodeSilent:
      text = "the peer has given no sign of life";
      break;
    case kCodeGoodbye:
      text = "the peer has closed its agent";
      break;
    case kCodeFenced:
      text = "the line did not move and was cut off";
      break;
    case kCodeWithdrawn:
      text = "the peer has withdrawn the region";
      break;
    case kCodeOtherLife:
      text = "another life of the agent answers at this address; fetch its metadata again";
      break;
    case kCodeNoAnswer:
      text = "the peer does not answer on this rail";
      break;
    default:
      if (backendCode < 0 && backendCode > UCS_ERR_LAST)
        text = ucs_status_string(static_cast<ucs_status_t>(backendCode));
  }
  std::snprintf(out, outBytes, "%s", text);
}

uint32_t counters(kvseam_backend* self, kvseam_counter* out, uint32_t max) {
  const std::pair<const char*, uint64_t> all[] = {
      {"moved_bytes", self->carrier->movedBytes()},
      {"active_operations", self->carrier->active()},
      {"fenced_links", self->carrier->fences()},
      {"lines_up", self->dialler->linesUp()},
      {"guests", self->host->guests()},
      {"quarantined_bytes", self->regions->quarantinedBytes()},
  };
  uint32_t count = 0;
  for (const auto& [name, value] : all) {
    if (count == max) break;
    std::snprintf(out[count].name, sizeof(out[count].name), "%s", name);
    out[count++].value = value;
  }
  return count;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const kvseam_backend_api* kvseam_backend_entry() {
  static const kvseam_backend_api table = {KVSEAM_BACKEND_API_VERSION,
                                           sizeof(kvseam_backend_api),
                                           "ucx",
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

}  // namespace kvseam::ucx
