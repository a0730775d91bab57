// Mapping, packing and the ordered end of regions.
#include "ucx_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "../../core/clock.h"
#include "ucx_status.h"

namespace kvseam::ucx {

namespace {

/** Two processes with the same number here mean the same thing by a process id. 0: not known. */
uint64_t thisMachine() {
  static const uint64_t number = [] {
    char boot[64] = {};
    const int fd = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : ::read(fd, boot, sizeof(boot) - 1);
    if (fd >= 0) ::close(fd);
    struct stat space{};
    if (got <= 0 || stat("/proc/self/ns/pid", &space) != 0) return uint64_t{0};
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    const auto mix = [&hash](uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3; };
    for (ssize_t i = 0; i < got; ++i) mix(static_cast<uint8_t>(boot[i]));
    for (int shift = 0; shift < 64; shift += 8) mix(static_cast<uint8_t>(uint64_t{space.st_ino} >> shift));
    return hash;
  }();
  return number;
}

Status registerOn(const Rail& rail, OwnMemory* memory, std::string* key) {
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_ADDRESS;
  params.length = memory->bytes;
  params.address = memory->address;
  ucp_mem_h mapping = nullptr;
  ucs_status_t status = ucp_mem_map(rail.context(), &params, &mapping);
  if (status != UCS_OK) {
    return localStatusOf(status, KVSEAM_REGISTRATION_FAILED,
                         "registering " + std::to_string(memory->bytes) + " bytes on a " + rail.transport() + " rail");
  }
  memory->mappings.emplace_back(&rail, mapping);
  void* packed = nullptr;
  size_t bytes = 0;
  status = ucp_rkey_pack(rail.context(), mapping, &packed, &bytes);
  if (status != UCS_OK) return localStatusOf(status, KVSEAM_REGISTRATION_FAILED, "packing the key of a region");
  key->assign(static_cast<const char*>(packed), bytes);
  ucp_rkey_buffer_release(packed);
  return {};
}

}  // namespace

// Not by UCX's own keys: unpacking one of a process that has just died crashes UCX 1.13 (uct_posix_rkey_release).
std::unique_ptr<mock::Mapping> openShared(const SharedPlace& place, uint64_t bytes) {
  std::unique_ptr<mock::Mapping> mapping;
  if (place.machine == 0 || place.machine != thisMachine()) return nullptr;
  const Status status = mock::Mapping::open(place.pid, place.fd, place.inode, bytes, &mapping);
  return status.ok() ? std::move(mapping) : nullptr;
}

OwnRegions::~OwnRegions() { endService(); }

Status OwnRegions::add(const kvseam_memory_request& request, std::unique_ptr<OwnMemory>* out) {
  if (request.kind != KVSEAM_MEMORY_HOST) {
    return Status::local(KVSEAM_NOT_SUPPORTED,
                         "UCX knows no Neuron memory; stage it through host memory or use the libfabric backend");
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (offered_.size() >= kMaxRegions) {
      return Status::local(KVSEAM_REGISTRATION_FAILED, "too_many_regions: the ucx backend offers at most " +
                                                           std::to_string(kMaxRegions) + " at once");
    }
  }
  auto memory = std::make_unique<OwnMemory>();
  memory->region = request.region;
  memory->bytes = request.bytes;
  const Status status = map(memory.get(), request);
  if (!status.ok()) {
    unmap(memory.get());
    return status;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  offered_[memory->region] = memory.get();
  // The engine's own memory is numbered from the top, and is no sign that everything below it has been offered.
  if (memory->region <= INT64_MAX) newest_ = std::max(newest_, memory->region);
  *out = std::move(memory);
  return {};
}

Status OwnRegions::map(OwnMemory* memory, const kvseam_memory_request& request) {
  const bool shareable = std::any_of(rails_->begin(), rails_->end(),
                                     [](const std::unique_ptr<Rail>& rail) { return rail->sharedMemory(); });
  if (request.address != nullptr) {
    memory->address = static_cast<uint8_t*>(request.address);
    memory->foreign = true;
  } else if (shareable) {
    Status status = mock::Mapping::create("kvseam-region", request.bytes, &memory->shared);
    if (!status.ok()) return status;
    memory->address = memory->shared->data();
    memory->key.shared = {thisMachine(), memory->shared->inode(), getpid(), memory->shared->fd()};
  } else {
    void* const address = mmap(nullptr, request.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) {
      return {KVSEAM_NO_MEMORY, KVSEAM_BLAME_local,
              "mapping " + std::to_string(request.bytes) + " bytes: " + std::strerror(errno), errno};
    }
    memory->address = static_cast<uint8_t*>(address);
    madvise(address, request.bytes, MADV_HUGEPAGE);
  }
  memory->key.region = memory->region;
  memory->key.address = reinterpret_cast<uint64_t>(memory->address);
  memory->key.bytes = memory->bytes;
  for (const auto& rail : *rails_) {
    std::string key = KeyBlob::kNoKey;
    Status status = rail->oneSided() ? registerOn(*rail, memory, &key) : Status();
    if (!status.ok()) return status;
    memory->key.rails.push_back(std::move(key));
  }
  return {};
}

void OwnRegions::unmap(OwnMemory* memory) {
  for (const auto& [rail, mapping] : memory->mappings) {
    if (rail->context() != nullptr) ucp_mem_unmap(rail->context(), mapping);
  }
  memory->mappings.clear();
  if (memory->shared != nullptr) memory->shared->discard();  // peers that map it still must not hold its pages
  if (!memory->foreign && memory->shared == nullptr && memory->address != nullptr)
    munmap(memory->address, memory->bytes);
}

void OwnRegions::revoke(uint64_t region) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (offered_.erase(region) == 0) return;
  ending_[region];
  revoked_.push_back(region);
  wake();
}

void OwnRegions::giveUp(std::unique_ptr<OwnMemory> memory) {
  revoke(memory->region);
  bool served = true;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t region = memory->region;
    ending_[region].memory = std::move(memory);
    served = served_;
  }
  if (served) {
    wake();
  } else {
    collect(0);
  }
}

