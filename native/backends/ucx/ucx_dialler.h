// The dialling side of an agent: its peers, the lines to them, and who is to blame when one breaks. Progress thread
// only, except where it says otherwise.
#ifndef KVSEAM_BACKENDS_UCX_UCX_DIALLER_H_
#define KVSEAM_BACKENDS_UCX_UCX_DIALLER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ucx_carrier.h"

namespace kvseam::ucx {

class Dialler {
 public:
  Dialler(std::string name, uint64_t incarnation, Rails* rails, Carrier* carrier)
      : name_(std::move(name)), incarnation_(incarnation), rails_(rails), carrier_(carrier) {}
  ~Dialler();
  Dialler(const Dialler&) = delete;
  Dialler& operator=(const Dialler&) = delete;

  // Any thread: keys of peers' regions.
  PeerMemory* import(uint64_t owner, KeyBlob key, std::unique_ptr<mock::Mapping> shared);
  void drop(PeerMemory* memory);

  Status connect(const kvseam_peer_info& info, AddressBlob addresses, int64_t nowNs, uint32_t* peer);
  void disconnect(uint32_t peer);
  Status post(const kvseam_op& op, int64_t nowNs);
  void take(const Inbound& message, int64_t nowNs);
  /** Hands over more; true when more could be handed over at once. */
  bool pump(int64_t nowNs);
  /** Life signs, broken lines, redials. True while something is under way that has to be looked at soon. */
  bool tick(int64_t nowNs);
  void excuse(int64_t nowNs);
  bool moving() const;
  std::deque<kvseam_event>& events() { return events_; }
  uint64_t linesUp() const;

  void sayGoodbye();
  bool goodbyeSaid();
  void leave();

 private:
  struct Peer {
    enum class State { kConnecting, kUp, kDown };
    std::string name;
    uint64_t incarnation = 0;
    AddressBlob addresses;
    State state = State::kConnecting;
    int64_t connectedSinceNs = 0;
    std::map<std::pair<uint32_t, uint32_t>, Line*> lines;
    WelcomeBlob welcome;
    std::set<uint64_t> revoked;
  };
  struct Revocation {
    uint64_t line;
    uint64_t region;
  };
  Line* lineOf(uint32_t peer, uint32_t localRail, uint32_t remoteRail, int64_t nowNs);
  void dial(Line* line, int64_t nowNs);
  bool sayBye(Line* line);
  void say(Line* line, MessageKind kind, uint64_t number, const std::string& payload = {});
  void welcomed(Line* line, const MessageHeader& header, const std::string& payload);
  void lost(Line* line, Status why, int64_t nowNs, int64_t patienceNs);
  void suspect(Line* line, int64_t nowNs, int64_t patienceNs);
  void tickLine(Line* line, int64_t nowNs);
  void judge(uint32_t number, Peer* peer, int64_t nowNs);
  void peerDown(uint32_t number, Peer* peer, const Status& why);
  void answerConnect(uint32_t number, Peer* peer, int64_t nowNs);
  bool gone(const Peer& peer, const PeerMemory& memory) const;
  void answerRevocations();
  void forgetDropped();

  std::string name_;
  uint64_t incarnation_;
  Rails* rails_;
  Carrier* carrier_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::unordered_map<uint64_t, std::unique_ptr<Line>> lines_;
  uint64_t nextLine_ = 1;
  std::vector<Revocation> revocations_;  // not answered yet
  std::deque<kvseam_event> events_;

  std::mutex memoryMutex_;
  std::set<PeerMemory*> memories_;
  std::vector<PeerMemory*> dropped_;
};

}  // namespace kvseam::ucx
#endif  // KVSEAM_BACKENDS_UCX_UCX_DIALLER_H_
