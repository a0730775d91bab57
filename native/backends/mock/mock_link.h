// Connections between mock agents: sequenced-packet sockets in the abstract namespace. They carry the handshake and
// notifications. Their end is the news that the peer's process is gone, and silence that it is frozen.
#ifndef KVSEAM_BACKENDS_MOCK_MOCK_LINK_H_
#define KVSEAM_BACKENDS_MOCK_MOCK_LINK_H_

#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "../../core/status.h"

namespace kvseam::mock {

struct LinkEvent {
  enum class Kind { kConnected, kDown, kNotification };
  Kind kind = Kind::kDown;
  uint32_t peer = 0;  // of kConnected and kDown
  Code code = KVSEAM_OK;
  int error = 0;
  std::string name;  // of the sender
  uint64_t incarnation = 0;
  std::string data;
};

/** What every message begins with. */
struct LinkHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t kind;
  uint64_t incarnation;  // of the sender
  uint64_t expected;     // of the receiver
};

class Links {
 public:
  Links() = default;
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;
  Status open(const std::string& agentName, uint64_t incarnation);
  void close();

  Status connect(uint64_t incarnation, uint32_t* peer);
  void disconnect(uint32_t peer);
  bool up(uint32_t peer) const { return peer < out_.size() && out_[peer].state == Outgoing::kUp; }
  /** False when the peer is down or its queue here is full. */
  bool notify(uint32_t peer, const uint8_t* data, uint32_t bytes);
  /** Looks at the sockets without waiting; news goes to events(). */
  void poll(int64_t nowNs);
  /** Number that the next peer will have. */
  uint32_t nextPeer() const { return static_cast<uint32_t>(out_.size()); }
  /** When poll() is due although no socket says so; INT64_MAX: never. */
  int64_t dueNs() const { return dueNs_; }
  /** Takes the next news; false when there is none. */
  bool next(LinkEvent* out);
  bool newsWaiting() const { return !news_.empty() || !mail_.empty(); }
  int waitFd() const { return epoll_; }

 private:
  struct Outgoing {
    enum State { kConnecting, kUp, kDown };
    int fd = -1;
    State state = kDown;
    std::list<std::string> queued;  // the socket was full
    bool elsewhere = false;         // in another process, which may freeze without this one
    int64_t heardNs = 0;
  };
  struct Incoming {
    std::string name;
    uint64_t incarnation = 0;
    bool elsewhere = false;
  };
  void accept();
  void readOutgoing(uint32_t peer, int64_t nowNs);
  void flush(uint32_t peer);
  void drop(uint32_t peer, Code code, int error);
  void readIncoming(int fd, int64_t nowNs);
  bool take(int fd, Incoming* link, const LinkHeader& header, const char* payload, size_t bytes, int64_t nowNs);
  void tick(int64_t nowNs);
  bool watch(int fd, uint64_t what, uint32_t events, bool modify);

  std::string name_;
  uint64_t incarnation_ = 0;
  int epoll_ = -1;
  int listener_ = -1;
  std::vector<Outgoing> out_;
  std::unordered_map<int, Incoming> in_;
  // Of dialled peers, at most two each: room for them is taken when they are dialled.
  std::vector<LinkEvent> news_;
  size_t newsAt_ = 0;
  std::deque<LinkEvent> mail_;
  int64_t beatNs_ = 0;  // when the next life sign is due
  int64_t dueNs_ = std::numeric_limits<int64_t>::max();
};

}  // namespace kvseam::mock
#endif  // KVSEAM_BACKENDS_MOCK_MOCK_LINK_H_
