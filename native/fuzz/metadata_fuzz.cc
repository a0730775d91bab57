// Reads hostile metadata. Each input is read as it comes and once more with a header that fits, since a fuzzer does not
// guess checksums. What is accepted must be written back byte for byte: nothing is ignored and nothing is invented.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "../core/digest.h"
#include "../core/metadata.h"

namespace {

using kvseam::Metadata;

constexpr size_t kLengthAt = 8;
constexpr size_t kCrcAt = 12;
constexpr size_t kHeaderBytes = 16;

void readAndWriteBack(const uint8_t* data, size_t bytes) {
  Metadata metadata;
  if (!Metadata::read(data, bytes, &metadata).ok()) return;
  std::string again;
  if (!metadata.write(&again).ok()) std::abort();
  if (again.size() != bytes || std::memcmp(again.data(), data, bytes) != 0) std::abort();
}

void putNumber(std::string* out, size_t at, uint32_t value) {
  for (size_t i = 0; i < sizeof(value); ++i) (*out)[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  readAndWriteBack(data, bytes);
  if (bytes < kHeaderBytes) return 0;
  std::string mended(reinterpret_cast<const char*>(data), bytes);
  putNumber(&mended, 0, Metadata::kMagic);
  putNumber(&mended, 4, Metadata::kVersion);
  putNumber(&mended, kLengthAt, static_cast<uint32_t>(bytes));
  putNumber(&mended, kCrcAt, 0);
  const auto* const start = reinterpret_cast<const uint8_t*>(mended.data());
  putNumber(&mended, kCrcAt, kvseam::crc32c(0, start, bytes));
  readAndWriteBack(start, bytes);
  return 0;
}
