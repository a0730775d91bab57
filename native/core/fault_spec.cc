// The strict parser of the fault language: one pass, no exceptions of its own, the first error wins.
#include "fault_spec.h"

#include <algorithm>
#include <utility>

#include "fault_scan.h"

namespace kvseam {

namespace {

constexpr const char* kWhenForms = "from..to, every(period,on) or ops(a..b)";
constexpr const char* kFilterForms = "skip, every, min, max, peer or class";
constexpr const char* kFilterNames[] = {"skip", "every", "min", "max", "peer", "class"};
constexpr const char* kDistNames[] = {"uniform", "normal", "exp", "pareto", "bimodal"};
constexpr uint64_t kMostFlips = 4096;
constexpr uint64_t kMostCount = 1'000'000'000;

class Parser {
 public:
  Parser(std::string_view text, FaultSpec* spec, FaultSyntaxError* error) : scan_(text, error), spec_(*spec) {}

  bool parse() {
    if (scan_.text().size() > FaultSpec::kMaxBytes) return scan_.fail(FaultSpec::kMaxBytes, "the text is longer than 65536 bytes");
    for (bool first = true;; first = false) {
      scan_.skipLines();
      if (scan_.atEnd()) break;
      if (scan_.peek() == ';') return scan_.fail("a rule is missing before ';'");
      if (spec_.rules.size() == FaultSpec::kMaxRules) return scan_.fail("more than 256 rules");
      if (first && scan_.startsWith("seed")) {
        bool isSeed = false;
        if (!seed(&isSeed)) return false;
        if (!isSeed && !rule()) return false;
      } else if (!rule()) {
        return false;
      }
      scan_.skipBlanks();
      if (scan_.atRuleEnd()) {
        scan_.take(';');
        continue;
      }
      return scan_.fail("expected '->', '@', '{', ';' or the end of the rule");
    }
    if (spec_.rules.empty()) return scan_.fail("there is no rule; give at least one, such as rail0.read=delay(20ms)");
    return true;
  }

 private:
  bool seed(bool* isSeed) {
    const size_t start = scan_.at();
    scan_.advance(4);
    scan_.skipBlanks();
    if (!scan_.take('=')) {
      scan_.moveTo(start);  // a path whose name begins with "seed"
      return true;
    }
    *isSeed = true;
    scan_.skipBlanks();
    const size_t at = scan_.at();
    spec_.hasSeed = true;
    if (!scan_.digits(&spec_.seed)) return scan_.fail(at, "a seed is a whole number from 0 to 18446744073709551615");
    return true;
  }

  bool rule() {
    FaultRule rule;
    const size_t start = scan_.at();
    rule.line = scan_.lineOf(start);
    rule.column = scan_.columnOf(start);
    if (!target(&rule)) return false;
    do {
      if (rule.steps.size() == FaultSpec::kMaxSteps) return scan_.fail("more than 32 steps in one rule");
      scan_.skipBlanks();
      if (!rule.steps.empty() && rule.steps.back().ppb == FaultStep::kAlways && rule.steps.back().most == 0) {
        return scan_.fail("this step is never reached, since the one before it always fires; give that a share or a count");
      }
      FaultStep next;
      if (!step(rule, &next)) return false;
      rule.steps.push_back(next);
      scan_.skipBlanks();
    } while (scan_.takeText("->"));
    if (scan_.take('@') && !when(&rule.when)) return false;
    scan_.skipBlanks();
    if (scan_.take('{') && !filters(&rule)) return false;
    rule.text = scan_.textFrom(start);
    spec_.rules.push_back(std::move(rule));
    return true;
  }

