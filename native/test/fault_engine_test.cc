// Every action of the fault language on real mock transfers, through the whole engine: outcome, bytes, both endings.
#include <cerrno>
#include <cstring>

#include "../backends/mock/mock_backend.h"
#include "engine_for_test.h"

namespace kvseam {
namespace {

constexpr uint64_t kBytes = 64 * 1024;
constexpr uint64_t kBlock = 4096;

/** `decode-0` reads from and writes to `prefill-0` over the mock, under rules. Transfers cover the whole of both
 * regions. */
class FaultedMock : public testing::Test {
 protected:
  FaultedMock()
      : book_(newBook()), prefill_(mock::api(), "prefill-0", book_, 2), decode_(mock::api(), "decode-0", book_, 1) {
    there_ = prefill_.allocate(kBytes, "kv");
    here_ = decode_.allocate(kBytes, "kv");
    for (uint64_t i = 0; i < kBytes; ++i) {
      prefill_.data(there_)[i] = static_cast<uint8_t>(i * 7 + i / 256 + 1);
      decode_.data(here_)[i] = static_cast<uint8_t>(i * 11 + i / 256 + 128);
    }
    meet();
  }
  void TearDown() override {
    if (plan_ != nullptr) plan_->retire();
    EXPECT_TRUE(decode_.until([&] { return decode_.agent().inFlight() == 0; })) << "something never quiesced";
    EXPECT_EQ(decode_.counters().settled, decode_.counters().quiesced);
  }

  void meet() {
    peer_ = decode_.connect(prefill_);
    for (uint32_t rail = 0; rail < 2; ++rail) paths_[rail] = decode_.path(rail, peer_, rail);
    std::vector<uint32_t> ids(kBytes / kBlock);
    for (uint32_t i = 0; i < ids.size(); ++i) ids[i] = i;
    local_ = decode_.localList(here_, kBlock, ids);
    remote_ = decode_.remoteList(peer_, "kv", kBlock, ids);
  }
  FaultPlan& arm(const std::string& text) {
    FaultSpec spec;
    FaultSyntaxError error;
    EXPECT_TRUE(FaultSpec::parse(text, &spec, &error)) << text << ": " << error.message;
    plan_ = std::make_shared<FaultPlan>(spec, 7, nowNs());
    EXPECT_TRUE(decode_.agent().armFaults(plan_, false).ok());
    return *plan_;
  }
  void disarm() {
    plan_->retire();
    EXPECT_TRUE(decode_.agent().disarmFaults(plan_).ok());
  }
  uint64_t post(uint32_t operation, int64_t deadlineNs = kSoon, uint32_t rail = 0, const std::string& workload = {},
                const std::string& notify = {}) {
    PostRequest request;
    request.path = paths_[rail];
    request.operation = operation;
    request.localList = local_;
    request.remoteList = remote_;
    request.deadlineNs = nowNs() + deadlineNs;
    request.notify = notify;
    PermitTerms terms{decode_.agent().path(request.path)->key, operation, UINT64_MAX, INT64_MAX};
    if (!workload.empty()) terms.workload = FaultJudge::classHash(workload);
    request.permit = book_->mint(terms, nowNs());
    return decode_.mustPost(request);
  }
  /** A read whose destination no other transfer has. */
  uint64_t readBeside(uint32_t rail = 0) {
    PostRequest request;
    request.path = paths_[rail];
    request.operation = KVSEAM_OP_READ;
    request.localList = local_;
    request.remoteList = remote_;
    return decode_.mustPost(decode_.apart(request));
  }
  const Ending& outcomeOf(uint64_t transfer) {
    EXPECT_TRUE(decode_.settled(transfer));
    return decode_.endings[transfer];
  }
  int32_t codeOf(uint64_t transfer) { return outcomeOf(transfer).outcome.code; }
  /** Bytes in which both sides differ. */
  uint64_t differences(uint64_t from = 0) {
    uint64_t count = 0;
    for (uint64_t i = from; i < kBytes; ++i) count += prefill_.data(there_)[i] != decode_.data(here_)[i] ? 1 : 0;
    return count;
  }
  uint64_t messagesAt(Engine& engine) {
    engine.drain();
    uint64_t count = 0;
    for (const EngineEvent& event : engine.events) count += event.kind == EngineEvent::Kind::kNotification ? 1 : 0;
    return count;
  }

