// Minting and redeeming permits. A refused redemption says which term failed, with both values.
#include "permit.h"

#include <string>

namespace kvseam {

namespace {

constexpr int kSlotBits = 16;
constexpr uint64_t kNonceMask = (uint64_t{1} << 36) - 1;  // 36 + 16 bits: exact in a JavaScript number

// Finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

Status refuse(const std::string& why) { return Status::local(KVSEAM_PERMIT_INVALID, why); }

}  // namespace

PermitBook::PermitBook(uint64_t secret) : slots_(kSlots), secret_(secret) {
  free_.reserve(kSlots);
  for (uint32_t i = kSlots; i != 0; --i) free_.push_back(i - 1);
}

uint64_t PermitBook::mint(const PermitTerms& terms, int64_t nowNs) {
  if (free_.empty()) sweep(nowNs);
  if (free_.empty()) return 0;
  const uint32_t index = free_.back();
  free_.pop_back();
  uint64_t nonce = 0;
  while (nonce == 0) nonce = mix(secret_ + ++serial_ * 0x9e3779b97f4a7c15ULL) & kNonceMask;
  Slot& slot = slots_[index];
  slot.permit = nonce << kSlotBits | index;
  slot.epoch = epoch_;
  slot.terms = terms;
  ++(terms.operations == kProbePermit ? counters_.probesMinted : counters_.minted);
  return slot.permit;
}

Status PermitBook::redeem(uint64_t permit, uint64_t path, uint32_t operation, uint64_t bytes, int64_t nowNs,
                          uint32_t* workload) {
  const uint32_t index = static_cast<uint32_t>(permit & (kSlots - 1));
  Slot& slot = slots_[index];
  if (permit == 0 || slot.permit != permit) {
    ++counters_.refused;
    return refuse(
        "the permit is unknown, already used or revoked; ask the orchestrator for a decision for each transfer");
  }
  if (slot.epoch != epoch_ || nowNs > slot.terms.expiresNs) {
    const bool late = slot.epoch == epoch_;
    release(index);
    ++counters_.expired;
    ++counters_.refused;
    return refuse(late ? "the permit has expired; decide again and post at once"
                       : "the permit belongs to an earlier epoch of the policy; decide again");
  }
  if (slot.terms.path != path) {
    ++counters_.refused;
    return refuse("the permit is for another path");
  }
  if ((slot.terms.operations & operation) == 0) {
    ++counters_.refused;
    return refuse(std::string("the permit does not cover a ") + (operation == kProbePermit     ? "probe"
                                                                 : operation == KVSEAM_OP_READ ? "read"
                                                                                               : "write"));
  }
  if (bytes > slot.terms.maxBytes) {
    ++counters_.refused;
    return refuse("the permit covers " + std::to_string(slot.terms.maxBytes) + " bytes and " +
                  (operation == kProbePermit ? "the probe" : "the transfer") + " has " + std::to_string(bytes));
  }
  if (workload != nullptr) *workload = slot.terms.workload;
  release(index);
  ++(operation == kProbePermit ? counters_.probesRedeemed : counters_.redeemed);
  return {};
}

void PermitBook::undoRedeem(uint64_t permit) {
  Slot& slot = slots_[free_.back()];  // the terms are still there
  free_.pop_back();
  slot.permit = permit;
  --(slot.terms.operations == kProbePermit ? counters_.probesRedeemed : counters_.redeemed);
}

bool PermitBook::revoke(uint64_t permit) {
  const uint32_t index = static_cast<uint32_t>(permit & (kSlots - 1));
  if (permit == 0 || slots_[index].permit != permit) return false;
  release(index);
  ++counters_.revoked;
  return true;
}

void PermitBook::advanceEpoch() { ++epoch_; }

void PermitBook::release(uint32_t index) {
  slots_[index].permit = 0;
  free_.push_back(index);
}

void PermitBook::sweep(int64_t nowNs) {
  for (uint32_t i = 0; i < kSlots; ++i) {
    if (slots_[i].permit == 0 || (slots_[i].epoch == epoch_ && nowNs <= slots_[i].terms.expiresNs)) continue;
    release(i);
    ++counters_.expired;
  }
}

}  // namespace kvseam
