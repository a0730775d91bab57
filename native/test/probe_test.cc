// Probe series: what they move, what they record, how they end, and that the gate keeps them and payloads apart.
#include "../core/probe.h"

#include <memory>
#include <string>
#include <thread>

#include "../backends/mock/mock_backend.h"
#include "engine_for_test.h"
#include "fake_backend.h"

namespace kvseam {
namespace {

constexpr uint64_t kBytes = 64;

struct Pair {
  explicit Pair(const kvseam_backend_api* api = FakeBackend::api(), const std::vector<kvseam_rail>& rails = {})
      : book(newBook()), owner(api, "owner", book, 2, {}, rails) {
    owner.allocate(1024, "pool");
    reader = std::make_unique<Engine>(api, "reader", book, 1, ProgressOptions{}, rails);
    fake = FakeBackend::latest();
    reader->allocate(1024, "pool");
    peer = reader->connect(owner);
    request.path = reader->path(0, peer, 0);
    request.bytes = kBytes;
    request.count = 4;
    request.timeoutNs = kSoon;
    request.inbound = true;
  }

  uint64_t mint(uint64_t bytes, uint32_t operations = kProbePermit) {
    return book->mint({reader->agent().path(request.path)->key, operations, bytes, INT64_MAX}, nowNs());
  }
  Status start(ProbeRequest probe, uint64_t* series) {
    if (probe.permit == 0) probe.permit = mint(probe.bytes * (probe.count + 1));
    if (probe.deadlineNs == 0) probe.deadlineNs = nowNs() + kSoon;
    return reader->agent().probe(probe, series);
  }
  uint64_t mustStart(const ProbeRequest& probe) {
    uint64_t series = 0;
    const Status status = start(probe, &series);
    EXPECT_TRUE(status.ok()) << status.text();
    return series;
  }
  std::shared_ptr<ProbeSeries> ended(uint64_t series) {
    std::shared_ptr<ProbeSeries> found;
    EXPECT_TRUE(reader->until([&] {
      for (const EngineEvent& event : reader->events) {
        if (event.kind == EngineEvent::Kind::kProbed && event.probe->id == series) found = event.probe;
      }
      return found != nullptr;
    }));
    return found;
  }
  std::shared_ptr<ProbeSeries> run(const ProbeRequest& probe) { return ended(mustStart(probe)); }
  int endings(uint64_t series) {
    reader->drain();
    int count = 0;
    for (const EngineEvent& event : reader->events) {
      if (event.kind == EngineEvent::Kind::kProbed && event.probe->id == series) ++count;
    }
    return count;
  }
  const ProbeFigures& figures(ProbeKind kind) {
    return *reader->agent().path(request.path)->probes[static_cast<uint32_t>(kind)];
  }
  /** Nobody is woken for what is only counted. */
  static bool soon(const std::function<bool()>& done) {
    for (const int64_t by = nowNs() + kSoon; nowNs() < by; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      if (done()) return true;
    }
    return false;
  }
  bool quiet() {
    return soon([&] { return reader->agent().progress().probesUnquiesced() == 0; });
  }

