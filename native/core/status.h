// The engine's only way to report trouble: a value with a code, who is to blame, and a text. Nothing in core throws.
#ifndef KVSEAM_CORE_STATUS_H_
#define KVSEAM_CORE_STATUS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "backend.h"

namespace kvseam {

using Code = kvseam_code;
using Blame = kvseam_blame;

/** "KVSEAM_TIMEOUT" for KVSEAM_TIMEOUT; the same spelling the TypeScript layer uses. */
const char* codeName(int32_t code);
const char* blameName(int32_t blame);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, Blame blame, std::string text, int64_t backendCode = 0)
      : code_(code), blame_(blame), backendCode_(backendCode), text_(std::move(text)) {}
  /** Never fails: without memory for its text the code has to do. */
  explicit Status(const kvseam_status& status);

  static Status local(Code code, std::string text) { return {code, KVSEAM_BLAME_local, std::move(text)}; }
  /** Needs no memory itself. */
  static Status noMemory() { return {KVSEAM_NO_MEMORY, KVSEAM_BLAME_local, {}}; }
  static Status protocol(Code code, std::string text) { return {code, KVSEAM_BLAME_protocol, std::move(text)}; }

  bool ok() const { return code_ == KVSEAM_OK; }
  Code code() const { return code_; }
  Blame blame() const { return blame_; }
  int64_t backendCode() const { return backendCode_; }
  const std::string& text() const;

  kvseam_status toC() const;

 private:
  Code code_ = KVSEAM_OK;
  Blame blame_ = KVSEAM_BLAME_none;
  int64_t backendCode_ = 0;
  std::string text_;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_STATUS_H_
