// Answers of the serving side.
#include "ucx_host.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace kvseam::ucx {

void Host::take(Worker* worker, const Inbound& message, int64_t nowNs) {
  MessageHeader header;
  std::string payload;
  if (!decode(message.bytes, &header, &payload)) return;
  if (header.kind == MessageKind::kHello) return welcome(worker, header, payload, message.rail, nowNs);
  const auto found = guests_.find(header.line);
  // A guest of an earlier life, or one that was dropped: its line will notice by the silence.
  if (found == guests_.end() || found->second.incarnation != header.from || header.to != incarnation_) return;
  Guest& guest = found->second;
  guest.lastHeardNs = nowNs;
  switch (header.kind) {
    case MessageKind::kPing:
      say(&guest, MessageKind::kPong, header.number);
      break;
    case MessageKind::kNotify:
      deliveries_.push_back({guest.name, guest.incarnation, std::move(payload)});
      say(&guest, MessageKind::kArrived, header.number);
      break;
    case MessageKind::kSync:
      say(&guest, MessageKind::kArrived, header.number);
      break;
    case MessageKind::kRevoked:
      if (guest.owed.erase(header.number) != 0) regions_->answered(header.number);
      break;
    case MessageKind::kBye:
      drop(found, false, nowNs);
      break;
    default:
      break;
  }
}

void Host::welcome(Worker* worker, const MessageHeader& header, const std::string& payload, uint32_t rail, int64_t nowNs) {
  HelloBlob hello;
  if (!HelloBlob::read(payload, &hello) || header.from == 0 || hello.remoteRail != rail) return;
  for (auto it = guests_.begin(); it != guests_.end();) {
    const auto guest = it++;
    const bool same = guest->second.incarnation == header.from && guest->second.localRail == rail && guest->second.theirRail == hello.localRail;
    if (same) drop(guest, false, nowNs);  // it dials anew
  }
  Guest guest;
  guest.name = hello.name;
  guest.incarnation = header.from;
  guest.line = header.number;
  guest.localRail = rail;
  guest.theirRail = hello.localRail;
  guest.lastHeardNs = nowNs;
  if (guests_.size() >= kMaxGuests || !Endpoint::create(worker, hello.address, &guest.back).ok()) return;
  if (header.to != incarnation_) {
    // Somebody else lived at this address; say so, or the dialler would wait for its deadline.
    say(&guest, MessageKind::kRefused, 0);
    worker->retire(std::move(guest.back));
    return;
  }
  tellRevoked();  // what is revoked by now is not in the list, so this guest need not answer for it
  const uint64_t number = nextGuest_++;
  Guest& kept = guests_[number] = std::move(guest);
  say(&kept, MessageKind::kWelcome, number, regions_->offered().write());
}

void Host::say(Guest* guest, MessageKind kind, uint64_t number, const std::string& payload) {
  MessageHeader header;
  header.kind = kind;
  header.from = incarnation_;
  header.to = guest->incarnation;
  header.line = guest->line;
  header.number = number;
  // A connection that cannot send is broken, and tick() finds that.
  [[maybe_unused]] const Status status = guest->back->send(encode(header, payload));
}

void Host::tellRevoked() {
  for (const uint64_t region : regions_->takeRevoked()) {
    for (auto& [number, guest] : guests_) {
      regions_->expectAnswer(region);
      guest.owed.insert(region);
      say(&guest, MessageKind::kRevoke, region);
    }
  }
}

bool Host::tick(int64_t nowNs) {
  if (regions_->newsWaiting()) {
    tellRevoked();
    regions_->collect(nowNs);
  }
  bool busy = false;
  for (auto it = guests_.begin(); it != guests_.end();) {
    const auto guest = it++;
    const bool silent = nowNs - guest->second.lastHeardNs > kSilentNs;
    if (silent || guest->second.back->failure() != UCS_OK) {
      drop(guest, silent, nowNs);
    } else {
      busy = busy || !guest->second.owed.empty();
    }
  }
  return busy;
}

void Host::excuse(int64_t nowNs) {
  for (auto& [number, guest] : guests_) guest.lastHeardNs = std::max(guest.lastHeardNs, nowNs - kSilentNs / 2);
}

void Host::drop(std::map<uint64_t, Guest>::iterator guest, bool silent, int64_t nowNs) {
  for (const uint64_t region : guest->second.owed) regions_->unanswered(region);
  if (silent) regions_->distrustUntil(nowNs + kDistrustNs);
  Endpoint* const back = guest->second.back.get();
  back->worker().retire(std::move(guest->second.back));
  guests_.erase(guest);
}

void Host::sayGoodbye() {
  for (auto& [number, guest] : guests_) {
    say(&guest, MessageKind::kBye, 0);
    guest.back->beginFlush();
  }
}

bool Host::goodbyeSaid() {
  return std::all_of(guests_.begin(), guests_.end(), [](auto& entry) { return entry.second.back->failure() != UCS_OK || entry.second.back->flushed(); });
}

void Host::leave() {
  while (!guests_.empty()) drop(guests_.begin(), false, 0);
}

}  // namespace kvseam::ucx
