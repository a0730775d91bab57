// Out of memory at every allocation in turn: the caller gets KVSEAM_NO_MEMORY, nothing has changed, and the same call
// works right afterwards. Without memory on the progress thread every transfer still ends once.
#include <dirent.h>

#include "failing_allocator.h"
#include "mock_for_test.h"

namespace kvseam {
namespace {

constexpr uint64_t kBytes = kBlock * 8;

uint64_t entriesOf(const char* folder) {
  DIR* const open = opendir(folder);
  uint64_t count = 0;
  while (readdir(open) != nullptr) ++count;
  closedir(open);
  return count;
}

ProgressOptions small() {
  ProgressOptions options;
  options.maxTransfers = 16;
  options.maxPaths = 64;
  return options;
}

/** A reader and an owner over the mock: their own counts are compared, and with the process's descriptors nothing else
 * is taken and not given back. */
struct Pair {
  Pair()
      : book(newBook()),
        owner(mock::api(), "owner", book, 2, small()),
        reader(mock::api(), "reader", book, 1, small()) {
    there = owner.allocate(kBytes, "pool");
    here = reader.allocate(kBytes, "pool");
  }
  void connect() {
    peer = reader.connect(owner);
    path = reader.path(0, peer, 0);
    local = reader.localList(here, kBlock, {0, 2, 4});
    remote = reader.remoteList(peer, "pool", kBlock, {1, 3, 5});
  }
  PostRequest read() {
    PostRequest request;
    request.path = path;
    request.operation = KVSEAM_OP_READ;
    request.localList = local;
    request.remoteList = remote;
    request.count = 3;
    request.deadlineNs = nowNs() + kSoon;
    request.permit = book->mint({reader.agent().path(path)->key, KVSEAM_OP_READ, UINT64_MAX, INT64_MAX}, nowNs());
    return request;
  }
  /** A peer that had no memory for a message has closed its connection, of which the news may still be on its way. */
  bool servesAgain() {
    for (int tries = 0; tries < 3; ++tries) {
      if (reader.agent().peer(peer)->gone) connect();
      const uint64_t next = reader.mustPost(read());
      if (!reader.quiesced(next)) return false;
      if (reader.endings[next].outcome.code == KVSEAM_OK) return true;
      EXPECT_EQ(reader.endings[next].outcome.code, KVSEAM_PEER_DOWN);
      if (!reader.until([&] { return reader.agent().peer(peer)->gone; })) return false;
    }
    return false;
  }
  std::vector<uint64_t> counts() {
    Agent& agent = reader.agent();
    uint32_t peers = 0;
    while (agent.peer(peers) != nullptr) ++peers;
    return {agent.liveRegions(),
            agent.liveLists(),
            agent.inFlight(),
            agent.progress().pathCount(),
            Region::liveCount(),
            book->outstanding(),
            peers};
  }