  std::shared_ptr<PermitBook> book;
  Engine owner;
  std::unique_ptr<Engine> reader;
  std::shared_ptr<FakeBackend> fake;
  uint32_t peer = 0;
  ProbeRequest request;
};

TEST(Probe, MeasuresEveryOperationAndKeepsItsFiguresApartFromPayloads) {
  Pair pair(mock::api());
  for (const ProbeKind kind : {ProbeKind::kRtt, ProbeKind::kRead, ProbeKind::kWrite}) {
    pair.request.kind = kind;
    pair.request.bytes = kind == ProbeKind::kRtt ? kBytes : uint64_t{256} << 10;
    const auto series = pair.run(pair.request);
    EXPECT_EQ(series->samples.size(), 4U);
    EXPECT_EQ(series->failed, 0U);
    EXPECT_FALSE(series->endedEarly);
    EXPECT_EQ(series->code, KVSEAM_OK);
    int64_t sumNs = 0;
    for (const ProbeSeries::Sample& sample : series->samples) {
      EXPECT_GT(sample.ns, 0);
      sumNs += sample.ns;
    }
    EXPECT_GE(series->endedNs - series->startedNs, sumNs) << "one after the other";
    const uint64_t delayed = pair.figures(kind).selfDelayed.load();
    EXPECT_EQ(pair.figures(kind).latency.count() + delayed, 4U);
    EXPECT_EQ(pair.figures(kind).bytes.load(), (4 - delayed) * pair.request.bytes);
  }
  const Path& path = *pair.reader->agent().path(pair.request.path);
  for (const auto& operation : path.latency) EXPECT_EQ(operation[Path::kTotal].count(), 0U);
  EXPECT_EQ(path.succeeded.load(), 0U);
  EXPECT_EQ(pair.reader->counters().posted.load(), 0U);
  EXPECT_EQ(pair.book->counters().redeemed, 0U);
  EXPECT_EQ(pair.book->counters().probesRedeemed, 3U);
}

TEST(Probe, OnlyTheFirstOfASizeWarmsTheMemoryUp) {
  Pair pair;
  EXPECT_EQ(pair.run(pair.request)->posted, 5U);
  EXPECT_EQ(pair.run(pair.request)->posted, 4U);
  pair.request.bytes *= 2;
  EXPECT_EQ(pair.run(pair.request)->posted, 5U);
  pair.request.kind = ProbeKind::kWrite;
  EXPECT_EQ(pair.run(pair.request)->posted, 5U);
}

TEST(Probe, MovesNothingButTheProbeMemoryOfBothEnds) {
  Pair pair;
  for (const ProbeKind kind : {ProbeKind::kRtt, ProbeKind::kWrite}) {
    pair.request.kind = kind;
    pair.request.bytes = ProbeMemory::kHalfBytes;
    pair.run(pair.request);
  }
  for (const FakeBackend::Posted& posted : pair.fake->posted()) {
    ASSERT_EQ(posted.runs.size(), 1U);
    const kvseam_run& run = posted.runs[0];
    EXPECT_EQ(run.local->bytes, 2 * ProbeMemory::kHalfBytes);
    EXPECT_EQ(run.remote->bytes, 2 * ProbeMemory::kHalfBytes);
    const bool reading = posted.kind == KVSEAM_OP_READ;
    EXPECT_EQ(run.local_offset, reading ? ProbeMemory::kHalfBytes : 0);
    EXPECT_EQ(run.remote_offset, reading ? 0 : ProbeMemory::kHalfBytes);
  }
}

TEST(Probe, AProbePermitMovesNoPayloadAndAPayloadPermitIsNoneForAProbe) {
  Pair pair;
  uint64_t series = 0;
  ProbeRequest probe = pair.request;
  probe.permit = pair.mint(UINT64_MAX, KVSEAM_OP_READ | KVSEAM_OP_WRITE);
  EXPECT_EQ(pair.start(probe, &series).code(), KVSEAM_PERMIT_INVALID);
  PostRequest post;
  post.path = pair.request.path;
  post.operation = KVSEAM_OP_READ;
  const auto region = pair.reader->allocate(64, "small");
  post.localList = pair.reader->localList(region, 64, {0});
  post.remoteList = pair.reader->remoteList(pair.peer, "pool", 64, {0});
  post.permit = pair.mint(UINT64_MAX);
  uint64_t transfer = 0;
  EXPECT_EQ(pair.reader->post(post, &transfer).code(), KVSEAM_PERMIT_INVALID);
  // Both are as they were.
  post.permit = probe.permit;
  EXPECT_TRUE(pair.reader->post(post, &transfer).ok());
  probe.permit = pair.mint(kBytes * 4);
  EXPECT_EQ(pair.start(probe, &series).code(), KVSEAM_PERMIT_INVALID) << "it covers no warm-up";
  probe.permit = 0;
  EXPECT_TRUE(pair.start(probe, &series).ok());
  EXPECT_EQ(pair.ended(series)->samples.size(), 4U);
}

TEST(Probe, ThePermitIsGoodForOneSeriesOnOnePath) {
  Pair pair;
  ProbeRequest probe = pair.request;
  probe.permit = pair.mint(UINT64_MAX);
  uint64_t series = 0;
  ASSERT_TRUE(pair.start(probe, &series).ok());
  EXPECT_EQ(pair.start(probe, &series).code(), KVSEAM_PERMIT_INVALID);
  probe.permit = pair.mint(UINT64_MAX);
  probe.path = pair.reader->path(1, pair.peer, 1);
  EXPECT_EQ(pair.start(probe, &series).code(), KVSEAM_PERMIT_INVALID);
}

TEST(Probe, UserRegionsCannotTakeOrFindTheReservedName) {
  Pair pair;
  uint64_t handle = 0;
  EXPECT_EQ(pair.reader->agent().allocate(64, "kvseam.probe", &handle).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().allocate(64, "kvseam.anything", &handle).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(pair.reader->agent().remoteRegion(pair.peer, "kvseam.probe"), nullptr);
  EXPECT_EQ(pair.reader->agent().peer(pair.peer)->regions.size(), 1U);
}

TEST(Probe, RefusesWhatMakesNoSense) {
  Pair pair;
  uint64_t series = 0;
  const auto code = [&](auto&& change) {
    ProbeRequest probe = pair.request;
    change(&probe);
    return pair.start(probe, &series).code();
  };
  EXPECT_EQ(code([](ProbeRequest* p) { p->bytes = 0; }), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(code([](ProbeRequest* p) { p->bytes = ProbeMemory::kHalfBytes + 1; }), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(code([](ProbeRequest* p) { p->count = 0; }), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(code([](ProbeRequest* p) { p->count = ProbeSeries::kMaxCount + 1; }), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(code([](ProbeRequest* p) { p->window = 17; }), KVSEAM_INVALID_ARGUMENT);
  // As a caller of the addon could. NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange)
  EXPECT_EQ(code([](ProbeRequest* p) { p->kind = static_cast<ProbeKind>(3); }), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(code([](ProbeRequest* p) { p->timeoutNs = 0; }), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(code([](ProbeRequest* p) { p->deadlineNs = nowNs() - 1; }), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(code([](ProbeRequest* p) { p->path = 99; }), KVSEAM_NO_PATH);
  pair.reader->agent().dropPeer(pair.peer);
  EXPECT_EQ(code([](ProbeRequest*) {}), KVSEAM_STALE_EPOCH);
  EXPECT_TRUE(pair.fake->posted().empty());
}

TEST(Probe, AnOperationThatDoesNotAnswerTimesOutAndTheSeriesGoesOn) {
  Pair pair;
  pair.fake->completeAtOnce(false);
  pair.request.timeoutNs = 20 * kMillisecond;
  const uint64_t series = pair.mustStart(pair.request);
  pair.fake->waitForPost(1);  // the warm-up timed out, the first measured one is in flight
  pair.fake->completeAtOnce(true);
  const auto result = pair.ended(series);
  EXPECT_EQ(result->samples.size(), 3U);
  EXPECT_EQ(result->failed, 2U);
  EXPECT_EQ(result->timedOut, 2U);
  EXPECT_EQ(result->code, KVSEAM_TIMEOUT);
  EXPECT_EQ(result->blame, KVSEAM_BLAME_path);
  EXPECT_FALSE(result->endedEarly);
  EXPECT_EQ(pair.figures(ProbeKind::kRtt).failed.load(), 2U);
  EXPECT_EQ(pair.figures(ProbeKind::kRtt).latency.count() + pair.figures(ProbeKind::kRtt).selfDelayed.load(), 3U);
  EXPECT_TRUE(pair.quiet());
}

TEST(Probe, TheDeadlineEndsASeriesThatNothingEverAnswers) {
  Pair pair;
  pair.fake->completeAtOnce(false);
  pair.fake->completeWhenCancelled(false);
  pair.request.count = ProbeSeries::kMaxCount;
  pair.request.deadlineNs = nowNs() + 50 * kMillisecond;
  const uint64_t series = pair.mustStart(pair.request);
  const auto result = pair.ended(series);
  EXPECT_LT(result->endedNs, pair.request.deadlineNs + kSoon / 2);
  EXPECT_EQ(result->code, KVSEAM_TIMEOUT);
  EXPECT_TRUE(result->endedEarly || result->timedOut > 0);
  EXPECT_EQ(pair.reader->agent().progress().probesUnquiesced(), pair.fake->posted().size());
  // What comes after all frees the memory and is no sample; what comes twice is counted.
  const auto posted = pair.fake->posted();
  for (const FakeBackend::Posted& each : posted) pair.fake->complete(each.token);
  EXPECT_TRUE(pair.quiet());
  pair.fake->complete(posted[0].token);
  EXPECT_TRUE(Pair::soon([&] { return pair.reader->counters().duplicateCompletions.load() == 1; }));
  EXPECT_EQ(pair.figures(ProbeKind::kRtt).latency.count(), 0U);
  EXPECT_EQ(pair.endings(series), 1);
}

TEST(Probe, CancelEndsItOnceAndBlamesNobody) {
  Pair pair;
  pair.fake->completeAtOnce(false);
  const uint64_t series = pair.mustStart(pair.request);
  pair.fake->waitForPost(0);
  EXPECT_TRUE(pair.reader->agent().cancelProbe(series).ok());
  EXPECT_TRUE(pair.reader->agent().cancelProbe(series).ok());
  const auto result = pair.ended(series);
  EXPECT_EQ(result->code, KVSEAM_CANCELLED);
  EXPECT_EQ(result->blame, KVSEAM_BLAME_cancelled);
  EXPECT_EQ(result->failed, 0U);
  EXPECT_TRUE(pair.quiet());
  EXPECT_TRUE(pair.reader->agent().cancelProbe(series).ok());
  EXPECT_EQ(pair.endings(series), 1);
  EXPECT_EQ(pair.figures(ProbeKind::kRtt).failed.load(), 0U);
}

TEST(Probe, ALostPeerEndsIt) {
  Pair pair;
  pair.fake->completeAtOnce(false);
  const uint64_t series = pair.mustStart(pair.request);
  pair.fake->waitForPost(0);
  pair.fake->loseThePeer(0);
  EXPECT_EQ(pair.ended(series)->code, KVSEAM_PEER_DOWN);
  EXPECT_EQ(pair.ended(series)->blame, KVSEAM_BLAME_peer);
}

TEST(Probe, ClosingTheAgentEndsItAndWaitsForTheMemory) {
  Pair pair;
  pair.fake->completeAtOnce(false);
  const uint64_t series = pair.mustStart(pair.request);
  pair.fake->waitForPost(0);
  EXPECT_TRUE(pair.reader->agent().close(kSecond).ok());
  EXPECT_EQ(pair.ended(series)->code, KVSEAM_CLOSED);
  EXPECT_EQ(pair.reader->agent().progress().probesUnquiesced(), 0U);
  uint64_t another = 0;
  EXPECT_EQ(pair.start(pair.request, &another).code(), KVSEAM_CLOSED);
}

TEST(Probe, MemoryOfAProbeThatNeverQuiescesIsNotGivenBackWithTheAgent) {
  std::weak_ptr<FakeBackend> fake;
  {
    Pair pair;
    fake = pair.fake;
    pair.fake->completeAtOnce(false);
    pair.fake->completeWhenCancelled(false);
    pair.mustStart(pair.request);
    pair.fake->waitForPost(0);
    EXPECT_TRUE(pair.reader->agent().close(20 * kMillisecond).ok());
  }
  ASSERT_FALSE(fake.expired());
  const kvseam_run run = fake.lock()->posted()[0].runs[0];
  // A device that wakes up now still writes into memory that nobody else has.
  static_cast<uint8_t*>(run.local->address)[run.local_offset] = 1;
}

TEST(Probe, WaitsWhileTheBackendsQueueIsFullAndMeasuresFromTheRealPost) {
  Pair pair;
  pair.fake->refusePosts(20);
  const auto result = pair.run(pair.request);
  EXPECT_EQ(result->samples.size(), 4U);
  EXPECT_EQ(result->failed, 0U);
  pair.fake->refusePosts(UINT64_MAX);
  pair.request.timeoutNs = 30 * kMillisecond;
  const auto full = pair.run(pair.request);
  EXPECT_EQ(full->code, KVSEAM_QUEUE_FULL);
  EXPECT_EQ(full->blame, KVSEAM_BLAME_local) << "our own crowd says nothing about the path";
}

TEST(Probe, KeepsAsManyInFlightAsItsWindow) {
  Pair pair;
  pair.run(pair.request);
  const size_t before = pair.fake->posted().size();
  pair.fake->completeAtOnce(false);
  pair.request.count = 8;
  pair.request.window = 4;
  const uint64_t series = pair.mustStart(pair.request);
  pair.fake->waitForPost(before + 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(pair.fake->posted().size(), before + 4);
  pair.fake->complete(pair.fake->posted()[before + 2].token);
  pair.fake->waitForPost(before + 4);
  pair.fake->completeAtOnce(true);
  for (const FakeBackend::Posted& each : pair.fake->posted()) pair.fake->complete(each.token);
  EXPECT_EQ(pair.ended(series)->samples.size(), 8U);
}

TEST(Probe, AFailureThatIsNotThePathsEndsTheSeriesAndOneOfThePathDoesNot) {
  Pair pair;
  pair.fake->failPosts(KVSEAM_TRANSFER_FAILED);
  const auto path = pair.run(pair.request);
  EXPECT_EQ(path->failed, 5U);
  EXPECT_FALSE(path->endedEarly);
  EXPECT_EQ(path->backendCode, 42);
  pair.fake->failPosts(KVSEAM_OK);
  pair.fake->completeAtOnce(false);
  const uint64_t series = pair.mustStart(pair.request);
  pair.fake->waitForPost(0);
  pair.fake->complete(pair.fake->posted()[0].token, KVSEAM_STALE_REGION, KVSEAM_BLAME_peer);
  const auto peer = pair.ended(series);
  EXPECT_TRUE(peer->endedEarly);
  EXPECT_EQ(peer->code, KVSEAM_STALE_REGION);
  EXPECT_EQ(peer->failed, 1U);
}

TEST(Probe, ASampleTakenAcrossAStallOfTheThreadIsMarkedAndNotRecorded) {
  Pair pair;
  pair.run(pair.request);
  const uint64_t recorded = pair.figures(ProbeKind::kRtt).latency.count();
  pair.fake->completeAtOnce(false);
  pair.request.count = 1;
  const size_t at = pair.fake->posted().size();
  const uint64_t series = pair.mustStart(pair.request);
  const auto posted = pair.fake->waitForPost(at);
  pair.fake->stallOnce(60 * kMillisecond);
  pair.fake->complete(posted.token);
  const auto result = pair.ended(series);
  ASSERT_EQ(result->samples.size(), 1U);
  EXPECT_TRUE(result->samples[0].selfDelayed);
  EXPECT_GE(pair.figures(ProbeKind::kRtt).selfDelayed.load(), 1U);
  EXPECT_EQ(pair.figures(ProbeKind::kRtt).latency.count(), recorded);
}

TEST(Probe, ManySeriesAtOnceEachEndOnce) {
  Pair pair(mock::api());
  std::vector<uint64_t> series;
  for (int i = 0; i < 200; ++i) {
    pair.request.kind = static_cast<ProbeKind>(i % 3);
    series.push_back(pair.mustStart(pair.request));
  }
  for (const uint64_t each : series) {
    EXPECT_EQ(pair.ended(each)->samples.size(), 4U);
    EXPECT_EQ(pair.endings(each), 1);
  }
  EXPECT_TRUE(pair.quiet());
}

TEST(Probe, IsRefusedWhenTooManyRun) {
  Pair pair;
  pair.fake->completeAtOnce(false);
  uint64_t series = 0;
  for (uint32_t i = 0; i < Prober::kMaxSeries; ++i) ASSERT_TRUE(pair.start(pair.request, &series).ok());
  EXPECT_EQ(pair.start(pair.request, &series).code(), KVSEAM_QUEUE_FULL);
}

TEST(Probe, AModelledLatencyShowsInTheRoundTrip) {
  kvseam_rail rail{};
  std::snprintf(rail.name, sizeof(rail.name), "rail0");
  rail.base_latency_ns = 5 * kMillisecond;
  Pair pair(mock::api(), {rail});
  const auto result = pair.run(pair.request);
  ASSERT_EQ(result->samples.size(), 4U);
  for (const ProbeSeries::Sample& sample : result->samples) EXPECT_GE(sample.ns, 10 * kMillisecond);
}

}  // namespace
}  // namespace kvseam
