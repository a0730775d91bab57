// Tables of the fault language.
#include "fault_words.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <vector>

namespace kvseam {

namespace {

constexpr size_t kLongestWord = 64;

constexpr std::array<const char*, kFaultOpCount> kOpNames = {
#define KVSEAM_FAULT_OP_NAME(name) #name,
    KVSEAM_FAULT_OPS(KVSEAM_FAULT_OP_NAME)
#undef KVSEAM_FAULT_OP_NAME
};

constexpr uint32_t kMoves = bitOf(FaultOp::op_read) | bitOf(FaultOp::op_write);
constexpr uint32_t kMemory = bitOf(FaultOp::op_load) | bitOf(FaultOp::op_register);
constexpr uint32_t kAbove = bitOf(FaultOp::op_probe) | bitOf(FaultOp::op_release);
constexpr uint32_t kConnect = bitOf(FaultOp::op_connect);
constexpr uint32_t kPoll = bitOf(FaultOp::op_poll);
constexpr uint32_t kCancel = bitOf(FaultOp::op_cancel);
constexpr uint32_t kAll = (1u << kFaultOpCount) - 1;

// In the order of FaultActionKind.
constexpr std::array<FaultActionWord, kFaultActionCount> kActions = {{
    {"off", kAll, false, "off"},
    {"delay", kAll, false, "delay(20ms~5ms)"},
    {"error", kFaultPathOps | kConnect | kMemory | kAbove, true, "error(remote_disconnect)"},
    {"drop", kFaultPathOps | kConnect | kCancel | kAbove, true, "drop"},
    {"lose", kFaultPathOps | kAbove, true, "lose"},
    {"dup", kFaultPathOps, true, "dup(2)"},
    {"late", kFaultPathOps | kAbove, true, "late(5s)"},
    {"stall", kFaultPathOps | kPoll, false, "stall(2s)"},
    {"rate", kMoves, false, "rate(100MiB/s)"},
    {"eagain", kFaultPathOps, true, "eagain(3)"},
    {"partial", kMoves, true, "partial(37%)"},
    {"short", kMoves, true, "short(4KiB)"},
    {"corrupt", kMoves, true, "corrupt(1bit)"},
    {"reorder", kFaultPathOps, false, "reorder(4)"},
    {"stale", kMoves, true, "stale"},
    {"restart", kFaultPathOps, true, "restart"},
    {"disconnect", kFaultPathOps, true, "disconnect"},
    {"block", kFaultPathOps | kConnect | kPoll | kCancel | kAbove, false, "block(50ms)"},
    {"skew", 0, false, "skew(+-5s)"},
    {"pause", kFaultPathOps | kConnect, false, "pause"},
    {"kill", kAll, false, "kill"},
}};

constexpr std::array<const char*, kFaultActionCount> kActionNames = [] {
  std::array<const char*, kFaultActionCount> names{};
  for (size_t i = 0; i < names.size(); ++i) names[i] = kActions[i].name;
  return names;
}();

struct ErrorWord {
  const char* name;
  FaultError error;
};

constexpr std::array<ErrorWord, 16> kErrors = {{
    {"timeout", {KVSEAM_TIMEOUT, KVSEAM_BLAME_path, ETIMEDOUT}},
    {"canceled", {KVSEAM_CANCELLED, KVSEAM_BLAME_cancelled, ECANCELED}},
    {"remote_disconnect", {KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, ECONNRESET}},
    {"remote_access", {KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_peer, EACCES}},
    {"local_access", {KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_local, EFAULT}},
    {"again", {KVSEAM_QUEUE_FULL, KVSEAM_BLAME_local, EAGAIN}},
    {"no_memory", {KVSEAM_NO_MEMORY, KVSEAM_BLAME_local, ENOMEM}},
    {"memlock", {KVSEAM_REGISTRATION_FAILED, KVSEAM_BLAME_local, ENOMEM}},
    {"too_many_regions", {KVSEAM_REGISTRATION_FAILED, KVSEAM_BLAME_local, ENOSPC}},
    {"invalid", {KVSEAM_INVALID_ARGUMENT, KVSEAM_BLAME_local, EINVAL}},
    {"not_found", {KVSEAM_STALE_REGION, KVSEAM_BLAME_peer, ENOENT}},
    {"stale_epoch", {KVSEAM_STALE_EPOCH, KVSEAM_BLAME_peer, ESTALE}},
    {"truncated", {KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, EMSGSIZE}},
    {"corrupt", {KVSEAM_INTEGRITY, KVSEAM_BLAME_path, EBADMSG}},
    {"backend", {KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, EIO}},
    {"closed", {KVSEAM_CLOSED, KVSEAM_BLAME_local, ESHUTDOWN}},
}};

constexpr std::array<const char*, kErrors.size() + 4> kErrorNames = [] {
  std::array<const char*, kErrors.size() + 4> names{};
  for (size_t i = 0; i < kErrors.size(); ++i) names[i] = kErrors[i].name;
  const char* const families[] = {"nixl", "ucx", "fi", "errno"};
  for (size_t i = 0; i < 4; ++i) names[kErrors.size() + i] = families[i];
  return names;
}();

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> beforeLast(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t same = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + same});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = std::min(row[j], beforeLast[j - 2] + 1);
      }
    }
    beforeLast.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

template <typename Names>
bool indexOf(const Names& names, std::string_view name, size_t* out) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (name == names[i]) {
      *out = i;
      return true;
    }
  }
  return false;
}

}  // namespace

const char* nameOf(FaultOp op) { return kOpNames[static_cast<size_t>(op)]; }
const FaultActionWord& wordOf(FaultActionKind kind) { return kActions[static_cast<size_t>(kind)]; }
std::span<const char* const> opNames() { return kOpNames; }
std::span<const char* const> actionNames() { return kActionNames; }
std::span<const char* const> errorNames() { return kErrorNames; }

bool findOp(std::string_view name, FaultOp* out) {
  size_t index = 0;
  if (!indexOf(kOpNames, name, &index)) return false;
  *out = static_cast<FaultOp>(index);
  return true;
}

bool findAction(std::string_view name, FaultActionKind* out) {
  size_t index = 0;
  if (!indexOf(kActionNames, name, &index)) return false;
  *out = static_cast<FaultActionKind>(index);
  return true;
}

bool findError(std::string_view name, FaultError* out) {
  for (const ErrorWord& word : kErrors) {
    if (name == word.name) {
      *out = word.error;
      return true;
    }
  }
  return false;
}

std::string listOps(uint32_t ops) {
  std::string out;
  for (size_t i = 0; i < kOpNames.size(); ++i) {
    if ((ops >> i & 1) == 0) continue;
    if (!out.empty()) out += ", ";
    out += kOpNames[i];
  }
  return out;
}

std::string didYouMean(std::string_view word, std::span<const char* const> known) {
  if (word.empty() || word.size() > kLongestWord) return {};
  size_t bestDistance = std::max<size_t>(1, word.size() / 3) + 1;
  const char* best = nullptr;
  const char* extended = nullptr;
  size_t extensions = 0;
  for (const char* const candidate : known) {
    const std::string_view text(candidate);
    const size_t distance = editDistance(word, text);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
    if (word.size() >= 3 && text.substr(0, word.size()) == word) {
      extended = candidate;
      ++extensions;
    }
  }
  if (best == nullptr && extensions == 1) best = extended;
  return best == nullptr ? std::string() : std::string(" (did you mean ") + best + "?)";
}

}  // namespace kvseam
