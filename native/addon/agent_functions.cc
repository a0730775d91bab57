// Opening, connecting, describing and closing agents.
#include <cstdio>
#include <cstring>

#include "../core/clock.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

constexpr const char* kLabels[] = {"mock", "emulated", "real"};

Napi::String hex(Napi::Env env, uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(value));
  return Napi::String::New(env, text);
}

bool optionalWhole(Instance* instance, const Napi::Object& options, const char* name, uint64_t* out) {
  const Napi::Value value = options.Get(name);
  return value.IsUndefined() || readWhole(instance, value, name, out);
}

bool readRail(Instance* instance, const Napi::Object& source, kvseam_rail* rail) {
  std::string name;
  std::string device;
  uint64_t rate = 0;
  uint64_t latencyNs = 0;
  if (!readText(instance, source.Get("name"), "rails[].name", &name)) return false;
  if (source.Has("device") && !readText(instance, source.Get("device"), "rails[].device", &device)) return false;
  if (!optionalWhole(instance, source, "bytesPerSecond", &rate) ||
      !optionalWhole(instance, source, "latencyNs", &latencyNs))
    return false;
  if (!validName(name) || device.size() >= KVSEAM_NAME_MAX) {
    throwArgument(instance, "rails[].name '" + name + "' must have 1 to 63 characters of A-Z a-z 0-9 . _ : @ -");
    return false;
  }
  std::memcpy(rail->name, name.c_str(), name.size() + 1);
  std::memcpy(rail->device, device.c_str(), device.size() + 1);
  rail->bytes_per_second = rate;
  rail->base_latency_ns = static_cast<int64_t>(latencyNs);
  return true;
}

Napi::Array railList(Napi::Env env, const std::vector<kvseam_rail>& rails) {
  Napi::Array out = Napi::Array::New(env, rails.size());
  for (uint32_t i = 0; i < rails.size(); ++i) {
    Napi::Object rail = Napi::Object::New(env);
    rail.Set("name", rails[i].name);
    rail.Set("bytesPerSecond", static_cast<double>(rails[i].bytes_per_second));
    rail.Set("latencyNs", static_cast<double>(rails[i].base_latency_ns));
    out.Set(i, rail);
  }
  return out;
}

// (gate, options, onWake) => agent
Napi::Value openAgent(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Instance* const instance = instanceOf(info);
  GateEntry* const gate = instance->gate(info[0]);
  if (gate == nullptr) return env.Undefined();
  if (!info[1].IsObject() || !info[2].IsFunction()) {
    throwArgument(instance, "openAgent takes a gate, options and a function");
    return env.Undefined();
  }
  const auto source = info[1].As<Napi::Object>();
  AgentOptions options;
  std::string backendName;
  if (!readText(instance, source.Get("name"), "name", &options.name) ||
      !readText(instance, source.Get("backend"), "backend", &backendName))
    return env.Undefined();
  uint64_t maxTransfers = options.progress.maxTransfers;
  uint64_t maxPaths = options.progress.maxPaths;
  auto spinNs = static_cast<uint64_t>(options.progress.spinNs);
  auto graceNs = static_cast<uint64_t>(options.progress.quiesceGraceNs);
  if (!optionalWhole(instance, source, "maxTransfers", &maxTransfers) ||
      !optionalWhole(instance, source, "maxPaths", &maxPaths) || !optionalWhole(instance, source, "spinNs", &spinNs) ||
      !optionalWhole(instance, source, "quiesceGraceNs", &graceNs)) {
    return env.Undefined();
  }
  if (maxTransfers == 0 || maxTransfers > 65'536 || maxPaths == 0 || maxPaths > 1'048'576) {
    throwArgument(instance, "maxTransfers must be 1 to 65536 and maxPaths 1 to 1048576");
    return env.Undefined();
  }
  options.progress.maxTransfers = static_cast<uint32_t>(maxTransfers);
  options.progress.maxPaths = static_cast<uint32_t>(maxPaths);
  options.progress.spinNs = static_cast<int64_t>(spinNs);
  options.progress.quiesceGraceNs = static_cast<int64_t>(graceNs);
  options.progress.wakePerCompletion = source.Get("wakePerCompletion").ToBoolean();
  const Napi::Value rails = source.Get("rails");
  if (rails.IsArray()) {
    const auto list = rails.As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); ++i) {
      kvseam_rail rail{};
      const Napi::Value value = list.Get(i);
      if (!value.IsObject()) throwArgument(instance, "rails[] must be objects with a name");
      if (env.IsExceptionPending() || !readRail(instance, value.As<Napi::Object>(), &rail)) return env.Undefined();
      options.rails.push_back(rail);
    }
  }

  const kvseam_backend_api* api = nullptr;
  Status status = instance->registry().find(backendName, &api);
  if (!status.ok()) {
    throwStatus(instance, status);
    return env.Undefined();
  }
  auto entry = std::make_shared<AgentEntry>();
  entry->port = std::make_unique<CompletionPort>();
  if (!entry->port->open(env, info[2])) {
    throwStatus(instance, Status::local(KVSEAM_NO_MEMORY, "no thread-safe function for the agent"));
    return env.Undefined();
  }
  status = Agent::open(api, options, gate->book, ++gate->agents, entry->port.get(), &entry->agent);
  if (!status.ok()) {
    throwStatus(instance, status);
    return env.Undefined();
  }
  return Napi::Number::New(env, static_cast<double>(instance->agents().add(std::move(entry))));
}

