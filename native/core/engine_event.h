// Rare news from the progress thread: connections, dead peers, notifications. Transfers have a ring of their own.
#ifndef KVSEAM_CORE_ENGINE_EVENT_H_
#define KVSEAM_CORE_ENGINE_EVENT_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
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

  void push(EngineEvent event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (event.kind == EngineEvent::Kind::kNotification && events_.size() >= kMaxQueued) {
      ++dropped_;
      return;
    }
    events_.push_back(std::move(event));
    pending_.store(true, std::memory_order_release);
  }
  /** A hint without the lock: true as long as something may be queued. */
  bool pending() const { return pending_.load(std::memory_order_acquire); }
  bool pop(EngineEvent* out) {
    const std::lock_guard<std::mutex> lock(mutex_);
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
  std::deque<EngineEvent> events_;
  std::atomic<bool> pending_{false};
  uint64_t dropped_ = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_ENGINE_EVENT_H_
