// Socket work of the mock: non-blocking throughout, every queue bounded.
#include "mock_link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "../../core/metadata.h"

namespace kvseam::mock {

namespace {

constexpr uint32_t kMagic = 0x6b766d6c;
constexpr uint16_t kVersion = 2;
constexpr size_t kMaxIncoming = 1024;
constexpr size_t kMaxQueued = 4096;
constexpr int kReadsAWake = 64;  // one busy peer must not starve the others

// Who was dialled from another process says that it lives this often, unasked: nothing else goes that way, so a life
// sign never waits behind messages. Silence for this long is a frozen peer.
constexpr int64_t kBeatNs = 250'000'000;
constexpr int64_t kSilentNs = 1'750'000'000;
constexpr int64_t kStallNs = 20'000'000;  // woken later than this, we stood still ourselves

constexpr uint64_t kListener = 0;
constexpr uint64_t kOutgoing = uint64_t{1} << 32;
constexpr uint64_t kIncoming = uint64_t{2} << 32;

enum Kind : uint16_t { kHello = 1, kWelcome = 2, kNotify = 3, kBeat = 4 };

using Header = LinkHeader;

sockaddr_un addressOf(uint64_t incarnation, socklen_t* length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The leading NUL makes it abstract: nothing to clean up when the process is killed.
  const int written = std::snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "kvseam-mock-%016llx",
                                    static_cast<unsigned long long>(incarnation));
  *length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(written));
  return address;
}

std::string frame(Kind kind, uint64_t incarnation, uint64_t expected, const void* data, size_t bytes) {
  const Header header{kMagic, kVersion, kind, incarnation, expected};
  std::string out(reinterpret_cast<const char*>(&header), sizeof(header));
  out.append(static_cast<const char*>(data), bytes);
  return out;
}

/** Bytes of the message, 0 at the end of the connection, -1 when there is none now. */
ssize_t receive(int fd, char* buffer, size_t bytes, Header* header) {
  const ssize_t got = recv(fd, buffer, bytes, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? -1 : 0;
  if (got < static_cast<ssize_t>(sizeof(Header))) return 0;
  std::memcpy(header, buffer, sizeof(Header));
  return header->magic == kMagic && header->version == kVersion ? got : 0;
}

/** User and process at the other end; of a dialled socket, those that listen. */
bool whoIs(int fd, ucred* who) {
  socklen_t length = sizeof(*who);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &length) == 0;
}

Status failed(const char* what) {
  return {KVSEAM_BACKEND_UNAVAILABLE, KVSEAM_BLAME_local,
          std::string("mock backend: ") + what + ": " + std::strerror(errno), errno};
}

}  // namespace

Links::~Links() { close(); }

Status Links::open(const std::string& agentName, uint64_t incarnation) {
  name_ = agentName;
  incarnation_ = incarnation;
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return failed("epoll_create1");
  listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener_ < 0) return failed("socket");
  socklen_t length = 0;
  const sockaddr_un address = addressOf(incarnation, &length);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0) return failed("bind");
  if (listen(listener_, 128) != 0) return failed("listen");
  if (!watch(listener_, kListener, EPOLLIN, false)) return failed("epoll_ctl");
  return {};
}

void Links::close() {
  for (const Outgoing& link : out_) {
    if (link.fd >= 0) ::close(link.fd);
  }
  out_.clear();
  for (const auto& [fd, link] : in_) ::close(fd);
  in_.clear();
  if (listener_ >= 0) ::close(listener_);
  if (epoll_ >= 0) ::close(epoll_);
  listener_ = epoll_ = -1;
}

bool Links::watch(int fd, uint64_t what, uint32_t events, bool modify) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = what;
  return epoll_ctl(epoll_, modify ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0;
}

