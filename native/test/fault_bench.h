// A fault layer around a backend that does what a test says, driven by hand on one thread: no engine, no progress
// thread.
#ifndef KVSEAM_TEST_FAULT_BENCH_H_
#define KVSEAM_TEST_FAULT_BENCH_H_

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../core/clock.h"
#include "../core/fault_backend.h"
#include "../core/status.h"

namespace kvseam {

/** Copies at once and completes at the next poll, unless told to wait for complete(). */
struct ScriptedBackend {
  struct Posted {
    kvseam_op op;
    std::vector<kvseam_run> runs;
    std::string notify;
  };
  std::vector<Posted> posted;
  std::deque<kvseam_event> events;
  std::vector<uint64_t> cancelled;
  std::vector<uint32_t> disconnected;
  bool atOnce = true;
  uint32_t refusals = 0;
  uint32_t connects = 0;
  uint64_t registered = 0;

  static ScriptedBackend& of(kvseam_backend* self) { return *reinterpret_cast<ScriptedBackend*>(self); }
  kvseam_backend* self() { return reinterpret_cast<kvseam_backend*>(this); }

  void complete(uint64_t token, kvseam_code code = KVSEAM_OK, uint64_t bytes = 0) {
    kvseam_event event{};
    event.kind = KVSEAM_EVENT_COMPLETION;
    event.token = token;
    event.code = code;
    event.bytes = bytes;
    events.push_back(event);
  }

  static const kvseam_backend_api* api() {
    static const kvseam_backend_api table = [] {
      kvseam_backend_api t{};
      t.api_version = KVSEAM_BACKEND_API_VERSION;
      t.struct_bytes = sizeof(t);
      t.name = "scripted";
      t.destroy = [](kvseam_backend*) {};
      t.register_memory = [](kvseam_backend* self, const kvseam_memory_request* request, kvseam_memory* out) {
        *out = {new uint8_t[request->bytes](), request->bytes, nullptr};
        ++of(self).registered;
        return Status().toC();
      };
      t.deregister_memory = [](kvseam_backend* self, kvseam_memory* memory) {
        delete[] static_cast<uint8_t*>(memory->address);
        --of(self).registered;
      };
      t.import_key = [](kvseam_backend*, const kvseam_peer_info*, const uint8_t*, uint32_t, uint64_t, kvseam_memory*) {
        return Status().toC();
      };
      t.connect = [](kvseam_backend* self, const kvseam_peer_info*, uint32_t* peer) {
        *peer = of(self).connects++;
        kvseam_event event{};
        event.kind = KVSEAM_EVENT_CONNECTED;
        event.peer = *peer;
        of(self).events.push_back(event);
        return Status().toC();
      };
      t.disconnect = [](kvseam_backend* self, uint32_t peer) { of(self).disconnected.push_back(peer); };
      t.post = [](kvseam_backend* self, const kvseam_op* op) {
        ScriptedBackend& inner = of(self);
        if (inner.refusals != 0) {
          --inner.refusals;
          return Status::local(KVSEAM_QUEUE_FULL, "full").toC();
        }
        const std::string notify =
            op->notify == nullptr ? "" : std::string(reinterpret_cast<const char*>(op->notify), op->notify_bytes);
        inner.posted.push_back({*op, {op->runs, op->runs + op->run_count}, notify});
        for (uint64_t i = 0; i < op->run_count; ++i) {
          auto* const here = static_cast<uint8_t*>(op->runs[i].local->address) + op->runs[i].local_offset;
          auto* const there = static_cast<uint8_t*>(op->runs[i].remote->address) + op->runs[i].remote_offset;
          const bool reading = op->kind == KVSEAM_OP_READ;
          std::memcpy(reading ? here : there, reading ? there : here, op->runs[i].bytes);
        }
        if (inner.atOnce) inner.complete(op->token, KVSEAM_OK, op->bytes);
        return Status().toC();
      };
      t.cancel = [](kvseam_backend* self, uint64_t token) {
        of(self).cancelled.push_back(token);
        of(self).complete(token, KVSEAM_CANCELLED);
      };
      t.poll = [](kvseam_backend* self, kvseam_event* out, uint32_t max) {
        uint32_t count = 0;
        for (; count < max && !of(self).events.empty(); ++count) {
          out[count] = of(self).events.front();
          of(self).events.pop_front();
        }
        return count;
      };
      t.arm = [](kvseam_backend* self, int64_t* wakeAtNs) {
        *wakeAtNs = INT64_MAX;
        return of(self).events.empty() ? 0 : 1;
      };
      return t;
    }();
    return &table;
  }
};

class FaultBench : public testing::Test {
 protected:
  static constexpr uint64_t kBytes = 64 * 1024;

