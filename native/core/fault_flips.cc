// Places and bits of a corruption, drawn under one key.
#include "fault_flips.h"

#include <algorithm>
#include <map>

#include "fault_draw.h"

namespace kvseam {

namespace {

constexpr uint64_t kScratchRegion = UINT64_MAX;  // the engine counts its regions from 1
constexpr uint64_t kScratchBytes = 4096;         // as many as one action flips at most

/** Which bytes of `total` flip, and which of their bits: `amount` distinct bits or bytes. */
std::map<uint64_t, uint8_t> flipsOf(const FaultAction& action, uint64_t flipKey, uint64_t total) {
  std::map<uint64_t, uint8_t> flips;
  const FaultDraw draw = FaultDraw::under(flipKey);
  const uint64_t places = action.isBits ? total * 8 : total;
  const uint64_t wanted = std::min(action.amount, places);
  for (uint64_t i = 0; i < wanted; ++i) {
    uint64_t place = draw.below(2 * i, places);
    if (action.isBits) {
      while ((flips[place / 8] >> (place % 8) & 1) != 0) place = (place + 1) % places;
      flips[place / 8] |= static_cast<uint8_t>(1u << (place % 8));
    } else {
      while (flips.contains(place)) place = (place + 1) % places;
      flips[place] = static_cast<uint8_t>(1 + draw.below(2 * i + 1, 255));
    }
  }
  return flips;
}

/** Calls `visit(run, offset within it, mask)` for each flipped byte; false when the host cannot see one of them. */
template <typename F>
bool eachFlip(const FaultAction& action, uint64_t flipKey, const kvseam_op& op, F&& visit) {
  const std::map<uint64_t, uint8_t> flips = flipsOf(action, flipKey, op.bytes);
  auto flip = flips.begin();
  uint64_t passed = 0;
  for (uint64_t i = 0; i < op.run_count; ++i) {
    const kvseam_run& run = op.runs[i];
    for (; flip != flips.end() && flip->first < passed + run.bytes; ++flip) {
      if (run.local->address == nullptr) return false;
      visit(run, flip->first - passed, flip->second);
    }
    passed += run.bytes;
  }
  return true;
}

uint8_t* byteAt(const kvseam_run& run, uint64_t offset) {
  return static_cast<uint8_t*>(run.local->address) + run.local_offset + offset;
}

}  // namespace

FaultFlips::~FaultFlips() {
  if (held_) inner_->deregister_memory(self_, &scratch_);
}

bool FaultFlips::flipArrived(const FaultAction& action, uint64_t flipKey, const kvseam_op& op) {
  return eachFlip(action, flipKey, op,
                  [](const kvseam_run& run, uint64_t offset, uint8_t mask) { *byteAt(run, offset) ^= mask; });
}

bool FaultFlips::takeScratch(uint64_t serial) {
  if (user_ != 0 && user_ != serial) return false;
  user_ = serial;
  return true;
}

void FaultFlips::giveBackScratch(uint64_t serial) {
  if (user_ == serial) user_ = 0;
}

bool FaultFlips::prepareWrite(const FaultAction& action, uint64_t flipKey, const kvseam_op& op,
                              std::vector<kvseam_run>* runs) {
  if (!held_) {
    const kvseam_memory_request request{KVSEAM_MEMORY_HOST, 0, nullptr, kScratchBytes, kScratchRegion};
    if (inner_->register_memory(self_, &request, &scratch_).code != KVSEAM_OK) return false;
    held_ = true;
  }
  if (scratch_.address == nullptr) return false;
  runs->clear();
  return eachFlip(action, flipKey, op, [&](const kvseam_run& run, uint64_t offset, uint8_t mask) {
    const uint64_t place = runs->size();
    static_cast<uint8_t*>(scratch_.address)[place] = static_cast<uint8_t>(*byteAt(run, offset) ^ mask);
    runs->push_back({&scratch_, run.remote, place, run.remote_offset + offset, 1});
  });
}

}  // namespace kvseam
