// Taking and giving up claims. The loops here run once a descriptor on the owner's thread.
#include "write_claims.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <new>
#include <string>

#include "descriptors.h"

namespace kvseam {

namespace {

constexpr uint64_t kWordBits = 64;
constexpr uint32_t kCoarsest = 62;  // of a list of nothing
// Marks of a region take at most a 512th of its bytes, between 128 KiB and 128 MiB: as much only once a list is aligned
// to no more than 64 bytes, and then the pages that were touched.
constexpr uint64_t kBytesAMark = 64;
constexpr uint64_t kFewestMarks = uint64_t{1} << 20;
constexpr uint64_t kMostMarks = uint64_t{1} << 30;

uint32_t finestShiftFor(uint64_t regionBytes) {
  const uint64_t marks = std::clamp(regionBytes / kBytesAMark, kFewestMarks, kMostMarks);
  uint32_t shift = 0;
  while ((regionBytes >> shift) > marks) ++shift;
  return shift;
}

/** Bits [from, from + count) of one word. */
uint64_t maskOf(uint64_t from, uint64_t count) { return (~uint64_t{0} >> (kWordBits - count)) << from; }

/** Calls with (word, mask) for the bits [first, end), until it says false. */
template <typename F>
bool eachWord(uint64_t first, uint64_t end, F&& visit) {
  while (first < end) {
    const uint64_t from = first % kWordBits;
    const uint64_t count = std::min(kWordBits - from, end - first);
    if (!visit(first / kWordBits, maskOf(from, count))) return false;
    first += count;
  }
  return true;
}

Status noMemory() {
  return Status::local(KVSEAM_NO_MEMORY,
                       "no memory to note which bytes the transfer writes; nothing was posted, try again with less");
}

}  // namespace

WriteClaims::WriteClaims(uint64_t regionBytes) : regionBytes_(regionBytes), finestShift_(finestShiftFor(regionBytes)) {}

WriteClaims::~WriteClaims() = default;

Status WriteClaims::claim(const DescriptorList& list, uint64_t first, uint64_t count) {
  const Part part{&list, first, count};
  const bool distinct = count <= 1 || list.knownDistinct();
  if (distinct && list.memories().size() == 1) {
    WriteClaims& claims = list.memories().front()->claims();
    if (claims.transfers_ == 0) {
      claims.lone_ = part;
      claims.transfers_ = 1;
      return {};
    }
  }
  const auto alignment = static_cast<uint32_t>(std::countr_zero(list.alignment()));
  for (const auto& memory : list.memories()) {
    WriteClaims& claims = memory->claims();
    if (!claims.readyFor(alignment) && !claims.prepare(alignment)) return noMemory();
  }
  uint64_t failedAt = 0;
  const Marking marking = mark(part, &failedAt);
  if (marking == Marking::kTaken) return refusal(part, failedAt);
  if (marking == Marking::kNoMemory) {
    unmark({&list, first, failedAt - first});
    return noMemory();
  }
  for (const auto& memory : list.memories()) ++memory->claims().transfers_;
  if (first == 0 && count == list.count()) list.noteDistinct();
  return {};
}

void WriteClaims::release(const DescriptorList& list, uint64_t first, uint64_t count) {
  WriteClaims* const only = list.memories().size() == 1 ? &list.memories().front()->claims() : nullptr;
  if (only != nullptr && only->lone_.list != nullptr) {
    only->lone_ = {};
  } else {
    unmark({&list, first, count});
  }
  for (const auto& memory : list.memories()) --memory->claims().transfers_;
}

inline WriteClaims::Marking WriteClaims::take(uint64_t begin, uint64_t end) {
  if (odd(begin, end) || anyOdd()) return takeOdd(begin, end);
  uint64_t* const words = words_.get();
  const uint64_t first = begin >> shift_;
  const uint64_t count = (end - begin) >> shift_;
  const uint64_t from = first % kWordBits;
  if (from + count <= kWordBits) {
    uint64_t& word = words[first / kWordBits];
    const uint64_t mask = maskOf(from, count);
    if ((word & mask) != 0) return Marking::kTaken;
    word |= mask;
    return Marking::kDone;
  }
  return takeWords(first, first + count);
}

inline void WriteClaims::giveUp(uint64_t begin, uint64_t end) {
  if (odd(begin, end)) {
    oddRuns_->ends.erase(begin);
    return;
  }
  const uint64_t first = begin >> shift_;
  const uint64_t count = (end - begin) >> shift_;
  const uint64_t from = first % kWordBits;
  if (from + count <= kWordBits) {
    words_.get()[first / kWordBits] &= ~maskOf(from, count);
    return;
  }
  eachWord(begin >> shift_, end >> shift_, [&](uint64_t word, uint64_t mask) {
    words_.get()[word] &= ~mask;
    return true;
  });
}

/** @param failedAt first descriptor of the run that could not be taken; those before it are taken */
WriteClaims::Marking WriteClaims::mark(const Part& part, uint64_t* failedAt) {
  Marking marking = Marking::kDone;
  *failedAt = part.list->forEachRun(part.first, part.count, [&](const Memory& memory, uint64_t offset, uint64_t bytes) {
    marking = memory.claims().take(offset, offset + bytes);
    return marking == Marking::kDone;
  });
  return marking;
}

void WriteClaims::unmark(const Part& part) {
  part.list->forEachRun(part.first, part.count, [](const Memory& memory, uint64_t offset, uint64_t bytes) {
    memory.claims().giveUp(offset, offset + bytes);
    return true;
  });
}

/** Lets go of what was taken before the failure, and says whose bytes they were. */
Status WriteClaims::refusal(const Part& part, uint64_t failedAt) {
  const DescriptorList& list = *part.list;
  const Memory& memory = *list.memory(failedAt);
  uint64_t end = list.offset(failedAt);
  const uint64_t begin = end;
  for (uint64_t i = failedAt; i < part.first + part.count && list.memory(i).get() == &memory; ++i) {
    if (list.offset(i) != end) break;
    end += list.length(i);
  }
  const std::optional<uint64_t> atAll = memory.claims().firstTaken(begin, end);
  unmark({&list, part.first, failedAt - part.first});
  const std::optional<uint64_t> ofAnother = memory.claims().firstTaken(begin, end);
  if (ofAnother.has_value()) {
    return Status::local(KVSEAM_REGION_BUSY,
                         "offset " + std::to_string(*ofAnother) + " of region '" + memory.name() +
                             "' is being written by a transfer that has not quiesced; wait for its `quiesced` before "
                             "its blocks are given away, or mend the allocator that gave them to two");
  }
  return Status::local(KVSEAM_INVALID_DESCRIPTOR,
                       "offset " + std::to_string(atAll.value_or(begin)) + " of region '" + memory.name() +
                           "' is named twice by the destination list; each byte can be written once a transfer, so "
                           "give every descriptor bytes of its own");
}

bool WriteClaims::prepare(uint32_t alignment) {
  if (lone_.list != nullptr) {
    if (!refine(static_cast<uint32_t>(std::countr_zero(lone_.list->alignment())))) return false;
    uint64_t failedAt = 0;
    if (mark(lone_, &failedAt) != Marking::kDone) {
      unmark({lone_.list, lone_.first, failedAt - lone_.first});
      return false;
    }
    lone_ = {};
  }
  return refine(alignment);
}

/** Happens a few times in the life of a region: its granule then suits all lists that come. */
bool WriteClaims::refine(uint32_t alignment) {
  const uint32_t wanted = std::clamp(alignment, finestShift_, kCoarsest);
  if (words_ != nullptr && shift_ <= wanted) return true;
  const uint64_t granules = (regionBytes_ >> wanted) + 1;
  // Only calloc gives large zeroed memory that costs nothing until it is touched.
  void* const zeroed = std::calloc(granules / kWordBits + 1, sizeof(uint64_t));  // NOLINT(cppcoreguidelines-no-malloc)
  std::unique_ptr<uint64_t, Freed> finer(static_cast<uint64_t*>(zeroed));
  if (finer == nullptr) return false;
  if (words_ != nullptr && transfers_ != 0) {
    const uint32_t steps = shift_ - wanted;
    for (uint64_t word = 0; word <= (regionBytes_ >> shift_) / kWordBits; ++word) {
      for (uint64_t left = words_.get()[word]; left != 0; left &= left - 1) {
        const uint64_t granule = word * kWordBits + static_cast<uint64_t>(std::countr_zero(left));
        eachWord(granule << steps, (granule + 1) << steps, [&](uint64_t to, uint64_t mask) {
          finer.get()[to] |= mask;
          return true;
        });
      }
    }
  }
  words_ = std::move(finer);
  shift_ = wanted;
  return true;
}

WriteClaims::Marking WriteClaims::takeWords(uint64_t first, uint64_t end) {
  uint64_t* const words = words_.get();
  if (!eachWord(first, end, [&](uint64_t word, uint64_t mask) { return (words[word] & mask) == 0; }))
    return Marking::kTaken;
  eachWord(first, end, [&](uint64_t word, uint64_t mask) {
    words[word] |= mask;
    return true;
  });
  return Marking::kDone;
}

WriteClaims::Marking WriteClaims::takeOdd(uint64_t begin, uint64_t end) {
  if (firstTaken(begin, end).has_value()) return Marking::kTaken;
  if (!odd(begin, end)) {
    eachWord(begin >> shift_, end >> shift_, [&](uint64_t word, uint64_t mask) {
      words_.get()[word] |= mask;
      return true;
    });
    return Marking::kDone;
  }
  try {
    if (oddRuns_ == nullptr) oddRuns_ = std::make_unique<OddRuns>();
    oddRuns_->ends.emplace(begin, end);
  } catch (const std::bad_alloc&) {
    return Marking::kNoMemory;
  }
  return Marking::kDone;
}

/** A marked granule is claimed whole, so one that [begin, end) touches is an overlap. */
std::optional<uint64_t> WriteClaims::firstTaken(uint64_t begin, uint64_t end) const {
  if (begin >= end) return std::nullopt;
  std::optional<uint64_t> found;
  if (words_ != nullptr) {
    const auto granule = firstMarkedGranule(begin >> shift_, ((end - 1) >> shift_) + 1);
    if (granule.has_value()) found = std::max(begin, *granule << shift_);
  }
  if (!anyOdd()) return found;
  const auto next = oddRuns_->ends.lower_bound(begin);
  if (next != oddRuns_->ends.begin() && std::prev(next)->second > begin) return begin;
  if (next == oddRuns_->ends.end() || next->first >= end) return found;
  return found.has_value() ? std::min(*found, next->first) : next->first;
}

std::optional<uint64_t> WriteClaims::firstMarkedGranule(uint64_t first, uint64_t end) const {
  std::optional<uint64_t> found;
  eachWord(first, end, [&](uint64_t word, uint64_t mask) {
    const uint64_t taken = words_.get()[word] & mask;
    if (taken == 0) return true;
    found = word * kWordBits + static_cast<uint64_t>(std::countr_zero(taken));
    return false;
  });
  return found;
}

}  // namespace kvseam
