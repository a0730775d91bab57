// CRC-32C with the processor's instruction where there is one and a table where there is not; both give the same sums.
#include "digest.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace kvseam {

namespace {

constexpr std::array<uint32_t, 256> makeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = makeTable();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t instructionCrc(uint32_t crc, const uint8_t* data, size_t bytes) {
  uint64_t sum = crc;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    uint64_t word = 0;
    std::memcpy(&word, data, 8);
    sum = _mm_crc32_u64(sum, word);
  }
  auto tail = static_cast<uint32_t>(sum);
  for (; bytes != 0; ++data, --bytes) tail = _mm_crc32_u8(tail, *data);
  return tail;
}
const bool kHasInstruction = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

uint32_t crc32cByTable(uint32_t crc, const uint8_t* data, size_t bytes) {
  crc = ~crc;
  for (size_t i = 0; i < bytes; ++i) crc = (crc >> 8) ^ kTable[(crc ^ data[i]) & 0xff];
  return ~crc;
}

uint32_t crc32c(uint32_t crc, const uint8_t* data, size_t bytes) {
#if defined(__x86_64__)
  if (kHasInstruction) return ~instructionCrc(~crc, data, bytes);
#endif
  return crc32cByTable(crc, data, bytes);
}

Status digestOf(const DescriptorList& list, uint64_t first, uint64_t count, uint32_t* out) {
  if (first > list.count() || count > list.count() - first) {
    return Status::local(KVSEAM_OUT_OF_BOUNDS, "digest range is outside the list");
  }
  uint32_t crc = 0;
  for (uint64_t i = first; i < first + count; ++i) {
    const auto* base = static_cast<const uint8_t*>(list.memory(i)->backendMemory().address);
    if (base == nullptr)
      return Status::local(KVSEAM_NOT_SUPPORTED,
                           "the bytes of region '" + list.memory(i)->name() + "' cannot be read by the host");
    crc = crc32c(crc, base + list.offset(i), list.length(i));
  }
  *out = crc;
  return {};
}

}  // namespace kvseam
