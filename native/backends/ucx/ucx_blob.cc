// Writers and hostile-input readers of the UCX backend's blobs: one forward cursor, counts checked against what is
// left.
#include "ucx_blob.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../../core/digest.h"
#include "../../core/metadata.h"

namespace kvseam::ucx {

namespace {

constexpr uint32_t kAddressMagic = 0x4158554b;  // "KUXA"
constexpr uint32_t kKeyMagic = 0x4b58554b;      // "KUXK"
constexpr uint16_t kVersion = 1;
constexpr size_t kCrcAt = 8;
constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxOffered = size_t{1} << 16;

template <typename T>
void put(std::string* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    out->push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xff));
}

void putText(std::string* out, const std::string& text) {
  put<uint16_t>(out, static_cast<uint16_t>(text.size()));
  out->append(text);
}

class Reader {
 public:
  Reader(const void* data, size_t bytes) : data_(static_cast<const uint8_t*>(data)), left_(bytes) {}
  template <typename T>
  T take() {
    if (!need(sizeof(T))) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{data_[i]} << (8 * i);
    skip(sizeof(T));
    return static_cast<T>(value);
  }
  std::string takeText() {
    const size_t length = take<uint16_t>();
    if (length == 0) failed_ = true;  // no address and no key is empty
    if (!need(length)) return {};
    std::string text(reinterpret_cast<const char*>(data_), length);
    skip(length);
    return text;
  }
  bool failed() const { return failed_; }
  size_t left() const { return left_; }

 private:
  bool need(size_t count) {
    if (failed_ || count > left_) failed_ = true;
    return !failed_;
  }
  void skip(size_t count) {
    data_ += count;
    left_ -= count;
  }
  const uint8_t* data_;
  size_t left_;
  bool failed_ = false;
};

Status invalid(const char* what, const std::string& why) {
  return Status::protocol(KVSEAM_METADATA_INVALID,
                          std::string("the ucx ") + what + " is malformed (" + why + "); fetch the metadata again");
}

std::string begin(uint32_t magic, size_t rails) {
  std::string out;
  put<uint32_t>(&out, magic);
  put<uint16_t>(&out, kVersion);
  put<uint16_t>(&out, static_cast<uint16_t>(rails));
  put<uint32_t>(&out, 0);
  return out;
}

Status finish(const char* what, std::string blob, uint8_t* out, uint32_t* bytes) {
  if (blob.size() > *bytes) {
    return Status::local(KVSEAM_NOT_SUPPORTED, std::string("the ucx ") + what + " has " + std::to_string(blob.size()) +
                                                   " bytes and the limit is " + std::to_string(*bytes) +
                                                   "; open the agent with fewer rails");
  }
  std::string crc;
  put<uint32_t>(&crc, crc32c(0, reinterpret_cast<const uint8_t*>(blob.data()), blob.size()));
  blob.replace(kCrcAt, crc.size(), crc);
  std::copy(blob.begin(), blob.end(), out);
  *bytes = static_cast<uint32_t>(blob.size());
  return {};
}

Status checkHeader(const char* what, uint32_t magic, const uint8_t* data, size_t bytes, size_t* rails) {
  if (bytes < kHeaderBytes) return invalid(what, "it is shorter than its header");
  Reader reader(data, bytes);
  if (reader.take<uint32_t>() != magic) return invalid(what, "it begins with another mark");
  const uint16_t version = reader.take<uint16_t>();
  if (version != kVersion) {
    return Status::protocol(KVSEAM_INCOMPATIBLE, std::string("the ucx ") + what + " has version " +
                                                     std::to_string(version) + " and this build reads version " +
                                                     std::to_string(kVersion) + "; run the same kvseam on both sides");
  }
  *rails = reader.take<uint16_t>();
  const uint32_t declared = reader.take<uint32_t>();
  const uint8_t zero[4] = {};
  uint32_t crc = crc32c(0, data, kCrcAt);
  crc = crc32c(crc, zero, sizeof(zero));
  crc = crc32c(crc, data + kHeaderBytes, bytes - kHeaderBytes);
  if (crc != declared) return invalid(what, "its checksum does not match");
  if (*rails == 0 || *rails > kMaxRails) return invalid(what, "it declares " + std::to_string(*rails) + " rails");
  return {};
}

}  // namespace

