// Probes: ordering and cancelling a series, its result as one object, and what all series of a path have shown.
#include <algorithm>
#include <string>

#include "../core/clock.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

constexpr uint64_t kLongestNs = 86'400'000'000'000;

const char* textOf(int32_t code) {
  switch (code) {
    case KVSEAM_TIMEOUT:
      return "the probe did not end before its deadline";
    case KVSEAM_CANCELLED:
      return "the probe was cancelled";
    case KVSEAM_CLOSED:
      return "the agent was closed while it probed";
    case KVSEAM_PEER_DOWN:
      return "the peer is down; connect when it is back";
    case KVSEAM_QUEUE_FULL:
      return "the backend had no room for the probe; probe again when it is less busy";
    default:
      return "the probe failed";
  }
}

// (agent, permit, path, kind, inbound, bytes, count, window, timeoutNs, totalNs) => series; its end comes as an event
Napi::Value probe(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  ProbeRequest request;
  uint64_t path = 0;
  uint64_t kind = 0;
  uint64_t count = 0;
  uint64_t window = 0;
  uint64_t timeoutNs = 0;
  uint64_t totalNs = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "permit", &request.permit) ||
      !readWhole(instance, info[2], "path", &path) || !readWhole(instance, info[3], "kind", &kind) ||
      !readWhole(instance, info[5], "bytes", &request.bytes) || !readWhole(instance, info[6], "count", &count) ||
      !readWhole(instance, info[7], "window", &window) || !readWhole(instance, info[8], "timeoutNs", &timeoutNs) ||
      !readWhole(instance, info[9], "totalNs", &totalNs)) {
    return info.Env().Undefined();
  }
  request.path = asIndex(path);
  request.kind = static_cast<ProbeKind>(asIndex(kind));
  request.inbound = info[4].ToBoolean();
  request.count = asIndex(count);
  request.window = asIndex(window);
  request.timeoutNs = static_cast<int64_t>(std::min(timeoutNs, kLongestNs));
  request.deadlineNs = nowNs() + static_cast<int64_t>(std::min(totalNs, kLongestNs));
  uint64_t series = 0;
  const Status status = entry->agent->probe(request, &series);
  if (!status.ok()) {
    throwStatus(instance, status);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(series));
}

// (agent, series): its end comes as an event all the same, unless it is over already
Napi::Value cancelProbe(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t series = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "series", &series)) return info.Env().Undefined();
  const Status status = entry->agent->cancelProbe(series);
  if (!status.ok()) throwStatus(instance, status);
  return info.Env().Undefined();
}

// (agent, path, kind, out: Float64Array) => null before the first probe, or { failed, selfDelayed, bytes, ageNs,
// jitterNs }; out as `histogram` writes it
Napi::Value probeFigures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t index = 0;
  uint64_t kind = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "path", &index) ||
      !readWhole(instance, info[2], "kind", &kind)) {
    return env.Undefined();
  }
  const Path* const path = entry->agent->path(asIndex(index));
  const bool room = info[3].IsTypedArray() && info[3].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array &&
                    info[3].As<Napi::TypedArray>().ElementLength() >= Histogram::kBuckets + 3;
  if (path == nullptr || kind >= kProbeKinds || !room) {
    throwArgument(instance, "probeFigures takes a path, a kind 0..2 and a Float64Array of " +
                                std::to_string(Histogram::kBuckets + 3));
    return env.Undefined();
  }
  const ProbeFigures* const figures = path->probes[kind].get();
  if (figures == nullptr) return env.Null();
  writeHistogram(figures->latency, info[3].As<Napi::Float64Array>().Data());
  const int64_t lastNs = figures->lastNs.load(std::memory_order_relaxed);
  Napi::Object out = Napi::Object::New(env);
  out.Set("failed", static_cast<double>(figures->failed.load(std::memory_order_relaxed)));
  out.Set("selfDelayed", static_cast<double>(figures->selfDelayed.load(std::memory_order_relaxed)));
  out.Set("bytes", static_cast<double>(figures->bytes.load(std::memory_order_relaxed)));
  out.Set("ageNs", lastNs == 0 ? env.Null()
                               : Napi::Number::New(env, static_cast<double>(std::max<int64_t>(0, nowNs() - lastNs))));
  out.Set("jitterNs", static_cast<double>(figures->jitterNs16.load(std::memory_order_relaxed)) / 16);
  return out;
}

}  // namespace

void setProbeResult(Instance* instance, Napi::Object item, const ProbeSeries& series, const BackendHandle& backend) {
  const Napi::Env env = item.Env();
  Napi::Float64Array samplesNs = Napi::Float64Array::New(env, series.samples.size());
  Napi::Uint8Array selfDelayed = Napi::Uint8Array::New(env, series.samples.size());
  for (size_t i = 0; i < series.samples.size(); ++i) {
    samplesNs[i] = static_cast<double>(series.samples[i].ns);
    selfDelayed[i] = series.samples[i].selfDelayed ? 1 : 0;
  }
  item.Set("kind", "probe");
  item.Set("series", static_cast<double>(series.id));
  item.Set("samplesNs", samplesNs);
  item.Set("selfDelayed", selfDelayed);
  item.Set("posted", series.posted);
  item.Set("failed", series.failed);
  item.Set("timedOut", series.timedOut);
  item.Set("failedSelfDelayed", series.failedSelfDelayed);
  item.Set("endedEarly", Napi::Boolean::New(env, series.endedEarly));
  item.Set("elapsedNs", series.startedNs == 0 ? 0.0 : static_cast<double>(series.endedNs - series.startedNs));
  if (series.code == KVSEAM_OK) return;
  std::string text = textOf(series.code);
  if (series.backendCode != 0) text += ": " + backend.describe(series.backendCode);
  item.Set("error", errorOf(instance, Status(static_cast<Code>(series.code), static_cast<Blame>(series.blame), text,
                                             series.backendCode)));
}

void addProbeFunctions(Napi::Object exports, Instance* instance) {
  addFunction<probe>(exports, instance, "probe");
  addFunction<cancelProbe>(exports, instance, "cancelProbe");
  addFunction<probeFigures>(exports, instance, "probeFigures");
}

}  // namespace kvseam::addon
