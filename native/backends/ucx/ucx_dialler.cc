// Handshakes, life signs and verdicts of the dialling side.
#include "ucx_dialler.h"

#include <algorithm>

#include "ucx_codes.h"
#include "ucx_status.h"

namespace kvseam::ucx {

namespace {

constexpr int64_t kDialNs = 2'000'000'000;           // a line that is not answered in this time is down
constexpr int64_t kOthersMayFollowNs = 500'000'000;  // one line stands: the peer is connected after this at the latest
constexpr int64_t kRedialNs = 500'000'000;
// One line of a peer broke: if the peer died, the others break within this. Silence is noticed ping by ping.
constexpr int64_t kBrokenPatienceNs = 60'000'000;
constexpr int64_t kSilencePatienceNs = 2 * kPingNs;

Status silentStatus() {
  return {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "the peer has given no sign of life", kCodeSilent};
}

}  // namespace

Dialler::~Dialler() {
  for (PeerMemory* const memory : memories_) delete memory;
}

PeerMemory* Dialler::import(uint64_t owner, KeyBlob key, std::unique_ptr<mock::Mapping> shared) {
  auto memory = std::make_unique<PeerMemory>();
  memory->owner = owner;
  memory->key = std::move(key);
  memory->shared = std::move(shared);
  const std::lock_guard<std::mutex> lock(memoryMutex_);
  memories_.insert(memory.get());
  return memory.release();
}

void Dialler::drop(PeerMemory* memory) {
  const std::lock_guard<std::mutex> lock(memoryMutex_);
  dropped_.push_back(memory);
}

void Dialler::forgetDropped() {
  std::vector<PeerMemory*> dropped;
  {
    const std::lock_guard<std::mutex> lock(memoryMutex_);
    if (dropped_.empty()) return;
    // Something that never quiesced may still be on its way from it.
    const auto free = std::partition(dropped_.begin(), dropped_.end(),
                                     [](const PeerMemory* memory) { return memory->outstanding != 0; });
    dropped.assign(free, dropped_.end());
    dropped_.erase(free, dropped_.end());
    for (PeerMemory* const memory : dropped) memories_.erase(memory);
  }
  std::vector<Line*> lines;
  lines.reserve(lines_.size());
  for (const auto& [number, line] : lines_) lines.push_back(line.get());
  for (PeerMemory* const memory : dropped) {
    carrier_->forget(memory, lines);
    delete memory;
  }
}

Status Dialler::connect(const kvseam_peer_info& info, AddressBlob addresses, int64_t nowNs, uint32_t* out) {
  const auto number = static_cast<uint32_t>(peers_.size());
  auto peer = std::make_unique<Peer>();
  peer->name = info.name;
  peer->incarnation = info.incarnation;
  peer->addresses = std::move(addresses);
  const size_t pairs = std::min(rails_->size(), peer->addresses.rails.size());
  peers_.push_back(std::move(peer));
  for (uint32_t i = 0; i < pairs; ++i) lineOf(number, i, i, nowNs);
  *out = number;
  return {};
}

Line* Dialler::lineOf(uint32_t number, uint32_t localRail, uint32_t remoteRail, int64_t nowNs) {
  Peer& peer = *peers_[number];
  Line*& line = peer.lines[{localRail, remoteRail}];
  if (line != nullptr) return line;
  auto owned = std::make_unique<Line>();
  line = owned.get();
  line->number = nextLine_++;
  line->peer = number;
  line->localRail = localRail;
  line->remoteRail = remoteRail;
  line->address = &peer.addresses.rails[remoteRail];
  lines_[line->number] = std::move(owned);
  dial(line, nowNs);
  return line;
}

void Dialler::dial(Line* line, int64_t nowNs) {
  line->state = Line::State::kDialling;
  line->dialledNs = line->heardNs = line->pingedNs = nowNs;
  line->guest = 0;
  line->broken = Status();
  Worker& worker = (*rails_)[line->localRail]->dialling();
  const Status status = Endpoint::create(&worker, *line->address, &line->control);
  if (!status.ok()) return lost(line, status, nowNs, kBrokenPatienceNs);
  HelloBlob hello;
  hello.localRail = static_cast<uint16_t>(line->localRail);
  hello.remoteRail = static_cast<uint16_t>(line->remoteRail);
  hello.name = name_;
  hello.address = worker.address();
  say(line, MessageKind::kHello, line->number, hello.write());
}

void Dialler::say(Line* line, MessageKind kind, uint64_t number, const std::string& payload) {
  MessageHeader header;
  header.kind = kind;
  header.from = incarnation_;
  header.to = peers_[line->peer]->incarnation;
  header.line = line->guest;
  header.number = number;
  const Status status = line->control->send(encode(header, payload));
  if (!status.ok() && line->broken.ok()) line->broken = status;
}

void Dialler::take(const Inbound& message, int64_t nowNs) {
  MessageHeader header;
  std::string payload;
  if (!decode(message.bytes, &header, &payload) || header.to != incarnation_) return;
  const auto found = lines_.find(header.line);
  if (found == lines_.end()) return;
  Line* const line = found->second.get();
  Peer& peer = *peers_[line->peer];
  if (header.kind == MessageKind::kRefused && line->state == Line::State::kDialling) {
    return lost(
        line,
        {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "another life of the agent answers at this address", kCodeOtherLife},
        nowNs, kBrokenPatienceNs);
  }
  if (header.from != peer.incarnation || line->control == nullptr) return;
  line->heardNs = nowNs;
  switch (header.kind) {
    case MessageKind::kWelcome:
      if (line->state == Line::State::kDialling && line->guest == 0) welcomed(line, header, payload);
      break;
    case MessageKind::kReady:
      if (line->state == Line::State::kDialling && line->data != nullptr) {
        line->data->endpoint->proved();
        line->state = Line::State::kUp;
      }
      break;
    case MessageKind::kArrived:
      carrier_->arrived(header.from, header.number, header.value);
      break;
    case MessageKind::kUnread:
      carrier_->unread(header.from, header.number, header.value);
      break;
    case MessageKind::kRevoke: {
      peer.revoked.insert(header.number);
      revocations_.push_back({line->number, header.number});
      const std::lock_guard<std::mutex> lock(memoryMutex_);
      for (PeerMemory* const memory : memories_) {
        if (memory->owner == header.from && memory->key.region == header.number) memory->withdrawn = true;
      }
      break;
    }
    case MessageKind::kBye:
      peerDown(line->peer, &peer, {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "the peer has closed its agent", kCodeGoodbye});
      break;
    default:
      break;
  }
}

void Dialler::welcomed(Line* line, const MessageHeader& header, const std::string& payload) {
  Peer& peer = *peers_[line->peer];
  WelcomeBlob welcome;
  if (!WelcomeBlob::read(payload, &welcome)) return;
  std::sort(welcome.offered.begin(), welcome.offered.end());
  if (welcome.newest >= peer.welcome.newest) peer.welcome = std::move(welcome);
  line->guest = header.number;
  line->control->proved();
  {
    const std::lock_guard<std::mutex> lock(memoryMutex_);
    for (PeerMemory* const memory : memories_) {
      if (memory->owner == peer.incarnation && gone(peer, *memory)) memory->withdrawn = true;
    }
  }
  // Only when both ends have spoken over it is UCX done with setting it up; a process that loses its peer before may
  // abort.
  if (!carrier_->open(line)) return;
  MessageHeader ready;
  ready.kind = MessageKind::kReady;
  ready.from = incarnation_;
  ready.to = peer.incarnation;
  ready.line = line->guest;
  const Status status = line->data->endpoint->send(encode(ready, {}));
  if (!status.ok()) line->broken = status;
}

/** The peer said so, or had it no longer when we met. Asking for it could crash the peer. */
bool Dialler::gone(const Peer& peer, const PeerMemory& memory) const {
  const uint64_t region = memory.key.region;
  if (peer.revoked.contains(region)) return true;
  return region <= peer.welcome.newest &&
         !std::binary_search(peer.welcome.offered.begin(), peer.welcome.offered.end(), region);
}

Status Dialler::post(const kvseam_op& op, int64_t nowNs) {
  if (op.peer >= peers_.size() || peers_[op.peer]->state != Peer::State::kUp) {
    return {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "the peer is down", 0};
  }
  Peer& peer = *peers_[op.peer];
  if (op.local_rail >= rails_->size() || op.remote_rail >= peer.addresses.rails.size()) {
    return {KVSEAM_NO_PATH, KVSEAM_BLAME_local, "no such rail", 0};
  }
  const kvseam_memory* known = nullptr;
  for (uint64_t i = 0; i < op.run_count; ++i) {
    if (op.runs[i].remote == known) continue;
    known = op.runs[i].remote;
    auto* const memory = static_cast<PeerMemory*>(known->handle);
    memory->withdrawn = memory->withdrawn || gone(peer, *memory);
    if (memory->withdrawn)
      return {KVSEAM_STALE_REGION, KVSEAM_BLAME_peer, "the peer has withdrawn the region", kCodeWithdrawn};
  }
  Line* const line = lineOf(op.peer, op.local_rail, op.remote_rail, nowNs);
  if (line->state == Line::State::kDown)
    return {KVSEAM_NO_PATH, KVSEAM_BLAME_path, line->why.text(), line->why.backendCode()};
  carrier_->begin(op, peer.incarnation, line, nowNs);
  return {};
}

bool Dialler::pump(int64_t nowNs) {
  bool more = false;
  for (const auto& [number, line] : lines_) {
    if (!line->moving.empty()) more = carrier_->pump(line.get(), nowNs) || more;
  }
  return more;
}

bool Dialler::moving() const {
  return std::any_of(lines_.begin(), lines_.end(), [](const auto& entry) { return entry.second->operations != 0; });
}

uint64_t Dialler::linesUp() const {
  return static_cast<uint64_t>(std::count_if(
      lines_.begin(), lines_.end(), [](const auto& entry) { return entry.second->state == Line::State::kUp; }));
}

/** The line cannot be talked over any more. */
void Dialler::lost(Line* line, Status why, int64_t nowNs, int64_t patienceNs) {
  carrier_->halt(line);
  if (line->control != nullptr) {
    Worker& worker = line->control->worker();
    worker.retire(std::move(line->control));
    worker.noteBroken();
  }
  line->why = std::move(why);
  line->broken = Status();
  suspect(line, nowNs, patienceNs);
}

/** From now on the other lines have to show whether the peer lives. */
void Dialler::suspect(Line* line, int64_t nowNs, int64_t patienceNs) {
  line->state = Line::State::kSuspect;
  line->brokenNs = nowNs;
  line->decideNs = nowNs + patienceNs;
  for (const auto& [rails, other] : peers_[line->peer]->lines) {
    if (other->state == Line::State::kUp || other->control != nullptr) other->pingedNs = 0;
  }
}

void Dialler::tickLine(Line* line, int64_t nowNs) {
  if (line->state == Line::State::kSuspect || line->state == Line::State::kDown) {
    if (line->control == nullptr) return;
    if (line->control->failure() != UCS_OK)
      return lost(line, statusOf(line->control->failure(), "the connection broke"), nowNs, kBrokenPatienceNs);
    if (nowNs - std::max(line->heardNs, line->excusedNs) > kSilentNs)
      lost(line, silentStatus(), nowNs, kSilencePatienceNs);
    return;
  }
  if (line->control->failure() != UCS_OK)
    return lost(line, statusOf(line->control->failure(), "the connection broke"), nowNs, kBrokenPatienceNs);
  if (line->data != nullptr && line->data->endpoint->failure() != UCS_OK && line->broken.ok()) {
    line->broken = statusOf(line->data->endpoint->failure(), "the connection for the bytes broke");
  }
  if (!line->broken.ok()) {
    // Perhaps only the bytes' connection: the other one shows whether the peer lives.
    carrier_->halt(line);
    line->why = std::exchange(line->broken, Status());
    suspect(line, nowNs, kBrokenPatienceNs);
    say(line, MessageKind::kPing, 0);
    return;
  }
  if (line->state == Line::State::kDialling) {
    if (nowNs - line->dialledNs > kDialNs) {
      lost(line, {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "the peer does not answer on this rail", kCodeNoAnswer}, nowNs,
           0);
    }
    return;
  }
  if (nowNs - std::max(line->heardNs, line->excusedNs) > kSilentNs)
    return lost(line, silentStatus(), nowNs, kSilencePatienceNs);
  if (nowNs - line->pingedNs >= kPingNs) {
    line->pingedNs = nowNs;
    say(line, MessageKind::kPing, 0);
  }
}

bool Dialler::tick(int64_t nowNs) {
  bool busy = carrier_->tick(nowNs);
  for (const auto& [number, line] : lines_) tickLine(line.get(), nowNs);
  for (uint32_t number = 0; number < peers_.size(); ++number) {
    Peer* const peer = peers_[number].get();
    if (peer->state == Peer::State::kConnecting) answerConnect(number, peer, nowNs);
    if (peer->state == Peer::State::kUp) judge(number, peer, nowNs);
  }
  for (auto it = lines_.begin(); it != lines_.end();) {
    Line* const line = it->second.get();
    const bool over = peers_[line->peer]->state == Peer::State::kDown && line->operations == 0 &&
                      line->control == nullptr && line->data == nullptr;
    busy = busy || line->state != Line::State::kUp;
    if (over) peers_[line->peer]->lines.erase({line->localRail, line->remoteRail});
    it = over ? lines_.erase(it) : std::next(it);
  }
  if (!revocations_.empty()) answerRevocations();
  forgetDropped();
  carrier_->collectLinks();
  return busy || !revocations_.empty();
}

/** The handshake's outcome, once every rail has answered or failed, or one has answered and the rest takes long. */
void Dialler::answerConnect(uint32_t number, Peer* peer, int64_t nowNs) {
  uint32_t up = 0;
  uint32_t open = 0;
  const Line* failed = nullptr;
  for (const auto& [rails, line] : peer->lines) {
    if (line->state == Line::State::kUp) {
      ++up;
    } else if (line->state == Line::State::kDialling) {
      ++open;
    } else if (failed == nullptr || failed->why.blame() != KVSEAM_BLAME_peer) {
      failed = line;  // of several reasons, one that knows of the peer itself
    }
  }
  if (up != 0 && peer->connectedSinceNs == 0) peer->connectedSinceNs = nowNs;
  if (open != 0 && (up == 0 || nowNs - peer->connectedSinceNs < kOthersMayFollowNs)) return;
  kvseam_event event{};
  event.kind = KVSEAM_EVENT_CONNECTED;
  event.peer = number;
  if (up != 0) {
    peer->state = Peer::State::kUp;
  } else {
    event.code = failed == nullptr ? KVSEAM_NO_PATH : failed->why.code();
    event.blame = failed == nullptr ? KVSEAM_BLAME_local : failed->why.blame();
    event.backend_code = failed == nullptr ? 0 : failed->why.backendCode();
    disconnect(number);
  }
  events_.push_back(event);
}

/** Some lines of a peer broke: its end, when none is left; the line's own fault, when time shows that others live on.
 */
void Dialler::judge(uint32_t number, Peer* peer, int64_t nowNs) {
  bool anyAlive = false;
  const Line* worst = nullptr;
  for (const auto& [rails, line] : peer->lines) {
    anyAlive = anyAlive || line->state == Line::State::kUp ||
               (line->state == Line::State::kSuspect && line->control != nullptr) ||
               (line->state == Line::State::kDialling && line->why.ok());
    if (line->state == Line::State::kSuspect) worst = line;
    if (line->state == Line::State::kDown && worst == nullptr) worst = line;
  }
  if (!anyAlive && worst != nullptr) return peerDown(number, peer, worst->why);
  const auto provedAliveSince = [peer](int64_t brokenNs) {
    return std::any_of(peer->lines.begin(), peer->lines.end(), [brokenNs](const auto& entry) {
      const Line& line = *entry.second;
      return line.control != nullptr && line.state != Line::State::kDialling && line.heardNs > brokenNs;
    });
  };
  for (const auto& [rails, line] : peer->lines) {
    if (nowNs < line->decideNs) continue;
    if (line->state == Line::State::kSuspect) {
      if (!provedAliveSince(line->brokenNs)) continue;  // the rest answers soon or is silent
      carrier_->fail(line, {KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, line->why.text(), line->why.backendCode()});
      line->state = line->control != nullptr ? Line::State::kUp : Line::State::kDown;
      line->decideNs = nowNs + kRedialNs;
      if (line->state == Line::State::kUp) line->why = Status();
    } else if (line->state == Line::State::kDown && line->operations == 0) {
      dial(line, nowNs);
    }
  }
}

void Dialler::peerDown(uint32_t number, Peer* peer, const Status& why) {
  if (peer->state == Peer::State::kDown) return;
  const bool wasUp = peer->state == Peer::State::kUp;
  kvseam_event event{};
  event.kind = wasUp ? KVSEAM_EVENT_PEER_DOWN : KVSEAM_EVENT_CONNECTED;
  event.peer = number;
  event.code = KVSEAM_PEER_DOWN;
  event.blame = KVSEAM_BLAME_peer;
  event.backend_code = why.backendCode();
  events_.push_back(event);
  peer->state = Peer::State::kDown;
  for (const auto& [rails, line] : peer->lines) {
    carrier_->halt(line);
    if (line->control != nullptr) line->control->worker().retire(std::move(line->control));
    line->state = Line::State::kDown;
    line->why = why;
    carrier_->fail(line, {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, why.text(), why.backendCode()});
  }
}

/** Also over a line that is not up yet: the peer would take the end of it for our death. */
bool Dialler::sayBye(Line* line) {
  if (line->control == nullptr || line->control->failure() != UCS_OK) return false;
  if (line->state != Line::State::kUp && line->state != Line::State::kDialling) return false;
  say(line, MessageKind::kBye, line->number);
  return true;
}

void Dialler::disconnect(uint32_t number) {
  if (number >= peers_.size() || peers_[number]->state == Peer::State::kDown) return;
  Peer* const peer = peers_[number].get();
  for (const auto& [rails, line] : peer->lines) {
    sayBye(line);
  }
  const size_t before = events_.size();
  peerDown(number, peer, {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, "disconnected", 0});
  events_.resize(before);  // who disconnects needs no news of it
}

void Dialler::answerRevocations() {
  std::erase_if(revocations_, [this](const Revocation& revocation) {
    const auto found = lines_.find(revocation.line);
    if (found == lines_.end() || found->second->control == nullptr) return true;
    Line* const line = found->second.get();
    const uint64_t owner = peers_[line->peer]->incarnation;
    {
      const std::lock_guard<std::mutex> lock(memoryMutex_);
      const bool touched = std::any_of(memories_.begin(), memories_.end(), [&](const PeerMemory* memory) {
        return memory->owner == owner && memory->key.region == revocation.region && memory->outstanding != 0;
      });
      if (touched) return false;
    }
    say(line, MessageKind::kRevoked, revocation.region);
    return true;
  });
}

void Dialler::excuse(int64_t nowNs) {
  for (const auto& [number, line] : lines_) {
    line->excusedNs = nowNs - kSilentNs / 2;
    line->dialledNs = std::max(line->dialledNs, nowNs - kDialNs / 2);
    line->pingedNs = 0;
  }
}

void Dialler::sayGoodbye() {
  for (const auto& [number, line] : lines_) {
    if (!sayBye(line.get())) continue;
    line->control->beginFlush();
  }
}

bool Dialler::goodbyeSaid() {
  return std::all_of(lines_.begin(), lines_.end(), [](const auto& entry) {
    Endpoint* const control = entry.second->control.get();
    return control == nullptr || control->failure() != UCS_OK || control->flushed();
  });
}

void Dialler::leave() {
  for (uint32_t number = 0; number < peers_.size(); ++number) {
    if (peers_[number]->state != Peer::State::kDown)
      peerDown(number, peers_[number].get(), {KVSEAM_CLOSED, KVSEAM_BLAME_cancelled, "closed", 0});
  }
}

}  // namespace kvseam::ucx
