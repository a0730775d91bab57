// What one agent tells another: who it is, how to reach it, which regions it offers. The reader treats every byte as
// hostile: one forward cursor, every count checked against the bytes that are left, nothing kept on failure.
#ifndef KVSEAM_CORE_METADATA_H_
#define KVSEAM_CORE_METADATA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "backend.h"
#include "status.h"

namespace kvseam {

struct RegionOffer {
  uint64_t serial = 0;
  uint64_t bytes = 0;
  std::string name;
  std::string key;  // the backend's own, opaque here
};

struct Metadata {
  // Layout, little endian: magic u32, version u16, reserved u16, total bytes u32, CRC-32C u32 (of the whole blob with
  // this field zero), backend str8, agent str8, incarnation u64, address str16, rails u16 x {name str8, bytes/s u64,
  // latency ns u64}, regions u32 x {serial u64, bytes u64, name str8, key str16}.
  static constexpr uint32_t kMagic = 0x4d53564b;  // "KVSM"
  static constexpr uint16_t kVersion = 1;
  static constexpr size_t kMaxBytes = size_t{1} << 20;
  static constexpr size_t kMaxRails = 256;

  std::string backend;
  std::string agent;
  uint64_t incarnation = 0;
  std::string address;  // the backend's own, opaque here
  std::vector<kvseam_rail> rails;
  std::vector<RegionOffer> regions;

  Status write(std::string* out) const;
  static Status read(const uint8_t* data, size_t bytes, Metadata* out);
};

/** Names that cross process borders: 1 to 63 of A-Z a-z 0-9 . _ : @ - so that they are safe in paths and logs. */
bool validName(const std::string& name);
/** Region names that the engine keeps for itself: those that begin with `kvseam.`. */
bool reservedName(const std::string& name);

}  // namespace kvseam
#endif  // KVSEAM_CORE_METADATA_H_
