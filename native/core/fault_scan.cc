// Pieces of the fault language.
#include "fault_scan.h"

#include <algorithm>

#include "fault_spec.h"

namespace kvseam {

namespace {

constexpr size_t kMaxDigits = 18;  // every such number fits 64 bits
constexpr size_t kSourceWidth = 100;
constexpr const char* kTimeUnits = "ns us ms s m";
constexpr const char* kSizeUnits = "B KiB MiB GiB";

struct Unit {
  const char* name;
  uint64_t factor;
};
constexpr Unit kTimes[] = {{"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}};
constexpr Unit kSizes[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}};

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isPlain(char c) { return isLetter(c) || isDigit(c) || c == '.' || c == '_' || c == ':' || c == '@' || c == '-'; }

template <typename F>
std::string_view takeWhile(std::string_view text, size_t* at, F&& belongs) {
  const size_t start = *at;
  while (*at < text.size() && belongs(text[*at])) ++*at;
  return text.substr(start, *at - start);
}

}  // namespace

bool Decimal::scaled(uint64_t factor, uint64_t* out) const {
  unsigned __int128 value = static_cast<unsigned __int128>(mantissa) * factor;
  for (uint32_t i = 0; i < decimals; ++i) {
    if (value % 10 != 0) return false;
    value /= 10;
  }
  if (value > UINT64_MAX) return false;
  *out = static_cast<uint64_t>(value);
  return true;
}

bool FaultScan::take(char c) {
  if (peek() != c || atEnd()) return false;
  ++at_;
  return true;
}

bool FaultScan::takeText(std::string_view what) {
  if (!startsWith(what)) return false;
  at_ += what.size();
  return true;
}

void FaultScan::skipBlanks() {
  while (peek() == ' ' || peek() == '\t' || peek() == '\r') ++at_;
}

void FaultScan::skipLines() {
  for (;;) {
    skipBlanks();
    if (peek() == '#') {
      while (!atEnd() && peek() != '\n') ++at_;
    } else if (peek() == '\n') {
      ++at_;
    } else {
      return;
    }
  }
}

std::string_view FaultScan::word() {
  if (!isLetter(peek())) return {};
  return takeWhile(text_, &at_, [](char c) { return isLetter(c) || isDigit(c) || c == '_'; });
}

std::string_view FaultScan::nameChars() {
  return takeWhile(text_, &at_, [](char c) { return isPlain(c) || c == '/' || c == '>' || c == '*'; });
}

std::string_view FaultScan::plainName() { return takeWhile(text_, &at_, isPlain); }

std::string FaultScan::textFrom(size_t start) const {
  std::string_view out = text_.substr(start, at_ - start);
  while (!out.empty() && (out.back() == ' ' || out.back() == '\t' || out.back() == '\r')) out.remove_suffix(1);
  return std::string(out);
}

bool FaultScan::digits(uint64_t* out) {
  const std::string_view text = takeWhile(text_, &at_, isDigit);
  if (text.empty() || text.size() > 20) return false;
  unsigned __int128 value = 0;
  for (const char c : text) value = value * 10 + static_cast<unsigned>(c - '0');
  if (value > UINT64_MAX) return false;
  *out = static_cast<uint64_t>(value);
  return true;
}

bool FaultScan::decimal(Decimal* out) {
  const size_t start = at_;
  const std::string_view whole = takeWhile(text_, &at_, isDigit);
  if (whole.empty()) return fail("expected a number");
  std::string_view fraction;
  // "1..3" is a range: a point belongs to the number only when a digit follows.
  if (peek() == '.' && at_ + 1 < text_.size() && isDigit(text_[at_ + 1])) {
    ++at_;
    fraction = takeWhile(text_, &at_, isDigit);
  }
  if (whole.size() + fraction.size() > kMaxDigits) return fail(start, "a number has at most 18 digits");
  *out = Decimal();
  for (const std::string_view part : {whole, fraction}) {
    for (const char c : part) out->mantissa = out->mantissa * 10 + static_cast<uint64_t>(c - '0');
  }
  out->decimals = static_cast<uint32_t>(fraction.size());
  return true;
}

bool FaultScan::duration(int64_t least, int64_t* out) {
  const size_t start = at_;
  Decimal number;
  if (!atDigit()) return fail("expected a time such as 20ms");
  if (!decimal(&number)) return false;
  const size_t unitAt = at_;
  const std::string_view unit = word();
  for (const Unit& known : kTimes) {
    if (unit != known.name) continue;
    uint64_t ns = 0;
    if (!number.scaled(known.factor, &ns)) {
      return fail(start, "a time is a whole number of nanoseconds, at most 24 hours");
    }
    if (ns > static_cast<uint64_t>(kMaxDurationNs)) return fail(start, "a time is at most 24 hours");
    if (ns < static_cast<uint64_t>(least)) return fail(start, "a time of 0 would do nothing");
    *out = static_cast<int64_t>(ns);
    return true;
  }
  if (unit.empty()) return fail(unitAt, std::string("a time needs a unit: ") + kTimeUnits);
  static constexpr const char* kNames[] = {"ns", "us", "ms", "s", "m"};
  return fail(unitAt, "unknown unit of time '" + std::string(unit.substr(0, 64)) + "'" + didYouMean(unit, kNames) +
                          "; known are " + kTimeUnits);
}

bool FaultScan::size(uint64_t least, uint64_t* out) {
  const size_t start = at_;
  Decimal number;
  if (!atDigit()) return fail("expected a size such as 4KiB");
  if (!decimal(&number)) return false;
  const size_t unitAt = at_;
  const std::string_view unit = word();
  for (const Unit& known : kSizes) {
    if (unit != known.name) continue;
    uint64_t bytes = 0;
    if (!number.scaled(known.factor, &bytes) || bytes > kMaxSize)
      return fail(start, "a size is a whole number of bytes, at most 1048576 GiB");
    if (bytes < least) return fail(start, "a size of 0 means nothing here");
    *out = bytes;
    return true;
  }
  if (unit.empty()) return fail(unitAt, std::string("a size needs a unit: ") + kSizeUnits);
  static constexpr const char* kNames[] = {"KiB", "MiB", "GiB", "B"};
  return fail(unitAt, "unknown unit of size '" + std::string(unit.substr(0, 64)) + "'" + didYouMean(unit, kNames) +
                          "; known are " + kSizeUnits);
}

bool FaultScan::share(const Decimal& number, size_t at, uint32_t* ppb) {
  uint64_t value = 0;
  if (!number.scaled(10'000'000, &value)) return fail(at, "a share has at most 7 decimals");
  if (value == 0) return fail(at, "0% never happens; leave the step out");
  if (value > FaultStep::kAlways) return fail(at, "a share is at most 100%");
  *ppb = static_cast<uint32_t>(value);
  return true;
}

bool FaultScan::percent(uint32_t* ppb) {
  const size_t start = at_;
  Decimal number;
  if (!decimal(&number)) return false;
  return take('%') ? share(number, start, ppb) : fail("expected '%'");
}

bool FaultScan::open(const char* example) {
  skipBlanks();
  if (!take('(')) return fail(std::string("expected '(', as in ") + example);
  skipBlanks();
  return true;
}

bool FaultScan::close() {
  skipBlanks();
  return take(')') || fail("expected ')'");
}

bool FaultScan::comma() {
  skipBlanks();
  if (!take(',')) return fail("expected ','");
  skipBlanks();
  return true;
}

bool FaultScan::counted(uint64_t most, uint64_t* out) {
  const size_t start = at_;
  Decimal number;
  return decimal(&number) && count(number, start, most, out);
}

bool FaultScan::count(const Decimal& number, size_t at, uint64_t most, uint64_t* out) {
  if (number.decimals != 0 || number.mantissa == 0 || number.mantissa > most) {
    return fail(at, "a count is a whole number from 1 to " + std::to_string(most));
  }
  *out = number.mantissa;
  return true;
}

uint32_t FaultScan::lineOf(size_t at) const {
  const std::string_view before = text_.substr(0, at);
  return 1 + static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n'));
}

uint32_t FaultScan::columnOf(size_t at) const {
  const size_t newline = text_.substr(0, at).rfind('\n');
  return static_cast<uint32_t>(newline == std::string_view::npos ? at : at - newline - 1) + 1;
}

bool FaultScan::fail(size_t at, std::string message) {
  at = std::min(at, text_.size());
  error_->line = lineOf(at);
  error_->column = columnOf(at);
  error_->message = std::move(message);
  const size_t lineStart = at - (error_->column - 1);
  const size_t lineEnd = std::min(text_.find('\n', at), text_.size());
  // A long line is cut so that the column stays in sight.
  const size_t from = at - lineStart > kSourceWidth * 3 / 4 ? at - kSourceWidth * 3 / 4 : lineStart;
  error_->source = std::string(text_.substr(from, std::min(lineEnd - from, kSourceWidth)));
  for (char& c : error_->source) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~') c = c == '\t' ? ' ' : '?';
  }
  error_->caret = static_cast<uint32_t>(at - from);
  return false;
}

}  // namespace kvseam
