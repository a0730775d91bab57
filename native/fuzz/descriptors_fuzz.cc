// Builds descriptor lists from hostile numbers. Whatever is accepted lies inside its region, by arithmetic that cannot
// overflow, and merging runs neither loses a byte nor leaves the region.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../core/descriptors.h"
#include "../test/memory_for_test.h"

namespace {

using namespace kvseam;
using Wide = unsigned __int128;

void check(bool holds) {
  if (!holds) std::abort();
}

/** Takes numbers off the input; zeros when it is used up. */
class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {}
  template <typename T>
  T take() {
    T value{};
    const size_t count = std::min(sizeof(T), bytes_);
    std::memcpy(&value, data_, count);
    data_ += count;
    bytes_ -= count;
    return value;
  }
  /** Small most of the time, so that lists are often good. */
  uint64_t takeNumber() {
    switch (take<uint8_t>() % 4) {
      case 0:
        return take<uint64_t>();
      case 1:
        return take<uint32_t>();
      default:
        return take<uint16_t>();
    }
  }
  bool empty() const { return bytes_ == 0; }

 private:
  const uint8_t* data_;
  size_t bytes_;
};

void checkInside(const DescriptorList& list, uint64_t regionBytes) {
  Wide total = 0;
  for (uint64_t i = 0; i < list.count(); ++i) {
    check(Wide{list.offset(i)} + list.length(i) <= regionBytes);
    total += list.length(i);
  }
  check(total == list.totalBytes());
  check(list.totalBytes() <= DescriptorList::kMaxBytes);
  check(list.rangeBytes(0, list.count()) == list.totalBytes());
}

std::shared_ptr<DescriptorList> build(Input* input, const std::shared_ptr<MemoryForTest>& memory) {
  std::shared_ptr<DescriptorList> list;
  const uint32_t count = input->take<uint8_t>() % 64;
  if (input->take<uint8_t>() % 2 == 0) {
    BlockLayout layout;
    layout.baseOffset = input->takeNumber();
    layout.strideBytes = input->takeNumber();
    layout.parts = input->take<uint8_t>() % 8;
    layout.blockBytes = input->takeNumber();
    std::vector<uint32_t> ids(count);
    for (uint32_t& id : ids) id = static_cast<uint32_t>(input->takeNumber());
    const bool implicit = input->take<uint8_t>() % 4 == 0;
    const Status status = DescriptorList::fromBlocks(memory, layout, implicit ? nullptr : ids.data(), count, &list);
    if (!status.ok()) return nullptr;
    check(list->count() == uint64_t{count} * layout.parts);
    return list;
  }
  std::vector<double> offsets(count);
  std::vector<double> lengths(count);
  for (uint32_t i = 0; i < count; ++i) {
    const bool raw = input->take<uint8_t>() % 8 == 0;
    offsets[i] = raw ? input->take<double>() : static_cast<double>(input->takeNumber());
    lengths[i] = raw ? input->take<double>() : static_cast<double>(input->takeNumber());
  }
  if (!DescriptorList::fromRuns(memory, offsets.data(), lengths.data(), count, &list).ok()) return nullptr;
  check(list->count() == count);
  return list;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  Input input(data, bytes);
  // No bytes behind it: only the numbers matter, and a region may be larger than this machine.
  const uint64_t regionBytes = input.takeNumber();
  const auto memory = std::make_shared<MemoryForTest>(regionBytes, MemoryForTest::kNotHere);
  std::vector<std::shared_ptr<DescriptorList>> lists;
  while (!input.empty() && lists.size() < 4) {
    std::shared_ptr<DescriptorList> list = build(&input, memory);
    if (list == nullptr) continue;
    checkInside(*list, regionBytes);
    lists.push_back(std::move(list));
  }
  if (lists.size() < 2) return 0;
  std::shared_ptr<DescriptorList> joined;
  if (DescriptorList::join(lists, &joined).ok()) checkInside(*joined, regionBytes);
  const DescriptorList& local = *lists[0];
  const DescriptorList& remote = *lists[1];
  const uint64_t first = input.takeNumber() % (local.count() + 2);
  const uint64_t count = input.takeNumber() % (local.count() + 2);
  for (const DescriptorList* other : {&remote, &local}) {
    if (!DescriptorList::checkPair(local, *other, first, count).ok()) continue;
    std::vector<kvseam_run> runs;
    DescriptorList::mergeRuns(local, *other, first, count, &runs);
    Wide total = 0;
    for (const kvseam_run& run : runs) {
      check(Wide{run.local_offset} + run.bytes <= regionBytes && Wide{run.remote_offset} + run.bytes <= regionBytes);
      total += run.bytes;
    }
    check(total == local.rangeBytes(first, count));
    check(runs.size() <= count);
  }
  return 0;
}
