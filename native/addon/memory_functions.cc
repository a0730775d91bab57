// Regions: allocation, views, copies in and out, withdrawal. A view is an external ArrayBuffer with a share of its own.
#include <cstring>
#include <string>
#include <utility>

#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

// Reads (agent, region) from the first two arguments; throws and returns null when either is not there.
const std::shared_ptr<Region>* regionOf(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t handle = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "region", &handle)) return nullptr;
  const auto* const region = entry->agent->region(handle);
  if (region == nullptr) {
    throwStatus(instance, Status(KVSEAM_STALE_REGION, KVSEAM_BLAME_local,
                                 "the region is closed or belongs to another agent; allocate it again"));
  }
  return region;
}

// (agent, bytes, name) => region
Napi::Value allocate(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t bytes = 0;
  std::string name;
  if (entry == nullptr || !readWhole(instance, info[1], "bytes", &bytes) || !readText(instance, info[2], "name", &name))
    return info.Env().Undefined();
  uint64_t handle = 0;
  const Status status = entry->agent->allocate(bytes, name, &handle);
  if (!status.ok()) {
    throwStatus(instance, status);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(handle));
}

Napi::Value closeRegion(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t handle = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "region", &handle)) return info.Env().Undefined();
  const Status status = entry->agent->closeRegion(handle);
  if (!status.ok()) throwStatus(instance, status);
  return info.Env().Undefined();
}

void dropShare(napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Region>*>(hint); }

// Raw Node-API, because a refused external buffer must give back its share here.
Napi::Value regionView(const Napi::CallbackInfo& info) {
  const auto* const region = regionOf(info);
  if (region == nullptr) return info.Env().Undefined();
  if ((*region)->bytes() > size_t{0x1fffffffffffff}) return info.Env().Undefined();
  auto* const share = new std::shared_ptr<Region>(*region);
  napi_value buffer = nullptr;
  const napi_status status =
      napi_create_external_arraybuffer(info.Env(), (*region)->data(), (*region)->bytes(), dropShare, share, &buffer);
  if (status != napi_ok) {
    delete share;
    throwStatus(instanceOf(info),
                Status::local(KVSEAM_NOT_SUPPORTED,
                              "this runtime allows no external ArrayBuffer; use region.read() and region.write()"));
    return info.Env().Undefined();
  }
  return Napi::Value(info.Env(), buffer);
}

bool copyRange(const Napi::CallbackInfo& info, const Region& region, uint64_t* offset, const uint8_t** data,
               size_t* bytes) {
  Instance* const instance = instanceOf(info);
  if (!readWhole(instance, info[2], "offset", offset) || !readBytes(instance, info[3], "data", data, bytes))
    return false;
  if (*bytes <= region.bytes() && *offset <= region.bytes() - *bytes) return true;
  throwStatus(instance, Status::local(KVSEAM_OUT_OF_BOUNDS, "offset " + std::to_string(*offset) + " with " +
                                                                std::to_string(*bytes) +
                                                                " bytes ends outside region '" + region.name() +
                                                                "' of " + std::to_string(region.bytes()) + " bytes"));
  return false;
}

// (agent, region, offset, Uint8Array)
Napi::Value copyIn(const Napi::CallbackInfo& info) {
  const auto* const region = regionOf(info);
  uint64_t offset = 0;
  const uint8_t* data = nullptr;
  size_t bytes = 0;
  if (region != nullptr && copyRange(info, **region, &offset, &data, &bytes) && bytes != 0)
    std::memcpy((*region)->data() + offset, data, bytes);
  return info.Env().Undefined();
}

Napi::Value copyOut(const Napi::CallbackInfo& info) {
  const auto* const region = regionOf(info);
  uint64_t offset = 0;
  const uint8_t* data = nullptr;
  size_t bytes = 0;
  if (region != nullptr && copyRange(info, **region, &offset, &data, &bytes) && bytes != 0) {
    std::memcpy(const_cast<uint8_t*>(data), (*region)->data() + offset, bytes);
  }
  return info.Env().Undefined();
}

Napi::Value regionTransfers(const Napi::CallbackInfo& info) {
  const auto* const region = regionOf(info);
  if (region == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), (*region)->inFlight());
}

// (agent, peer, name) => remote region
Napi::Value remoteRegion(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  AgentEntry* const entry = instance->agent(info[0]);
  uint64_t peer = 0;
  std::string name;
  if (entry == nullptr || !readWhole(instance, info[1], "peer", &peer) || !readText(instance, info[2], "name", &name))
    return info.Env().Undefined();
  auto region = entry->agent->remoteRegion(asIndex(peer), name);
  if (region == nullptr) {
    throwStatus(instance,
                Status(KVSEAM_STALE_REGION, KVSEAM_BLAME_peer,
                       "the peer offers no region '" + name + "'; allocate it there and fetch the metadata again"));
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(entry->remoteRegions.add(std::move(region))));
}

Napi::Value releaseRemoteRegion(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  AgentEntry* const entry = instance->agent(info[0]);
  uint64_t handle = 0;
  if (entry != nullptr && readWhole(instance, info[1], "region", &handle)) entry->remoteRegions.remove(handle);
  return info.Env().Undefined();
}

Napi::Value liveRegions(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(Region::liveCount()));
}

}  // namespace

void addMemoryFunctions(Napi::Object exports, Instance* instance) {
  addFunction<allocate>(exports, instance, "allocate");
  addFunction<closeRegion>(exports, instance, "closeRegion");
  addFunction<regionView>(exports, instance, "regionView");
  addFunction<copyIn>(exports, instance, "copyIn");
  addFunction<copyOut>(exports, instance, "copyOut");
  addFunction<regionTransfers>(exports, instance, "regionTransfers");
  addFunction<remoteRegion>(exports, instance, "remoteRegion");
  addFunction<releaseRemoteRegion>(exports, instance, "releaseRemoteRegion");
  addFunction<liveRegions>(exports, instance, "liveRegions");
}

}  // namespace kvseam::addon
