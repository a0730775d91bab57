// Names of codes and blames, and the way back to the C form that crosses the backend table.
#include "status.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace kvseam {

const char* codeName(int32_t code) {
  switch (code) {
#define KVSEAM_CODE_NAME(name) \
  case KVSEAM_##name:          \
    return "KVSEAM_" #name;
    KVSEAM_CODES(KVSEAM_CODE_NAME)
#undef KVSEAM_CODE_NAME
    default:
      return "KVSEAM_TRANSFER_FAILED";  // a backend newer than this engine: still a failure, never a success
  }
}

const char* blameName(int32_t blame) {
  switch (blame) {
#define KVSEAM_BLAME_NAME(name) \
  case KVSEAM_BLAME_##name:     \
    return #name;
    KVSEAM_BLAMES(KVSEAM_BLAME_NAME)
#undef KVSEAM_BLAME_NAME
    default:
      return "local";
  }
}

namespace {
// Made when the program starts: when it is needed there is no memory to make it.
const std::string noMemoryText = "out of memory; nothing has changed, so free something and try again";
}  // namespace

Status::Status(const kvseam_status& status)
    : code_(static_cast<Code>(status.code)),
      blame_(static_cast<Blame>(status.blame)),
      backendCode_(status.backend_code) {
  try {
    text_ = status.text;
  } catch (const std::bad_alloc&) {
    text_.clear();
  }
}

const std::string& Status::text() const { return code_ == KVSEAM_NO_MEMORY && text_.empty() ? noMemoryText : text_; }

kvseam_status Status::toC() const {
  kvseam_status out{};
  out.code = code_;
  out.blame = blame_;
  out.backend_code = backendCode_;
  const size_t bytes = std::min(text().size(), sizeof(out.text) - 1);
  std::memcpy(out.text, text().data(), bytes);
  out.text[bytes] = '\0';
  return out;
}

}  // namespace kvseam