  bool target(FaultRule* rule) {
    const size_t start = scan_.at();
    const std::string_view all = scan_.nameChars();
    if (all.empty()) return scan_.fail("a rule begins with a path: '*', or a name of A-Z a-z 0-9 . _ : @ / > -");
    const size_t end = scan_.at();
    scan_.skipBlanks();
    if (!scan_.take('=')) return scan_.fail("expected '=' after the path");
    if (all == "seed") return scan_.fail(start, "seed= stands at the very beginning, once");
    std::string_view name = all;
    rule->ops = kFaultPathOps;
    const size_t dot = all.rfind('.');
    const std::string_view suffix = dot == std::string_view::npos ? std::string_view() : all.substr(dot + 1);
    if (suffix == "*") {
      name = all.substr(0, dot);
    } else if (dot != std::string_view::npos && std::all_of(suffix.begin(), suffix.end(), [](char c) { return c >= 'a' && c <= 'z'; })) {
      FaultOp op{};
      if (!findOp(suffix, &op)) {
        return scan_.fail(start + dot + 1, "unknown operation '" + std::string(suffix) + "'" + didYouMean(suffix, opNames()) +
                                               "; if it belongs to the name, write '" + std::string(all) + ".*'");
      }
      rule->ops = bitOf(op);
      name = all.substr(0, dot);
    }
    if (name.empty()) return scan_.fail(start, "the path before the operation is missing; '*' means every path");
    const size_t star = name.find('*');
    if (star != std::string_view::npos && star + 1 != name.size()) return scan_.fail(start + star, "'*' may only end a name");
    rule->isPrefix = star != std::string_view::npos;
    rule->name = name.substr(0, star);
    (void)end;
    return true;
  }

  bool step(const FaultRule& rule, FaultStep* out) {
    size_t at = scan_.at();
    if (scan_.atDigit()) {
      Decimal number;
      if (!scan_.decimal(&number)) return false;
      if (scan_.take('%')) {
        if (!scan_.share(number, at, &out->ppb)) return false;
        scan_.skipBlanks();
        at = scan_.at();
        if (scan_.atDigit()) {
          if (!scan_.decimal(&number) || !count(number, at, kMostCount, &out->most)) return false;
          if (!scan_.take('*')) return scan_.fail("expected '*' after a count, as in 3*drop");
        }
      } else if (scan_.take('*')) {
        if (!count(number, at, kMostCount, &out->most)) return false;
      } else {
        return scan_.fail("expected '%' (a share) or '*' (a count) and then an action");
      }
      scan_.skipBlanks();
    }
    return action(rule, &out->action);
  }

  bool action(const FaultRule& rule, FaultAction* out) {
    const size_t at = scan_.at();
    const std::string_view word = scan_.word();
    if (word.empty()) return scan_.fail("expected an action: " + join(actionNames()));
    if (!findAction(word, &out->kind)) {
      return scan_.fail(at, "unknown action '" + std::string(word.substr(0, 64)) + "'" + didYouMean(word, actionNames()));
    }
    const FaultActionWord& known = wordOf(out->kind);
    if (known.ops == 0) {
      return scan_.fail(at, "skew is not supported in this version: every clock that kvseam judges by is monotonic and its own");
    }
    if ((rule.ops & known.ops) == 0) {
      return scan_.fail(at, std::string(known.name) + " does not work on " + listOps(rule.ops) + "; it works on " + listOps(known.ops));
    }
    switch (out->kind) {
      case FaultActionKind::kDelay:
      case FaultActionKind::kLate:
        return open(known) && dist(&out->dist) && close();
      case FaultActionKind::kStall:
      case FaultActionKind::kBlock:
        return open(known) && duration(&out->amount) && close();
      case FaultActionKind::kError:
        return open(known) && error(&out->error) && close();
      case FaultActionKind::kRate:
        if (!open(known) || !scan_.size(1, &out->amount)) return false;
        return scan_.takeText("/s") ? close() : scan_.fail("expected '/s', as in rate(100MiB/s)");
      case FaultActionKind::kPartial:
      case FaultActionKind::kShort:
        return open(known) && portion(out) && close();
      case FaultActionKind::kCorrupt:
        return open(known) && flips(out) && close();
      case FaultActionKind::kEagain:
        return open(known) && counted(1000, &out->amount) && close();
      case FaultActionKind::kReorder:
        return open(known) && counted(1024, &out->amount) &&
               (out->amount > 1 || scan_.fail("one operation has no order; reorder at least 2")) && close();
      case FaultActionKind::kDup:
        out->amount = 1;
        scan_.skipBlanks();
        return scan_.peek() != '(' || (open(known) && counted(16, &out->amount) && close());
      default:
        scan_.skipBlanks();
        return scan_.peek() != '(' || scan_.fail(std::string(known.name) + " takes nothing in parentheses");
    }
  }

