// The ways in which a run's bytes travel: copied, by the hardware, or as messages, alone or several small runs
// together.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "../../core/clock.h"
#include "ucx_carrier.h"
#include "ucx_codes.h"
#include "ucx_status.h"

namespace kvseam::ucx {

namespace {

constexpr uint64_t kChunkBytes = uint64_t{512}
                                 << 10;  // of a long run, so that it can be stopped and others get their turn
constexpr uint32_t kTurnRequests = 16;

}  // namespace

/** A turn of one operation. False when it failed on the way. */
bool Carrier::handOver(Line* line, Operation* operation, uint64_t* budget) {
  const kvseam_op& op = operation->op;
  DataLink* const link = line->data.get();
  const bool hardware = (*rails_)[line->localRail]->oneSided();
  const bool reading = op.kind == KVSEAM_OP_READ;
  bool good = true;
  for (uint32_t turn = 0;
       good && !operation->exhausted && turn < kTurnRequests && *budget != 0 && !link->windowFull();) {
    const kvseam_run& run = op.runs[operation->run];
    good = findKey(line, operation, run);
    if (!good) break;
    auto* const theirs = static_cast<PeerMemory*>(run.remote->handle);
    const bool asMessage = !hardware && operation->mapped == nullptr;
    const uint64_t bytes = std::min(asMessage ? kMessageBytes : kChunkBytes, run.bytes - operation->runOffset);
    uint8_t* const here = static_cast<uint8_t*>(run.local->address) + run.local_offset + operation->runOffset;
    const uint64_t offset = run.remote_offset + operation->runOffset;
    const bool small = asMessage && bytes <= kPackedRunBytes;
    if (bytes == 0) {
      // Nothing of it has to move.
    } else if (operation->mapped != nullptr) {
      uint8_t* const there = operation->mapped + offset;
      std::memcpy(reading ? here : there, reading ? there : here, bytes);
      operation->moved += bytes;
      movedBytes_ += bytes;
      *budget -= std::min(*budget, bytes);
    } else if (hardware) {
      good = oneSided(line, operation, theirs, here, offset, bytes, budget);
    } else if (reading) {
      askFor(line, operation, *theirs, offset, here, bytes);
      if (asking_.size() == kMaxReadItems) sendAsked(line);
    } else if (small) {
      packed_.push_back({theirs->key.region, offset, bytes});
      packedBytes_.append(reinterpret_cast<const char*>(here), bytes);
      *budget -= std::min(*budget, bytes);
      if (packed_.size() == kMaxPackedRuns ||
          packedBytes_.size() + kPackedRunBytes > kMessageBytes - kMaxPackedRuns * sizeof(PackedRun)) {
        good = sendPack(line, operation);
        ++turn;
      }
    } else {
      good = writeAlone(line, operation, *theirs, offset, here, bytes);
      *budget -= std::min(*budget, bytes);
    }
    // Of small runs a turn takes as many as fill some messages.
    turn += small && (!reading || asking_.size() % 16 != 0) ? 0 : 1;
    operation->runOffset += bytes;
    if (operation->runOffset != run.bytes) continue;
    operation->runOffset = 0;
    operation->exhausted = ++operation->run == op.run_count;
  }
  sendAsked(line);
  return sendPack(line, operation) && good;
}

bool Carrier::oneSided(Line* line, Operation* operation, PeerMemory* theirs, uint8_t* here, uint64_t offset,
                       uint64_t bytes, uint64_t* budget) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = onMoved;
  param.user_data = operation;
  ucp_ep* const endpoint = line->data->endpoint->handle();
  const uint64_t there = theirs->key.address + offset;
  const bool reading = operation->op.kind == KVSEAM_OP_READ;
  operation->put = operation->put || !reading;
  void* const request = reading ? ucp_get_nbx(endpoint, here, bytes, there, operation->key, &param)
                                : ucp_put_nbx(endpoint, here, bytes, there, operation->key, &param);
  if (UCS_PTR_IS_ERR(request)) {
    operation->failure = statusOf(UCS_PTR_STATUS(request), reading ? "ucp_get_nbx" : "ucp_put_nbx");
    return false;
  }
  if (request != nullptr) {
    held(operation, request, {bytes, theirs, line->data.get(), nullptr, false});
    return true;
  }
  operation->moved += bytes;
  movedBytes_ += bytes;
  *budget -= std::min(*budget, bytes);
  return true;
}

