// Reads the small pieces of the fault language (names, numbers, times, sizes, shares) and words its errors with line,
// column and caret. Knows nothing of rules.
#ifndef KVSEAM_CORE_FAULT_SCAN_H_
#define KVSEAM_CORE_FAULT_SCAN_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace kvseam {

struct FaultSyntaxError;

/** mantissa / 10^decimals, exact; at most 18 digits. */
struct Decimal {
  uint64_t mantissa = 0;
  uint32_t decimals = 0;
  /** value * factor where that is a whole number that fits. */
  bool scaled(uint64_t factor, uint64_t* out) const;
};

class FaultScan {
 public:
  static constexpr int64_t kMaxDurationNs = int64_t{24} * 3600 * 1'000'000'000;
  static constexpr uint64_t kMaxSize = uint64_t{1} << 50;

  FaultScan(std::string_view text, FaultSyntaxError* error) : text_(text), error_(error) {}

  std::string_view text() const { return text_; }
  size_t at() const { return at_; }
  void moveTo(size_t at) { at_ = at; }
  void advance(size_t by) { at_ += by; }
  bool atEnd() const { return at_ >= text_.size(); }
  char peek() const { return atEnd() ? '\0' : text_[at_]; }
  bool atDigit() const { return peek() >= '0' && peek() <= '9'; }
  bool startsWith(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  /** At ';', a new line, a comment or the end. */
  bool atRuleEnd() const { return atEnd() || peek() == ';' || peek() == '\n' || peek() == '#'; }

  bool take(char c);
  bool takeText(std::string_view what);
  void skipBlanks();
  /** Blanks, new lines and comments. */
  void skipLines();
  /** Letters, digits and _ , beginning with a letter; may be empty. */
  std::string_view word();
  /** Of a path or rail, with '*'. */
  std::string_view nameChars();
  std::string_view plainName();
  /** From `start` to here without the blanks at the end. */
  std::string textFrom(size_t start) const;

  /** A whole number that fits 64 bits; reports nothing. */
  bool digits(uint64_t* out);
  bool decimal(Decimal* out);
  /** A time with its unit; `least` in ns. */
  bool duration(int64_t least, int64_t* out);
  bool size(uint64_t least, uint64_t* out);
  /** `number` percent as billionths, above 0 and at most 100 %. */
  bool share(const Decimal& number, size_t at, uint32_t* ppb);
  bool percent(uint32_t* ppb);

  /** "(", ")" and "," with the blanks around them. `example` shows how the whole is written. */
  bool open(const char* example);
  bool close();
  bool comma();
  /** A whole number from 1 to `most`, read here or by decimal() at `at` before. */
  bool counted(uint64_t most, uint64_t* out);
  bool count(const Decimal& number, size_t at, uint64_t most, uint64_t* out);

  uint32_t lineOf(size_t at) const;
  uint32_t columnOf(size_t at) const;
  /** Always false, so that a caller can return it. */
  bool fail(size_t at, std::string message);
  bool fail(std::string message) { return fail(at_, std::move(message)); }

 private:
  std::string_view text_;
  size_t at_ = 0;
  FaultSyntaxError* error_;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_SCAN_H_
