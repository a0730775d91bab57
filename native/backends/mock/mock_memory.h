// Memory of the mock backend: one sealed memfd a region, so that another process can map the very same bytes, and a
// ledger page per agent that says which regions are still offered. Keys are never used twice in the life of an agent.
#ifndef KVSEAM_BACKENDS_MOCK_MOCK_MEMORY_H_
#define KVSEAM_BACKENDS_MOCK_MOCK_MEMORY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../../core/status.h"

namespace kvseam::mock {

/** A memfd and its mapping; unmapped and closed with the object. */
class Mapping {
 public:
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  static Status create(const char* label, uint64_t bytes, std::unique_ptr<Mapping>* out);
  /** Maps the memfd `fd` of process `pid`; the inode and the seals prove that it is the one that was offered. */
  static Status open(int32_t pid, int32_t fd, uint64_t inode, uint64_t bytes, std::unique_ptr<Mapping>* out);

  /** Gives the pages back although peers may still map them; they read zeros from then on. */
  void discard();

  uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  int fd() const { return fd_; }
  uint64_t inode() const { return inode_; }

 private:
  Mapping() = default;
  Status map();
  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
  int fd_ = -1;
  uint64_t inode_ = 0;
};

/** One word a region: its serial while it is offered, 0 otherwise. The owner writes, peers read. */
class Ledger {
 public:
  static constexpr uint32_t kSlots = 16'384;
  explicit Ledger(std::unique_ptr<Mapping> mapping);

  /** False when all slots are taken. */
  bool claim(uint64_t serial, uint32_t* slot);
  void revoke(uint32_t slot, uint64_t serial);
  void release(uint32_t slot);
  bool offered(uint32_t slot, uint64_t serial) const { return word(slot).load(std::memory_order_acquire) == serial; }
  const Mapping& mapping() const { return *mapping_; }
  static uint64_t mappingBytes() { return kSlots * sizeof(uint64_t); }

 private:
  std::atomic<uint64_t>& word(uint32_t slot) const {
    return reinterpret_cast<std::atomic<uint64_t>*>(mapping_->data())[slot];
  }
  std::unique_ptr<Mapping> mapping_;
  std::mutex mutex_;
  std::vector<uint32_t> free_;
};

/** What kvseam_memory::handle points at, for own and for imported memory. */
struct MemoryHandle {
  std::unique_ptr<Mapping> mapping;
  std::shared_ptr<Ledger> ledger;
  uint32_t slot = 0;
  uint64_t serial = 0;
  bool imported = false;

  bool offered() const { return ledger->offered(slot, serial); }
};

/** What an owner gives away so that a peer can map a region. */
struct RegionKey {
  int32_t pid;
  int32_t fd;
  uint64_t inode;
  uint32_t slot;
  uint32_t reserved;
  uint64_t serial;
};

}  // namespace kvseam::mock
#endif  // KVSEAM_BACKENDS_MOCK_MOCK_MEMORY_H_