  FaultBench() : local_(kBytes), remote_(kBytes) {
    for (size_t i = 0; i < kBytes; ++i) remote_[i] = static_cast<uint8_t>(i * 7 + i / 256);
    faults_ = new FaultBackend(ScriptedBackend::api(), inner_.self());
    faults_->names().nameAgent("decode-0", {"rail0", "rail1"});
    for (uint32_t rail = 0; rail < 2; ++rail) {
      faults_->names().namePath(rail, "rail" + std::to_string(rail), "prefill-0", "rail" + std::to_string(rail));
      faults_->pathAdded(rail);
    }
  }
  void TearDown() override { faults_->api()->destroy(faults_->self()); }

  std::shared_ptr<FaultPlan> arm(const std::string& text) {
    FaultSpec spec;
    FaultSyntaxError error;
    EXPECT_TRUE(FaultSpec::parse(text, &spec, &error)) << error.message;
    auto plan = std::make_shared<FaultPlan>(spec, spec.hasSeed ? spec.seed : 1, nowNs());
    faults_->armMemory(plan);
    faults_->arm(plan);
    return plan;
  }
  void disarm(const std::shared_ptr<FaultPlan>& plan) {
    plan->retire();
    faults_->disarmMemory(plan);
    faults_->disarm(plan);
  }

  kvseam_status post(uint64_t token, uint32_t path = 0, uint32_t kind = KVSEAM_OP_READ, uint64_t bytes = kBytes,
                     const char* notify = nullptr) {
    kvseam_op op{};
    op.token = token;
    op.kind = kind;
    op.peer = 3;
    op.path = path;
    op.deadline_ns = nowNs() + 1'000'000'000;
    if (kind != KVSEAM_OP_NOTIFY) {
      runs_[token] = {{&localMemory_, &remoteMemory_, 0, 0, bytes / 2},
                      {&localMemory_, &remoteMemory_, bytes / 2, bytes / 2, bytes - bytes / 2}};
      op.runs = runs_[token].data();
      op.run_count = 2;
      op.bytes = bytes;
    }
    if (notify != nullptr) {
      op.notify = reinterpret_cast<const uint8_t*>(notify);
      op.notify_bytes = static_cast<uint32_t>(std::strlen(notify));
    }
    return faults_->api()->post(faults_->self(), &op);
  }
  void cancel(uint64_t token) { faults_->api()->cancel(faults_->self(), token); }

  std::vector<kvseam_event> poll(uint32_t max = 64) {
    std::vector<kvseam_event> out(max);
    out.resize(faults_->api()->poll(faults_->self(), out.data(), max));
    return out;
  }
  /** Polls until something comes or the time is up; adds up everything that came. */
  std::vector<kvseam_event> pollFor(int64_t ms, size_t wanted = 1) {
    std::vector<kvseam_event> all;
    const int64_t untilNs = nowNs() + ms * 1'000'000;
    do {
      for (const kvseam_event& event : poll()) all.push_back(event);
    } while (all.size() < wanted && nowNs() < untilNs);
    return all;
  }
  kvseam_event only(int64_t ms = 2000) {
    const std::vector<kvseam_event> events = pollFor(ms);
    EXPECT_EQ(events.size(), 1U);
    return events.empty() ? kvseam_event{} : events[0];
  }
  bool quiet() { return poll().empty() && poll().empty(); }
  int64_t wakeAtNs() {
    int64_t at = 0;
    return faults_->api()->arm(faults_->self(), &at) != 0 ? 0 : at;
  }
  /** Bytes in which the two sides differ. */
  size_t differences(size_t from = 0, size_t to = kBytes) const {
    size_t count = 0;
    for (size_t i = from; i < to; ++i) count += local_[i] != remote_[i] ? 1 : 0;
    return count;
  }

  ScriptedBackend inner_;
  FaultBackend* faults_ = nullptr;
  std::vector<uint8_t> local_;
  std::vector<uint8_t> remote_;
  kvseam_memory localMemory_{local_.data(), kBytes, nullptr};
  kvseam_memory remoteMemory_{remote_.data(), kBytes, nullptr};
  std::map<uint64_t, std::vector<kvseam_run>> runs_;
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_FAULT_BENCH_H_
