// Mapping, packing and the ordered end of regions.
#include "ucx_memory.h"

#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "../../core/clock.h"
#include "ucx_status.h"

namespace kvseam::ucx {

namespace {

/** UCX allocates shared memory as a sparse file there: without room the first touch would be SIGBUS. */
bool roomForSharedMemory(uint64_t bytes) {
  struct statvfs info {};
  if (statvfs("/dev/shm", &info) != 0) return false;
  const uint64_t free = uint64_t{info.f_bavail} * info.f_frsize;
  return bytes <= free - free / 8;
}

Status mapOn(const Rail& rail, OwnMemory* memory, bool allocate) {
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH;
  params.length = memory->bytes;
  if (allocate) {
    params.field_mask |= UCP_MEM_MAP_PARAM_FIELD_FLAGS;
    params.flags = UCP_MEM_MAP_ALLOCATE;
  } else {
    params.field_mask |= UCP_MEM_MAP_PARAM_FIELD_ADDRESS;
    params.address = memory->address;
  }
  ucp_mem_h mapping = nullptr;
  ucs_status_t status = ucp_mem_map(rail.context(), &params, &mapping);
  const std::string what = "registering " + std::to_string(memory->bytes) + " bytes on a " + rail.transport() + " rail";
  if (status != UCS_OK) return localStatusOf(status, KVSEAM_REGISTRATION_FAILED, what);
  memory->mappings.push_back(mapping);
  if (allocate) {
    ucp_mem_attr_t attributes{};
    attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS;
    status = ucp_mem_query(mapping, &attributes);
    if (status != UCS_OK) return localStatusOf(status, KVSEAM_REGISTRATION_FAILED, what);
    memory->address = static_cast<uint8_t*>(attributes.address);
  }
  return {};
}

}  // namespace

OwnRegions::~OwnRegions() { endService(); }

Status OwnRegions::add(const kvseam_memory_request& request, std::unique_ptr<OwnMemory>* out) {
  if (request.kind != KVSEAM_MEMORY_HOST) {
    return Status::local(KVSEAM_NOT_SUPPORTED, "UCX knows no Neuron memory; stage it through host memory or use the libfabric backend");
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (offered_.size() >= kMaxRegions) {
      return Status::local(KVSEAM_REGISTRATION_FAILED, "too_many_regions: the ucx backend offers at most " + std::to_string(kMaxRegions) + " at once");
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
  newest_ = std::max(newest_, memory->region);
  *out = std::move(memory);
  return {};
}

Status OwnRegions::map(OwnMemory* memory, const kvseam_memory_request& request) {
  // Shared memory that UCX allocates itself can be mapped by a peer and copied without its help.
  size_t first = rails_->size();
  for (size_t i = 0; i < rails_->size(); ++i) {
    if ((*rails_)[i]->sharedMemory() && request.address == nullptr && roomForSharedMemory(request.bytes)) {
      first = i;
      break;
    }
  }
  memory->mappings.reserve(rails_->size());
  ucp_mem_h shared = nullptr;
  if (first != rails_->size()) {
    Status status = mapOn(*(*rails_)[first], memory, true);
    if (!status.ok()) return status;
    shared = memory->mappings.back();
    memory->mappings.clear();
    memory->fromUcx = true;
  } else if (request.address != nullptr) {
    memory->address = static_cast<uint8_t*>(request.address);
    memory->fromUcx = true;  // the caller's own; not ours to unmap
  } else {
    void* const address = mmap(nullptr, request.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) {
      return {KVSEAM_NO_MEMORY, KVSEAM_BLAME_local, "mapping " + std::to_string(request.bytes) + " bytes: " + std::strerror(errno), errno};
    }
    memory->address = static_cast<uint8_t*>(address);
    madvise(address, request.bytes, MADV_HUGEPAGE);
  }
  for (size_t i = 0; i < rails_->size(); ++i) {
    if (i == first) {
      memory->mappings.push_back(shared);
      shared = nullptr;
      continue;
    }
    Status status = mapOn(*(*rails_)[i], memory, false);
    if (status.ok()) continue;
    if (shared != nullptr) ucp_mem_unmap((*rails_)[first]->context(), shared);
    return status;
  }
  memory->key.region = memory->region;
  memory->key.address = reinterpret_cast<uint64_t>(memory->address);
  memory->key.bytes = memory->bytes;
  for (size_t i = 0; i < rails_->size(); ++i) {
    void* packed = nullptr;
    size_t bytes = 0;
    const ucs_status_t status = ucp_rkey_pack((*rails_)[i]->context(), memory->mappings[i], &packed, &bytes);
    if (status != UCS_OK) return localStatusOf(status, KVSEAM_REGISTRATION_FAILED, "packing the key of a region");
    memory->key.rails.emplace_back(static_cast<const char*>(packed), bytes);
    ucp_rkey_buffer_release(packed);
  }
  return {};
}

void OwnRegions::unmap(OwnMemory* memory) const {
  for (size_t i = 0; i < memory->mappings.size(); ++i) {
    if ((*rails_)[i]->context() != nullptr) ucp_mem_unmap((*rails_)[i]->context(), memory->mappings[i]);
  }
  memory->mappings.clear();
  if (!memory->fromUcx && memory->address != nullptr) munmap(memory->address, memory->bytes);
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
  return std::any_of(rails_->begin(), rails_->end(), [](const std::unique_ptr<Rail>& rail) { return rail->oneSided(); });
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
      const bool asked = exposed && fate.answersOwed != 0;
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
  if (memory->fromUcx) {
    madvise(memory->address, memory->bytes, MADV_REMOVE);
  } else {
    madvise(memory->address, memory->bytes, MADV_DONTNEED);
  }
  [[maybe_unused]] OwnMemory* const kept = memory.release();  // stays mapped for the life of the process, on purpose
}

}  // namespace kvseam::ucx
