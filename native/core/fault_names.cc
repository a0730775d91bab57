// Names of agents, connections and paths.
#include "fault_names.h"

#include <new>
#include <utility>

#include "fault_draw.h"

namespace kvseam {

namespace {

FaultSubject subjectOf(std::string id, std::vector<std::string> names, std::string peer) {
  FaultSubject subject;
  subject.hash = FaultDraw::hash(id);
  names.push_back(id);
  subject.id = std::move(id);
  subject.names = std::move(names);
  subject.peer = std::move(peer);
  return subject;
}

}  // namespace

void FaultNames::nameAgent(const std::string& agent, const std::vector<std::string>& rails) {
  const std::lock_guard<std::mutex> lock(mutex_);
  agent_ = agent;
  rails_ = rails;
}

void FaultNames::namePath(uint32_t path, const std::string& localRail, const std::string& peer,
                          const std::string& remoteRail) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (path >= paths_.size()) paths_.resize(path + 1);
  paths_[path] = {localRail, peer, remoteRail};
}

uint32_t FaultNames::paths() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<uint32_t>(paths_.size());
}

FaultSubject FaultNames::ofPath(uint32_t path, FaultOp op) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (path >= paths_.size()) return subjectOf("path" + std::to_string(path), {}, {});
  const PathName& name = paths_[path];
  const std::string here = agent_ + "/" + name.localRail;
  const std::string there = name.peer + "/" + name.remoteRail;
  return subjectOf(op == FaultOp::op_read ? there + ">" + here : here + ">" + there,
                   {here, there, agent_, name.peer, name.localRail, name.remoteRail}, name.peer);
}

FaultSubject FaultNames::ofConnection(const std::string& peer) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return subjectOf(agent_ + ">" + peer, {agent_, peer}, peer);
}

FaultSubject FaultNames::ofAgent() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> names = rails_;
  for (const std::string& rail : rails_) names.push_back(agent_ + "/" + rail);
  return subjectOf(agent_, std::move(names), {});
}

const FaultSubject& FaultSubjects::intern(FaultSubject subject) {
  const auto found = byId_.find(subject.id);
  if (found != byId_.end()) return subjects_[found->second];
  subject.index = static_cast<uint32_t>(subjects_.size());
  subjects_.push_back(std::move(subject));
  try {
    byId_.emplace(subjects_.back().id, subjects_.back().index);
  } catch (const std::bad_alloc&) {
    subjects_.pop_back();
    throw;
  }
  return subjects_.back();
}

FaultSubject subjectOfPathId(const std::string& id) {
  std::vector<std::string> names;
  std::string last;
  const size_t arrow = id.find('>');
  for (const std::string& end :
       {id.substr(0, arrow), arrow == std::string::npos ? std::string() : id.substr(arrow + 1)}) {
    if (end.empty()) continue;
    const size_t slash = end.find('/');
    names.push_back(end);
    names.push_back(end.substr(0, slash));
    last = names.back();
    if (slash != std::string::npos) names.push_back(end.substr(slash + 1));
  }
  return subjectOf(id, std::move(names), std::move(last));
}

}  // namespace kvseam