Napi::Value agentInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const AgentEntry* const entry = instanceOf(info)->agent(info[0]);
  if (entry == nullptr) return env.Undefined();
  const kvseam_capabilities capabilities = entry->agent->capabilities();
  Napi::Object out = Napi::Object::New(env);
  out.Set("incarnation", hex(env, entry->agent->incarnation()));
  out.Set("rails", railList(env, entry->agent->rails()));
  // A label this build does not know is never taken for real hardware.
  out.Set("label", kLabels[capabilities.label < 3 ? capabilities.label : 1]);
  out.Set("provider", capabilities.provider);
  out.Set("version", capabilities.version);
  out.Set("operations", capabilities.operations);
  out.Set("canCancel", Napi::Boolean::New(env, capabilities.can_cancel != 0));
  return out;
}

// Stops the agent; what is left in its rings can still be drained until freeAgent.
Napi::Value closeAgent(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t graceNs = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "graceNs", &graceNs)) return info.Env().Undefined();
  const Status status = entry->agent->close(static_cast<int64_t>(graceNs));
  entry->port->close();
  if (!status.ok()) throwStatus(instance, status);
  return info.Env().Undefined();
}

Napi::Value freeAgent(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  uint64_t handle = 0;
  if (readWhole(instance, info[0], "agent", &handle)) instance->agents().remove(handle);
  return info.Env().Undefined();
}

Napi::Value keepAlive(const Napi::CallbackInfo& info) {
  const AgentEntry* const entry = instanceOf(info)->agent(info[0]);
  if (entry != nullptr) entry->port->keepAlive(info[1].ToBoolean());
  return info.Env().Undefined();
}

Napi::Value metadata(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  if (entry == nullptr) return info.Env().Undefined();
  std::string blob;
  const Status status = entry->agent->exportMetadata(&blob);
  if (!status.ok()) {
    throwStatus(instance, status);
    return info.Env().Undefined();
  }
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), blob.size());
  std::memcpy(out.Data(), blob.data(), blob.size());
  return out;
}

// (agent, blob, timeoutNs) => peer; the handshake's outcome comes as an event unless the peer is known already
Napi::Value connect(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  const uint8_t* blob = nullptr;
  size_t bytes = 0;
  uint64_t timeoutNs = 0;
  if (entry == nullptr || !readBytes(instance, info[1], "metadata", &blob, &bytes) ||
      !readWhole(instance, info[2], "timeoutNs", &timeoutNs)) {
    return info.Env().Undefined();
  }
  uint32_t peer = 0;
  const Status status = entry->agent->connect(blob, bytes, nowNs() + static_cast<int64_t>(timeoutNs), &peer);
  if (!status.ok()) {
    throwStatus(instance, status);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), peer);
}

Napi::Value disconnect(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t peer = 0;
  if (entry != nullptr && readWhole(instance, info[1], "peer", &peer)) entry->agent->dropPeer(asIndex(peer));
  return info.Env().Undefined();
}