bool Carrier::writeAlone(Line* line, Operation* operation, const PeerMemory& theirs, uint64_t offset,
                         const uint8_t* here, uint64_t bytes) {
  auto outgoing = std::make_unique<Outgoing>();
  ByteHeader& header = outgoing->header;
  header.from = incarnation_;
  header.line = line->guest;
  header.number = operation->number;
  header.region = theirs.key.region;
  header.offset = offset;
  void* const request = sendBytes(*line->data->endpoint, &header, here, bytes, onMoved, operation);
  return sent(line, operation, std::move(outgoing), request, bytes);
}

bool Carrier::sendPack(Line* line, Operation* operation) {
  if (packed_.empty()) return true;
  auto outgoing = std::make_unique<Outgoing>();
  ByteHeader& header = outgoing->header;
  header.from = incarnation_;
  header.line = line->guest;
  header.number = operation->number;
  header.packed = static_cast<uint32_t>(packed_.size());
  const uint64_t bytes = packedBytes_.size();
  std::string& body = outgoing->body;
  body.reserve(packed_.size() * sizeof(PackedRun) + bytes);
  body.append(reinterpret_cast<const char*>(packed_.data()), packed_.size() * sizeof(PackedRun));
  body.append(packedBytes_);
  packed_.clear();
  packedBytes_.clear();
  void* const request = sendBytes(*line->data->endpoint, &header, body.data(), body.size(), onMoved, operation);
  return sent(line, operation, std::move(outgoing), request, bytes);
}

bool Carrier::sent(Line* line, Operation* operation, std::unique_ptr<Outgoing> outgoing, void* request,
                   uint64_t bytes) {
  if (UCS_PTR_IS_ERR(request)) {
    operation->failure = statusOf(UCS_PTR_STATUS(request), "sending bytes");
    return false;
  }
  operation->sent += bytes;
  if (request != nullptr) {
    held(operation, request, {bytes, nullptr, line->data.get(), outgoing.release(), false});
    return true;
  }
  operation->moved += bytes;
  movedBytes_ += bytes;
  return true;
}

void Carrier::askFor(Line* line, Operation* operation, const PeerMemory& theirs, uint64_t offset, uint8_t* here,
                     uint64_t bytes) {
  uint32_t place = 0;
  if (freeReads_.empty()) {
    place = static_cast<uint32_t>(reads_.size());
    reads_.emplace_back();
  } else {
    place = freeReads_.back();
    freeReads_.pop_back();
  }
  Read& read = reads_[place];
  read.operation = operation;
  read.link = line->data.get();
  read.peerIncarnation = theirs.owner;
  read.to = here;
  read.bytes = bytes;
  ++read.generation;
  ++operation->outstanding;
  ++read.link->outstanding;
  read.link->outstandingBytes += bytes;
  asking_.push_back({uint64_t{read.generation} << 32 | place, theirs.key.region, offset, bytes});
}

void Carrier::sendAsked(Line* line) {
  if (asking_.empty()) return;
  MessageHeader header;
  header.kind = MessageKind::kRead;
  header.from = incarnation_;
  header.line = line->guest;
  header.to = reads_[static_cast<uint32_t>(asking_[0].request)].peerIncarnation;
  const Status status = line->data->endpoint->send(
      encode(header, std::string(reinterpret_cast<const char*>(asking_.data()), asking_.size() * sizeof(ReadItem))));
  asking_.clear();
  if (!status.ok() && line->broken.ok()) reportBroken(line, status);
}

