// Builds, checks and merges descriptor lists. Building is the hot part: 81,920 block ids a request are usual.
#include "descriptors.h"

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>

namespace kvseam {

namespace {

constexpr double kMaxExact = 9007199254740992.0;  // 2^53: above it a JavaScript number skips integers

bool wholeNumber(double value) {
  return value >= 0 && value <= kMaxExact && value == static_cast<double>(static_cast<uint64_t>(value));
}

std::string asText(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

Status tooMany(uint64_t count) {
  return Status::local(KVSEAM_INVALID_DESCRIPTOR, std::to_string(count) + " descriptors; a list holds at most " +
                                                      std::to_string(DescriptorList::kMaxDescriptors) +
                                                      ", so split the transfer");
}

Status tooLarge() {
  return Status::local(KVSEAM_OUT_OF_BOUNDS, "the descriptors name more than 2^53 bytes in all; split the transfer");
}

}  // namespace

Status DescriptorList::fromBlocks(std::shared_ptr<Memory> memory, const BlockLayout& layout, const uint32_t* ids,
                                  uint64_t count, std::shared_ptr<DescriptorList>* out) try {
  const uint64_t regionBytes = memory->bytes();
  if (layout.blockBytes == 0)
    return Status::local(KVSEAM_INVALID_DESCRIPTOR, "blockBytes is 0; a block has at least 1 byte");
  if (layout.parts == 0) return Status::local(KVSEAM_INVALID_DESCRIPTOR, "parts is 0; a layout has at least 1 part");
  if (count > kMaxDescriptors || count * layout.parts > kMaxDescriptors) return tooMany(count * layout.parts);
  if (layout.baseOffset > regionBytes) {
    return Status::local(KVSEAM_OUT_OF_BOUNDS, "baseOffset " + std::to_string(layout.baseOffset) +
                                                   " lies outside region '" + memory->name() + "' of " +
                                                   std::to_string(regionBytes) + " bytes");
  }
  const uint64_t room = regionBytes - layout.baseOffset;
  const uint64_t partBytes = layout.parts == 1 ? room : layout.strideBytes;
  if (layout.parts > 1 && (layout.strideBytes == 0 || layout.strideBytes > room / layout.parts)) {
    return Status::local(KVSEAM_OUT_OF_BOUNDS, std::to_string(layout.parts) + " parts of " +
                                                   std::to_string(layout.strideBytes) + " bytes do not fit the " +
                                                   std::to_string(room) + " bytes of region '" + memory->name() + "'");
  }
  const uint64_t blocksInPart = partBytes / layout.blockBytes;
  uint64_t highest = 0;
  if (count != 0) {
    if (ids == nullptr) {
      highest = count - 1;
    } else {
      uint32_t top = 0;
      for (uint64_t i = 0; i < count; ++i) top = std::max(top, ids[i]);
      highest = top;
    }
    if (highest >= blocksInPart) {
      return Status::local(KVSEAM_OUT_OF_BOUNDS, "block id " + std::to_string(highest) + " is outside region '" +
                                                     memory->name() + "', which has " + std::to_string(blocksInPart) +
                                                     " blocks of " + std::to_string(layout.blockBytes) +
                                                     " bytes (ids 0.." +
                                                     std::to_string(blocksInPart == 0 ? 0 : blocksInPart - 1) + ")");
    }
  }
  if (count != 0 && layout.blockBytes > kMaxBytes / (count * layout.parts)) return tooLarge();
  auto list = std::make_shared<DescriptorList>();
  list->offsets_.resize(count * layout.parts);
  uint64_t* cursor = list->offsets_.data();
  for (uint32_t part = 0; part < layout.parts; ++part) {
    const uint64_t base = layout.baseOffset + part * layout.strideBytes;
    if (ids == nullptr) {
      for (uint64_t i = 0; i < count; ++i) *cursor++ = base + i * layout.blockBytes;
    } else {
      for (uint64_t i = 0; i < count; ++i) *cursor++ = base + ids[i] * layout.blockBytes;
    }
  }
  list->memories_.push_back(std::move(memory));
  list->uniformBytes_ = layout.blockBytes;
  list->placement_ = layout.baseOffset | layout.blockBytes | (layout.parts > 1 ? layout.strideBytes : 0);
  list->totalBytes_ = layout.blockBytes * list->offsets_.size();
  *out = std::move(list);
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status DescriptorList::fromRuns(std::shared_ptr<Memory> memory, const double* offsets, const double* lengths,
                                uint64_t count, std::shared_ptr<DescriptorList>* out) try {
  if (count > kMaxDescriptors) return tooMany(count);
  const uint64_t regionBytes = memory->bytes();
  auto list = std::make_shared<DescriptorList>();
  list->offsets_.resize(count);
  // Lengths are mostly all the same, and are then one number; a first odd one writes down those before it.
  const uint64_t usual = count != 0 && wholeNumber(lengths[0]) ? static_cast<uint64_t>(lengths[0]) : 0;
  bool uniform = usual != 0;  // a list of empty descriptors says so one by one
  for (uint64_t i = 0; i < count; ++i) {
    if (!wholeNumber(offsets[i]) || !wholeNumber(lengths[i])) {
      return Status::local(KVSEAM_OUT_OF_BOUNDS, "descriptor " + std::to_string(i) + " has offset " +
                                                     asText(offsets[i]) + " and length " + asText(lengths[i]) +
                                                     "; both must be whole numbers from 0 to 2^53");
    }
    const auto offset = static_cast<uint64_t>(offsets[i]);
    const auto length = static_cast<uint64_t>(lengths[i]);
    if (!(length <= regionBytes && offset <= regionBytes - length)) {
      return Status::local(KVSEAM_OUT_OF_BOUNDS, "descriptor " + std::to_string(i) + " (offset " +
                                                     std::to_string(offset) + ", length " + std::to_string(length) +
                                                     ") ends outside region '" + memory->name() + "' of " +
                                                     std::to_string(regionBytes) + " bytes");
    }
    list->offsets_[i] = offset;
    if (length != 0) list->placement_ |= offset | length;
    if (uniform && length != usual) {
      uniform = false;
      list->lengths_.reserve(count);
      list->lengths_.assign(i, usual);
    }
    if (!uniform) list->lengths_.push_back(length);
    if (length > kMaxBytes - list->totalBytes_) return tooLarge();
    list->totalBytes_ += length;
  }
  if (uniform) list->uniformBytes_ = usual;
  list->memories_.push_back(std::move(memory));
  *out = std::move(list);
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

Status DescriptorList::join(const std::vector<std::shared_ptr<DescriptorList>>& lists,
                            std::shared_ptr<DescriptorList>* out) try {
  uint64_t total = 0;
  uint64_t bytes = 0;
  for (const auto& list : lists) {
    total += list->count();
    if (list->totalBytes() > kMaxBytes - bytes) return tooLarge();
    bytes += list->totalBytes();
  }
  if (total > kMaxDescriptors) return tooMany(total);
  auto joined = std::make_shared<DescriptorList>();
  joined->offsets_.reserve(total);
  joined->owner_.reserve(total);
  bool uniform = !lists.empty();
  for (const auto& list : lists)
    uniform = uniform && list->uniformBytes_ != 0 && list->uniformBytes_ == lists[0]->uniformBytes_;
  for (const auto& list : lists) {
    std::vector<uint32_t> owners;
    for (const auto& memory : list->memories_) {
      const auto known = std::find(joined->memories_.begin(), joined->memories_.end(), memory);
      owners.push_back(static_cast<uint32_t>(known - joined->memories_.begin()));
      if (known == joined->memories_.end()) joined->memories_.push_back(memory);
    }
    for (uint64_t i = 0; i < list->count(); ++i) {
      joined->offsets_.push_back(list->offsets_[i]);
      joined->owner_.push_back(owners[list->owner_.empty() ? 0 : list->owner_[i]]);
      if (!uniform) joined->lengths_.push_back(list->length(i));
    }
    joined->totalBytes_ += list->totalBytes_;
    joined->placement_ |= list->placement_;
  }
  if (uniform) joined->uniformBytes_ = lists[0]->uniformBytes_;
  *out = std::move(joined);
  return {};
} catch (const std::bad_alloc&) {
  return Status::noMemory();
}

uint64_t DescriptorList::rangeBytes(uint64_t first, uint64_t count) const {
  if (uniformBytes_ != 0) return uniformBytes_ * count;
  if (first == 0 && count == this->count()) return totalBytes_;
  uint64_t bytes = 0;
  for (uint64_t i = first; i < first + count; ++i) bytes += lengths_[i];
  return bytes;
}

uint64_t DescriptorList::coalescedCount() const {
  uint64_t runs = 0;
  for (uint64_t i = 0; i < count(); ++i) {
    const bool continues = i != 0 && memory(i) == memory(i - 1) && offset(i) == offset(i - 1) + length(i - 1);
    runs += continues ? 0 : 1;
  }
  return runs;
}

bool DescriptorList::live() const {
  return std::all_of(memories_.begin(), memories_.end(), [](const auto& memory) { return memory->live(); });
}

Status DescriptorList::checkPair(const DescriptorList& local, const DescriptorList& remote, uint64_t first,
                                 uint64_t count) {
  if (first > local.count() || count > local.count() - first || first > remote.count() ||
      count > remote.count() - first) {
    return Status::local(KVSEAM_OUT_OF_BOUNDS, "range of " + std::to_string(count) + " descriptors from " +
                                                   std::to_string(first) + " is outside the lists of " +
                                                   std::to_string(local.count()) + " and " +
                                                   std::to_string(remote.count()));
  }
  if (local.uniformBytes_ != 0 && local.uniformBytes_ == remote.uniformBytes_) return {};
  for (uint64_t i = first; i < first + count; ++i) {
    if (local.length(i) != remote.length(i)) {
      return Status::local(KVSEAM_INVALID_DESCRIPTOR, "descriptor " + std::to_string(i) + " has " +
                                                          std::to_string(local.length(i)) + " bytes here and " +
                                                          std::to_string(remote.length(i)) +
                                                          " at the peer; source and destination must match one by one");
    }
  }
  return {};
}

void DescriptorList::mergeRuns(const DescriptorList& local, const DescriptorList& remote, uint64_t first,
                               uint64_t count, std::vector<kvseam_run>* out) {
  out->clear();
  out->reserve(count);  // kept by the transfer slot, so the next transfer of this size allocates nothing
  for (uint64_t i = first; i < first + count; ++i) {
    const uint64_t bytes = local.length(i);
    if (bytes == 0) continue;
    const kvseam_memory* here = &local.memory(i)->backendMemory();
    const kvseam_memory* there = &remote.memory(i)->backendMemory();
    if (!out->empty()) {
      kvseam_run& last = out->back();
      if (last.local == here && last.remote == there && last.local_offset + last.bytes == local.offset(i) &&
          last.remote_offset + last.bytes == remote.offset(i)) {
        last.bytes += bytes;
        continue;
      }
    }
    out->push_back({here, there, local.offset(i), remote.offset(i), bytes});
  }
}

}  // namespace kvseam
