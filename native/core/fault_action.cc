// Parser of the actions: their arguments, distributions, errors, portions and flips.
#include "fault_action.h"

#include <algorithm>
#include <string>

#include "fault_scan.h"

namespace kvseam {

namespace {

constexpr const char* kDistNames[] = {"uniform", "normal", "exp", "pareto", "bimodal"};
constexpr uint64_t kMostFlips = 4096;

std::string join(std::span<const char* const> names) {
  std::string out;
  for (const char* const name : names) out += (out.empty() ? "" : " ") + std::string(name);
  return out;
}

class ActionParser {
 public:
  explicit ActionParser(FaultScan* scan) : scan_(*scan) {}

  bool action(uint32_t ops, FaultAction* out) {
    const size_t at = scan_.at();
    const std::string_view word = scan_.word();
    if (word.empty()) return scan_.fail("expected an action: " + join(actionNames()));
    if (!findAction(word, &out->kind)) {
      return scan_.fail(at,
                        "unknown action '" + std::string(word.substr(0, 64)) + "'" + didYouMean(word, actionNames()));
    }
    const FaultActionWord& known = wordOf(out->kind);
    if (known.ops == 0) {
      return scan_.fail(
          at, "skew is not supported in this version: every clock that kvseam judges by is monotonic and its own");
    }
    if ((ops & known.ops) == 0) {
      return scan_.fail(
          at, std::string(known.name) + " does not work on " + listOps(ops) + "; it works on " + listOps(known.ops));
    }
    switch (out->kind) {
      case FaultActionKind::kDelay:
      case FaultActionKind::kLate:
        return scan_.open(known.example) && dist(&out->dist) && scan_.close();
      case FaultActionKind::kStall:
      case FaultActionKind::kBlock:
        return scan_.open(known.example) && duration(&out->amount) && scan_.close();
      case FaultActionKind::kError:
        return scan_.open(known.example) && error(&out->error) && scan_.close();
      case FaultActionKind::kRate:
        if (!scan_.open(known.example) || !scan_.size(1, &out->amount)) return false;
        return scan_.takeText("/s") ? scan_.close() : scan_.fail("expected '/s', as in rate(100MiB/s)");
      case FaultActionKind::kPartial:
      case FaultActionKind::kShort:
        return scan_.open(known.example) && portion(out) && scan_.close();
      case FaultActionKind::kCorrupt:
        return scan_.open(known.example) && flips(out) && scan_.close();
      case FaultActionKind::kEagain:
        return scan_.open(known.example) && scan_.counted(1000, &out->amount) && scan_.close();
      case FaultActionKind::kReorder:
        return scan_.open(known.example) && scan_.counted(1024, &out->amount) &&
               (out->amount > 1 || scan_.fail("one operation has no order; reorder at least 2")) && scan_.close();
      case FaultActionKind::kDup:
        out->amount = 1;
        scan_.skipBlanks();
        return scan_.peek() != '(' || (scan_.open(known.example) && scan_.counted(16, &out->amount) && scan_.close());
      default:
        scan_.skipBlanks();
        return scan_.peek() != '(' || scan_.fail(std::string(known.name) + " takes nothing in parentheses");
    }
  }

