// The language of faults: a text such as `efa0.write=5%error(remote_disconnect)@10s..30s` becomes rules, or one error
// with its line, column and caret. Strict on purpose: a misspelt rule that injects nothing would prove anything.
//
//   spec    = ["seed=" uint64 sep] rule *(sep rule) [sep]              sep = ";" or a new line; "#" starts a comment
//   rule    = path ["." op] "=" step *("->" step) ["@" when] ["{" filter *("," filter) "}"]
//   path    = "*" / name / name"*"        name: A-Z a-z 0-9 . _ : @ / > -
//   op      = connect load register deregister read write notify poll cancel probe release / "*"
//   step    = [pct "%"] [n "*"] action
//   when    = from".."[to] / every(period,on) / ops(a..[b])
//   filter  = skip=n / every=n / min=size / max=size / peer=name / class=name
//
// - The operation is what follows the LAST "." of the part before "=", when that is "*" or only lower-case letters; a
// name
//   that ends so itself is followed by ".*" (`host.local.*=drop`). `eth0.100` and `10.0.0.7` need nothing.
// - No operation, or "*", means those that travel over a path: read, write and notify. The others must be named.
// - A name is compared with everything a path is called: its id `a/r0>b/r1`, its ends `a/r0` and `b/r1`, its agents `a`
//   and `b`, its rails `r0` and `r1`. load and connect concern `a>b`; register, deregister and poll the agent.
#ifndef KVSEAM_CORE_FAULT_SPEC_H_
#define KVSEAM_CORE_FAULT_SPEC_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "fault_words.h"

namespace kvseam {

/** A length of time in nanoseconds, drawn anew for each firing. */
struct FaultDist {
  enum class Kind : uint8_t { kFixed, kUniform, kNormal, kExp, kPareto, kBimodal };
  Kind kind = Kind::kFixed;
  int64_t a = 0;            // the value, the lower bound, the mean or the scale
  int64_t b = 0;            // the upper bound, the standard deviation or the second value
  uint32_t shapeMilli = 0;  // pareto: shape * 1000
  uint32_t secondPpb = 0;   // bimodal: how often the second value, in billionths
};

struct FaultAction {
  FaultActionKind kind = FaultActionKind::kOff;
  FaultDist dist;    // delay, late
  FaultError error;  // error
  uint64_t amount =
      0;  // dup, eagain, reorder: count; stall, block: ns; rate: bytes a second; partial, short, corrupt: how much
  bool isShare = false;  // partial, short: `amount` is in billionths of the operation, not in bytes
  bool isBits = false;   // corrupt: `amount` is in bits, not in bytes
};

struct FaultStep {
  static constexpr uint32_t kAlways = 1'000'000'000;
  uint32_t ppb = kAlways;
  uint64_t most = 0;  // firings on one path and operation; 0: no limit
  FaultAction action;
};

struct FaultWhen {
  enum class Kind : uint8_t { kAlways, kWindow, kEvery, kOps };
  Kind kind = Kind::kAlways;
  int64_t from = 0;                                  // kWindow: ns since arming; kEvery: period; kOps: first number
  int64_t to = std::numeric_limits<int64_t>::max();  // kWindow: end, excluded; kEvery: on for; kOps: last number
};

struct FaultRule {
  std::string text;  // as written
  uint32_t line = 1;
  uint32_t column = 1;
  std::string name;
  bool isPrefix = false;
  uint32_t ops = 0;  // bits 1 << FaultOp
  std::vector<FaultStep> steps;
  FaultWhen when;
  uint64_t skip = 0;
  uint64_t every = 1;
  uint64_t minBytes = 0;
  uint64_t maxBytes = std::numeric_limits<uint64_t>::max();
  std::string peer;           // empty: any
  std::string workloadClass;  // empty: any

  bool matchesName(std::string_view candidate) const {
    return isPrefix ? candidate.substr(0, name.size()) == name : candidate == name;
  }
  bool concerns(FaultOp op) const { return (ops & bitOf(op)) != 0; }
};

struct FaultSyntaxError {
  uint32_t line = 1;
  uint32_t column = 1;  // of the first character that is wrong, from 1
  std::string message;  // one line, without position
  std::string source;   // the line it is about, cut to a width that fits a terminal
  uint32_t caret = 0;   // where in `source` the column is, from 0
};

struct FaultSpec {
  static constexpr size_t kMaxBytes = 65'536;
  static constexpr size_t kMaxRules = 256;
  static constexpr size_t kMaxSteps = 32;

  bool hasSeed = false;
  uint64_t seed = 0;
  std::vector<FaultRule> rules;

  bool uses(FaultActionKind kind) const;
  /** False with `error` filled; `out` is then unusable. Time grows with the length of the text. */
  [[nodiscard]] static bool parse(std::string_view text, FaultSpec* out, FaultSyntaxError* error);
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_SPEC_H_
