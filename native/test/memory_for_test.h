// Memory without a backend: a size to check against and, where a test reads bytes, the bytes.
#ifndef KVSEAM_TEST_MEMORY_FOR_TEST_H_
#define KVSEAM_TEST_MEMORY_FOR_TEST_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "../core/region.h"

namespace kvseam {

class MemoryForTest final : public Memory {
 public:
  enum Where { kHere, kNotHere };

  explicit MemoryForTest(uint64_t bytes, Where where = kHere)
      : MemoryForTest(bytes, std::vector<uint8_t>(where == kHere ? bytes : 0)) {}
  uint8_t* data() { return bytes_.data(); }
  void close() { withdraw(); }

 private:
  MemoryForTest(uint64_t bytes, std::vector<uint8_t> held)
      : Memory(nullptr, {held.empty() ? nullptr : held.data(), bytes, nullptr}, "memory", 1, 1),
        bytes_(std::move(held)) {}
  std::vector<uint8_t> bytes_;
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_MEMORY_FOR_TEST_H_
