// What one UCX agent tells another inside the engine's metadata: the addresses of its rails and the keys of its
// regions. UCX reads an address or a packed key without knowing where it ends, so every one of them is measured and has
// a checksum of its own here: damaged bytes never reach UCX. No UCX header is needed, so the fuzzer builds everywhere.
#ifndef KVSEAM_BACKENDS_UCX_UCX_BLOB_H_
#define KVSEAM_BACKENDS_UCX_UCX_BLOB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "../../core/status.h"

namespace kvseam::ucx {

constexpr size_t kMaxRails = 16;

/** Layout, little endian: magic u32, version u16, rails u16, CRC-32C u32 (of all with this field zero), rails x
 * {address str16}. */
struct AddressBlob {
  std::vector<std::string> rails;  // of the workers that serve peers, as ucp_worker_get_address wrote them

  Status write(uint8_t* out, uint32_t* bytes) const;
  static Status read(const uint8_t* data, size_t bytes, AddressBlob* out);
};

/** Where the owner keeps a region that a process of the same machine can map too; all zero where it cannot be. */
struct SharedPlace {
  uint64_t machine = 0;  // this boot of it, and the process namespace that `pid` belongs to
  uint64_t inode = 0;
  int32_t pid = 0;
  int32_t fd = 0;

  bool operator==(const SharedPlace&) const = default;
};

/**
 * Layout: magic u32, version u16, rails u16, CRC-32C u32, region u64, address u64, bytes u64, machine u64, inode u64,
 * pid u32, fd u32, rails x {key str16}.
 */
struct KeyBlob {
  static constexpr const char* kNoKey = "-";  // of a rail over which bytes travel as messages
  uint64_t region = 0;                        // the owner's number; never used twice, so it is the generation as well
  uint64_t address = 0;                       // in the owner's address space
  uint64_t bytes = 0;
  SharedPlace shared;
  std::vector<std::string> rails;  // as ucp_rkey_pack wrote them, or kNoKey

  Status write(uint8_t* out, uint32_t* bytes) const;
  static Status read(const uint8_t* data, size_t bytes, KeyBlob* out);
};

/** What a line says when it dials; the rest of the handshake is in the message's header. */
struct HelloBlob {
  uint16_t localRail = 0;
  uint16_t remoteRail = 0;
  std::string name;
  std::string address;  // of the worker that dials

  std::string write() const;
  static bool read(const std::string& data, HelloBlob* out);
};

/** The answer: which regions are offered now. One that is not listed and not newer than `newest` is gone. */
struct WelcomeBlob {
  uint64_t newest = 0;
  std::vector<uint64_t> offered;

  std::string write() const;
  static bool read(const std::string& data, WelcomeBlob* out);
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_BLOB_H_
