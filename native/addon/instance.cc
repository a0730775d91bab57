// Start and end of an environment's share of the addon.
#include "instance.h"

#include "../backends/mock/mock_backend.h"
#include "errors.h"

namespace kvseam::addon {

namespace {
constexpr int64_t kExitGraceNs = 200'000'000;
}

Instance::Instance(napi_env env, std::string folder) : env_(env), registry_(std::move(folder)) {
  registry_.addBuiltIn(mock::api());
  // Stopped in the hook, not in a finalizer: an environment waits for its threads only here, and a worker's teardown
  // would hang on a thread-safe function that is released later.
  napi_add_env_cleanup_hook(env, onEnvironmentExit, this);
}

void Instance::onEnvironmentExit(void* self) {
  auto* const instance = static_cast<Instance*>(self);
  instance->agents_.forEach([](const std::shared_ptr<AgentEntry>& entry) {
    entry->port->close();
    if (entry->agent != nullptr) [[maybe_unused]]
      const Status status = entry->agent->close(kExitGraceNs);
  });
}

AgentEntry* Instance::agentByNumber(uint64_t handle) {
  const auto* const found = agents_.find(handle);
  if (found != nullptr) return found->get();
  throwStatus(
      this, Status::local(KVSEAM_CLOSED, "the agent is closed or belongs to another thread; open one in this thread"));
  return nullptr;
}

AgentEntry* Instance::agent(const Napi::Value& handle) {
  return agentByNumber(handle.IsNumber() ? static_cast<uint64_t>(handle.As<Napi::Number>().Int64Value()) : 0);
}

GateEntry* Instance::gate(const Napi::Value& handle) {
  const auto* const found =
      gates_.find(handle.IsNumber() ? static_cast<uint64_t>(handle.As<Napi::Number>().Int64Value()) : 0);
  if (found != nullptr) return found->get();
  throwStatus(this, Status::local(KVSEAM_CLOSED, "the gate is closed or belongs to another thread"));
  return nullptr;
}

}  // namespace kvseam::addon
