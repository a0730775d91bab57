// What the engine's tests share: an owner that waits for wake-ups as the JavaScript thread does, keeps a ledger of
// every transfer's two endings, and opens pairs of connected agents.
#ifndef KVSEAM_TEST_ENGINE_FOR_TEST_H_
#define KVSEAM_TEST_ENGINE_FOR_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../core/agent.h"
#include "../core/clock.h"
#include "../core/permit.h"

namespace kvseam {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
// Anything that should happen at once: long enough for a loaded machine under a sanitizer.
constexpr int64_t kSoon = 30 * kSecond;

class WakeForTest final : public WakeTarget {
 public:
  void wake() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  /** Waits for a wake-up after the one numbered `seen`; false when none came in time. */
  bool wait(uint64_t seen, int64_t ns) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::nanoseconds(ns), [&] { return count_ > seen; });
  }
  uint64_t count() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t count_ = 0;
};

/** The two endings of one transfer, as its owner saw them. */
struct Ending {
  int settled = 0;
  int quiesced = 0;
  int quarantined = 0;
  CompletionRecord outcome;
  int64_t settledAtNs = 0;
};

/** An agent with its owner. Every record must be for a known transfer, settle it at most once, quiesce it after that.
 */
class Engine {
 public:
  Engine(const kvseam_backend_api* api, const std::string& name, std::shared_ptr<PermitBook> book, uint32_t number,
         const ProgressOptions& progress = {}, std::vector<kvseam_rail> rails = {})
      : book_(std::move(book)) {
    AgentOptions options;
    options.name = name;
    options.rails = std::move(rails);
    options.progress = progress;
    const Status status = Agent::open(api, options, book_, number, &wake_, &agent_);
    EXPECT_TRUE(status.ok()) << status.text();
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() = default;

  Agent& agent() { return *agent_; }
  WakeForTest& wake() { return wake_; }
  const ProgressCounters& counters() { return agent_->progress().counters(); }

  /** Takes what is there. */
  void drain() {
    agent_->acknowledgeWake();
    CompletionRecord records[64];
    for (uint32_t got = 64; got == 64;) {
      got = agent_->drain(records, 64);
      for (uint32_t i = 0; i < got; ++i) note(records[i]);
    }
    for (EngineEvent event; agent_->popEvent(&event);) events.push_back(event);
  }

  bool until(const std::function<bool()>& done, int64_t ns = kSoon) {
    const int64_t by = nowNs() + ns;
    for (;;) {
      const uint64_t seen = wake_.count();
      drain();
      if (done()) return true;
      const int64_t left = by - nowNs();
      if (left <= 0) return false;
      wake_.wait(seen, left);
    }
  }
  /** For what nobody is woken for, such as a counter. */
  bool eventually(const std::function<bool()>& done) {
    const int64_t by = nowNs() + kSoon;
    while (!done()) {
      if (nowNs() > by) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      drain();
    }
    return true;
  }
  bool settled(uint64_t transfer, int64_t ns = kSoon) {
    return until([&] { return endings[transfer].settled != 0; }, ns);
  }
  bool quiesced(uint64_t transfer, int64_t ns = kSoon) {
    return until([&] { return endings[transfer].quiesced != 0; }, ns);
  }

  /** Connects to `other` and waits until the handshake is over; returns the peer's number. */
  uint32_t connect(Engine& other) {
    std::string blob;
    EXPECT_TRUE(other.agent().exportMetadata(&blob).ok());
    uint32_t peer = 0;
    const Status status =
        agent_->connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon, &peer);
    EXPECT_TRUE(status.ok()) << status.text();
    EXPECT_TRUE(until([&] { return connected(peer); }));
    return peer;
  }
  bool connected(uint32_t peer) const {
    for (const EngineEvent& event : events) {
      if (event.kind == EngineEvent::Kind::kConnected && event.peer == peer) return event.status.ok();
    }
    return false;
  }
  uint32_t path(uint32_t localRail, uint32_t peer, uint32_t remoteRail) {
    uint32_t path = 0;
    const Status status = agent_->addPath(localRail, peer, remoteRail, &path);
    EXPECT_TRUE(status.ok()) << status.text();
    return path;
  }
  uint64_t allocate(uint64_t bytes, const std::string& name) {
    uint64_t handle = 0;
    const Status status = agent_->allocate(bytes, name, &handle);
    EXPECT_TRUE(status.ok()) << status.text();
    return handle;
  }
  uint8_t* data(uint64_t region) { return (*agent_->region(region))->data(); }
  uint64_t localList(uint64_t region, uint64_t blockBytes, const std::vector<uint32_t>& ids) {
    return add(*agent_->region(region), blockBytes, ids);
  }
  uint64_t remoteList(uint32_t peer, const std::string& region, uint64_t blockBytes, const std::vector<uint32_t>& ids) {
    return add(agent_->remoteRegion(peer, region), blockBytes, ids);
  }

