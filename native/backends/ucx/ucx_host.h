// The serving side of an agent: who has dialled us, answers to them, and the word to each of them that a region is
// gone. Progress thread only.
#ifndef KVSEAM_BACKENDS_UCX_UCX_HOST_H_
#define KVSEAM_BACKENDS_UCX_UCX_HOST_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ucx_memory.h"
#include "ucx_message.h"
#include "ucx_rail.h"

namespace kvseam::ucx {

/** A notification for the application. */
struct Delivery {
  std::string name;
  uint64_t incarnation = 0;
  std::string data;
};

class Host final : public ByteSink {
 public:
  // Longer than a dialler waits for us: it has stopped asking by then.
  static constexpr int64_t kSilentNs = 4'000'000'000;
  static constexpr int64_t kDistrustNs = 60'000'000'000;  // UCX's keepalive has closed a dead connection by then
  static constexpr size_t kMaxGuests = 4096;
  // A guest asks within its windows; one that goes beyond this is none of ours.
  static constexpr uint32_t kMaxSending = 4096;
  static constexpr size_t kMaxWriting = 65'536;

  Host(uint64_t incarnation, OwnRegions* regions) : incarnation_(incarnation), regions_(regions) {}

  void take(Worker* worker, const Inbound& message, int64_t nowNs);
  /** What a guest writes. */
  void bytes(const ByteHeader& header, const uint8_t* data, size_t count) override;
  /** Told regions, broken connections, silence. Returns true while something is under way. */
  bool tick(int64_t nowNs);
  /** After a stall of our own nobody is silent. */
  void excuse(int64_t nowNs);
  std::deque<Delivery>& deliveries() { return deliveries_; }
  size_t guests() const { return guests_.size(); }
  /** Says goodbye to everybody; their connections are closed by `leave`. */
  void sayGoodbye();
  bool goodbyeSaid();
  void leave();

 private:
  /** An operation of a guest that writes: how much has arrived, and what it wants to hear when that is all. */
  struct Writing {
    uint64_t bytes = 0;
    uint64_t code = KVSEAM_OK;
    bool asked = false;
    bool notify = false;
    uint64_t expected = 0;
    std::string payload;
  };
  struct Guest {
    std::string name;
    uint64_t incarnation = 0;
    uint64_t line = 0;  // the dialler's number
    uint32_t localRail = 0;
    uint32_t theirRail = 0;
    std::unique_ptr<Endpoint> back;
    std::string address;
    std::unique_ptr<Endpoint> data;  // carries what it reads
    uint32_t sending = 0;
    bool wild = false;                    // it does what no kvseam does
    std::map<uint64_t, Writing> writing;  // by its number of the operation
    int64_t lastHeardNs = 0;
    std::set<uint64_t> owed;  // regions it has not answered for
  };
  void welcome(Worker* worker, const MessageHeader& header, const std::string& payload, uint32_t rail, int64_t nowNs);
  /** `over`: another connection than the one for words. */
  void say(Guest* guest, MessageKind kind, uint64_t number, const std::string& payload = {}, uint64_t value = 0,
           Endpoint* over = nullptr);
  struct Sending;
  void wantsToKnow(Guest* guest, const MessageHeader& header, std::string payload);
  void answerIfAll(Guest* guest, uint64_t number);
  void read(uint64_t number, Guest* guest, const std::string& payload);
  void send(uint64_t number, Guest* guest, const ReadItem& item, OwnMemory* memory);
  void sendPack(uint64_t number, Guest* guest);
  bool openData(Guest* guest);
  void hold(Guest* guest, void* request, std::unique_ptr<Sending> sending);
  void write(Writing* writing, uint64_t region, uint64_t offset, const uint8_t* data, uint64_t count);
  void sent(uint64_t guest, OwnMemory* memory);
  static void onSent(void* request, ucs_status_t status, void* sending);
  void tellRevoked();
  void drop(std::map<uint64_t, Guest>::iterator guest, bool silent, int64_t nowNs);

  uint64_t incarnation_;
  OwnRegions* regions_;
  std::map<uint64_t, Guest> guests_;
  std::vector<PackedRun> packed_;  // of the read that is being answered
  std::string packedBytes_;
  uint64_t nextGuest_ = 1;
  std::deque<Delivery> deliveries_;
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_HOST_H_
