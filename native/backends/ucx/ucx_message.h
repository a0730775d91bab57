// Messages between two UCX agents beside the bytes themselves: handshake, life signs, notifications and their
// acknowledgements, withdrawal of regions, farewell.
#ifndef KVSEAM_BACKENDS_UCX_UCX_MESSAGE_H_
#define KVSEAM_BACKENDS_UCX_UCX_MESSAGE_H_

#include <cstdint>
#include <cstring>
#include <string>

namespace kvseam::ucx {

enum class MessageKind : uint16_t {
  kHello = 1,    // dialler: number = its line, payload HelloBlob
  kWelcome = 2,  // server: number = its guest, payload WelcomeBlob
  kRefused = 3,  // server: that incarnation is not here
  kPing = 4,     // dialler, answered with
  kPong = 5,
  kNotify = 6,   // dialler: number = operation, payload for the application, answered with
  kSync = 7,     // dialler: number = operation; like kNotify, for bytes without a notification
  kArrived = 8,  // server: everything before that message is visible here
  kRevoke = 9,   // server: number = region, answered once nothing of the dialler touches it with
  kRevoked = 10,
  kBye = 11,     // both: the agent closes
  kRead = 12,    // dialler: payload ReadItems; each is answered with its bytes, or with
  kUnread = 13,  // server: number = request, value = code
  kReady = 14,   // both, over the connection for the bytes: it carries now
};

struct MessageHeader {
  static constexpr uint32_t kMagic = 0x4d58554b;  // "KUXM"
  static constexpr uint16_t kVersion = 1;
  uint32_t magic = kMagic;
  uint16_t version = kVersion;
  MessageKind kind = MessageKind::kPing;
  uint64_t from = 0;  // incarnation of the sender
  uint64_t to = 0;    // incarnation of the receiver
  uint64_t line = 0;  // the receiver's number for this connection, 0 in kHello
  uint64_t number = 0;
  uint64_t value = 0;  // kNotify, kSync: bytes of the operation that went as messages; kArrived, kUnread: a kvseam_code
};

/** One run of a read that travels as a message. */
struct ReadItem {
  uint64_t request = 0;
  uint64_t region = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

constexpr size_t kMaxReadItems = 256;
// One message takes one of UCX's 64 KiB segments with all its headers.
constexpr uint64_t kMessageBytes = uint64_t{60} << 10;

inline std::string encode(const MessageHeader& header, const std::string& payload) {
  std::string out(reinterpret_cast<const char*>(&header), sizeof(header));
  out.append(payload);
  return out;
}

/** False for what is not of this protocol. */
inline bool decode(const std::string& bytes, MessageHeader* header, std::string* payload) {
  if (bytes.size() < sizeof(*header)) return false;
  std::memcpy(header, bytes.data(), sizeof(*header));
  if (header->magic != MessageHeader::kMagic || header->version != MessageHeader::kVersion) return false;
  payload->assign(bytes, sizeof(*header));
  return true;
}

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_MESSAGE_H_
