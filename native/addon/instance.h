// Everything the addon holds for one JavaScript environment (the main thread or one worker). Numbers name the objects:
// no pointer and no wrapped object crosses the border, so a wrong argument finds nothing instead of a wrong type.
#ifndef KVSEAM_ADDON_INSTANCE_H_
#define KVSEAM_ADDON_INSTANCE_H_

#include <napi.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "../core/agent.h"
#include "../core/fault_judge.h"
#include "../core/fault_names.h"
#include "../core/handle_table.h"
#include "../core/permit.h"
#include "../core/registry.h"
#include "completion_port.h"

namespace kvseam::addon {

/** Members are destroyed from the last to the first: the agent stops before the port that it wakes goes away. */
struct AgentEntry {
  std::unique_ptr<CompletionPort> port;
  HandleTable<RemoteRegion> remoteRegions;
  std::unique_ptr<Agent> agent;
};

struct GateEntry {
  std::shared_ptr<PermitBook> book;
  uint32_t agents = 0;  // numbers given out, for path keys
};

/** Armed rules, and the judge for what TypeScript itself asks about. */
struct FaultEntry {
  explicit FaultEntry(std::shared_ptr<FaultPlan> armed) : plan(std::move(armed)), judge(plan) {}
  std::shared_ptr<FaultPlan> plan;
  FaultJudge judge;
  FaultSubjects subjects;
};

class Instance {
 public:
  Instance(napi_env env, std::string folder);
  ~Instance() = default;
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  napi_env env() const { return env_; }
  Registry& registry() { return registry_; }
  HandleTable<AgentEntry>& agents() { return agents_; }
  HandleTable<GateEntry>& gates() { return gates_; }
  HandleTable<FaultEntry>& faults() { return faults_; }
  Napi::FunctionReference& errorFactory() { return errorFactory_; }

  /** Throws KVSEAM_CLOSED into JavaScript and returns null when the number names no agent. */
  AgentEntry* agent(const Napi::Value& handle);
  AgentEntry* agentByNumber(uint64_t handle);
  GateEntry* gate(const Napi::Value& handle);

 private:
  static void onEnvironmentExit(void* self);

  napi_env env_;
  Registry registry_;
  HandleTable<AgentEntry> agents_;
  HandleTable<GateEntry> gates_;
  HandleTable<FaultEntry> faults_;
  Napi::FunctionReference errorFactory_;
};

}  // namespace kvseam::addon
#endif  // KVSEAM_ADDON_INSTANCE_H_
