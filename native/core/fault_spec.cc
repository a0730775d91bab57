// The strict parser of the fault language: rules, windows and filters. One pass, no exceptions, the first error wins.
#include "fault_spec.h"

#include <algorithm>
#include <utility>

#include "fault_action.h"
#include "fault_scan.h"

namespace kvseam {

namespace {

constexpr const char* kWhenForms = "from..to, every(period,on) or ops(a..b)";
constexpr const char* kFilterForms = "skip, every, min, max, peer or class";
constexpr const char* kFilterNames[] = {"skip", "every", "min", "max", "peer", "class"};
constexpr uint64_t kMostCount = 1'000'000'000;

class Parser {
 public:
  Parser(std::string_view text, FaultSpec* spec, FaultSyntaxError* error) : scan_(text, error), spec_(*spec) {}

  bool parse() {
    if (scan_.text().size() > FaultSpec::kMaxBytes)
      return scan_.fail(FaultSpec::kMaxBytes, "the text is longer than 65536 bytes");
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
        return scan_.fail(
            "this step is never reached, since the one before it always fires; give that a share or a count");
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
    scan_.skipBlanks();
    if (!scan_.take('=')) return scan_.fail("expected '=' after the path");
    if (all == "seed") return scan_.fail(start, "seed= stands at the very beginning, once");
    std::string_view name = all;
    rule->ops = kFaultPathOps;
    const size_t dot = all.rfind('.');
    const std::string_view suffix = dot == std::string_view::npos ? std::string_view() : all.substr(dot + 1);
    if (suffix == "*") {
      name = all.substr(0, dot);
    } else if (dot != std::string_view::npos &&
               std::all_of(suffix.begin(), suffix.end(), [](char c) { return c >= 'a' && c <= 'z'; })) {
      FaultOp op{};
      if (!findOp(suffix, &op)) {
        return scan_.fail(start + dot + 1, "unknown operation '" + std::string(suffix) + "'" +
                                               didYouMean(suffix, opNames()) + "; if it belongs to the name, write '" +
                                               std::string(all) + ".*'");
      }
      rule->ops = bitOf(op);
      name = all.substr(0, dot);
    }
    if (name.empty()) return scan_.fail(start, "the path before the operation is missing; '*' means every path");
    const size_t star = name.find('*');
    if (star != std::string_view::npos && star + 1 != name.size())
      return scan_.fail(start + star, "'*' may only end a name");
    rule->isPrefix = star != std::string_view::npos;
    rule->name = name.substr(0, star);
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
          if (!scan_.decimal(&number) || !scan_.count(number, at, kMostCount, &out->most)) return false;
          if (!scan_.take('*')) return scan_.fail("expected '*' after a count, as in 3*drop");
        }
      } else if (scan_.take('*')) {
        if (!scan_.count(number, at, kMostCount, &out->most)) return false;
      } else {
        return scan_.fail("expected '%' (a share) or '*' (a count) and then an action");
      }
      scan_.skipBlanks();
    }
    return readFaultAction(&scan_, rule.ops, &out->action);
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
      if (!scan_.open("every(4s,2s)") || !scan_.duration(1, &out->from) || !scan_.comma()) return false;
      const size_t onAt = scan_.at();
      if (!scan_.duration(1, &out->to)) return false;
      return out->to < out->from ? scan_.close() : scan_.fail(onAt, "the fault must be on for less than its period");
    }
    if (word == "ops") {
      out->kind = FaultWhen::Kind::kOps;
      uint64_t number = 0;
      if (!scan_.open("ops(1..3)") || !scan_.counted(kMostCount, &number)) return false;
      out->from = static_cast<int64_t>(number);
      if (!scan_.takeText("..")) return scan_.fail("expected '..', as in ops(1..3) or ops(10..)");
      if (!scan_.atDigit()) return scan_.close();
      const size_t toAt = scan_.at();
      if (!scan_.counted(kMostCount, &number)) return false;
      out->to = static_cast<int64_t>(number);
      return out->to >= out->from ? scan_.close() : scan_.fail(toAt, "the window is reversed");
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
        return scan_.fail(at,
                          "unknown filter '" + std::string(word.substr(0, 64)) + "'" + didYouMean(word, kFilterNames));
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
        return scan_.counted(kMostCount, &rule->skip);
      case 1:
        return scan_.counted(kMostCount, &rule->every);
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
