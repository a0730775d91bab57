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
  // Who leaves before our welcome has come does not know its number here.
  const bool leavesEarly = header.kind == MessageKind::kBye && header.line == 0;
  const auto found =
      leavesEarly ? std::find_if(guests_.begin(), guests_.end(),
                                 [&header](const auto& entry) {
                                   return entry.second.incarnation == header.from && entry.second.line == header.number;
                                 })
                  : guests_.find(header.line);
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
    case MessageKind::kReady:
      guest.back->proved();
      if (openData(&guest)) say(&guest, MessageKind::kReady, 0, {}, 0, guest.data.get());
      break;
    case MessageKind::kRead:
      if (guest.data != nullptr) guest.data->proved();  // it asks only after our word over it has arrived
      read(header.line, &guest, payload);
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

void Host::bytes(const ByteHeader& header, const uint8_t* data, size_t count) {
  const auto found = guests_.find(header.line);
  if (found == guests_.end() || found->second.incarnation != header.from) return;
  Guest& guest = found->second;
  if (guest.writing.size() >= kMaxWriting && !guest.writing.contains(header.number)) {
    guest.wild = true;
    return;
  }
  Writing& writing = guest.writing[header.number];
  if (header.packed == 0) {
    write(&writing, header.region, header.offset, data, count);
  } else if (header.packed <= kMaxPackedRuns && header.packed * sizeof(PackedRun) <= count) {
    const uint8_t* next = data + header.packed * sizeof(PackedRun);
    size_t left = count - header.packed * sizeof(PackedRun);
    for (uint32_t i = 0; i < header.packed; ++i) {
      PackedRun run;
      std::memcpy(&run, data + i * sizeof(run), sizeof(run));
      if (run.bytes > left) {
        guest.wild = true;
        return;
      }
      write(&writing, run.number, run.offset, next, run.bytes);
      next += run.bytes;
      left -= run.bytes;
    }
  } else {
    guest.wild = true;
  }
  if (writing.asked) answerIfAll(&guest, header.number);
}

void Host::write(Writing* writing, uint64_t region, uint64_t offset, const uint8_t* data, uint64_t count) {
  Code why = KVSEAM_OK;
  OwnMemory* const memory = regions_->find(region, offset, count, &why);
  if (memory != nullptr) {
    std::memcpy(memory->address + offset, data, count);
  } else if (writing->code == KVSEAM_OK) {
    writing->code = static_cast<uint64_t>(why);
  }
  writing->bytes += count;
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
  if (writing.notify && writing.code == KVSEAM_OK)
    deliveries_.push_back({guest->name, guest->incarnation, std::move(writing.payload)});
  say(guest, MessageKind::kArrived, number, {}, writing.code);
  guest->writing.erase(found);
}

/** Lives as long as UCX reads what it sends. */
struct Host::Sending {
  Host* host;
  Worker* worker;
  uint64_t guest;
  OwnMemory* memory;  // null for a pack, which has its bytes in `outgoing`
  Outgoing outgoing;
};

void Host::read(uint64_t number, Guest* guest, const std::string& payload) {
  const size_t count = payload.size() / sizeof(ReadItem);
  guest->wild = guest->wild || count > kMaxReadItems || payload.size() % sizeof(ReadItem) != 0;
  for (size_t i = 0; i < count && !guest->wild; ++i) {
    ReadItem item;
    std::memcpy(&item, payload.data() + i * sizeof(item), sizeof(item));
    Code why = KVSEAM_OUT_OF_BOUNDS;
    OwnMemory* const memory =
        item.bytes > kMessageBytes ? nullptr : regions_->find(item.region, item.offset, item.bytes, &why);
    if (memory == nullptr) {
      say(guest, MessageKind::kUnread, item.request, {}, why);
    } else if (item.bytes > kPackedRunBytes) {
      send(number, guest, item, memory);
    } else {
      packed_.push_back({item.request, 0, item.bytes});
      packedBytes_.append(reinterpret_cast<const char*>(memory->address) + item.offset, item.bytes);
      if (packedBytes_.size() + kPackedRunBytes > kMessageBytes - kMaxPackedRuns * sizeof(PackedRun))
        sendPack(number, guest);
    }
  }
  sendPack(number, guest);
}

