// Turns of the UCX backend: which workers are looked at when, what is told to the engine, and when it may sleep.
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "../../core/clock.h"
#include "ucx_backend.h"
#include "ucx_codes.h"

namespace kvseam::ucx {

namespace {

constexpr int64_t kLookEveryNs = 5'000;    // at a quiet worker: a look over tcp is a system call ...
constexpr int64_t kLookRarelyNs = 50'000;  // ... which a busy one would pay for
constexpr int64_t kStaysBusyNs = 50'000;   // a worker that moved something is looked at in every turn for so long
constexpr int64_t kTickMovingNs = 100'000'000;
constexpr int64_t kTickIdleNs = kPingNs;
constexpr int64_t kStallNs = 500'000'000;  // a gap of our own thread: nobody else is to blame for the silence

void tick(kvseam_backend* self, int64_t now) {
  uint64_t woken = 0;
  [[maybe_unused]] const ssize_t got = ::read(self->wake_fd, &woken, sizeof(woken));
  const bool serving = self->host->tick(now);
  const bool dialling = self->dialler->tick(now);
  self->carrier->settleLanded();
  self->tick_ns = now + (serving || dialling ? kTickBusyNs : self->dialler->moving() ? kTickMovingNs : kTickIdleNs);
}

}  // namespace

bool progress(kvseam_backend* self, int64_t now, bool all) {
  const bool busy = std::any_of(self->workers.begin(), self->workers.end(),
                                [now](const Watched& watched) { return now < watched.busy_until_ns; });
  const int64_t lookEveryNs = busy ? kLookRarelyNs : kLookEveryNs;
  bool moved = false;
  for (Watched& watched : self->workers) {
    const bool due = all || watched.worker->requests() != 0 || now < watched.busy_until_ns ||
                     now - watched.looked_ns >= lookEveryNs || (!watched.serving && self->carrier->active() != 0);
    if (!due) continue;
    watched.looked_ns = now;
    if (watched.worker->progress()) {
      watched.busy_until_ns = now + kStaysBusyNs;
      moved = true;
    }
    self->carrier->settleLanded();
    std::deque<Inbound>& inbox = watched.worker->inbox();
    while (!inbox.empty()) {
      const Inbound message = std::move(inbox.front());
      inbox.pop_front();
      if (watched.serving) {
        self->host->take(watched.worker, message, now);
      } else {
        self->dialler->take(message, now);
      }
    }
    self->carrier->settleLanded();
    if (watched.worker->takeBroken()) self->tick_ns = 0;
    if (!watched.worker->reap()) self->tick_ns = std::min(self->tick_ns, now + kTickBusyNs);
  }
  return moved;
}

uint32_t poll(kvseam_backend* self, kvseam_event* out, uint32_t max) {
  if (self->closed) return 0;
  const int64_t now = nowNs();
  if (self->last_poll_ns != 0 && now - self->last_poll_ns > kStallNs) {
    self->host->excuse(now);
    self->dialler->excuse(now);
  }
  self->last_poll_ns = now;
  const bool moved = progress(self, now, false);
  self->more = self->dialler->pump(now);
  if (now >= self->tick_ns || self->regions->newsWaiting()) tick(self, now);

  uint32_t count = 0;
  for (std::deque<kvseam_event>* const queue : {&self->carrier->completions(), &self->dialler->events()}) {
    for (; count < max && !queue->empty(); ++count) {
      out[count] = queue->front();
      queue->pop_front();
    }
  }
  std::deque<Delivery>& deliveries = self->host->deliveries();
  self->delivered.clear();
  while (self->delivered.size() < max - count && !deliveries.empty()) {
    self->delivered.push_back(std::move(deliveries.front()));
    deliveries.pop_front();
  }
  // Only now, when the vector moves no more, may events point into it.
  for (const Delivery& delivery : self->delivered) {
    kvseam_event event{};
    event.kind = KVSEAM_EVENT_NOTIFICATION;
    event.name = delivery.name.c_str();
    event.incarnation = delivery.incarnation;
    event.data = reinterpret_cast<const uint8_t*>(delivery.data.data());
    event.data_bytes = static_cast<uint32_t>(delivery.data.size());
    out[count++] = event;
  }
  // Whoever serves a peer would fall asleep between two of its questions.
  if (count == 0 && moved && max != 0) {
    out[count++] = {};
    out[0].kind = KVSEAM_EVENT_MOVED;
  }
  return count;
}

int arm(kvseam_backend* self, int64_t* wakeAtNs) {
  *wakeAtNs = self->tick_ns;
  const bool waiting =
      !self->carrier->completions().empty() || !self->dialler->events().empty() || !self->host->deliveries().empty();
  if (self->closed || waiting || self->more || self->regions->newsWaiting()) return 1;
  for (Watched& watched : self->workers) {
    if (watched.worker->broken()) return 1;
    if (watched.worker->arm()) continue;
    watched.looked_ns = 0;
    return 1;
  }
  // Whatever wakes the thread, its next poll looks at all of them. Sleeping until then is no stall; beyond it, it is
  // one.
  for (Watched& watched : self->workers) watched.looked_ns = 0;
  self->last_poll_ns = std::max(self->last_poll_ns, self->tick_ns);
  return 0;
}

}  // namespace kvseam::ucx