  std::shared_ptr<PermitBook> book_;
  Engine prefill_;
  Engine decode_;
  std::shared_ptr<FaultPlan> plan_;
  uint64_t there_ = 0;
  uint64_t here_ = 0;
  uint32_t peer_ = 0;
  uint32_t paths_[2] = {};
  uint64_t local_ = 0;
  uint64_t remote_ = 0;
};

struct Effect {
  const char* action;
  Code code;
  Blame blame;
  int64_t backendCode;
  uint64_t arrived;    // bytes from the start that must be right
  uint64_t wrong;      // bytes after them that must not be, at least
  int64_t leastNs;     // from submit to settled
  int64_t deadlineNs;  // of the transfer
  bool unknown;        // the outcome leaves open how much arrived
};

std::ostream& operator<<(std::ostream& out, const Effect& effect) { return out << effect.action; }

class FaultEffects : public FaultedMock, public testing::WithParamInterface<std::tuple<Effect, uint32_t>> {};

TEST_P(FaultEffects, OnATransfer) {
  const auto& [effect, operation] = GetParam();
  FaultPlan& plan = arm(std::string("*=") + effect.action);
  const uint64_t transfer = post(operation, effect.deadlineNs);
  const CompletionRecord outcome = outcomeOf(transfer).outcome;
  EXPECT_EQ(outcome.code, effect.code);
  EXPECT_EQ(outcome.blame, effect.blame);
  EXPECT_EQ(outcome.backendCode, effect.backendCode);
  EXPECT_GE(outcome.totalNs, effect.leastNs);
  EXPECT_EQ((outcome.flags & kBytesUnknownFlag) != 0, effect.unknown);
  EXPECT_TRUE(decode_.quiesced(transfer));
  EXPECT_EQ(differences() - differences(effect.arrived), 0U);
  EXPECT_GE(differences(effect.arrived), effect.wrong);
  EXPECT_EQ(plan.counters(0).matched, 1U);
  EXPECT_EQ(plan.counters(0).fired, 1U);
}

constexpr int64_t kShort = 60 * kMillisecond;  // a deadline that is to pass

INSTANTIATE_TEST_SUITE_P(
    Mock, FaultEffects,
    testing::Combine(
        testing::Values(
            Effect{"off", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 0, kSoon, false},
            Effect{"delay(30ms)", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 30 * kMillisecond, kSoon, false},
            Effect{"delay(uniform(30ms,40ms))", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 30 * kMillisecond, kSoon,
                   false},
            Effect{"error(timeout)", KVSEAM_TIMEOUT, KVSEAM_BLAME_path, ETIMEDOUT, 0, 1, 0, kSoon, false},
            Effect{"error(remote_disconnect)", KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, ECONNRESET, 0, 1, 0, kSoon, false},
            Effect{"error(local_access)", KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_local, EFAULT, 0, 1, 0, kSoon, false},
            Effect{"error(ucx:-25)", KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, -25, 0, 1, 0, kSoon, false},
            Effect{"drop", KVSEAM_TIMEOUT, KVSEAM_BLAME_path, 0, 0, 1, kShort, kShort, true},
            Effect{"lose", KVSEAM_TIMEOUT, KVSEAM_BLAME_path, 0, kBytes, 0, kShort, kShort, true},
            Effect{"dup(3)", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 0, kSoon, false},
            Effect{"late(120ms)", KVSEAM_TIMEOUT, KVSEAM_BLAME_path, 0, kBytes, 0, kShort, kShort, true},
            Effect{"stall(30ms)", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 30 * kMillisecond, kSoon, false},
            Effect{"rate(1MiB/s)", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 62 * kMillisecond, kSoon, false},
            Effect{"1*eagain(4)", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 0, kSoon, false},
            Effect{"partial(25%)", KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, EIO, kBytes / 4, 1, 0, kSoon, false},
            Effect{"partial(4KiB)", KVSEAM_TRANSFER_FAILED, KVSEAM_BLAME_path, EIO, 4096, 1, 0, kSoon, false},
            Effect{"short(4KiB)", KVSEAM_OK, KVSEAM_BLAME_none, 0, 4096, 1, 0, kSoon, false},
            Effect{"corrupt(1bit)", KVSEAM_OK, KVSEAM_BLAME_none, 0, 0, 1, 0, kSoon, false},
            Effect{"reorder(8)", KVSEAM_OK, KVSEAM_BLAME_none, 0, kBytes, 0, 0, kSoon, false},
            Effect{"stale", KVSEAM_STALE_REGION, KVSEAM_BLAME_peer, ESTALE, 0, 1, 0, kSoon, false},
            Effect{"restart", KVSEAM_STALE_EPOCH, KVSEAM_BLAME_peer, ESTALE, 0, 1, 0, kSoon, false},
            Effect{"disconnect", KVSEAM_PEER_DOWN, KVSEAM_BLAME_peer, ECONNRESET, 0, 1, 0, kSoon, false}),
        testing::Values(KVSEAM_OP_READ, KVSEAM_OP_WRITE)),
    [](const testing::TestParamInfo<std::tuple<Effect, uint32_t>>& param) {
      std::string name = std::get<0>(param.param).action +
                         std::string(std::get<1>(param.param) == KVSEAM_OP_READ ? "_read" : "_write");
      for (char& c : name) {
        if (isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
      }
      return name;
    });

TEST_F(FaultedMock, ADuplicateIsCountedAndALateCompletionOnlyFreesTheMemory) {
  arm("rail0=dup(3);rail1=late(80ms)");
  EXPECT_EQ(codeOf(post(KVSEAM_OP_READ)), KVSEAM_OK);
  EXPECT_TRUE(decode_.until([&] { return decode_.counters().duplicateCompletions == 3; }));
  const uint64_t late = post(KVSEAM_OP_READ, 20 * kMillisecond, 1);
  EXPECT_EQ(codeOf(late), KVSEAM_TIMEOUT);
  EXPECT_EQ(decode_.endings[late].quiesced, 0);
  EXPECT_TRUE(decode_.quiesced(late));
  EXPECT_EQ(decode_.counters().lateCompletions, 1U);
}

TEST_F(FaultedMock, CorruptionOfAWriteIsTheDestinationsAlone) {
  std::string before(reinterpret_cast<const char*>(decode_.data(here_)), kBytes);
  arm("*=corrupt(16B)");
  EXPECT_EQ(codeOf(post(KVSEAM_OP_WRITE)), KVSEAM_OK);
  EXPECT_EQ(differences(), 16U);
  EXPECT_EQ(std::memcmp(before.data(), decode_.data(here_), kBytes), 0);
}

TEST_F(FaultedMock, AMessageIsDoubledOrLost) {
  arm("rail0.write=dup;rail1.notify=1*drop->dup(2)");
  const auto notify = [&](uint32_t rail) {
    uint64_t transfer = 0;
    EXPECT_TRUE(decode_.agent().notify(paths_[rail], "hello", nowNs() + 50 * kMillisecond, &transfer).ok());
    decode_.enter(transfer);
    return transfer;
  };
  EXPECT_EQ(codeOf(notify(1)), KVSEAM_TIMEOUT);
  EXPECT_EQ(messagesAt(prefill_), 0U);
  EXPECT_EQ(codeOf(notify(1)), KVSEAM_OK);
  EXPECT_TRUE(prefill_.until([&] { return messagesAt(prefill_) == 3; }));
}

TEST_F(FaultedMock, APeerThatIsCutOffIsReportedOnceAndCanBeConnectedAgain) {
  FaultPlan& plan = arm("rail0=1*disconnect;rail1=1*delay(10s)");
  const uint64_t held = readBeside(1);
  EXPECT_EQ(codeOf(post(KVSEAM_OP_READ)), KVSEAM_PEER_DOWN);
  EXPECT_EQ(codeOf(held), KVSEAM_PEER_DOWN);
  const auto reports = [&] {
    size_t count = 0;
    for (const EngineEvent& event : decode_.events) count += event.kind == EngineEvent::Kind::kPeerDown ? 1 : 0;
    return count;
  };
  EXPECT_TRUE(decode_.until([&] { return reports() == 1; }));
  meet();
  EXPECT_EQ(codeOf(post(KVSEAM_OP_READ)), KVSEAM_OK);
  EXPECT_EQ(differences(), 0U);
  EXPECT_EQ(reports(), 1U);
  EXPECT_EQ(plan.counters(0).fired, 1U);
}

TEST_F(FaultedMock, PausedTransfersWaitForResumeAndForNobodyElse) {
  FaultPlan& plan = arm("rail0=1*pause");
  const uint64_t paused = post(KVSEAM_OP_READ);
  EXPECT_EQ(codeOf(readBeside()), KVSEAM_OK);
  EXPECT_EQ(codeOf(readBeside(1)), KVSEAM_OK);
  EXPECT_EQ(plan.counters(0).paused, 1);
  EXPECT_FALSE(decode_.settled(paused, 20 * kMillisecond));
  EXPECT_TRUE(plan.resume(0));
  decode_.agent().progress().nudge();
  EXPECT_EQ(codeOf(paused), KVSEAM_OK);
}

TEST_F(FaultedMock, DisarmingLetsGoWhatIsHeldWithoutANudge) {
  arm("rail0=delay(1m);rail1=pause");
  const uint64_t delayed = post(KVSEAM_OP_READ);
  const uint64_t paused = readBeside(1);
  EXPECT_FALSE(decode_.settled(delayed, 10 * kMillisecond));
  disarm();
  EXPECT_EQ(codeOf(delayed), KVSEAM_OK);
  EXPECT_EQ(codeOf(paused), KVSEAM_OK);
}

TEST_F(FaultedMock, HeldTransfersSettleWhenTheAgentCloses) {
  arm("rail0=delay(1m);rail1=drop");
  const uint64_t delayed = post(KVSEAM_OP_READ);
  const uint64_t dropped = post(KVSEAM_OP_WRITE, kSoon, 1);
  EXPECT_TRUE(decode_.agent().close(kSecond).ok());
  EXPECT_EQ(codeOf(delayed), KVSEAM_CLOSED);
  EXPECT_EQ(codeOf(dropped), KVSEAM_CLOSED);
}

TEST_F(FaultedMock, AStallOnPollDelaysTheWholeAgentAndIsItsOwnFault) {
  arm("decode-0.poll=1*stall(60ms)");
  const CompletionRecord outcome = outcomeOf(post(KVSEAM_OP_READ)).outcome;
  EXPECT_EQ(outcome.code, KVSEAM_OK);
  EXPECT_NE(outcome.flags & kSelfDelayedFlag, 0U);
}

TEST_F(FaultedMock, ADroppedCancelLeavesTheTransferToItsFate) {
  arm("rail0.read=delay(80ms);*.cancel=drop");
  const uint64_t transfer = post(KVSEAM_OP_READ);
  EXPECT_TRUE(decode_.agent().cancel(transfer).ok());
  EXPECT_EQ(codeOf(transfer), KVSEAM_CANCELLED);
  EXPECT_EQ(decode_.endings[transfer].quiesced, 0);
  EXPECT_TRUE(decode_.quiesced(transfer));
  EXPECT_EQ(differences(), 0U);  // it went on to its end
}

TEST_F(FaultedMock, RegistrationsFailWholeAndLeaveNothingBehind) {
  arm("decode-0.register=error(too_many_regions){skip=1}");
  uint64_t region = 0;
  EXPECT_TRUE(decode_.agent().allocate(4096, "first", &region).ok());
  const uint64_t live = decode_.agent().liveRegions();
  const Status refused = decode_.agent().allocate(4096, "second", &region);
  EXPECT_EQ(refused.code(), KVSEAM_REGISTRATION_FAILED);
  EXPECT_EQ(decode_.agent().liveRegions(), live);
  disarm();
  EXPECT_TRUE(decode_.agent().allocate(4096, "second", &region).ok());
}

TEST_F(FaultedMock, ConnectingFailsAsToldAndThePeersStayAsTheyWere) {
  arm("decode-0>late.connect=1*error(timeout)->1*drop;late.load=1*error(stale_epoch)");
  Engine late(mock::api(), "late", book_, 3);
  late.allocate(4096, "kv");
  std::string blob;
  ASSERT_TRUE(late.agent().exportMetadata(&blob).ok());
  const auto connect = [&](int64_t ns) {
    uint32_t peer = 0;
    return std::pair(
        decode_.agent().connect(reinterpret_cast<const uint8_t*>(blob.data()), blob.size(), nowNs() + ns, &peer), peer);
  };
  EXPECT_EQ(connect(kSoon).first.code(), KVSEAM_STALE_EPOCH);
  const auto outcomeFor = [&](uint32_t peer) -> int32_t {
    int32_t code = -1;
    EXPECT_TRUE(decode_.until([&] {
      for (const EngineEvent& event : decode_.events) {
        if (event.kind == EngineEvent::Kind::kConnected && event.peer == peer) code = event.status.code();
      }
      return code != -1;
    }));
    return code;
  };
  const auto refused = connect(kSoon);
  ASSERT_TRUE(refused.first.ok());
  EXPECT_EQ(outcomeFor(refused.second), KVSEAM_TIMEOUT);
  const auto unanswered = connect(40 * kMillisecond);
  EXPECT_EQ(outcomeFor(unanswered.second), KVSEAM_TIMEOUT);
  EXPECT_EQ(outcomeFor(connect(kSoon).second), KVSEAM_OK);
  EXPECT_EQ(codeOf(post(KVSEAM_OP_READ)), KVSEAM_OK);
}

TEST_F(FaultedMock, FiltersAndWindowsChooseTheTransfers) {
  struct Choice {
    const char* rule;
    std::vector<bool> fails;  // of six reads in a row
  };
  for (const Choice& choice : std::vector<Choice>{
           {"rail0=error(timeout){skip=4}", {false, false, false, false, true, true}},
           {"rail0=error(timeout){every=3}", {false, false, true, false, false, true}},
           {"rail0=2*error(timeout)", {true, true, false, false, false, false}},
           {"rail0=error(timeout)@ops(2..3)", {false, true, true, false, false, false}},
           {"rail0=error(timeout)@0s..10m", {true, true, true, true, true, true}},
           {"rail0=error(timeout)@10m..", {false, false, false, false, false, false}},
           {"rail0=error(timeout)@every(20m,10m)", {true, true, true, true, true, true}},
           {"rail0=error(timeout){min=64KiB}", {true, true, true, true, true, true}},
           {"rail0=error(timeout){min=65KiB}", {false, false, false, false, false, false}},
           {"rail0=error(timeout){max=64KiB}", {true, true, true, true, true, true}},
           {"rail0=error(timeout){max=63KiB}", {false, false, false, false, false, false}},
           {"rail0=error(timeout){peer=prefill-0}", {true, true, true, true, true, true}},
           {"rail0=error(timeout){peer=prefill-1}", {false, false, false, false, false, false}},
           {"rail0=error(timeout){class=release}", {true, false, true, false, true, false}},
           {"rail0=1*off->1*error(timeout)->1*off->error(timeout)", {false, true, false, true, true, true}}}) {
    arm(choice.rule);
    std::vector<bool> fails(6);
    for (size_t i = 0; i < fails.size(); ++i) {
      fails[i] = codeOf(post(KVSEAM_OP_READ, kSoon, 0, i % 2 == 0 ? "release" : "batch")) != KVSEAM_OK;
    }
    EXPECT_EQ(fails, choice.fails) << choice.rule;
    disarm();
  }
}

TEST_F(FaultedMock, NamesChooseThePaths) {
  for (const auto& [rule, zero, one] : std::vector<std::tuple<std::string, bool, bool>>{
           {"*", true, true},
           {"rail0", true, false},
           {"rail*", true, true},
           {"prefill-0", true, true},
           {"prefill-0/rail1", false, true},
           {"prefill-0/rail1>decode-0/rail1", false, true},
           {"decode-0/rail1>prefill-0/rail1", false, false},  // the bytes of a read move the other way
           {"*.write", false, false},
           {"*.read", true, true}}) {
    arm(rule + "=error(timeout)");
    EXPECT_EQ(codeOf(post(KVSEAM_OP_READ)) != KVSEAM_OK, zero) << rule;
    EXPECT_EQ(codeOf(post(KVSEAM_OP_READ, kSoon, 1)) != KVSEAM_OK, one) << rule;
    disarm();
  }
}

TEST(FaultsOnARealBackend, AreRefusedUnlessAllowed) {
  static const kvseam_backend_api real = [] {
    kvseam_backend_api table = *mock::api();
    table.capabilities = [](kvseam_backend* self, kvseam_capabilities* out) {
      mock::api()->capabilities(self, out);
      out->label = KVSEAM_LABEL_REAL;
    };
    return table;
  }();
  FaultSpec spec;
  FaultSyntaxError error;
  ASSERT_TRUE(FaultSpec::parse("*.register=error(memlock)", &spec, &error));
  const auto plan = std::make_shared<FaultPlan>(spec, 1, nowNs());
  Engine engine(&real, "real-0", newBook(), 1);
  const Status refused = engine.agent().armFaults(plan, false);
  EXPECT_EQ(refused.code(), KVSEAM_FAULTS_REFUSED);
  EXPECT_NE(refused.text().find("KVSEAM_FAULTS_ALLOW_REAL=1"), std::string::npos) << refused.text();
  engine.allocate(4096, "untouched");  // nothing was armed
  EXPECT_TRUE(engine.agent().armFaults(plan, true).ok());
  uint64_t region = 0;
  EXPECT_EQ(engine.agent().allocate(4096, "refused", &region).code(), KVSEAM_REGISTRATION_FAILED);
}

TEST_F(FaultedMock, ManyFaultsAtOnceLoseNoTransferAndNoSlot) {
  arm("seed=3;*=20%drop->20%lose->20%late(exp(5ms))->20%dup;*=30%delay(exp(2ms));*.cancel=30%delay(exp(3ms))");
  constexpr uint64_t kTransfers = 400;
  const uint64_t here = decode_.allocate(kTransfers * kBlock, "wide");
  prefill_.allocate(kTransfers * kBlock, "wide");
  decode_.connect(prefill_);
  std::vector<uint64_t> transfers;
  for (uint32_t i = 0; i < kTransfers; ++i) {
    PostRequest request;
    request.path = paths_[i / 2 % 2];
    request.operation = i % 2 == 0 ? KVSEAM_OP_READ : KVSEAM_OP_WRITE;
    request.localList = decode_.localList(here, kBlock, {i});
    request.remoteList = decode_.remoteList(peer_, "wide", kBlock, {i});
    request.deadlineNs = nowNs() + 30 * kMillisecond;
    transfers.push_back(decode_.mustPost(request));
    if (i % 7 == 0) {
      EXPECT_TRUE(decode_.agent().cancel(transfers.back()).ok());
    }
  }
  EXPECT_TRUE(decode_.until([&] { return decode_.counters().quiesced == kTransfers; }));
  for (const uint64_t transfer : transfers) {
    EXPECT_EQ(decode_.endings[transfer].settled, 1);
    EXPECT_EQ(decode_.endings[transfer].quiesced, 1);
  }
}

}  // namespace
}  // namespace kvseam