  std::shared_ptr<PermitBook> book;
  Engine owner;
  Engine reader;
  uint64_t there = 0;
  uint64_t here = 0;
  uint32_t peer = 0;
  uint32_t path = 0;
  uint64_t local = 0;
  uint64_t remote = 0;
};

/** What is swept: `ready` before, `call` with failing allocations and then without, `done` at the end. */
struct Operation {
  const char* name;
  std::function<void(Pair*)> ready;
  std::function<Status(Pair*)> call;
  std::function<void(Pair*)> done = [](Pair*) {};
  bool allocates = true;
};

std::shared_ptr<FaultPlan> planOf(const std::string& text) {
  FaultSpec spec;
  FaultSyntaxError error;
  EXPECT_TRUE(FaultSpec::parse(text, &spec, &error));
  return std::make_shared<FaultPlan>(std::move(spec), 7, nowNs());
}

uint64_t made = 0;
uint32_t number = 0;
std::string blob;
std::string text;
PostRequest request;
ProbeRequest probe;
std::shared_ptr<FaultPlan> plan;
std::shared_ptr<DescriptorList> list;
const std::vector<uint32_t> ids = {0, 1, 5};

void metadataOfOwner(Pair* pair) { ASSERT_TRUE(pair->owner.agent().exportMetadata(&blob).ok()); }
void permittedProbe(Pair* pair) {
  probe = ProbeRequest{};
  probe.path = pair->path;
  probe.bytes = 64;
  probe.count = 3;
  probe.timeoutNs = kSoon;
  probe.deadlineNs = nowNs() + kSoon;
  probe.permit =
      pair->book->mint({pair->reader.agent().path(pair->path)->key, kProbePermit, UINT64_MAX, INT64_MAX}, nowNs());
}

const Operation kOperations[] = {
    {"allocate", [](Pair*) {}, [](Pair* pair) { return pair->reader.agent().allocate(kBytes, "another", &made); },
     [](Pair* pair) { EXPECT_TRUE(pair->reader.agent().closeRegion(made).ok()); }},
    {"allocateUnderFaults",
     [](Pair* pair) {
       plan = planOf("reader.register=50%delay(1ns)");
       ASSERT_TRUE(pair->reader.agent().armFaults(plan, false).ok());
     },
     [](Pair* pair) { return pair->reader.agent().allocate(kBytes, "another", &made); }},
    {"closeRegion", [](Pair*) {}, [](Pair* pair) { return pair->reader.agent().closeRegion(pair->here); },
     [](Pair* pair) { EXPECT_EQ(pair->reader.agent().liveRegions(), 0U); }, false},
    {"prepareBlocks", [](Pair*) {},
     [](Pair* pair) {
       Status status = DescriptorList::fromBlocks(*pair->reader.agent().region(pair->here), {0, 0, 1, kBlock},
                                                  ids.data(), ids.size(), &list);
       return status.ok() ? pair->reader.agent().addList(std::move(list), &made) : status;
     }},
    {"prepareRuns", [](Pair*) {},
     [](Pair* pair) {
       const double offsets[] = {0, 64, 128};
       const double lengths[] = {8, 16, 8};
       Status status = DescriptorList::fromRuns(*pair->reader.agent().region(pair->here), offsets, lengths, 3, &list);
       return status.ok() ? pair->reader.agent().addList(std::move(list), &made) : status;
     }},
    {"exportMetadata", [](Pair*) {}, [](Pair* pair) { return pair->reader.agent().exportMetadata(&blob); }},
    {"connect", metadataOfOwner,
     [](Pair* pair) {
       return pair->reader.agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon,
                                           &number);
     },
     [](Pair* pair) { EXPECT_TRUE(pair->reader.until([&] { return pair->reader.connected(number); })); }},
    {"connectAgain",
     [](Pair* pair) {
       pair->connect();
       pair->owner.allocate(kBytes, "second");
       metadataOfOwner(pair);
     },
     [](Pair* pair) {
       return pair->reader.agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon,
                                           &number);
     },
     [](Pair* pair) { EXPECT_NE(pair->reader.agent().remoteRegion(pair->peer, "second"), nullptr); }},
    {"addPath", [](Pair* pair) { pair->connect(); },
     [](Pair* pair) { return pair->reader.agent().addPath(1, pair->peer, 1, &number); },
     [](Pair* pair) { EXPECT_EQ(pair->reader.agent().path(number)->localRail, 1U); }},
    {"post",
     [](Pair* pair) {
       pair->connect();
       request = pair->read();
     },
     [](Pair* pair) { return pair->reader.agent().post(std::move(request), &made); },
     [](Pair* pair) {
       pair->reader.enter(made);
       EXPECT_TRUE(pair->reader.quiesced(made));
     },
     false},
    {"notify",
     [](Pair* pair) {
       pair->connect();
       text = std::string(100, 'x');
     },
     [](Pair* pair) { return pair->reader.agent().notify(pair->path, std::move(text), nowNs() + kSoon, &made); },
     [](Pair* pair) {
       pair->reader.enter(made);
       EXPECT_TRUE(pair->reader.quiesced(made));
     },
     false},
    {"probe",
     [](Pair* pair) {
       pair->connect();
       permittedProbe(pair);
     },
     [](Pair* pair) { return pair->reader.agent().probe(probe, &made); },
     [](Pair* pair) {
       EXPECT_TRUE(pair->reader.until([&] { return pair->reader.events.back().kind == EngineEvent::Kind::kProbed; }));
       EXPECT_EQ(pair->reader.events.back().probe->samples.size(), 3U);
     }},
    {"cancelProbe", [](Pair* pair) { pair->connect(); },
     [](Pair* pair) { return pair->reader.agent().cancelProbe(4711); }},
    {"armFaults",
     [](Pair* pair) {
       pair->connect();
       plan = planOf("reader.register=delay(1ns);rail0.read=delay(1us)");
     },
     [](Pair* pair) { return pair->reader.agent().armFaults(plan, false); },
     [](Pair* pair) {
       const uint64_t transfer = pair->reader.mustPost(pair->read());
       EXPECT_TRUE(pair->reader.quiesced(transfer));
       EXPECT_EQ(plan->counters(1).fired.load(), 1U);
     }},
};