Status AddressBlob::write(uint8_t* out, uint32_t* bytes) const {
  std::string blob = begin(kAddressMagic, rails.size());
  for (const std::string& rail : rails) putText(&blob, rail);
  return finish("address", std::move(blob), out, bytes);
}

Status AddressBlob::read(const uint8_t* data, size_t bytes, AddressBlob* out) {
  size_t count = 0;
  Status status = checkHeader("address", kAddressMagic, data, bytes, &count);
  if (!status.ok()) return status;
  Reader reader(data + kHeaderBytes, bytes - kHeaderBytes);
  AddressBlob parsed;
  for (size_t i = 0; i < count; ++i) parsed.rails.push_back(reader.takeText());
  if (reader.failed() || reader.left() != 0) return invalid("address", "its lengths do not add up");
  *out = std::move(parsed);
  return {};
}

Status KeyBlob::write(uint8_t* out, uint32_t* bytesOut) const {
  std::string blob = begin(kKeyMagic, rails.size());
  put<uint64_t>(&blob, region);
  put<uint64_t>(&blob, address);
  put<uint64_t>(&blob, bytes);
  put<uint64_t>(&blob, shared.machine);
  put<uint64_t>(&blob, shared.inode);
  put<uint32_t>(&blob, static_cast<uint32_t>(shared.pid));
  put<uint32_t>(&blob, static_cast<uint32_t>(shared.fd));
  for (const std::string& rail : rails) putText(&blob, rail);
  return finish("key of a region", std::move(blob), out, bytesOut);
}

Status KeyBlob::read(const uint8_t* data, size_t size, KeyBlob* out) {
  size_t count = 0;
  Status status = checkHeader("key of a region", kKeyMagic, data, size, &count);
  if (!status.ok()) return status;
  Reader reader(data + kHeaderBytes, size - kHeaderBytes);
  KeyBlob parsed;
  parsed.region = reader.take<uint64_t>();
  parsed.address = reader.take<uint64_t>();
  parsed.bytes = reader.take<uint64_t>();
  parsed.shared.machine = reader.take<uint64_t>();
  parsed.shared.inode = reader.take<uint64_t>();
  parsed.shared.pid = static_cast<int32_t>(reader.take<uint32_t>());
  parsed.shared.fd = static_cast<int32_t>(reader.take<uint32_t>());
  for (size_t i = 0; i < count; ++i) parsed.rails.push_back(reader.takeText());
  if (reader.failed() || reader.left() != 0) return invalid("key of a region", "its lengths do not add up");
  if (parsed.region == 0 || parsed.address == 0 || parsed.bytes == 0 || parsed.address > UINT64_MAX - parsed.bytes) {
    return invalid("key of a region", "it names memory that cannot be");
  }
  if (parsed.shared.pid < 0 || parsed.shared.fd < 0)
    return invalid("key of a region", "it names a process that cannot be");
  *out = std::move(parsed);
  return {};
}

std::string HelloBlob::write() const {
  std::string out;
  put<uint16_t>(&out, localRail);
  put<uint16_t>(&out, remoteRail);
  putText(&out, name);
  putText(&out, address);
  return out;
}

bool HelloBlob::read(const std::string& data, HelloBlob* out) {
  Reader reader(data.data(), data.size());
  out->localRail = reader.take<uint16_t>();
  out->remoteRail = reader.take<uint16_t>();
  out->name = reader.takeText();
  out->address = reader.takeText();
  return !reader.failed() && reader.left() == 0 && validName(out->name);
}

std::string WelcomeBlob::write() const {
  std::string out;
  put<uint64_t>(&out, newest);
  put<uint32_t>(&out, static_cast<uint32_t>(offered.size()));
  for (const uint64_t region : offered) put<uint64_t>(&out, region);
  return out;
}

bool WelcomeBlob::read(const std::string& data, WelcomeBlob* out) {
  Reader reader(data.data(), data.size());
  out->newest = reader.take<uint64_t>();
  const size_t count = reader.take<uint32_t>();
  if (reader.failed() || count > kMaxOffered || count * sizeof(uint64_t) != reader.left()) return false;
  out->offered.clear();
  for (size_t i = 0; i < count; ++i) out->offered.push_back(reader.take<uint64_t>());
  return true;
}

}  // namespace kvseam::ucx
