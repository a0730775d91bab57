// Yardsticks for the benchmarks: what the machine itself can do with the same memory, measured in the same process.
#include <cstring>

#include "../core/clock.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

// (agentA, listA, agentB, listB, rounds) => nanoseconds for copying A's blocks to B's, one memcpy a block, this thread
Napi::Value measureMemcpy(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const from = instance->agent(info[0]);
  const AgentEntry* const to = from == nullptr ? nullptr : instance->agent(info[2]);
  uint64_t fromList = 0;
  uint64_t toList = 0;
  uint64_t rounds = 0;
  if (to == nullptr || !readWhole(instance, info[1], "list", &fromList) ||
      !readWhole(instance, info[3], "list", &toList) || !readWhole(instance, info[4], "rounds", &rounds)) {
    return info.Env().Undefined();
  }
  const auto* const source = from->agent->list(fromList);
  const auto* const target = to->agent->list(toList);
  if (source == nullptr || target == nullptr ||
      !DescriptorList::checkPair(**source, **target, 0, (*source)->count()).ok()) {
    throwArgument(instance, "measureMemcpy needs two live lists of the same shape");
    return info.Env().Undefined();
  }
  const int64_t start = nowNs();
  for (uint64_t round = 0; round < rounds; ++round) {
    for (uint64_t i = 0; i < (*source)->count(); ++i) {
      const auto* const input = static_cast<const uint8_t*>((*source)->memory(i)->backendMemory().address);
      auto* const output = static_cast<uint8_t*>((*target)->memory(i)->backendMemory().address);
      std::memcpy(output + (*target)->offset(i), input + (*source)->offset(i), (*source)->length(i));
    }
  }
  return Napi::Number::New(info.Env(), static_cast<double>(nowNs() - start));
}

}  // namespace

void addMeasureFunctions(Napi::Object exports, Instance* instance) {
  addFunction<measureMemcpy>(exports, instance, "measureMemcpy");
}

}  // namespace kvseam::addon