class WithoutMemory : public ::testing::TestWithParam<std::tuple<Operation, Shortage>> {};

TEST_P(WithoutMemory, TheCallIsRefusedAndNothingHasChanged) {
  const auto& [operation, shortage] = GetParam();
  int64_t nth = 1;
  for (bool hit = true; hit; ++nth) {
    ASSERT_LT(nth, 2000);
    const uint64_t descriptors = entriesOf("/proc/self/fd");
    {
      Pair pair;
      operation.ready(&pair);
      const std::vector<uint64_t> before = pair.counts();
      Status status;
      {
        const ShortageHere none(nth, shortage);
        status = operation.call(&pair);
        hit = none.hit();
      }
      if (hit) {
        ASSERT_EQ(status.code(), KVSEAM_NO_MEMORY) << nth << ": " << status.text();
        EXPECT_FALSE(status.text().empty());
        EXPECT_EQ(pair.counts(), before) << nth;
        status = operation.call(&pair);
      }
      ASSERT_TRUE(status.ok()) << nth << ": " << status.text();
      operation.done(&pair);
    }
    plan.reset();
    list.reset();
    EXPECT_EQ(entriesOf("/proc/self/fd"), descriptors) << nth;
  }
  // What holds no memory of its own must not begin to; what does must have been refused at least once.
  EXPECT_EQ(nth > 2, operation.allocates);
}

std::string nameOf(const ::testing::TestParamInfo<std::tuple<Operation, Shortage>>& it) {
  return std::string(std::get<0>(it.param).name) + (std::get<1>(it.param) == Shortage::kOnce ? "Once" : "Lasting");
}

INSTANTIATE_TEST_SUITE_P(Each, WithoutMemory,
                         ::testing::Combine(::testing::ValuesIn(kOperations),
                                            ::testing::Values(Shortage::kOnce, Shortage::kLasting)),
                         nameOf);

class WithoutMemoryAtTheStart : public ::testing::TestWithParam<Shortage> {};

TEST_P(WithoutMemoryAtTheStart, AnAgentOpensWholeOrNotAtAll) {
  AgentOptions options;
  options.name = "an-agent-with-a-name-too-long-to-be-held-without-memory";
  options.progress = small();
  const auto book = newBook();
  int64_t nth = 1;
  for (bool hit = true; hit; ++nth) {
    ASSERT_LT(nth, 2000);
    const uint64_t descriptors = entriesOf("/proc/self/fd");
    const uint64_t threads = entriesOf("/proc/self/task");
    WakeForTest wake;
    std::unique_ptr<Agent> agent;
    Status status;
    {
      const ShortageHere none(nth, GetParam());
      status = Agent::open(mock::api(), options, book, 1, &wake, &agent);
      hit = none.hit();
    }
    if (hit) {
      ASSERT_EQ(status.code(), KVSEAM_NO_MEMORY) << nth << ": " << status.text();
      EXPECT_EQ(agent, nullptr);
      EXPECT_EQ(entriesOf("/proc/self/fd"), descriptors) << nth;
      EXPECT_EQ(entriesOf("/proc/self/task"), threads) << nth;
      status = Agent::open(mock::api(), options, book, 1, &wake, &agent);
    }
    ASSERT_TRUE(status.ok()) << nth << ": " << status.text();
    agent.reset();
    EXPECT_EQ(entriesOf("/proc/self/fd"), descriptors) << nth;
  }
  EXPECT_GT(nth, 10);
}

INSTANTIATE_TEST_SUITE_P(Each, WithoutMemoryAtTheStart, ::testing::Values(Shortage::kOnce, Shortage::kLasting),
                         [](const auto& it) { return it.param == Shortage::kOnce ? "Once" : "Lasting"; });