bool Host::openData(Guest* guest) {
  const bool open =
      guest->data != nullptr || Endpoint::create(&guest->back->worker(), guest->address, &guest->data).ok();
  guest->wild = guest->wild || !open || guest->sending >= kMaxSending;
  return !guest->wild;
}

void Host::send(uint64_t number, Guest* guest, const ReadItem& item, OwnMemory* memory) {
  if (!openData(guest)) return;
  auto sending = std::make_unique<Sending>(Sending{this, &guest->back->worker(), number, memory, {}});
  ByteHeader& header = sending->outgoing.header;
  header.from = incarnation_;
  header.line = guest->line;
  header.number = item.request;
  void* const request =
      sendBytes(*guest->data, &header, memory->address + item.offset, item.bytes, onSent, sending.get());
  hold(guest, request, std::move(sending));
}

void Host::sendPack(uint64_t number, Guest* guest) {
  if (packed_.empty()) return;
  auto sending = std::make_unique<Sending>(Sending{this, &guest->back->worker(), number, nullptr, {}});
  ByteHeader& header = sending->outgoing.header;
  header.from = incarnation_;
  header.line = guest->line;
  header.packed = static_cast<uint32_t>(packed_.size());
  std::string& body = sending->outgoing.body;
  body.reserve(packed_.size() * sizeof(PackedRun) + packedBytes_.size());
  body.append(reinterpret_cast<const char*>(packed_.data()), packed_.size() * sizeof(PackedRun));
  body.append(packedBytes_);
  packed_.clear();
  packedBytes_.clear();
  if (!openData(guest)) return;
  void* const request = sendBytes(*guest->data, &header, body.data(), body.size(), onSent, sending.get());
  hold(guest, request, std::move(sending));
}

void Host::hold(Guest* guest, void* request, std::unique_ptr<Sending> sending) {
  if (!UCS_PTR_IS_PTR(request)) return;  // done, or broken, which tick() finds
  if (sending->memory != nullptr) ++sending->memory->sending;
  ++guest->sending;
  sending->worker->requestBegins();
  [[maybe_unused]] Sending* const held = sending.release();  // onSent frees it
}

void Host::onSent(void* request, ucs_status_t, void* argument) {
  const std::unique_ptr<Sending> sending(static_cast<Sending*>(argument));
  ucp_request_free(request);
  sending->worker->requestEnds();
  sending->host->sent(sending->guest, sending->memory);
}

void Host::sent(uint64_t guest, OwnMemory* memory) {
  if (memory != nullptr && --memory->sending == 0) regions_->lookAgain();
  const auto found = guests_.find(guest);
  if (found != guests_.end()) --found->second.sending;
}

void Host::welcome(Worker* worker, const MessageHeader& header, const std::string& payload, uint32_t rail,
                   int64_t nowNs) {
  HelloBlob hello;
  if (!HelloBlob::read(payload, &hello) || header.from == 0 || hello.remoteRail != rail) return;
  for (auto it = guests_.begin(); it != guests_.end();) {
    const auto guest = it++;
    const bool same = guest->second.incarnation == header.from && guest->second.localRail == rail &&
                      guest->second.theirRail == hello.localRail;
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

void Host::say(Guest* guest, MessageKind kind, uint64_t number, const std::string& payload, uint64_t value,
               Endpoint* over) {
  MessageHeader header;
  header.kind = kind;
  header.from = incarnation_;
  header.to = guest->incarnation;
  header.line = guest->line;
  header.number = number;
  header.value = value;
  // A connection that cannot send is broken, and tick() finds that.
  [[maybe_unused]] const Status status = (over == nullptr ? guest->back.get() : over)->send(encode(header, payload));
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
  return std::all_of(guests_.begin(), guests_.end(), [](auto& entry) {
    return entry.second.back->failure() != UCS_OK || entry.second.back->flushed();
  });
}

void Host::leave() {
  while (!guests_.empty()) drop(guests_.begin(), false, 0);
}

}  // namespace kvseam::ucx