  /** Mints and posts; on success the transfer enters the ledger. */
  Status post(PostRequest request, uint64_t* transfer) {
    const auto* const list = agent_->list(request.localList);
    if (request.count == 0 && list != nullptr) request.count = (*list)->count();
    if (request.deadlineNs == 0) request.deadlineNs = nowNs() + kSoon;
    if (request.permit == 0) {
      const Path* const path = agent_->path(request.path);
      request.permit =
          book_->mint({path == nullptr ? 0 : path->key, request.operation, UINT64_MAX, INT64_MAX}, nowNs());
    }
    const Status status = agent_->post(std::move(request), transfer);
    if (status.ok()) enter(*transfer);
    return status;
  }
  uint64_t mustPost(const PostRequest& request) {
    uint64_t transfer = 0;
    const Status status = post(request, &transfer);
    EXPECT_TRUE(status.ok()) << status.text();
    return transfer;
  }
  /** The same bytes into a region of their own: what is in flight together must not have one destination. */
  PostRequest apart(PostRequest request) {
    EXPECT_EQ(request.operation, KVSEAM_OP_READ);
    const auto list = *agent_->list(request.localList);
    std::vector<double> offsets(list->count());
    std::vector<double> lengths(list->count());
    uint64_t end = 1;
    for (uint64_t i = 0; i < list->count(); ++i) {
      offsets[i] = static_cast<double>(list->offset(i));
      lengths[i] = static_cast<double>(list->length(i));
      end = std::max(end, list->offset(i) + list->length(i));
    }
    const uint64_t region = allocate(end, "apart-" + std::to_string(++apart_));
    std::shared_ptr<DescriptorList> copy;
    const Status made =
        DescriptorList::fromRuns(*agent_->region(region), offsets.data(), lengths.data(), offsets.size(), &copy);
    EXPECT_TRUE(made.ok()) << made.text();
    EXPECT_TRUE(agent_->addList(std::move(copy), &request.localList).ok());
    return request;
  }
  /** Part `i` of `of` of a transfer; the parts have no byte in common. */
  PostRequest slice(PostRequest request, uint64_t i, uint64_t of) {
    const uint64_t count = (*agent_->list(request.localList))->count();
    request.first = count * i / of;
    request.count = count * (i + 1) / of - request.first;
    return request;
  }
  void enter(uint64_t transfer) {
    EXPECT_EQ(endings.count(transfer), 0U) << "a transfer's number came back";
    endings[transfer] = {};
    onSlot_[static_cast<uint32_t>(transfer & kSlotMask)] = transfer;
  }

  std::map<uint64_t, Ending> endings;
  std::vector<EngineEvent> events;

 private:
  static constexpr uint64_t kSlotMask = (uint64_t{1} << 21) - 1;

  uint64_t add(std::shared_ptr<Memory> memory, uint64_t blockBytes, const std::vector<uint32_t>& ids) {
    std::shared_ptr<DescriptorList> list;
    Status status = DescriptorList::fromBlocks(std::move(memory), {0, 0, 1, blockBytes}, ids.data(), ids.size(), &list);
    EXPECT_TRUE(status.ok()) << status.text();
    uint64_t handle = 0;
    EXPECT_TRUE(agent_->addList(std::move(list), &handle).ok());
    return handle;
  }
  void note(const CompletionRecord& record) {
    const auto known = onSlot_.find(record.slot);
    ASSERT_NE(known, onSlot_.end()) << "a record for a slot that carries nothing";
    Ending& ending = endings[known->second];
    if ((record.flags & kSettledFlag) != 0) {
      EXPECT_EQ(++ending.settled, 1);
      ending.outcome = record;
      ending.settledAtNs = nowNs();
    }
    if ((record.flags & kQuarantinedFlag) != 0) {
      EXPECT_EQ(ending.settled, 1);
      EXPECT_EQ(ending.quiesced, 0);
      ++ending.quarantined;
    }
    if ((record.flags & kQuiescedFlag) != 0) {
      EXPECT_EQ(ending.settled, 1) << "quiesced before settled";
      EXPECT_EQ(++ending.quiesced, 1);
      onSlot_.erase(known);
    }
  }

  WakeForTest wake_;  // outlives the agent, which wakes it
  std::shared_ptr<PermitBook> book_;
  std::unique_ptr<Agent> agent_;
  std::map<uint32_t, uint64_t> onSlot_;
  uint32_t apart_ = 0;
};

/** CPU time of the whole process. */
inline int64_t cpuNs() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return int64_t{t.tv_sec} * kSecond + t.tv_nsec;
}

inline std::shared_ptr<PermitBook> newBook() { return std::make_shared<PermitBook>(0x5eedULL); }

}  // namespace kvseam
#endif  // KVSEAM_TEST_ENGINE_FOR_TEST_H_
