// Hostile addresses, keys and handshakes of the UCX backend: whatever the bytes, a status or a blob whose lengths add
// up.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "../backends/ucx/ucx_blob.h"
#include "../core/digest.h"

namespace {

template <typename Blob>
void check(const uint8_t* data, size_t bytes) {
  Blob blob;
  if (!Blob::read(data, bytes, &blob).ok()) return;
  uint8_t out[70'000 * 16];
  uint32_t written = sizeof(out);
  if (!blob.write(out, &written).ok() || written != bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  check<kvseam::ucx::AddressBlob>(data, bytes);
  check<kvseam::ucx::KeyBlob>(data, bytes);
  // The checksum would stop almost everything, so the same bytes come again with a right one.
  if (bytes >= 12) {
    std::string fixed(reinterpret_cast<const char*>(data), bytes);
    fixed.replace(8, 4, 4, '\0');
    const uint32_t crc = kvseam::crc32c(0, reinterpret_cast<const uint8_t*>(fixed.data()), fixed.size());
    for (size_t i = 0; i < 4; ++i) fixed[8 + i] = static_cast<char>(crc >> (8 * i) & 0xff);
    check<kvseam::ucx::AddressBlob>(reinterpret_cast<const uint8_t*>(fixed.data()), fixed.size());
    check<kvseam::ucx::KeyBlob>(reinterpret_cast<const uint8_t*>(fixed.data()), fixed.size());
  }
  const std::string text(reinterpret_cast<const char*>(data), bytes);
  kvseam::ucx::HelloBlob hello;
  if (kvseam::ucx::HelloBlob::read(text, &hello) && hello.write() != text) std::abort();
  kvseam::ucx::WelcomeBlob welcome;
  if (kvseam::ucx::WelcomeBlob::read(text, &welcome) && welcome.write() != text) std::abort();
  return 0;
}
