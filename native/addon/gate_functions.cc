// Permit books: opened by a seam, shared by its agents, minted from by its orchestrator alone.
#include <sys/random.h>

#include "../core/clock.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

Napi::Value openGate(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  uint64_t secret = 0;
  if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret)) {
    throwStatus(instance, Status::local(KVSEAM_BACKEND_UNAVAILABLE, "the system gave no random bytes for permits"));
    return info.Env().Undefined();
  }
  auto entry = std::make_shared<GateEntry>();
  entry->book = std::make_shared<PermitBook>(secret);
  return Napi::Number::New(info.Env(), static_cast<double>(instance->gates().add(std::move(entry))));
}

Napi::Value closeGate(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  uint64_t handle = 0;
  if (readWhole(instance, info[0], "gate", &handle)) instance->gates().remove(handle);
  return info.Env().Undefined();
}

// Hot: (gate, pathKey, operations, maxBytes, ttlNs, workload?) => permit
napi_value mint(napi_env env, const RawArguments& arguments, Instance* instance) {
  const auto& [count, values] = arguments;
  double numbers[6] = {};
  for (size_t i = 0; i < (count > 5 ? 6 : 5); ++i) {
    if (i >= count || napi_get_value_double(env, values[i], &numbers[i]) != napi_ok || !isWhole(numbers[i])) {
      throwArgument(instance, "mint takes five or six numbers: gate, pathKey, operations, maxBytes, ttlNs, workload");
      return nullptr;
    }
  }
  const auto* const gate = instance->gates().find(static_cast<uint64_t>(numbers[0]));
  if (gate == nullptr) {
    throwStatus(instance, Status::local(KVSEAM_CLOSED, "the gate is closed or belongs to another thread"));
    return nullptr;
  }
  if (numbers[2] < 1 || (numbers[2] > (KVSEAM_OP_READ | KVSEAM_OP_WRITE) && numbers[2] != kProbePermit)) {
    throwArgument(instance, "operations must be 1 (read), 2 (write), 3 (both) or 8 (probe)");
    return nullptr;
  }
  const int64_t now = nowNs();
  const uint64_t permit = (*gate)->book->mint(
      {static_cast<uint64_t>(numbers[1]), static_cast<uint32_t>(numbers[2]), static_cast<uint64_t>(numbers[3]),
       now + static_cast<int64_t>(numbers[4]), static_cast<uint32_t>(numbers[5])},
      now);
  if (permit == 0) {
    throwStatus(instance, Status::local(KVSEAM_QUEUE_FULL, "65,536 permits are outstanding; post or revoke some"));
    return nullptr;
  }
  napi_value result = nullptr;
  napi_create_double(env, static_cast<double>(permit), &result);
  return result;
}

Napi::Value revoke(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  GateEntry* const gate = instance->gate(info[0]);
  uint64_t permit = 0;
  if (gate == nullptr || !readWhole(instance, info[1], "permit", &permit)) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), gate->book->revoke(permit));
}

Napi::Value advanceEpoch(const Napi::CallbackInfo& info) {
  GateEntry* const gate = instanceOf(info)->gate(info[0]);
  if (gate == nullptr) return info.Env().Undefined();
  gate->book->advanceEpoch();
  return Napi::Number::New(info.Env(), static_cast<double>(gate->book->epoch()));
}

Napi::Value gateCounters(const Napi::CallbackInfo& info) {
  GateEntry* const gate = instanceOf(info)->gate(info[0]);
  if (gate == nullptr) return info.Env().Undefined();
  const PermitCounters& counters = gate->book->counters();
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("minted", static_cast<double>(counters.minted));
  out.Set("redeemed", static_cast<double>(counters.redeemed));
  out.Set("probesMinted", static_cast<double>(counters.probesMinted));
  out.Set("probesRedeemed", static_cast<double>(counters.probesRedeemed));
  out.Set("refused", static_cast<double>(counters.refused));
  out.Set("expired", static_cast<double>(counters.expired));
  out.Set("revoked", static_cast<double>(counters.revoked));
  out.Set("outstanding", gate->book->outstanding());
  out.Set("epoch", static_cast<double>(gate->book->epoch()));
  return out;
}

}  // namespace

void addGateFunctions(Napi::Object exports, Instance* instance) {
  addFunction<openGate>(exports, instance, "openGate");
  addFunction<closeGate>(exports, instance, "closeGate");
  addFunction<revoke>(exports, instance, "revoke");
  addFunction<advanceEpoch>(exports, instance, "advanceEpoch");
  addFunction<gateCounters>(exports, instance, "gateCounters");
  addRawFunction<mint>(exports, instance, "mint");
}

}  // namespace kvseam::addon