 private:
  bool dist(FaultDist* out) {
    const size_t at = scan_.at();
    if (scan_.atDigit()) {
      if (!scan_.duration(1, &out->a)) return false;
      if (!scan_.take('~')) return true;
      const size_t jitterAt = scan_.at();
      int64_t jitter = 0;
      if (!scan_.duration(1, &jitter)) return false;
      if (jitter > out->a)
        return scan_.fail(jitterAt, "the jitter is larger than the delay, which would then be negative");
      out->kind = FaultDist::Kind::kUniform;
      out->b = out->a + jitter;
      out->a -= jitter;
      return true;
    }
    const std::string_view word = scan_.word();
    if (word == "uniform") {
      out->kind = FaultDist::Kind::kUniform;
      const size_t firstAt = scan_.at();
      if (!scan_.open("uniform(1ms,5ms)") || !scan_.duration(0, &out->a) || !scan_.comma() ||
          !scan_.duration(1, &out->b))
        return false;
      return out->a <= out->b ? scan_.close() : scan_.fail(firstAt + 1, "the range is reversed");
    }
    if (word == "normal") {
      out->kind = FaultDist::Kind::kNormal;
      return scan_.open("normal(20ms,5ms)") && scan_.duration(1, &out->a) && scan_.comma() &&
             scan_.duration(1, &out->b) && scan_.close();
    }
    if (word == "exp") {
      out->kind = FaultDist::Kind::kExp;
      return scan_.open("exp(20ms)") && scan_.duration(1, &out->a) && scan_.close();
    }
    if (word == "pareto") {
      out->kind = FaultDist::Kind::kPareto;
      if (!scan_.open("pareto(1ms,1.5)") || !scan_.duration(1, &out->a) || !scan_.comma()) return false;
      const size_t shapeAt = scan_.at();
      Decimal shape;
      if (!scan_.decimal(&shape)) return false;
      uint64_t milli = 0;
      if (!shape.scaled(1000, &milli) || milli < 100 || milli > 100'000) {
        return scan_.fail(shapeAt, "a shape is a number from 0.1 to 100 with at most 3 decimals, without a unit");
      }
      out->shapeMilli = static_cast<uint32_t>(milli);
      return scan_.close();
    }
    if (word == "bimodal") {
      out->kind = FaultDist::Kind::kBimodal;
      if (!scan_.open("bimodal(1ms,50ms,5%)") || !scan_.duration(1, &out->a) || !scan_.comma() ||
          !scan_.duration(1, &out->b) || !scan_.comma())
        return false;
      return scan_.percent(&out->secondPpb) && scan_.close();
    }
    return scan_.fail(at, word.empty() ? "expected a time such as 20ms, 20ms~5ms or exp(20ms)"
                                       : "unknown distribution '" + std::string(word.substr(0, 64)) + "'" +
                                             didYouMean(word, kDistNames));
  }

  bool error(FaultError* out) {
    const size_t at = scan_.at();
    const std::string_view word = scan_.word();
    const bool family = word == "nixl" || word == "ucx" || word == "fi" || word == "errno";
    if (family) {
      if (!scan_.take(':')) return scan_.fail("expected ':' and the number, as in " + std::string(word) + ":-3");
      const bool negative = scan_.take('-');
      const size_t numberAt = scan_.at();
      uint64_t number = 0;
      if (!scan_.digits(&number) || number == 0 || number > 1'000'000'000)
        return scan_.fail(numberAt, "expected a number from 1 to 1000000000");
      out->backendCode = negative ? -static_cast<int64_t>(number) : static_cast<int64_t>(number);
      return true;
    }
    if (word.empty()) return scan_.fail("expected an error: " + join(errorNames()));
    if (!findError(word, out)) {
      return scan_.fail(at, "unknown error '" + std::string(word.substr(0, 64)) + "'" + didYouMean(word, errorNames()));
    }
    return true;
  }

  bool portion(FaultAction* out) {
    const size_t at = scan_.at();
    const size_t mark = scan_.at();
    Decimal number;
    if (!scan_.atDigit()) return scan_.fail("expected a share such as 37% or a size such as 4KiB");
    if (!scan_.decimal(&number)) return false;
    if (!scan_.take('%')) {
      scan_.moveTo(mark);
      return scan_.size(1, &out->amount);
    }
    uint32_t ppb = 0;
    if (!scan_.share(number, at, &ppb)) return false;
    if (out->kind == FaultActionKind::kShort && ppb == FaultStep::kAlways)
      return scan_.fail(at, "short(100%) would move everything");
    out->isShare = true;
    out->amount = ppb;
    return true;
  }

  bool flips(FaultAction* out) {
    const size_t at = scan_.at();
    Decimal number;
    if (!scan_.atDigit()) return scan_.fail("expected how much to flip, such as 1bit or 4B");
    if (!scan_.decimal(&number)) return false;
    scan_.skipBlanks();
    if (scan_.takeText("bits") || scan_.takeText("bit")) {
      out->isBits = true;
      return scan_.count(number, at, kMostFlips, &out->amount);
    }
    scan_.moveTo(at);
    if (!scan_.size(1, &out->amount)) return false;
    return out->amount <= kMostFlips || scan_.fail(at, "at most 4096 bits or bytes are flipped");
  }

  bool duration(uint64_t* out) {
    int64_t ns = 0;
    if (!scan_.duration(1, &ns)) return false;
    *out = static_cast<uint64_t>(ns);
    return true;
  }

  FaultScan& scan_;
};

}  // namespace

bool readFaultAction(FaultScan* scan, uint32_t ops, FaultAction* out) { return ActionParser(scan).action(ops, out); }

}  // namespace kvseam