Status Links::connect(uint64_t incarnation, uint32_t* peer) {
  socklen_t length = 0;
  const sockaddr_un address = addressOf(incarnation, &length);
  const std::string hello = frame(kHello, incarnation_, incarnation, name_.data(), name_.size());
  const auto number = static_cast<uint32_t>(out_.size());
  if (out_.size() == out_.capacity()) out_.reserve(2 * out_.size() + 8);
  if (news_.capacity() < 2 * out_.size() + 2) news_.reserve(4 * out_.size() + 8);
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("socket");
  // Local sockets connect at once or not at all; EAGAIN is a full backlog at a peer that does not accept.
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      send(fd, hello.data(), hello.size(), MSG_NOSIGNAL) < 0 ||
      !watch(fd, kOutgoing | number, EPOLLIN | EPOLLRDHUP, false)) {
    const int error = errno;
    ::close(fd);
    return {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer,
            std::string("the peer does not accept connections: ") + std::strerror(error), error};
  }
  ucred who{};
  const bool elsewhere = !whoIs(fd, &who) || who.pid != getpid();
  out_.push_back({fd, Outgoing::kConnecting, {}, elsewhere, 0});
  *peer = number;
  return {};
}

void Links::disconnect(uint32_t peer) {
  if (peer >= out_.size() || out_[peer].fd < 0) return;
  ::close(out_[peer].fd);
  out_[peer] = Outgoing{};
}