  bool dist(FaultDist* out) {
    const size_t at = scan_.at();
    if (scan_.atDigit()) {
      if (!scan_.duration(1, &out->a)) return false;
      if (!scan_.take('~')) return true;
      const size_t jitterAt = scan_.at();
      int64_t jitter = 0;
      if (!scan_.duration(1, &jitter)) return false;
      if (jitter > out->a) return scan_.fail(jitterAt, "the jitter is larger than the delay, which would then be negative");
      out->kind = FaultDist::Kind::kUniform;
      out->b = out->a + jitter;
      out->a -= jitter;
      return true;
    }
    const std::string_view word = scan_.word();
    if (word == "uniform") {
      out->kind = FaultDist::Kind::kUniform;
      const size_t firstAt = scan_.at();
      if (!open("uniform(1ms,5ms)") || !scan_.duration(0, &out->a) || !comma() || !scan_.duration(1, &out->b)) return false;
      return out->a <= out->b ? close() : scan_.fail(firstAt + 1, "the range is reversed");
    }
    if (word == "normal") {
      out->kind = FaultDist::Kind::kNormal;
      return open("normal(20ms,5ms)") && scan_.duration(1, &out->a) && comma() && scan_.duration(1, &out->b) && close();
    }
    if (word == "exp") {
      out->kind = FaultDist::Kind::kExp;
      return open("exp(20ms)") && scan_.duration(1, &out->a) && close();
    }
    if (word == "pareto") {
      out->kind = FaultDist::Kind::kPareto;
      if (!open("pareto(1ms,1.5)") || !scan_.duration(1, &out->a) || !comma()) return false;
      const size_t shapeAt = scan_.at();
      Decimal shape;
      if (!scan_.decimal(&shape)) return false;
      uint64_t milli = 0;
      if (!shape.scaled(1000, &milli) || milli < 100 || milli > 100'000) {
        return scan_.fail(shapeAt, "a shape is a number from 0.1 to 100 with at most 3 decimals, without a unit");
      }
      out->shapeMilli = static_cast<uint32_t>(milli);
      return close();
    }
    if (word == "bimodal") {
      out->kind = FaultDist::Kind::kBimodal;
      if (!open("bimodal(1ms,50ms,5%)") || !scan_.duration(1, &out->a) || !comma() || !scan_.duration(1, &out->b) || !comma()) return false;
      return scan_.percent(&out->secondPpb) && close();
    }
    return scan_.fail(at, word.empty() ? "expected a time such as 20ms, 20ms~5ms or exp(20ms)"
                                       : "unknown distribution '" + std::string(word.substr(0, 64)) + "'" + didYouMean(word, kDistNames));
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
      if (!scan_.digits(&number) || number == 0 || number > 1'000'000'000) return scan_.fail(numberAt, "expected a number from 1 to 1000000000");
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
    if (out->kind == FaultActionKind::kShort && ppb == FaultStep::kAlways) return scan_.fail(at, "short(100%) would move everything");
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
      return count(number, at, kMostFlips, &out->amount);
    }
    scan_.moveTo(at);
    if (!scan_.size(1, &out->amount)) return false;
    return out->amount <= kMostFlips || scan_.fail(at, "at most 4096 bits or bytes are flipped");
  }

  bool when(FaultWhen* out) {
    scan_.skipBlanks();
    const size_t at = scan_.at();
    if (scan_.atDigit()) {
      out->kind = FaultWhen::Kind::kWindow;
      if (!scan_.duration(0, &out->from)) return false;
      if (!scan_.takeText("..")) return scan_.fail("expected '..', as in 10s..30s or 10s..");
      if (!scan_.atDigit()) return true;
      const size_t toAt = scan_.at();
      if (!scan_.duration(0, &out->to)) return false;
      return out->to > out->from || scan_.fail(toAt, "the window is reversed or empty");
    }
    const std::string_view word = scan_.word();
    if (word == "every") {
      out->kind = FaultWhen::Kind::kEvery;
      if (!open("every(4s,2s)") || !scan_.duration(1, &out->from) || !comma()) return false;
      const size_t onAt = scan_.at();
      if (!scan_.duration(1, &out->to)) return false;
      return out->to < out->from ? close() : scan_.fail(onAt, "the fault must be on for less than its period");
    }
    if (word == "ops") {
      out->kind = FaultWhen::Kind::kOps;
      uint64_t number = 0;
      if (!open("ops(1..3)") || !counted(kMostCount, &number)) return false;
      out->from = static_cast<int64_t>(number);
      if (!scan_.takeText("..")) return scan_.fail("expected '..', as in ops(1..3) or ops(10..)");
      if (!scan_.atDigit()) return close();
      const size_t toAt = scan_.at();
      if (!counted(kMostCount, &number)) return false;
      out->to = static_cast<int64_t>(number);
      return out->to >= out->from ? close() : scan_.fail(toAt, "the window is reversed");
    }
    return scan_.fail(at, std::string("expected ") + kWhenForms);
  }

