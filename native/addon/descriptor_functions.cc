// Descriptor lists from typed arrays, and the digest over a list, computed off the JavaScript thread.
#include <utility>
#include <vector>

#include "../core/digest.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

std::shared_ptr<Memory> memoryOf(const Napi::CallbackInfo& info, AgentEntry* entry) {
  Instance* const instance = instanceOf(info);
  uint64_t handle = 0;
  if (!readWhole(instance, info[2], "region", &handle)) return nullptr;
  if (info[1].ToBoolean()) {
    const auto* const remote = entry->remoteRegions.find(handle);
    if (remote != nullptr) return *remote;
  } else {
    const auto* const local = entry->agent->region(handle);
    if (local != nullptr) return *local;
  }
  throwStatus(instance, Status(KVSEAM_STALE_REGION, KVSEAM_BLAME_local,
                               "the region is closed or belongs to another agent; allocate it again"));
  return nullptr;
}

Napi::Value addList(const Napi::CallbackInfo& info, AgentEntry* entry, Status status,
                    std::shared_ptr<DescriptorList> list) {
  uint64_t handle = 0;
  if (status.ok()) status = entry->agent->addList(std::move(list), &handle);
  if (!status.ok()) {
    throwStatus(instanceOf(info), status);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(handle));
}

// (agent, remote?, region, baseOffset, strideBytes, parts, blockBytes, ids: Uint32Array | null, count) => list
Napi::Value listBlocks(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  AgentEntry* const entry = instance->agent(info[0]);
  if (entry == nullptr) return info.Env().Undefined();
  auto memory = memoryOf(info, entry);
  uint64_t parts = 0;
  uint64_t count = 0;
  BlockLayout layout;
  if (memory == nullptr || !readWhole(instance, info[3], "baseOffset", &layout.baseOffset) ||
      !readWhole(instance, info[4], "strideBytes", &layout.strideBytes) ||
      !readWhole(instance, info[5], "parts", &parts) ||
      !readWhole(instance, info[6], "blockBytes", &layout.blockBytes) ||
      !readWhole(instance, info[8], "count", &count)) {
    return info.Env().Undefined();
  }
  if (parts > DescriptorList::kMaxDescriptors) {
    throwArgument(instance, "parts is above the number of descriptors a list can hold");
    return info.Env().Undefined();
  }
  layout.parts = static_cast<uint32_t>(parts);
  const uint32_t* ids = nullptr;
  if (info[7].IsTypedArray()) {
    if (info[7].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
      throwArgument(instance, "block ids must be a Uint32Array");
      return info.Env().Undefined();
    }
    const auto array = info[7].As<Napi::Uint32Array>();
    ids = array.Data();
    count = array.ElementLength();
    static const uint32_t nothing = 0;
    if (ids == nullptr) ids = &nothing;  // an empty array may have no memory, and null would mean "all blocks"
  }
  std::shared_ptr<DescriptorList> list;
  Status status = DescriptorList::fromBlocks(std::move(memory), layout, ids, count, &list);
  return addList(info, entry, std::move(status), std::move(list));
}

// (agent, remote?, region, offsets: Float64Array, lengths: Float64Array) => list
Napi::Value listRuns(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  AgentEntry* const entry = instance->agent(info[0]);
  if (entry == nullptr) return info.Env().Undefined();
  auto memory = memoryOf(info, entry);
  if (memory == nullptr) return info.Env().Undefined();
  for (size_t i = 3; i < 5; ++i) {
    if (!info[i].IsTypedArray() || info[i].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
      throwArgument(instance, "offsets and lengths must be Float64Arrays");
      return info.Env().Undefined();
    }
  }
  const auto offsets = info[3].As<Napi::Float64Array>();
  const auto lengths = info[4].As<Napi::Float64Array>();
  if (offsets.ElementLength() != lengths.ElementLength()) {
    throwStatus(instance,
                Status::local(KVSEAM_INVALID_DESCRIPTOR, std::to_string(offsets.ElementLength()) + " offsets and " +
                                                             std::to_string(lengths.ElementLength()) +
                                                             " lengths; both need one entry a descriptor"));
    return info.Env().Undefined();
  }
  std::shared_ptr<DescriptorList> list;
  Status status =
      DescriptorList::fromRuns(std::move(memory), offsets.Data(), lengths.Data(), offsets.ElementLength(), &list);
  return addList(info, entry, std::move(status), std::move(list));
}

