// Rare news from the progress thread: connections, dead peers, notifications. Transfers have a ring of their own.
#ifndef KVSEAM_CORE_ENGINE_EVENT_H_
#define KVSEAM_CORE_ENGINE_EVENT_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "probe.h"
#include "status.h"

namespace kvseam {

struct EngineEvent {
  enum class Kind : uint32_t {
    kConnected = 1,
    kPeerDown = 2,
    kNotification = 3,
    kFault = 4,
    kProbed = 5
  };  // kFault: look at the log of firings
  Kind kind = Kind::kNotification;
  uint32_t peer = 0;
  Status status;
  std::string name;  // of the sender, for a notification
  uint64_t incarnation = 0;
  std::string data;
  std::shared_ptr<ProbeSeries> probe = nullptr;  // of kProbed
};

class EventQueue {
 public:
  // Notifications beyond this are dropped and counted: a reader that never drains must not eat the process.
  static constexpr size_t kMaxQueued = 65'536;

  /** Room for news that will come: its push then needs no memory, and whoever waits for it hears it. */
  void promise(size_t count) {
    std::list<EngineEvent> room(count);
    const std::lock_guard<std::mutex> lock(mutex_);
    promised_.splice(promised_.end(), room);
  }
  /** Takes one promise back. */
  void withdraw() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!promised_.empty()) promised_.pop_front();
  }
  void push(EngineEvent event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::list<EngineEvent> news;
    if (promised_.empty()) {
      news.push_back(std::move(event));
    } else {
      news.splice(news.begin(), promised_, promised_.begin());
      news.front() = std::move(event);
    }
    events_.splice(events_.end(), news);
    pending_.store(true, std::memory_order_release);
  }
  /** Dropped and counted when it is one too many or there is no memory for it. */
  void pushNotification(const char* name, uint64_t incarnation, const uint8_t* data, uint32_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (events_.size() >= kMaxQueued) {
      ++dropped_;
      return;
    }
    try {
      events_.push_back({EngineEvent::Kind::kNotification,
                         0,
                         {},
                         name,
                         incarnation,
                         std::string(reinterpret_cast<const char*>(data), bytes)});
    } catch (const std::bad_alloc&) {
      ++dropped_;
    }
    pending_.store(true, std::memory_order_release);
  }
  void pushFault() {
    const std::lock_guard<std::mutex> lock(mutex_);
    faultNews_ = true;
    pending_.store(true, std::memory_order_release);
  }
  /** A hint without the lock: true as long as something may be queued. */
  bool pending() const { return pending_.load(std::memory_order_acquire); }
  bool pop(EngineEvent* out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (std::exchange(faultNews_, false)) {
      *out = EngineEvent{};
      out->kind = EngineEvent::Kind::kFault;
      return true;
    }
    if (events_.empty()) {
      pending_.store(false, std::memory_order_relaxed);
      return false;
    }
    *out = std::move(events_.front());
    events_.pop_front();
    return true;
  }
  uint64_t dropped() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return dropped_;
  }

 private:
  mutable std::mutex mutex_;
  std::list<EngineEvent> events_;
  std::list<EngineEvent> promised_;
  bool faultNews_ = false;
  std::atomic<bool> pending_{false};
  uint64_t dropped_ = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_ENGINE_EVENT_H_