  bool filters(FaultRule* rule) {
    uint32_t seen = 0;
    do {
      scan_.skipBlanks();
      const size_t at = scan_.at();
      const std::string_view word = scan_.word();
      const auto* const found = std::find(std::begin(kFilterNames), std::end(kFilterNames), word);
      if (word.empty()) return scan_.fail(std::string("expected a filter: ") + kFilterForms);
      if (found == std::end(kFilterNames)) {
        return scan_.fail(at, "unknown filter '" + std::string(word.substr(0, 64)) + "'" + didYouMean(word, kFilterNames));
      }
      const auto index = static_cast<uint32_t>(found - std::begin(kFilterNames));
      if ((seen >> index & 1) != 0) return scan_.fail(at, "filter '" + std::string(word) + "' is given twice");
      seen |= 1u << index;
      scan_.skipBlanks();
      if (!scan_.take('=')) return scan_.fail("expected '=' after the filter");
      scan_.skipBlanks();
      if (!filter(index, at, rule)) return false;
      scan_.skipBlanks();
    } while (scan_.take(','));
    return scan_.take('}') || scan_.fail("expected ',' or '}'");
  }

  bool filter(uint32_t index, size_t at, FaultRule* rule) {
    switch (index) {
      case 0:
        return counted(kMostCount, &rule->skip);
      case 1:
        return counted(kMostCount, &rule->every);
      case 2:
      case 3:
        if (!scan_.size(index == 2 ? 0 : 1, index == 2 ? &rule->minBytes : &rule->maxBytes)) return false;
        return rule->minBytes <= rule->maxBytes || scan_.fail(at, "min is larger than max, so nothing passes");
      default: {
        const std::string_view name = scan_.plainName();
        if (name.empty()) return scan_.fail("expected a name of A-Z a-z 0-9 . _ : @ -");
        (index == 4 ? rule->peer : rule->workloadClass) = name;
        return true;
      }
    }
  }

  bool open(const FaultActionWord& known) { return open(known.example); }
  bool open(const char* example) {
    scan_.skipBlanks();
    if (!scan_.take('(')) return scan_.fail(std::string("expected '(', as in ") + example);
    scan_.skipBlanks();
    return true;
  }
  bool close() {
    scan_.skipBlanks();
    return scan_.take(')') || scan_.fail("expected ')'");
  }
  bool comma() {
    scan_.skipBlanks();
    if (!scan_.take(',')) return scan_.fail("expected ','");
    scan_.skipBlanks();
    return true;
  }
  bool duration(uint64_t* out) {
    int64_t ns = 0;
    if (!scan_.duration(1, &ns)) return false;
    *out = static_cast<uint64_t>(ns);
    return true;
  }
  bool counted(uint64_t most, uint64_t* out) {
    const size_t at = scan_.at();
    Decimal number;
    return scan_.decimal(&number) && count(number, at, most, out);
  }
  bool count(const Decimal& number, size_t at, uint64_t most, uint64_t* out) {
    if (number.decimals != 0 || number.mantissa == 0 || number.mantissa > most) {
      return scan_.fail(at, "a count is a whole number from 1 to " + std::to_string(most));
    }
    *out = number.mantissa;
    return true;
  }

  static std::string join(std::span<const char* const> names) {
    std::string out;
    for (const char* const name : names) out += (out.empty() ? "" : " ") + std::string(name);
    return out;
  }

  FaultScan scan_;
  FaultSpec& spec_;
};

}  // namespace

bool FaultSpec::uses(FaultActionKind kind) const {
  for (const FaultRule& rule : rules) {
    for (const FaultStep& step : rule.steps) {
      if (step.action.kind == kind) return true;
    }
  }
  return false;
}

bool FaultSpec::parse(std::string_view text, FaultSpec* out, FaultSyntaxError* error) {
  *out = FaultSpec();
  return Parser(text, out, error).parse();
}

}  // namespace kvseam
