// Answers of the serving side.
#include "ucx_host.h"

#include <algorithm>
#include <cstring>
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
    case MessageKind::kSync:
      wantsToKnow(&guest, header, std::move(payload));
      break;
    case MessageKind::kRead: {
      const size_t count = payload.size() / sizeof(ReadItem);
      guest.wild = guest.wild || count > kMaxReadItems || payload.size() % sizeof(ReadItem) != 0;
      for (size_t i = 0; i < count && !guest.wild; ++i) {
        ReadItem item;
        std::memcpy(&item, payload.data() + i * sizeof(item), sizeof(item));
        send(header.line, &guest, item);
      }
      break;
    }
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

void Host::bytes(const ByteHeader& header, const uint8_t* data, size_t count) {
  const auto found = guests_.find(header.line);
  if (found == guests_.end() || found->second.incarnation != header.from) return;
  Guest& guest = found->second;
  if (guest.writing.size() >= kMaxWriting && !guest.writing.contains(header.number)) {
    guest.wild = true;
    return;
  }
  Writing& writing = guest.writing[header.number];
  Code why = KVSEAM_OK;
  OwnMemory* const memory = regions_->find(header.region, header.offset, count, &why);
  if (memory != nullptr) {
    std::memcpy(memory->address + header.offset, data, count);
  } else if (writing.code == KVSEAM_OK) {
    writing.code = static_cast<uint64_t>(why);
  }
  writing.bytes += count;
  if (writing.asked) answerIfAll(&guest, header.number);
}

void Host::wantsToKnow(Guest* guest, const MessageHeader& header, std::string payload) {
  Writing& writing = guest->writing[header.number];
  writing.asked = true;
  writing.notify = header.kind == MessageKind::kNotify;
  writing.expected = header.value;
  writing.payload = std::move(payload);
  answerIfAll(guest, header.number);
}

// Two connections carry the bytes and the question, so either may be first: bytes are counted, never assumed.
void Host::answerIfAll(Guest* guest, uint64_t number) {
  const auto found = guest->writing.find(number);
  Writing& writing = found->second;
  if (writing.bytes < writing.expected) return;
  if (writing.notify && writing.code == KVSEAM_OK) deliveries_.push_back({guest->name, guest->incarnation, std::move(writing.payload)});
  say(guest, MessageKind::kArrived, number, {}, writing.code);
  guest->writing.erase(found);
}

namespace {

/** Lives as long as UCX reads the region it sends from. */
struct Sending {
  Host* host;
  Worker* worker;
  uint64_t guest;
  OwnMemory* memory;
  ByteHeader header;
};

}  // namespace

void Host::send(uint64_t number, Guest* guest, const ReadItem& item) {
  Code why = KVSEAM_OK;
  OwnMemory* const memory = regions_->find(item.region, item.offset, item.bytes, &why);
  if (memory == nullptr || item.bytes > kMessageBytes) return say(guest, MessageKind::kUnread, item.request, {}, memory == nullptr ? why : KVSEAM_OUT_OF_BOUNDS);
  Worker& worker = guest->back->worker();
  if (guest->sending >= kMaxSending || (guest->data == nullptr && !Endpoint::create(&worker, guest->address, &guest->data).ok())) {
    guest->wild = true;
    return;
  }
  auto sending = std::make_unique<Sending>(Sending{this, &worker, number, memory, {}});
  sending->header.from = incarnation_;
  sending->header.line = guest->line;
  sending->header.number = item.request;
  void* const request = sendBytes(*guest->data, &sending->header, memory->address + item.offset, item.bytes, onSent, sending.get());
  if (!UCS_PTR_IS_PTR(request)) return;  // done, or broken, which tick() finds
  ++memory->sending;
  ++guest->sending;
  worker.requestBegins();
  [[maybe_unused]] Sending* const held = sending.release();  // onSent frees it
}

void Host::onSent(void* request, ucs_status_t, void* argument) {
  const std::unique_ptr<Sending> sending(static_cast<Sending*>(argument));
  ucp_request_free(request);
  sending->worker->requestEnds();
  sending->host->sent(sending->guest, sending->memory);
}

void Host::sent(uint64_t guest, OwnMemory* memory) {
  if (--memory->sending == 0) regions_->lookAgain();
  const auto found = guests_.find(guest);
  if (found != guests_.end()) --found->second.sending;
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
  guest.address = hello.address;
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

void Host::say(Guest* guest, MessageKind kind, uint64_t number, const std::string& payload, uint64_t value) {
  MessageHeader header;
  header.kind = kind;
  header.from = incarnation_;
  header.to = guest->incarnation;
  header.line = guest->line;
  header.number = number;
  header.value = value;
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
    Guest& one = guest->second;
    const bool silent = nowNs - one.lastHeardNs > kSilentNs;
    // The guest may have cut off its link for the bytes; it opens another, and so do we with the next read.
    if (one.data != nullptr && one.data->failure() != UCS_OK) one.back->worker().retire(std::move(one.data));
    if (silent || one.back->failure() != UCS_OK || one.wild) {
      one.back->worker().distrust();
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
  Worker& worker = guest->second.back->worker();
  worker.retire(std::move(guest->second.data));
  worker.retire(std::move(guest->second.back));
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
