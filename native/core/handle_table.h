// Turns objects into numbers that may cross into JavaScript: index plus generation, checked on every use, so that a
// stale or invented number finds nothing instead of somebody else's object. Owned by one thread.
#ifndef KVSEAM_CORE_HANDLE_TABLE_H_
#define KVSEAM_CORE_HANDLE_TABLE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace kvseam {

// 20 bits of index and 32 of generation: exact in a JavaScript number.
inline constexpr uint64_t kHandleIndexBits = 20;
inline constexpr uint64_t kHandleIndexMask = (uint64_t{1} << kHandleIndexBits) - 1;

template <typename T>
class HandleTable {
 public:
  /** 0 when the table is full (about a million live objects). */
  uint64_t add(std::shared_ptr<T> value) {
    uint32_t index = 0;
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
    } else {
      if (entries_.size() > kHandleIndexMask) return 0;
      // Room to free every entry, so that remove() needs no memory.
      if (free_.capacity() <= entries_.size()) free_.reserve(2 * entries_.size() + 16);
      index = static_cast<uint32_t>(entries_.size());
      entries_.push_back({1, nullptr});
    }
    entries_[index].value = std::move(value);
    ++live_;
    return uint64_t{entries_[index].generation} << kHandleIndexBits | index;
  }

  const std::shared_ptr<T>* find(uint64_t handle) const {
    const uint64_t index = handle & kHandleIndexMask;
    if (index >= entries_.size()) return nullptr;
    const Entry& entry = entries_[index];
    if (entry.value == nullptr || entry.generation != handle >> kHandleIndexBits) return nullptr;
    return &entry.value;
  }

  std::shared_ptr<T> remove(uint64_t handle) {
    if (find(handle) == nullptr) return nullptr;
    Entry& entry = entries_[handle & kHandleIndexMask];
    std::shared_ptr<T> value = std::move(entry.value);
    entry.value = nullptr;
    --live_;
    // A worn-out index is retired rather than allowed to come round to an old generation.
    if (++entry.generation != 0) free_.push_back(static_cast<uint32_t>(handle & kHandleIndexMask));
    return value;
  }

  uint64_t live() const { return live_; }

  template <typename F>
  void forEach(F&& visit) const {
    for (const Entry& entry : entries_) {
      if (entry.value != nullptr) visit(entry.value);
    }
  }

  /** Removes everything; what was handed out before stays invalid for ever. */
  void clear() {
    for (uint64_t index = 0; index < entries_.size(); ++index) {
      if (entries_[index].value != nullptr) remove(uint64_t{entries_[index].generation} << kHandleIndexBits | index);
    }
  }

 private:
  struct Entry {
    uint32_t generation;
    std::shared_ptr<T> value;
  };
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  uint64_t live_ = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_HANDLE_TABLE_H_
