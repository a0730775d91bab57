// The hot path: post, cancel and drain with numbers only, plus the rarer notifications, events and histograms.
#include <algorithm>
#include <string>
#include <utility>

#include "../core/clock.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

constexpr size_t kRecordFields = 9;  // see src/native/binding.ts, RECORD
constexpr uint32_t kDrainChunk = 256;
constexpr size_t kEventsWaiting = size_t{1} << 30;

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

// (agent, permit, path, operation, localList, remoteList, first, count, timeoutNs, notify?: Uint8Array) => transfer
napi_value post(napi_env env, const RawArguments& arguments, Instance* instance) {
  const auto& [count, values] = arguments;
  double numbers[9];
  for (size_t i = 0; i < 9; ++i) {
    if (i >= count || napi_get_value_double(env, values[i], &numbers[i]) != napi_ok || !isWhole(numbers[i])) {
      static constexpr const char* kNames[] = {"agent",      "permit", "path",  "operation", "localList",
                                               "remoteList", "first",  "count", "timeoutNs"};
      throwArgument(instance, std::string(kNames[i]) + " must be a whole number from 0 to 2^53 - 1");
      return nullptr;
    }
  }
  AgentEntry* const entry = instance->agentByNumber(static_cast<uint64_t>(numbers[0]));
  if (entry == nullptr) return nullptr;
  PostRequest request;
  request.permit = static_cast<uint64_t>(numbers[1]);
  request.path = asIndex(static_cast<uint64_t>(numbers[2]));
  request.operation = asIndex(static_cast<uint64_t>(numbers[3]));
  request.localList = static_cast<uint64_t>(numbers[4]);
  request.remoteList = static_cast<uint64_t>(numbers[5]);
  request.first = static_cast<uint64_t>(numbers[6]);
  request.count = static_cast<uint64_t>(numbers[7]);
  request.submittedNs = nowNs();
  request.deadlineNs = request.submittedNs + static_cast<int64_t>(numbers[8]);
  if (count > 9) {
    napi_valuetype type = napi_undefined;
    napi_typeof(env, values[9], &type);
    if (type != napi_undefined) {
      const uint8_t* bytes = nullptr;
      size_t length = 0;
      if (!readBytes(instance, Napi::Value(env, values[9]), "notify", &bytes, &length)) return nullptr;
      request.notify.assign(reinterpret_cast<const char*>(bytes), length);
    }
  }
  uint64_t transfer = 0;
  const Status status = entry->agent->post(std::move(request), &transfer);
  if (!status.ok()) {
    throwStatus(instance, status);
    return nullptr;
  }
  return number(env, static_cast<double>(transfer));
}

// (agent, transfer)
napi_value cancel(napi_env env, const RawArguments& arguments, Instance* instance) {
  const auto& [count, values] = arguments;
  double numbers[2] = {-1, -1};
  for (size_t i = 0; i < count && i < 2; ++i) napi_get_value_double(env, values[i], &numbers[i]);
  if (!isWhole(numbers[0]) || !isWhole(numbers[1])) {
    throwArgument(instance, "cancel takes an agent and a transfer");
    return nullptr;
  }
  const auto* const entry = instance->agents().find(static_cast<uint64_t>(numbers[0]));
  // Cancelling on a closed agent is no error: everything there has ended already.
  if (entry != nullptr) [[maybe_unused]]
    const Status status = (*entry)->agent->cancel(static_cast<uint64_t>(numbers[1]));
  return nullptr;
}

// (agent, records: Float64Array) => how many records were written, kRecordFields numbers each; plus kEventsWaiting
napi_value drain(napi_env env, const RawArguments& arguments, Instance* instance) {
  const auto& [count, values] = arguments;
  double handle = -1;
  bool isArray = false;
  if (count >= 2) {
    napi_get_value_double(env, values[0], &handle);
    napi_is_typedarray(env, values[1], &isArray);
  }
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* memory = nullptr;
  if (isArray) napi_get_typedarray_info(env, values[1], &type, &length, &memory, nullptr, nullptr);
  if (!isArray || type != napi_float64_array || !isWhole(handle)) {
    throwArgument(instance, "drain takes an agent and a Float64Array");
    return nullptr;
  }
  AgentEntry* const entry = instance->agentByNumber(static_cast<uint64_t>(handle));
  if (entry == nullptr) return nullptr;
  auto* out = static_cast<double*>(memory);
  const size_t room = length / kRecordFields;
  size_t written = 0;
  CompletionRecord records[kDrainChunk];
  while (written < room) {
    const auto want = static_cast<uint32_t>(std::min<size_t>(kDrainChunk, room - written));
    const uint32_t got = entry->agent->drain(records, want);
    for (uint32_t i = 0; i < got; ++i) {
      const CompletionRecord& record = records[i];
      *out++ = record.slot;
      *out++ = record.flags;
      *out++ = record.code;
      *out++ = record.blame;
      *out++ = static_cast<double>(record.backendCode);
      *out++ = static_cast<double>(record.bytes);
      *out++ = static_cast<double>(record.postNs);
      *out++ = static_cast<double>(record.wireNs);
      *out++ = static_cast<double>(record.totalNs);
    }
    written += got;
    if (got < want) break;
  }
  if (entry->agent->progress().eventsPending()) written += kEventsWaiting;
  return number(env, static_cast<double>(written));
}

// (agent): from now on a new record or event wakes again
napi_value acknowledgeWake(napi_env env, const RawArguments& arguments, Instance* instance) {
  double handle = -1;
  if (arguments.count != 0) napi_get_value_double(env, arguments.values[0], &handle);
  const auto* const entry = isWhole(handle) ? instance->agents().find(static_cast<uint64_t>(handle)) : nullptr;
  if (entry != nullptr) (*entry)->agent->acknowledgeWake();
  return nullptr;
}