void OwnRegions::wake() {
  news_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wakeFd_, &one, sizeof(one));
}

WelcomeBlob OwnRegions::offered() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  WelcomeBlob blob;
  blob.newest = newest_;
  blob.offered.reserve(offered_.size());
  for (const auto& [region, memory] : offered_) blob.offered.push_back(region);
  return blob;
}

OwnMemory* OwnRegions::find(uint64_t region, uint64_t offset, uint64_t bytes, Code* why) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = offered_.find(region);
  if (found == offered_.end()) {
    *why = KVSEAM_STALE_REGION;
    return nullptr;
  }
  OwnMemory* const memory = found->second;
  if (bytes <= memory->bytes && offset <= memory->bytes - bytes) return memory;
  *why = KVSEAM_OUT_OF_BOUNDS;
  return nullptr;
}

/** Peers reach into our memory without our help, so that it must outlive what they have asked for. */
bool OwnRegions::oneSided() const {
  return std::any_of(rails_->begin(), rails_->end(),
                     [](const std::unique_ptr<Rail>& rail) { return rail->oneSided(); });
}

std::vector<uint64_t> OwnRegions::takeRevoked() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const uint64_t region : revoked_) ending_[region].told = true;
  return std::exchange(revoked_, {});
}

void OwnRegions::expectAnswer(uint64_t region) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = ending_.find(region);
  if (found != ending_.end()) ++found->second.answersOwed;
}

void OwnRegions::answered(uint64_t region) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = ending_.find(region);
  if (found != ending_.end() && found->second.answersOwed != 0) --found->second.answersOwed;
  news_.store(true, std::memory_order_release);
}

void OwnRegions::unanswered(uint64_t region) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = ending_.find(region);
    if (found != ending_.end()) found->second.unfenced = true;
  }
  answered(region);
}

void OwnRegions::distrustUntil(int64_t untilNs) {
  const std::lock_guard<std::mutex> lock(mutex_);
  distrustUntilNs_ = std::max(distrustUntilNs_, untilNs);
}

void OwnRegions::endService() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    served_ = false;
  }
  collect(0);
}

void OwnRegions::collect(int64_t nowNs) {
  std::vector<std::unique_ptr<OwnMemory>> over;
  std::vector<std::unique_ptr<OwnMemory>> unfenced;
  const bool exposed = oneSided();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    news_.store(!revoked_.empty(), std::memory_order_release);
    const bool distrust = exposed && served_ && nowNs < distrustUntilNs_;
    for (auto it = ending_.begin(); it != ending_.end();) {
      Fate& fate = it->second;
      // A peer that maps it must have stopped before the pages go: it would read zeros and call that a success.
      const bool asked = fate.memory != nullptr && (exposed || fate.memory->shared != nullptr) && fate.answersOwed != 0;
      if (fate.memory == nullptr || (served_ && (!fate.told || asked || fate.memory->sending != 0))) {
        ++it;
        continue;
      }
      const bool unsure = distrust || (exposed && served_ && fate.unfenced) || fate.memory->sending != 0;
      (unsure ? unfenced : over).push_back(std::move(fate.memory));
      it = ending_.erase(it);
    }
  }
  for (const auto& memory : over) unmap(memory.get());
  for (auto& memory : unfenced) quarantine(std::move(memory));
}

void OwnRegions::quarantine(std::unique_ptr<OwnMemory> memory) {
  quarantinedBytes_.fetch_add(memory->bytes, std::memory_order_relaxed);
  // The pages go back; late requests find zeros and may write into nothing that is used.
  if (memory->shared != nullptr) {
    memory->shared->discard();
  } else if (!memory->foreign) {
    madvise(memory->address, memory->bytes, MADV_DONTNEED);
  }
  [[maybe_unused]] OwnMemory* const kept = memory.release();  // stays mapped for the life of the process, on purpose
}

}  // namespace kvseam::ucx