// (agent, lists: number[]) => list
Napi::Value listJoin(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  AgentEntry* const entry = instance->agent(info[0]);
  if (entry == nullptr) return info.Env().Undefined();
  if (!info[1].IsArray()) {
    throwArgument(instance, "listJoin takes an array of lists");
    return info.Env().Undefined();
  }
  const auto handles = info[1].As<Napi::Array>();
  std::vector<std::shared_ptr<DescriptorList>> lists;
  for (uint32_t i = 0; i < handles.Length(); ++i) {
    uint64_t handle = 0;
    if (!readWhole(instance, handles.Get(i), "lists[]", &handle)) return info.Env().Undefined();
    const auto* const list = entry->agent->list(handle);
    if (list == nullptr) {
      throwArgument(instance, "a descriptor list was released or belongs to another agent");
      return info.Env().Undefined();
    }
    lists.push_back(*list);
  }
  std::shared_ptr<DescriptorList> joined;
  Status status = DescriptorList::join(lists, &joined);
  return addList(info, entry, std::move(status), std::move(joined));
}

const std::shared_ptr<DescriptorList>* listOf(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const entry = instance->agent(info[0]);
  uint64_t handle = 0;
  if (entry == nullptr || !readWhole(instance, info[1], "list", &handle)) return nullptr;
  const auto* const list = entry->agent->list(handle);
  if (list == nullptr)
    throwArgument(instance, "the descriptor list was released or belongs to another agent; prepare it again");
  return list;
}

Napi::Value listInfo(const Napi::CallbackInfo& info) {
  const auto* const list = listOf(info);
  if (list == nullptr) return info.Env().Undefined();
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("count", static_cast<double>((*list)->count()));
  out.Set("bytes", static_cast<double>((*list)->totalBytes()));
  out.Set("runs", static_cast<double>((*list)->coalescedCount()));
  out.Set("uniformBytes", static_cast<double>((*list)->uniformBytes()));
  return out;
}

Napi::Value releaseList(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  uint64_t agent = 0;
  uint64_t handle = 0;
  // Called by finalizers too, when the agent may be gone: nothing to release then.
  if (!readWhole(instance, info[0], "agent", &agent) || !readWhole(instance, info[1], "list", &handle))
    return info.Env().Undefined();
  const auto* const entry = instance->agents().find(agent);
  if (entry != nullptr) (*entry)->agent->releaseList(handle);
  return info.Env().Undefined();
}

/** Holds the list, and so the memory, until the sum is done. */
class DigestWork final : public Napi::AsyncWorker {
 public:
  DigestWork(Napi::Env env, Instance* instance, std::shared_ptr<DescriptorList> list, uint64_t first, uint64_t count)
      : AsyncWorker(env, "kvseam.digest"),
        instance_(instance),
        list_(std::move(list)),
        first_(first),
        count_(count),
        deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { status_ = digestOf(*list_, first_, count_, &sum_); }
  void OnOK() override {
    if (status_.ok()) {
      deferred_.Resolve(Napi::Number::New(Env(), sum_));
    } else {
      deferred_.Reject(errorOf(instance_, status_));
    }
  }

 private:
  Instance* instance_;
  std::shared_ptr<DescriptorList> list_;
  uint64_t first_;
  uint64_t count_;
  Napi::Promise::Deferred deferred_;
  Status status_;
  uint32_t sum_ = 0;
};

// (agent, list, first, count) => Promise<CRC-32C>
Napi::Value digest(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const auto* const list = listOf(info);
  uint64_t first = 0;
  uint64_t count = 0;
  if (list == nullptr || !readWhole(instance, info[2], "first", &first) ||
      !readWhole(instance, info[3], "count", &count))
    return info.Env().Undefined();
  const uint64_t own = instance->agent(info[0])->agent->incarnation();
  for (const auto& memory : (*list)->memories()) {
    if (memory->ownerIncarnation() == own) continue;
    throwStatus(instance, Status::local(KVSEAM_FOREIGN_REGION,
                                        "region '" + memory->name() +
                                            "' belongs to a peer; a digest is taken by the owner of the bytes"));
    return info.Env().Undefined();
  }
  auto* const work = new DigestWork(info.Env(), instance, *list, first, count);  // deletes itself when done
  work->Queue();
  return work->promise();
}

}  // namespace

void addDescriptorFunctions(Napi::Object exports, Instance* instance) {
  addFunction<listBlocks>(exports, instance, "listBlocks");
  addFunction<listRuns>(exports, instance, "listRuns");
  addFunction<listJoin>(exports, instance, "listJoin");
  addFunction<listInfo>(exports, instance, "listInfo");
  addFunction<releaseList>(exports, instance, "releaseList");
  addFunction<digest>(exports, instance, "digest");
}

}  // namespace kvseam::addon
