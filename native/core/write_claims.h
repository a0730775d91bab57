// Which bytes of one region transfers may still write. A claim is taken at submit and given up when the transfer has
// quiesced, not when it settles: a write that timed out may still land. Without it, two transfers into the same bytes
// succeed, and one of two requests goes on with the other's KV. Claims are exact to the byte and of the owner's thread.
#ifndef KVSEAM_CORE_WRITE_CLAIMS_H_
#define KVSEAM_CORE_WRITE_CLAIMS_H_

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>

#include "status.h"

namespace kvseam {

class DescriptorList;

/**
 * A bit for each granule, which is as coarse as the alignment of the lists allows, so that equal blocks are whole
 * granules. What is aligned worse than the finest granule stands in an ordered map. A transfer that is alone in its
 * region, and whose list is known to name no byte twice, is only noted: posting a long list again costs no walk
 * through it.
 */
class WriteClaims {
 public:
  explicit WriteClaims(uint64_t regionBytes);
  ~WriteClaims();
  WriteClaims(const WriteClaims&) = delete;
  WriteClaims& operator=(const WriteClaims&) = delete;

  /** Descriptors [first, first + count) of a destination, all or none. The range has been checked. */
  static Status claim(const DescriptorList& list, uint64_t first, uint64_t count);
  /** Once for each claim that was taken, with the same range. */
  static void release(const DescriptorList& list, uint64_t first, uint64_t count);

  /** Transfers that hold a claim here. */
  uint64_t transfers() const { return transfers_; }
  /** Whether somebody has claimed a byte of [begin, end) and marked it; a lone transfer marks nothing. */
  bool marked(uint64_t begin, uint64_t end) const { return firstTaken(begin, end).has_value(); }

 private:
  struct Part {
    const DescriptorList* list = nullptr;
    uint64_t first = 0;
    uint64_t count = 0;
  };
  enum class Marking : uint8_t { kDone, kTaken, kNoMemory };
  // Nodes come from a pool, so that odd runs cost no heap once as many have been claimed before.
  struct OddRuns {
    std::pmr::unsynchronized_pool_resource pool;
    std::pmr::map<uint64_t, uint64_t> ends{&pool};  // begin to end
  };

  static Marking mark(const Part& part, uint64_t* failedAt);
  static void unmark(const Part& part);
  static Status refusal(const Part& part, uint64_t failedAt);
  // Alignments are shifts here.
  bool readyFor(uint32_t alignment) const {
    return lone_.list == nullptr && words_ != nullptr && (shift_ <= alignment || shift_ == finestShift_);
  }
  /** Makes room for marks of lists with this alignment, and marks a lone transfer. */
  bool prepare(uint32_t alignment);
  bool refine(uint32_t alignment);
  Marking take(uint64_t begin, uint64_t end);
  Marking takeWords(uint64_t first, uint64_t end);
  Marking takeOdd(uint64_t begin, uint64_t end);
  void giveUp(uint64_t begin, uint64_t end);
  bool anyOdd() const { return oddRuns_ != nullptr && !oddRuns_->ends.empty(); }
  bool odd(uint64_t begin, uint64_t end) const { return ((begin | end) & ((uint64_t{1} << shift_) - 1)) != 0; }
  std::optional<uint64_t> firstTaken(uint64_t begin, uint64_t end) const;
  std::optional<uint64_t> firstMarkedGranule(uint64_t first, uint64_t end) const;

  struct Freed {
    void operator()(uint64_t* words) const { std::free(words); }  // NOLINT(cppcoreguidelines-no-malloc): of calloc
  };

  const uint64_t regionBytes_;
  const uint32_t finestShift_;
  uint32_t shift_ = 0;  // of the granule; only ever becomes finer
  std::unique_ptr<uint64_t, Freed> words_;
  std::unique_ptr<OddRuns> oddRuns_;
  uint64_t transfers_ = 0;
  Part lone_;  // its list is kept by the transfer
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_WRITE_CLAIMS_H_
