// Writer and hostile-input reader of the metadata blob.
#include "metadata.h"

#include <cstring>
#include <unordered_set>
#include <utility>

#include "digest.h"

namespace kvseam {

namespace {

constexpr size_t kCrcAt = 12;
constexpr size_t kHeaderBytes = 16;

template <typename T>
void put(std::string* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    out->push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xff));
}

template <typename Length>
void putText(std::string* out, const std::string& text) {
  put<Length>(out, static_cast<Length>(text.size()));
  out->append(text);
}

/** A cursor that only moves forward; after the first failure everything it returns is zero and `failed` stays set. */
class Reader {
 public:
  Reader(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {}

  template <typename T>
  T take() {
    if (!need(sizeof(T))) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{data_[at_ + i]} << (8 * i);
    at_ += sizeof(T);
    return static_cast<T>(value);
  }

  template <typename Length>
  std::string takeText(size_t most) {
    const size_t length = take<Length>();
    if (length > most) failed_ = true;
    if (!need(length)) return {};
    std::string text(reinterpret_cast<const char*>(data_ + at_), length);
    at_ += length;
    return text;
  }

  bool failed() const { return failed_; }
  size_t at() const { return at_; }
  size_t left() const { return bytes_ - at_; }

 private:
  bool need(size_t count) {
    if (failed_ || count > bytes_ - at_) failed_ = true;
    return !failed_;
  }
  const uint8_t* data_;
  size_t bytes_;
  size_t at_ = 0;
  bool failed_ = false;
};

Status invalid(const std::string& what) {
  return Status::protocol(KVSEAM_METADATA_INVALID,
                          "metadata refused: " + what + "; fetch it again from the agent itself");
}

}  // namespace

bool validName(const std::string& name) {
  if (name.empty() || name.size() >= KVSEAM_NAME_MAX) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && (c == '\0' || std::strchr("._:@-", c) == nullptr)) return false;  // strchr finds the end mark too
  }
  return true;
}

bool reservedName(const std::string& name) { return name.starts_with("kvseam."); }

Status Metadata::write(std::string* out) const {
  out->clear();
  put<uint32_t>(out, kMagic);
  put<uint16_t>(out, kVersion);
  put<uint16_t>(out, 0);
  put<uint32_t>(out, 0);  // total bytes, known at the end
  put<uint32_t>(out, 0);  // CRC, likewise
  putText<uint8_t>(out, backend);
  putText<uint8_t>(out, agent);
  put<uint64_t>(out, incarnation);
  putText<uint16_t>(out, address);
  put<uint16_t>(out, static_cast<uint16_t>(rails.size()));
  for (const kvseam_rail& rail : rails) {
    putText<uint8_t>(out, rail.name);
    put<uint64_t>(out, rail.bytes_per_second);
    put<uint64_t>(out, static_cast<uint64_t>(rail.base_latency_ns));
  }
  put<uint32_t>(out, static_cast<uint32_t>(regions.size()));
  for (const RegionOffer& region : regions) {
    put<uint64_t>(out, region.serial);
    put<uint64_t>(out, region.bytes);
    putText<uint8_t>(out, region.name);
    putText<uint16_t>(out, region.key);
  }
  if (out->size() > kMaxBytes) {
    return Status::local(KVSEAM_INVALID_ARGUMENT, "metadata of " + std::to_string(regions.size()) + " regions has " +
                                                      std::to_string(out->size()) + " bytes and the limit is " +
                                                      std::to_string(kMaxBytes) + "; offer fewer, larger regions");
  }
  std::string length;
  put<uint32_t>(&length, static_cast<uint32_t>(out->size()));
  out->replace(8, 4, length);
  std::string crc;
  put<uint32_t>(&crc, crc32c(0, reinterpret_cast<const uint8_t*>(out->data()), out->size()));
  out->replace(kCrcAt, 4, crc);
  return {};
}