// (agent, path, payload, timeoutNs) => transfer
Napi::Value notify(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t path = 0;
  uint64_t timeoutNs = 0;
  const uint8_t* data = nullptr;
  size_t bytes = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "path", &path) ||
      !readBytes(instance, info[2], "payload", &data, &bytes) ||
      !readWhole(instance, info[3], "timeoutNs", &timeoutNs)) {
    return info.Env().Undefined();
  }
  uint64_t transfer = 0;
  const Status status = entry->agent->notify(asIndex(path), std::string(reinterpret_cast<const char*>(data), bytes),
                                             nowNs() + static_cast<int64_t>(timeoutNs), &transfer);
  if (!status.ok()) {
    throwStatus(instance, status);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(transfer));
}

// (agent, slot in flight) => nanoseconds until its deadline, negative when that has passed
Napi::Value remaining(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t slot = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "slot", &slot)) return info.Env().Undefined();
  if (slot >= entry->agent->progress().options().maxTransfers) {
    throwArgument(instance, "there is no such slot");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(),
                           static_cast<double>(entry->agent->remainingNs(static_cast<uint32_t>(slot), nowNs())));
}

// (agent) => [{ kind, peer, error?, name?, incarnation?, data? }]
Napi::Value takeEvents(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  if (entry == nullptr) return env.Undefined();
  Napi::Array out = Napi::Array::New(env);
  EngineEvent event;
  for (uint32_t i = 0; i < 4096 && entry->agent->popEvent(&event); ++i) {
    Napi::Object item = Napi::Object::New(env);
    item.Set("peer", event.peer);
    switch (event.kind) {
      case EngineEvent::Kind::kConnected:
        item.Set("kind", "connected");
        break;
      case EngineEvent::Kind::kPeerDown:
        item.Set("kind", "peer-down");
        break;
      case EngineEvent::Kind::kFault:
        item.Set("kind", "fault");
        break;
      case EngineEvent::Kind::kProbed:
        setProbeResult(instance, item, *event.probe, entry->agent->backend());
        break;
      case EngineEvent::Kind::kNotification: {
        item.Set("kind", "notification");
        item.Set("name", event.name);
        Napi::Uint8Array data = Napi::Uint8Array::New(env, event.data.size());
        std::copy(event.data.begin(), event.data.end(), data.Data());
        item.Set("data", data);
        break;
      }
    }
    if (!event.status.ok()) item.Set("error", errorOf(instance, event.status));
    out.Set(i, item);
  }
  return out;
}

// (agent, backendCode) => text
Napi::Value describe(const Napi::CallbackInfo& info) {
  const AgentEntry* const entry = instanceOf(info)->agent(info[0]);
  if (entry == nullptr || !info[1].IsNumber()) return info.Env().Undefined();
  return Napi::String::New(info.Env(), entry->agent->backend().describe(info[1].As<Napi::Number>().Int64Value()));
}

// (agent, path, operation, phase, out: Float64Array) => buckets; out = [count, sumNs, maxNs, bucket 0, bucket 1, ...]
Napi::Value histogram(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t index = 0;
  uint64_t operation = 0;
  uint64_t phase = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "path", &index) ||
      !readWhole(instance, info[2], "operation", &operation) || !readWhole(instance, info[3], "phase", &phase)) {
    return info.Env().Undefined();
  }
  const Path* const path = entry->agent->path(asIndex(index));
  const bool room = info[4].IsTypedArray() && info[4].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array &&
                    info[4].As<Napi::TypedArray>().ElementLength() >= Histogram::kBuckets + 3;
  const bool known = operation == KVSEAM_OP_READ || operation == KVSEAM_OP_WRITE;
  if (path == nullptr || !known || phase >= Path::kPhases || !room) {
    throwArgument(instance, "histogram takes a path, an operation, a phase 0..2 and a Float64Array of " +
                                std::to_string(Histogram::kBuckets + 3));
    return info.Env().Undefined();
  }
  const Histogram& source = path->latency[Path::operationIndex(static_cast<uint32_t>(operation))][phase];
  writeHistogram(source, info[4].As<Napi::Float64Array>().Data());
  return Napi::Number::New(info.Env(), Histogram::kBuckets);
}

Napi::Value pathCounters(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t index = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "path", &index)) return info.Env().Undefined();
  const Path* const path = entry->agent->path(asIndex(index));
  if (path == nullptr) return info.Env().Null();
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("bytes", static_cast<double>(path->bytes.load()));
  out.Set("succeeded", static_cast<double>(path->succeeded.load()));
  out.Set("failed", static_cast<double>(path->failed.load()));
  return out;
}

}  // namespace

void writeHistogram(const Histogram& source, double* out) {
  out[0] = static_cast<double>(source.count());
  out[1] = static_cast<double>(source.sumNs());
  out[2] = static_cast<double>(source.maxNs());
  for (uint32_t i = 0; i < Histogram::kBuckets; ++i) out[3 + i] = static_cast<double>(source.bucketCount(i));
}

void addTransferFunctions(Napi::Object exports, Instance* instance) {
  addRawFunction<post>(exports, instance, "post");
  addRawFunction<cancel>(exports, instance, "cancel");
  addFunction<remaining>(exports, instance, "remaining");
  addRawFunction<drain>(exports, instance, "drain");
  addRawFunction<acknowledgeWake>(exports, instance, "acknowledgeWake");
  addFunction<notify>(exports, instance, "notify");
  addFunction<takeEvents>(exports, instance, "takeEvents");
  addFunction<describe>(exports, instance, "describe");
  addFunction<histogram>(exports, instance, "histogram");
  addFunction<pathCounters>(exports, instance, "pathCounters");
}

}  // namespace kvseam::addon
