// A backend whose every move a test decides: it completes late, never, twice or out of order, refuses, blocks, loses
// peers. Peers are other agents over the same fake in this process; bytes move when an operation completes.
#ifndef KVSEAM_TEST_FAKE_BACKEND_H_
#define KVSEAM_TEST_FAKE_BACKEND_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "../core/backend.h"

namespace kvseam {

class FakeBackend {
 public:
  /** What the engine handed over in one post, copied. */
  struct Posted {
    uint64_t token;
    uint32_t kind;
    uint32_t peer;
    uint32_t localRail;
    uint64_t bytes;
    std::vector<kvseam_run> runs;
    std::string notify;
  };

  static const kvseam_backend_api* api();
  /** The one that was opened last. */
  static std::shared_ptr<FakeBackend> latest();
  ~FakeBackend();

  // How it behaves; set before the move, from any thread.
  void completeAtOnce(bool on) {
    with([&] { atOnce_ = on; });
  }
  void completeWhenCancelled(bool on) {
    with([&] { onCancel_ = on; });
  }
  void answerConnects(bool on) {
    with([&] { answerConnects_ = on; });
  }
  void refusePosts(uint64_t times) {
    with([&] { refusals_ = times; });
  }
  /** QUEUE_FULL for this peer until told otherwise. */
  void refusePeer(uint32_t peer, bool on) {
    with([&] { on ? static_cast<void>(fullPeers_.insert(peer)) : static_cast<void>(fullPeers_.erase(peer)); });
  }
  void failPosts(kvseam_code code) {
    with([&] { postCode_ = code; });
  }
  void withoutWaitFd() {
    with([&] { hasFd_ = false; });
  }
  void failClose(bool on) {
    with([&] { closeFails_ = on; });
  }

  // Moves.
  void complete(uint64_t token, kvseam_code code = KVSEAM_OK, kvseam_blame blame = KVSEAM_BLAME_none);
  void loseThePeer(uint32_t peer);
  void notification(const std::string& from, const std::string& data);
  /** The progress thread stays inside its next poll until release(). */
  void block();
  void waitUntilBlocked();
  void release();
  /** The next poll that has events takes this long first, as a library that is stuck for a while. */
  void stallOnce(int64_t ns) {
    with([&] { stallNs_ = ns; });
  }

  // What happened.
  std::vector<Posted> posted() const;
  Posted waitForPost(size_t index);
  uint64_t attempts() const;
  uint64_t polls() const;
  std::vector<uint64_t> cancelled() const;
  std::vector<uint32_t> disconnected() const;
  uint64_t revoked() const;
  bool closed() const;
  /** Regions that were registered and not deregistered, over all fakes of the process. */
  static int64_t registered();

 private:
  friend struct FakeTable;
  template <typename F>
  void with(F&& change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change();
  }
  void push(kvseam_event event);  // mutex held
  void move(const Posted& operation);
  uint32_t poll(kvseam_event* out, uint32_t max);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool atOnce_ = true;
  bool onCancel_ = true;
  bool answerConnects_ = true;
  bool hasFd_ = true;
  bool closeFails_ = false;
  bool blockAsked_ = false;
  bool blocked_ = false;
  bool closed_ = false;
  uint64_t refusals_ = 0;
  std::set<uint32_t> fullPeers_;
  kvseam_code postCode_ = KVSEAM_OK;
  int64_t stallNs_ = 0;
  uint32_t peers_ = 0;
  uint64_t attempts_ = 0;
  uint64_t polls_ = 0;
  uint64_t revoked_ = 0;
  std::vector<kvseam_rail> rails_;
  std::vector<Posted> posted_;
  std::vector<uint64_t> cancelled_;
  std::vector<uint32_t> disconnected_;
  std::deque<kvseam_event> events_;
  std::deque<std::pair<std::string, std::string>> notifications_;
  std::deque<std::pair<std::string, std::string>> delivered_;
  int fd_ = -1;
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_FAKE_BACKEND_H_
