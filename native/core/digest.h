// Content check of handed-over blocks. CRC-32C (RFC 3720, Castagnoli) finds accidents, not attackers.
#ifndef KVSEAM_CORE_DIGEST_H_
#define KVSEAM_CORE_DIGEST_H_

#include <cstddef>
#include <cstdint>

#include "descriptors.h"

namespace kvseam {

/** Continues `crc` over `bytes` bytes; start with 0. */
uint32_t crc32c(uint32_t crc, const uint8_t* data, size_t bytes);
/** The same by table, for processors without the instruction. */
uint32_t crc32cByTable(uint32_t crc, const uint8_t* data, size_t bytes);
/** CRC-32C over the bytes of descriptors [first, first + count) in list order; local memory only. */
Status digestOf(const DescriptorList& list, uint64_t first, uint64_t count, uint32_t* out);

}  // namespace kvseam
#endif  // KVSEAM_CORE_DIGEST_H_
