// Finds backends by name: those compiled in, then shared objects `kvseam_<name>.so` beside the addon. One that cannot
// be opened is an answer with the reason, never a crash; nothing is ever unloaded.
#ifndef KVSEAM_CORE_REGISTRY_H_
#define KVSEAM_CORE_REGISTRY_H_

#include <string>
#include <vector>

#include "backend.h"
#include "status.h"

namespace kvseam {

class Registry {
 public:
  /** `folder`: absolute, where the shared objects of this build lie. */
  explicit Registry(std::string folder) : folder_(std::move(folder)) {}

  void addBuiltIn(const kvseam_backend_api* api) { builtIn_.push_back(api); }
  Status find(const std::string& name, const kvseam_backend_api** out);

 private:
  std::string folder_;
  std::vector<const kvseam_backend_api*> builtIn_;
  std::vector<const kvseam_backend_api*> opened_;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_REGISTRY_H_
