// memfd life and the ledger of offered regions.
#include "mock_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace kvseam::mock {

namespace {

Status failed(Code code, const std::string& what, int error) {
  return {code, KVSEAM_BLAME_local, what + ": " + std::strerror(error), error};
}

}  // namespace

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
  if (fd_ >= 0) ::close(fd_);
}

Status Mapping::map() {
  void* const address = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (address == MAP_FAILED) return failed(KVSEAM_NO_MEMORY, "mapping " + std::to_string(bytes_) + " bytes", errno);
  data_ = static_cast<uint8_t*>(address);
  return {};
}

Status Mapping::create(const char* label, uint64_t bytes, std::unique_ptr<Mapping>* out) {
  std::unique_ptr<Mapping> mapping(new Mapping());
  mapping->bytes_ = bytes;
  mapping->fd_ = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (mapping->fd_ < 0)
    return failed(KVSEAM_REGISTRATION_FAILED, "no file descriptor for a region (see `ulimit -n`)", errno);
  if (ftruncate(mapping->fd_, static_cast<off_t>(bytes)) != 0) {
    return failed(KVSEAM_NO_MEMORY, "sizing a region of " + std::to_string(bytes) + " bytes", errno);
  }
  // Sealed, so that a peer that maps it can rely on its size: touching truncated pages would be SIGBUS there.
  if (fcntl(mapping->fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return failed(KVSEAM_REGISTRATION_FAILED, "sealing a region", errno);
  }
  struct stat info{};
  if (fstat(mapping->fd_, &info) != 0) return failed(KVSEAM_REGISTRATION_FAILED, "reading a region's inode", errno);
  mapping->inode_ = info.st_ino;
  Status status = mapping->map();
  if (status.ok()) *out = std::move(mapping);
  return status;
}

Status Mapping::open(int32_t pid, int32_t fd, uint64_t inode, uint64_t bytes, std::unique_ptr<Mapping>* out) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
  std::unique_ptr<Mapping> mapping(new Mapping());
  mapping->bytes_ = bytes;
  mapping->fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (mapping->fd_ < 0) {
    const int error = errno;
    if (error == ENOENT) {
      return {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "process " + std::to_string(pid) + " that offers the region is gone",
              error};
    }
    return failed(KVSEAM_REGISTRATION_FAILED, "opening the peer's region (both processes need the same user)", error);
  }
  struct stat info{};
  const int seals = fcntl(mapping->fd_, F_GET_SEALS);
  const bool same =
      fstat(mapping->fd_, &info) == 0 && info.st_ino == inode && static_cast<uint64_t>(info.st_size) == bytes;
  if (!same || seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return {KVSEAM_STALE_REGION, KVSEAM_BLAME_peer, "the peer no longer offers this region; fetch its metadata again",
            0};
  }
  mapping->inode_ = inode;
  Status status = mapping->map();
  if (!status.ok()) return status;
  ::close(mapping->fd_);  // the mapping keeps the memory; a peer with many regions must not cost descriptors here
  mapping->fd_ = -1;
  *out = std::move(mapping);
  return status;
}

void Mapping::discard() {
  if (fd_ >= 0) fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes_));
}

Ledger::Ledger(std::unique_ptr<Mapping> mapping) : mapping_(std::move(mapping)) {
  free_.reserve(kSlots);
  for (uint32_t i = kSlots; i != 0; --i) free_.push_back(i - 1);
}

bool Ledger::claim(uint64_t serial, uint32_t* slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (free_.empty()) return false;
  *slot = free_.back();
  free_.pop_back();
  word(*slot).store(serial, std::memory_order_release);
  return true;
}

void Ledger::revoke(uint32_t slot, uint64_t serial) {
  uint64_t expected = serial;
  word(slot).compare_exchange_strong(expected, 0, std::memory_order_acq_rel);
}

void Ledger::release(uint32_t slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  word(slot).store(0, std::memory_order_release);
  free_.push_back(slot);
}

}  // namespace kvseam::mock