bool Links::notify(uint32_t peer, const uint8_t* data, uint32_t bytes) {
  if (!up(peer)) return false;
  Outgoing& link = out_[peer];
  std::string message = frame(kNotify, incarnation_, 0, data, bytes);
  if (link.queued.empty() && send(link.fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
    return true;
  if (link.queued.size() >= kMaxQueued) return false;
  link.queued.push_back(std::move(message));
  watch(link.fd, kOutgoing | peer, EPOLLIN | EPOLLRDHUP | EPOLLOUT, true);
  return true;
}

void Links::poll(int64_t nowNs) {
  epoll_event events[32];
  const int count = epoll_wait(epoll_, events, 32, 0);
  for (int i = 0; i < count; ++i) {
    const uint64_t what = events[i].data.u64;
    const auto number = static_cast<uint32_t>(what);
    if (what == kListener) {
      accept();
    } else if ((what & kOutgoing) != 0) {
      if ((events[i].events & EPOLLOUT) != 0) flush(number);
      if ((events[i].events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) readOutgoing(number, nowNs);
    } else {
      readIncoming(static_cast<int>(number), nowNs);
    }
  }
  // Only now: what arrived while we did not look is a sign of life.
  if (nowNs >= dueNs_) tick(nowNs);
}

void Links::tick(int64_t nowNs) {
  // Peers are silent only while we listen: whoever was stopped together with us must not be dead when we wake.
  const int64_t lateNs = nowNs - dueNs_;
  const int64_t excusedNs = lateNs > kStallNs ? lateNs : 0;
  const bool beats = nowNs >= beatNs_;
  if (beats) beatNs_ = nowNs + kBeatNs;
  dueNs_ = std::numeric_limits<int64_t>::max();
  for (uint32_t peer = 0; peer < out_.size(); ++peer) {
    Outgoing& link = out_[peer];
    if (link.state != Outgoing::kUp || !link.elsewhere) continue;
    link.heardNs = std::min(nowNs, link.heardNs + excusedNs);
    if (nowNs - link.heardNs >= kSilentNs) {
      drop(peer, KVSEAM_PEER_DOWN, ETIMEDOUT);
    } else {
      // Not only when its time is up: a stall shows by how late we are, and a long sleep would hide it.
      dueNs_ = std::min({dueNs_, beatNs_, link.heardNs + kSilentNs});
    }
  }
  for (const auto& [fd, link] : in_) {
    if (link.incarnation == 0 || !link.elsewhere) continue;
    dueNs_ = std::min(dueNs_, beatNs_);
    if (!beats) continue;
    const Header beat{kMagic, kVersion, kBeat, incarnation_, link.incarnation};
    // A dialler that does not read for long has a full socket, and will find enough signs of life in it.
    [[maybe_unused]] const ssize_t sent = send(fd, &beat, sizeof(beat), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

void Links::accept() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    ucred who{};
    // Abstract sockets have no file permissions, so the peer's user is checked here.
    const bool same = whoIs(fd, &who) && (who.uid == geteuid() || who.uid == 0);
    if (!same || in_.size() >= kMaxIncoming ||
        !watch(fd, kIncoming | static_cast<uint32_t>(fd), EPOLLIN | EPOLLRDHUP, false)) {
      ::close(fd);
      continue;
    }
    try {
      in_.emplace(fd, Incoming{{}, 0, who.pid != getpid()});
    } catch (const std::bad_alloc&) {
      ::close(fd);  // the peer hears that nobody is here, and may try again
    }
  }
}

void Links::readOutgoing(uint32_t peer, int64_t nowNs) {
  if (peer >= out_.size() || out_[peer].fd < 0) return;
  Outgoing& link = out_[peer];
  char buffer[sizeof(Header) + KVSEAM_NAME_MAX];
  Header header{};
  const ssize_t got = receive(link.fd, buffer, sizeof(buffer), &header);
  if (got < 0) return;
  if (got == 0) return drop(peer, KVSEAM_PEER_DOWN, ECONNRESET);
  link.heardNs = nowNs;
  if (header.kind == kWelcome && header.expected == incarnation_ && link.state == Outgoing::kConnecting) {
    link.state = Outgoing::kUp;
    if (link.elsewhere) dueNs_ = std::min(dueNs_, nowNs + kBeatNs);
    news_.push_back({LinkEvent::Kind::kConnected, peer, KVSEAM_OK, 0, {}, 0, {}});
  }
}

void Links::flush(uint32_t peer) {
  if (peer >= out_.size() || out_[peer].fd < 0) return;
  Outgoing& link = out_[peer];
  while (!link.queued.empty()) {
    const std::string& message = link.queued.front();
    if (send(link.fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
    link.queued.pop_front();
  }
  watch(link.fd, kOutgoing | peer, EPOLLIN | EPOLLRDHUP, true);
}

void Links::drop(uint32_t peer, Code code, int error) {
  const bool connecting = out_[peer].state == Outgoing::kConnecting;
  ::close(out_[peer].fd);
  out_[peer] = Outgoing{};
  news_.push_back({connecting ? LinkEvent::Kind::kConnected : LinkEvent::Kind::kDown, peer, code, error, {}, 0, {}});
}

void Links::readIncoming(int fd, int64_t nowNs) {
  const auto found = in_.find(fd);
  if (found == in_.end()) return;
  Incoming& link = found->second;
  static thread_local char buffer[sizeof(Header) + KVSEAM_NOTIFY_MAX];
  for (int i = 0; i < kReadsAWake; ++i) {
    Header header{};
    const ssize_t got = receive(fd, buffer, sizeof(buffer), &header);
    if (got < 0) return;
    bool keep = got != 0;
    try {
      keep = keep && take(fd, &link, header, buffer + sizeof(Header), static_cast<size_t>(got) - sizeof(Header), nowNs);
    } catch (const std::bad_alloc&) {
      keep = false;  // a message is lost, and the end of the connection says so
    }
    if (!keep) {
      ::close(fd);
      in_.erase(found);
      return;
    }
  }
}

/** False for a message out of place. */
bool Links::take(int fd, Incoming* link, const Header& header, const char* payload, size_t bytes, int64_t nowNs) {
  if (header.kind == kNotify && link->incarnation != 0) {
    mail_.push_back(
        {LinkEvent::Kind::kNotification, 0, KVSEAM_OK, 0, link->name, link->incarnation, std::string(payload, bytes)});
    return true;
  }
  if (header.kind != kHello || link->incarnation != 0 || header.expected != incarnation_ || header.incarnation == 0)
    return false;
  std::string name(payload, bytes);
  if (!validName(name)) return false;
  const std::string welcome = frame(kWelcome, incarnation_, header.incarnation, nullptr, 0);
  if (send(fd, welcome.data(), welcome.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return false;
  link->name = std::move(name);
  link->incarnation = header.incarnation;
  if (link->elsewhere) dueNs_ = std::min(dueNs_, nowNs + kBeatNs);
  return true;
}

bool Links::next(LinkEvent* out) {
  if (newsAt_ != news_.size()) {
    *out = std::move(news_[newsAt_++]);
    if (newsAt_ == news_.size()) {
      news_.clear();
      newsAt_ = 0;
    }
    return true;
  }
  if (mail_.empty()) return false;
  *out = std::move(mail_.front());
  mail_.pop_front();
  return true;
}

}  // namespace kvseam::mock