Napi::Value peerInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t index = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "peer", &index)) return env.Undefined();
  const Agent::Peer* const peer = entry->agent->peer(asIndex(index));
  if (peer == nullptr) return env.Null();
  Napi::Object out = Napi::Object::New(env);
  out.Set("name", peer->name);
  out.Set("incarnation", hex(env, peer->incarnation));
  out.Set("rails", railList(env, peer->rails));
  out.Set("gone", Napi::Boolean::New(env, peer->gone));
  Napi::Array regions = Napi::Array::New(env, peer->regions.size());
  for (uint32_t i = 0; i < peer->regions.size(); ++i) {
    Napi::Object region = Napi::Object::New(env);
    region.Set("name", peer->regions[i]->name());
    region.Set("bytes", static_cast<double>(peer->regions[i]->bytes()));
    regions.Set(i, region);
  }
  out.Set("regions", regions);
  return out;
}

// (agent, localRail, peer, remoteRail) => path number within the agent
Napi::Value addPath(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t localRail = 0;
  uint64_t peer = 0;
  uint64_t remoteRail = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "localRail", &localRail) ||
      !readWhole(instance, info[2], "peer", &peer) || !readWhole(instance, info[3], "remoteRail", &remoteRail)) {
    return info.Env().Undefined();
  }
  uint32_t path = 0;
  const Status status = entry->agent->addPath(asIndex(localRail), asIndex(peer), asIndex(remoteRail), &path);
  if (!status.ok()) {
    throwStatus(instance, status);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), path);
}

Napi::Value pathKey(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t index = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "path", &index)) return info.Env().Undefined();
  const Path* const path = entry->agent->path(asIndex(index));
  if (path == nullptr) {
    throwStatus(instance, Status::local(KVSEAM_NO_PATH, "path " + std::to_string(index) + " does not exist"));
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(path->key));
}

// (agent) => nanoseconds that the progress thread has been inside one turn of its loop
Napi::Value progressLag(const Napi::CallbackInfo& info) {
  const AgentEntry* const entry = instanceOf(info)->agent(info[0]);
  if (entry == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(entry->agent->progress().lagNs(nowNs())));
}

Napi::Value agentCounters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const AgentEntry* const entry = instanceOf(info)->agent(info[0]);
  if (entry == nullptr) return env.Undefined();
  Agent& agent = *entry->agent;
  const ProgressCounters& counters = agent.progress().counters();
  Napi::Object out = Napi::Object::New(env);
  const auto set = [&](const char* name, uint64_t value) { out.Set(name, static_cast<double>(value)); };
  set("posted", counters.posted);
  set("settled", counters.settled);
  set("quiesced", counters.quiesced);
  set("duplicateCompletions", counters.duplicateCompletions);
  set("lateCompletions", counters.lateCompletions);
  set("quarantined", counters.quarantined);
  set("wakes", counters.wakes);
  set("sleeps", counters.sleeps);
  set("stalls", counters.stalls);
  set("memoryShortages", counters.memoryShortages);
  set("droppedNotifications", agent.progress().droppedNotifications());
  set("inFlight", agent.inFlight());
  set("writeClaims", agent.writeClaims());
  set("overlapsRefused", agent.overlapsRefused());
  set("regions", agent.liveRegions());
  set("descriptorLists", agent.liveLists());
  set("probes", agent.progress().probesPosted());
  set("probesUnquiesced", agent.progress().probesUnquiesced());
  return out;
}

}  // namespace

void addAgentFunctions(Napi::Object exports, Instance* instance) {
  addFunction<openAgent>(exports, instance, "openAgent");
  addFunction<agentInfo>(exports, instance, "agentInfo");
  addFunction<closeAgent>(exports, instance, "closeAgent");
  addFunction<freeAgent>(exports, instance, "freeAgent");
  addFunction<keepAlive>(exports, instance, "keepAlive");
  addFunction<metadata>(exports, instance, "metadata");
  addFunction<connect>(exports, instance, "connect");
  addFunction<disconnect>(exports, instance, "disconnect");
  addFunction<peerInfo>(exports, instance, "peerInfo");
  addFunction<addPath>(exports, instance, "addPath");
  addFunction<pathKey>(exports, instance, "pathKey");
  addFunction<progressLag>(exports, instance, "progressLag");
  addFunction<agentCounters>(exports, instance, "agentCounters");
}

}  // namespace kvseam::addon