/** One failing allocation on a progress thread; a lasting one ends with the scenario. */
class ProgressWithoutMemory : public ::testing::TestWithParam<std::tuple<const char*, Shortage>> {};

TEST_P(ProgressWithoutMemory, EveryTransferEndsOnceAndTheNextIsServed) {
  const auto& [faults, shortage] = GetParam();
  int64_t nth = 1;
  for (bool hit = true; hit; ++nth) {
    ASSERT_LT(nth, 2000);
    const uint64_t descriptors = entriesOf("/proc/self/fd");
    {
      Pair pair;
      pair.connect();
      if (*faults != '\0') {
        plan = planOf(faults);
        ASSERT_TRUE(pair.reader.agent().armFaults(plan, false).ok());
      }
      std::vector<uint64_t> transfers;
      std::vector<PostRequest> requests(6);
      for (PostRequest& each : requests) each = pair.reader.apart(pair.read());
      {
        const ShortageElsewhere none(nth, shortage);
        for (size_t i = 0; i < requests.size(); ++i) {
          PostRequest posted = requests[i];
          posted.deadlineNs = nowNs() + 300 * kMillisecond;
          if (i % 2 == 0) posted.notify = std::string(200, 'n');
          transfers.push_back(pair.reader.mustPost(posted));
        }
        for (const uint64_t transfer : transfers) EXPECT_TRUE(pair.reader.settled(transfer)) << nth;
        hit = none.hit();
      }
      for (const uint64_t transfer : transfers) {
        const CompletionRecord& outcome = pair.reader.endings[transfer].outcome;
        const bool known = outcome.code == KVSEAM_OK || outcome.code == KVSEAM_NO_MEMORY ||
                           outcome.code == KVSEAM_TIMEOUT || outcome.code == KVSEAM_PEER_DOWN;
        EXPECT_TRUE(known) << nth << ": " << codeName(outcome.code);
        if (*faults == '\0') {
          EXPECT_TRUE(pair.reader.quiesced(transfer)) << nth;
          // Only the peer's want of memory for a message ends the connection; nothing waits for a deadline.
          EXPECT_NE(outcome.code, KVSEAM_TIMEOUT) << nth;
        }
      }
      if (plan != nullptr) {
        plan->retire();
        ASSERT_TRUE(pair.reader.agent().disarmFaults(plan).ok());
      }
      pair.reader.drain();
      EXPECT_TRUE(pair.servesAgain()) << nth;
    }
    plan.reset();
    EXPECT_EQ(entriesOf("/proc/self/fd"), descriptors) << nth;
  }
  EXPECT_GT(nth, 2);
}

INSTANTIATE_TEST_SUITE_P(Each, ProgressWithoutMemory,
                         ::testing::Combine(::testing::Values("", "rail0.read=delay(1ms)", "rail0.read=dup(2)"),
                                            ::testing::Values(Shortage::kOnce, Shortage::kLasting)),
                         [](const auto& it) {
                           const std::string faults = std::get<0>(it.param);
                           return std::string(faults.empty()                              ? "Plain"
                                              : faults.find("delay") != std::string::npos ? "Delayed"
                                                                                          : "Doubled") +
                                  (std::get<1>(it.param) == Shortage::kOnce ? "Once" : "Lasting");
                         });

TEST(ProgressWithoutMemoryAtTheStart, AConnectHasItsOutcomeAndTheNextWorks) {
  int64_t nth = 1;
  for (bool hit = true; hit; ++nth) {
    ASSERT_LT(nth, 2000);
    Pair pair;
    metadataOfOwner(&pair);
    {
      const ShortageElsewhere none(nth, Shortage::kOnce);
      ASSERT_TRUE(pair.reader.agent()
                      .connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + kSoon, &number)
                      .ok());
      const auto answered = [&] {
        return std::any_of(pair.reader.events.begin(), pair.reader.events.end(), [](const EngineEvent& event) {
          return event.kind == EngineEvent::Kind::kConnected && event.peer == number;
        });
      };
      EXPECT_TRUE(pair.reader.until(answered)) << nth;
      hit = none.hit();
    }
    pair.reader.drain();
    pair.connect();
    EXPECT_TRUE(pair.servesAgain()) << nth;
  }
  EXPECT_GT(nth, 2);
}

}  // namespace
}  // namespace kvseam
