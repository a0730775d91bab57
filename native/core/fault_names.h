// What the parts of one agent are called in fault rules. Paths become known on the owner's thread and are looked up on
// the progress thread and by memory calls, so a lock guards the table.
#ifndef KVSEAM_CORE_FAULT_NAMES_H_
#define KVSEAM_CORE_FAULT_NAMES_H_

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "fault_plan.h"

namespace kvseam {

class FaultNames {
 public:
  void nameAgent(const std::string& agent, const std::vector<std::string>& rails);
  void namePath(uint32_t path, const std::string& localRail, const std::string& peer, const std::string& remoteRail);

  /** `a/r0>b/r1` in the direction in which the bytes of `op` move. */
  FaultSubject ofPath(uint32_t path, FaultOp op) const;
  FaultSubject ofConnection(const std::string& peer) const;
  FaultSubject ofAgent() const;
  uint32_t paths() const;

 private:
  struct PathName {
    std::string localRail;
    std::string peer;
    std::string remoteRail;
  };
  mutable std::mutex mutex_;
  std::string agent_;
  std::vector<std::string> rails_;
  std::vector<PathName> paths_;
};

/** Gives each id one number, for tables indexed by subject; used by one thread. */
class FaultSubjects {
 public:
  const FaultSubject& intern(FaultSubject subject);
  const FaultSubject& at(uint32_t index) const { return subjects_[index]; }

 private:
  std::deque<FaultSubject> subjects_;
  std::unordered_map<std::string, uint32_t> byId_;
};

/** A subject from a path id alone, as TypeScript writes it: `a/r0>b/r1`. */
FaultSubject subjectOfPathId(const std::string& id);

}  // namespace kvseam
#endif  // KVSEAM_CORE_FAULT_NAMES_H_
