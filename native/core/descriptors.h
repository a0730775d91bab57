// A validated list of (region, offset, length), packed and prepared once, posted many times by range. One list belongs
// to one side of a transfer. Bounds are proved here in the overflow-free form `len <= size && off <= size - len`.
#ifndef KVSEAM_CORE_DESCRIPTORS_H_
#define KVSEAM_CORE_DESCRIPTORS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "region.h"
#include "status.h"

namespace kvseam {

/** A KV pool laid out as `parts` sub-regions (K and V of each layer), each an array of equal blocks. */
struct BlockLayout {
  uint64_t baseOffset = 0;
  uint64_t strideBytes = 0;  // from one part to the next; 0 with one part
  uint32_t parts = 1;
  uint64_t blockBytes = 0;
};

// A line of its own: the owner counts shares beside it for every transfer while the progress thread reads it.
class alignas(64) DescriptorList {
 public:
  static constexpr uint64_t kMaxDescriptors = uint64_t{1} << 22;
  // Of one list, also when blocks repeat: a sum that wrapped around would fit any permit.
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 53;

  /** Blocks `ids[0..count)` of every part, part after part; `ids` null means 0, 1, 2, ... */
  static Status fromBlocks(std::shared_ptr<Memory> memory, const BlockLayout& layout, const uint32_t* ids,
                           uint64_t count, std::shared_ptr<DescriptorList>* out);
  /** Runs given as whole numbers in doubles, the form JavaScript has. */
  static Status fromRuns(std::shared_ptr<Memory> memory, const double* offsets, const double* lengths, uint64_t count,
                         std::shared_ptr<DescriptorList>* out);
  /** Lists of one side one after the other; keeps their order. */
  static Status join(const std::vector<std::shared_ptr<DescriptorList>>& lists, std::shared_ptr<DescriptorList>* out);

  uint64_t count() const { return offsets_.size(); }
  uint64_t totalBytes() const { return totalBytes_; }
  /** Bytes of descriptors [first, first + count). */
  uint64_t rangeBytes(uint64_t first, uint64_t count) const;
  /** Runs that remain when neighbours are merged on this side alone. */
  uint64_t coalescedCount() const;
  uint64_t offset(uint64_t i) const { return offsets_[i]; }
  uint64_t length(uint64_t i) const { return uniformBytes_ != 0 ? uniformBytes_ : lengths_[i]; }
  const std::shared_ptr<Memory>& memory(uint64_t i) const { return memories_[owner_.empty() ? 0 : owner_[i]]; }
  const std::vector<std::shared_ptr<Memory>>& memories() const { return memories_; }
  uint64_t uniformBytes() const { return uniformBytes_; }
  bool live() const;
  /** Largest power of two that divides every offset and length. */
  uint64_t alignment() const { return placement_ & (~placement_ + 1); }
  /** That no byte is named twice was found when the whole list was claimed, see WriteClaims. Owner's thread only. */
  bool knownDistinct() const { return distinct_; }
  void noteDistinct() const { distinct_ = true; }

  /**
   * Calls with (memory, offset, bytes) for each run over the range, neighbours merged on this side alone and empty ones
   * left out, until it says false.
   * @return first descriptor of the run that it said false to, else the end of the range
   */
  template <typename F>
  uint64_t forEachRun(uint64_t first, uint64_t count, F&& visit) const {
    const uint64_t end = first + count;
    if (owner_.empty() && uniformBytes_ != 0) {  // the usual list, in a loop that keeps everything in registers
      const Memory& place = *memories_.front();
      const uint64_t* const offsets = offsets_.data();
      const uint64_t bytes = uniformBytes_;
      for (uint64_t i = first; i < end;) {
        const uint64_t start = i;
        const uint64_t from = offsets[i];
        uint64_t to = from + bytes;
        for (++i; i < end && offsets[i] == to; ++i) to += bytes;
        if (!visit(place, from, to - from)) return start;
      }
      return end;
    }
    for (uint64_t i = first; i < end;) {
      const uint64_t start = i;
      const Memory* const place = memory(i).get();
      const uint64_t from = offset(i);
      uint64_t to = from + length(i);
      for (++i; i < end && offset(i) == to && memory(i).get() == place; ++i) to += length(i);
      if (to != from && !visit(*place, from, to - from)) return start;
    }
    return end;
  }

  /** Same number of descriptors, each pair of one size, over the range. */
  static Status checkPair(const DescriptorList& local, const DescriptorList& remote, uint64_t first, uint64_t count);
  /** Appends the pair's runs over the range to `out`, neighbours merged where both sides continue. */
  static void mergeRuns(const DescriptorList& local, const DescriptorList& remote, uint64_t first, uint64_t count,
                        std::vector<kvseam_run>* out);

 private:
  std::vector<std::shared_ptr<Memory>> memories_;
  std::vector<uint64_t> offsets_;
  std::vector<uint64_t> lengths_;  // empty when uniformBytes_ != 0
  std::vector<uint32_t> owner_;    // index into memories_; empty when there is one memory
  uint64_t uniformBytes_ = 0;
  uint64_t totalBytes_ = 0;
  uint64_t placement_ = 0;  // all offsets and lengths or'ed together, or what they are multiples of
  mutable bool distinct_ = false;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_DESCRIPTORS_H_