Status Metadata::read(const uint8_t* data, size_t bytes, Metadata* out) {
  if (bytes < kHeaderBytes) return invalid(std::to_string(bytes) + " bytes are fewer than a header");
  if (bytes > kMaxBytes)
    return invalid(std::to_string(bytes) + " bytes are more than the limit of " + std::to_string(kMaxBytes));
  Reader reader(data, bytes);
  if (reader.take<uint32_t>() != kMagic) return invalid("it does not begin with the KVSM mark");
  const uint16_t version = reader.take<uint16_t>();
  if (version != kVersion) {
    return Status::protocol(KVSEAM_INCOMPATIBLE, "metadata version " + std::to_string(version) +
                                                     ", this build reads version " + std::to_string(kVersion) +
                                                     "; run the same kvseam on both sides");
  }
  if (reader.take<uint16_t>() != 0) return invalid("a reserved field is set");
  const uint32_t total = reader.take<uint32_t>();
  if (total != bytes)
    return invalid("it declares " + std::to_string(total) + " bytes and has " + std::to_string(bytes));
  const uint32_t declared = reader.take<uint32_t>();
  const uint8_t zero[4] = {};
  uint32_t crc = crc32c(0, data, kCrcAt);
  crc = crc32c(crc, zero, 4);
  crc = crc32c(crc, data + kHeaderBytes, bytes - kHeaderBytes);
  if (crc != declared) return invalid("its checksum does not match");

  Metadata parsed;
  parsed.backend = reader.takeText<uint8_t>(KVSEAM_NAME_MAX - 1);
  parsed.agent = reader.takeText<uint8_t>(KVSEAM_NAME_MAX - 1);
  parsed.incarnation = reader.take<uint64_t>();
  parsed.address = reader.takeText<uint16_t>(KVSEAM_ADDRESS_MAX);
  const size_t rails = reader.take<uint16_t>();
  if (reader.failed()) return invalid("it ends inside the header");
  if (!validName(parsed.backend) || !validName(parsed.agent))
    return invalid("a backend or agent name has characters that are not allowed");
  if (parsed.incarnation == 0) return invalid("the incarnation is 0");
  if (rails == 0 || rails > kMaxRails || rails > reader.left() / 17)
    return invalid("it declares " + std::to_string(rails) + " rails");
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < rails; ++i) {
    kvseam_rail rail{};
    const std::string name = reader.takeText<uint8_t>(KVSEAM_NAME_MAX - 1);
    rail.bytes_per_second = reader.take<uint64_t>();
    const uint64_t latency = reader.take<uint64_t>();
    if (reader.failed()) return invalid("it ends inside rail " + std::to_string(i));
    if (!validName(name) || !names.insert(name).second)
      return invalid("rail " + std::to_string(i) + " has a bad or repeated name");
    if (latency > uint64_t{60} * 1'000'000'000)
      return invalid("rail " + std::to_string(i) + " declares a latency above 60 s");
    rail.base_latency_ns = static_cast<int64_t>(latency);
    std::memcpy(rail.name, name.c_str(), name.size() + 1);
    parsed.rails.push_back(rail);
  }
  const size_t regions = reader.take<uint32_t>();
  if (reader.failed()) return invalid("it ends before the regions");
  if (regions > reader.left() / 19)
    return invalid("it declares " + std::to_string(regions) + " regions in " + std::to_string(reader.left()) +
                   " bytes");
  std::unordered_set<uint64_t> serials;
  names.clear();
  for (size_t i = 0; i < regions; ++i) {
    RegionOffer region;
    region.serial = reader.take<uint64_t>();
    region.bytes = reader.take<uint64_t>();
    region.name = reader.takeText<uint8_t>(KVSEAM_NAME_MAX - 1);
    region.key = reader.takeText<uint16_t>(KVSEAM_KEY_MAX);
    if (reader.failed()) return invalid("it ends inside region " + std::to_string(i));
    if (!validName(region.name) || !names.insert(region.name).second || !serials.insert(region.serial).second) {
      return invalid("region " + std::to_string(i) + " has a bad or repeated name or number");
    }
    if (region.bytes == 0 || region.bytes > uint64_t{1} << 53)
      return invalid("region " + std::to_string(i) + " has an impossible size");
    parsed.regions.push_back(std::move(region));
  }
  if (reader.left() != 0) return invalid(std::to_string(reader.left()) + " bytes follow the end");
  *out = std::move(parsed);
  return {};
}

}  // namespace kvseam