Carrier::Read* Carrier::readOf(uint64_t request) {
  const auto place = static_cast<uint32_t>(request);
  if (place >= reads_.size() || reads_[place].link == nullptr || reads_[place].generation != request >> 32)
    return nullptr;
  return &reads_[place];
}

/** Its answer came, or never will. */
void Carrier::readOver(Read* read) {
  --read->link->outstanding;
  read->link->outstandingBytes -= read->bytes;
  read->link = nullptr;
  Operation* const operation = read->operation;
  freeReads_.push_back(static_cast<uint32_t>(read - reads_.data()));
  if (operation == nullptr) return;
  if (--operation->outstanding == 0 && operation->exhausted) landed_.push_back(operation);
}

void Carrier::bytes(const ByteHeader& header, const uint8_t* data, size_t count) {
  if (header.packed == 0) return readCame(header.from, header.number, data, count);
  if (header.packed > kMaxPackedRuns || count < header.packed * sizeof(PackedRun)) return;
  const uint8_t* next = data + header.packed * sizeof(PackedRun);
  size_t left = count - header.packed * sizeof(PackedRun);
  for (uint32_t i = 0; i < header.packed; ++i) {
    PackedRun run;
    std::memcpy(&run, data + i * sizeof(run), sizeof(run));
    if (run.bytes > left) return;
    readCame(header.from, run.number, next, run.bytes);
    next += run.bytes;
    left -= run.bytes;
  }
}

void Carrier::readCame(uint64_t from, uint64_t request, const uint8_t* data, size_t count) {
  Read* const read = readOf(request);
  if (read == nullptr || read->peerIncarnation != from || read->bytes != count) return;
  read->link->movedNs = nowNs();
  if (read->operation != nullptr) {
    std::memcpy(read->to, data, count);
    read->operation->line->heardNs = read->link->movedNs;
    read->operation->moved += count;
    movedBytes_ += count;
  }
  readOver(read);
}

void Carrier::unread(uint64_t peerIncarnation, uint64_t request, uint64_t code) {
  Read* const read = readOf(request);
  if (read == nullptr || read->peerIncarnation != peerIncarnation) return;
  if (read->operation != nullptr && read->operation->failure.ok()) read->operation->failure = refusal(code);
  readOver(read);
}

/** A cancelled read touches nothing any more; what still comes for it is thrown away. */
void Carrier::forsake(const Operation* operation) {
  for (Read& read : reads_) {
    if (read.link == nullptr || read.operation != operation) continue;
    --read.operation->outstanding;
    read.operation = nullptr;
  }
}

bool Carrier::findKey(Line* line, Operation* operation, const kvseam_run& run) {
  auto* const theirs = static_cast<PeerMemory*>(run.remote->handle);
  if (theirs->withdrawn) {
    operation->failure = refusal(KVSEAM_STALE_REGION);
    return false;
  }
  DataLink* const link = line->data.get();
  if (operation->remote == run.remote && operation->keyOf == link) return true;
  const Rail& rail = *(*rails_)[line->localRail];
  operation->key = nullptr;
  operation->mapped =
      rail.sharedMemory() && theirs->shared != nullptr && !rail.oneSided() ? theirs->shared->data() : nullptr;
  if (rail.oneSided()) {
    ucp_rkey_h& key = link->keys[theirs];
    const std::string& packed = theirs->key.rails[line->remoteRail];
    const ucs_status_t status = key != nullptr ? UCS_OK
                                : packed == KeyBlob::kNoKey
                                    ? UCS_ERR_UNSUPPORTED
                                    : ucp_ep_rkey_unpack(link->endpoint->handle(), packed.data(), &key);
    if (status != UCS_OK) {
      link->keys.erase(theirs);
      operation->failure = statusOf(status, "the key of the region");
      return false;
    }
    operation->key = key;
  }
  operation->remote = run.remote;
  operation->keyOf = link;
  return true;
}

}  // namespace kvseam::ucx
