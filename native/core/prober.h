// Runs probe series on the progress thread: posts their operations, times them, ends what does not answer. Everything
// it touches but the queue of orders belongs to that thread.
#ifndef KVSEAM_CORE_PROBER_H_
#define KVSEAM_CORE_PROBER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "probe.h"

namespace kvseam {

/** What the prober uses of the thread that it runs on. */
class ProbePort {
 public:
  virtual kvseam_status postProbe(const kvseam_op& op) = 0;
  virtual void cancelProbe(uint64_t token) = 0;
  /** False while the connection is not up. */
  virtual bool backendPeer(uint32_t peer, uint32_t* out) const = 0;
  /** A gap of the thread ended then; what was in flight across it is delayed by ourselves. */
  virtual int64_t stallEndNs() const = 0;
  /** The series is over; called once for each. Its operations may still be unquiesced. */
  virtual void probed(std::shared_ptr<ProbeSeries> series) = 0;

 protected:
  ~ProbePort() = default;
};

class Prober {
 public:
  static constexpr uint32_t kMaxSeries = 256;  // ordered and not over
  static constexpr uint32_t kMaxOperations = 512;

  explicit Prober(ProbePort* port);

  // Owner's thread -------------------------------------------------------------------------------------------------
  bool room() const { return live_.load(std::memory_order_acquire) < kMaxSeries; }
  void start(std::shared_ptr<ProbeSeries> series);
  /** A series that is over already is none of its business. */
  void cancel(uint64_t id);

  // Any thread -----------------------------------------------------------------------------------------------------
  bool ordersWaiting() const { return ordersWaiting_.load(std::memory_order_acquire) != 0; }
  uint64_t posted() const { return postedCount_.load(std::memory_order_relaxed); }
  /** Operations that a backend may still work on; also those whose series is over. */
  uint32_t unquiesced() const { return unquiesced_.load(std::memory_order_relaxed); }

  // Progress thread ------------------------------------------------------------------------------------------------
  /** Whether the token is one of a probe; transfers use slot numbers below this bit. */
  static bool owns(uint64_t token) { return (token & kProbeBit) != 0; }
  bool idle() const { return running_.empty() && !ordersWaiting(); }
  /** True when something was done. */
  bool advance(int64_t nowNs);
  /** False when it was a completion of nothing that is in flight. */
  bool onCompletion(const kvseam_event& event);
  void onPeerDown(uint32_t peer, int64_t nowNs);
  /** When advance() is due next; INT64_MAX when never. */
  int64_t nextNs() const;
  /** An operation was posted so recently that a sleep would lengthen what is measured. */
  bool fresh(int64_t nowNs) const { return unquiesced() != 0 && nowNs - lastPostNs_ < kSpinNs; }
  /** Everything ends as CLOSED; what the backend still holds is counted by unquiesced(). */
  void close(int64_t nowNs);

 private:
  static constexpr uint64_t kProbeBit = uint64_t{1} << 31;
  static constexpr int64_t kSpinNs = 100'000;
  static constexpr int64_t kRetryNs = 100'000;  // the backend's queue was full
  struct Operation {
    std::shared_ptr<ProbeSeries> series;  // null: free
    uint32_t generation = 0;
    bool warmUp = false;
    bool settled = false;  // its time was up; it only has to quiesce
    int64_t postedNs = 0;
    int64_t dueNs = 0;
    kvseam_run run{};
  };
  enum class Posting : uint8_t { kPosted, kNotNow, kFailed };

  void takeOrders(int64_t nowNs);
  bool advanceSeries(ProbeSeries* series, int64_t nowNs);
  Posting post(const std::shared_ptr<ProbeSeries>& series, int64_t nowNs);
  void expire(int64_t nowNs);
  void settle(Operation* operation, int32_t code, int32_t blame, int64_t backendCode, int64_t nowNs);
  void fail(ProbeSeries* series, int32_t code, int32_t blame, int64_t backendCode, bool selfDelayed);
  void end(ProbeSeries* series, int32_t code, int32_t blame, int64_t nowNs);
  void quiesce(uint32_t index);
  void sweep(int64_t nowNs);
  uint64_t token(uint32_t index) const { return uint64_t{operations_[index].generation} << 32 | kProbeBit | index; }

  ProbePort* port_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<ProbeSeries>> orders_;
  std::vector<uint64_t> cancels_;
  std::atomic<uint32_t> ordersWaiting_{0};
  std::atomic<uint32_t> live_{0};
  std::atomic<uint64_t> postedCount_{0};
  std::atomic<uint32_t> unquiesced_{0};

  // Progress thread only.
  std::vector<std::shared_ptr<ProbeSeries>> running_;
  std::vector<std::shared_ptr<ProbeSeries>> taken_;  // orders on their way from the lock to running_
  std::vector<Operation> operations_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> active_;  // posted and not quiesced
  int64_t lastPostNs_ = 0;
};

}  // namespace kvseam
#endif  // KVSEAM_CORE_PROBER_H_
