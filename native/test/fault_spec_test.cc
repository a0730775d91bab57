// The fault language: what is accepted means what it says, and each way to be wrong is told with its place.
#include "../core/fault_spec.h"

#include <gtest/gtest.h>

#include <string>

namespace kvseam {
namespace {

FaultSpec parsed(const std::string& text) {
  FaultSpec spec;
  FaultSyntaxError error;
  EXPECT_TRUE(FaultSpec::parse(text, &spec, &error)) << text << ": " << error.column << " " << error.message;
  return spec;
}

TEST(FaultSpec, ReadsTheExamplesOfTheDesign) {
  const FaultSpec flaky = parsed("efa0.write=5%error(remote_disconnect)");
  ASSERT_EQ(flaky.rules.size(), 1U);
  EXPECT_EQ(flaky.rules[0].name, "efa0");
  EXPECT_EQ(flaky.rules[0].ops, bitOf(FaultOp::op_write));
  EXPECT_EQ(flaky.rules[0].steps[0].ppb, 50'000'000U);
  EXPECT_EQ(flaky.rules[0].steps[0].action.error.code, KVSEAM_PEER_DOWN);
  EXPECT_FALSE(flaky.hasSeed);

  const FaultRule window = parsed("efa0=delay(20ms~5ms)@10s..30s").rules.at(0);
  EXPECT_EQ(window.ops, kFaultPathOps);
  EXPECT_EQ(window.steps[0].action.dist.kind, FaultDist::Kind::kUniform);
  EXPECT_EQ(window.steps[0].action.dist.a, 15'000'000);
  EXPECT_EQ(window.steps[0].action.dist.b, 25'000'000);
  EXPECT_EQ(window.when.from, 10'000'000'000);
  EXPECT_EQ(window.when.to, 30'000'000'000);

  const FaultSpec two = parsed("seed=42;*.probe=1%drop;rail1.read=3*stall(2s)->error(timeout)");
  EXPECT_TRUE(two.hasSeed);
  EXPECT_EQ(two.seed, 42U);
  ASSERT_EQ(two.rules.size(), 2U);
  EXPECT_TRUE(two.rules[0].isPrefix);
  EXPECT_EQ(two.rules[0].name, "");
  ASSERT_EQ(two.rules[1].steps.size(), 2U);
  EXPECT_EQ(two.rules[1].steps[0].most, 3U);
  EXPECT_EQ(two.rules[1].steps[0].action.amount, 2'000'000'000U);
  EXPECT_EQ(two.rules[1].text, "rail1.read=3*stall(2s)->error(timeout)");
  EXPECT_EQ(two.rules[1].column, 24U);

  const FaultRule flap = parsed("*=delay(80ms)@every(4s,2s)").rules.at(0);
  EXPECT_EQ(flap.when.kind, FaultWhen::Kind::kEvery);
  EXPECT_EQ(flap.when.to, 2'000'000'000);

  const FaultRule rare = parsed("efa0.write=corrupt(1bit){every=1000,min=1MiB}").rules.at(0);
  EXPECT_TRUE(rare.steps[0].action.isBits);
  EXPECT_EQ(rare.every, 1000U);
  EXPECT_EQ(rare.minBytes, 1024U * 1024);

  EXPECT_EQ(parsed("efa0=delay(bimodal(1ms,50ms,5%))").rules.at(0).steps[0].action.dist.secondPpb, 50'000'000U);
}

TEST(FaultSpec, TellsAnOperationFromANameThatEndsInAPoint) {
  EXPECT_EQ(parsed("10.0.0.7=drop").rules.at(0).name, "10.0.0.7");
  EXPECT_EQ(parsed("eth0.100.read=drop").rules.at(0).name, "eth0.100");
  EXPECT_EQ(parsed("host.local.*=drop").rules.at(0).name, "host.local");
  EXPECT_EQ(parsed("host.local.write=drop").rules.at(0).ops, bitOf(FaultOp::op_write));
  const FaultRule path = parsed("prefill-0/rail0>decode-0/rail0.read=drop").rules.at(0);
  EXPECT_EQ(path.name, "prefill-0/rail0>decode-0/rail0");
  EXPECT_FALSE(path.isPrefix);
  const FaultRule prefix = parsed("prefill-*.read=drop").rules.at(0);
  EXPECT_TRUE(prefix.matchesName("prefill-0/rail0>decode-0/rail0"));
  EXPECT_FALSE(prefix.matchesName("decode-0"));
}

TEST(FaultSpec, TakesNewLinesAndCommentsForSeparators) {
  const FaultSpec spec = parsed(
      "seed=18446744073709551615\n\n# first\nrail0 = delay( 1.5ms ) # second; third\n  rail1=drop ;\nrail2=lose\n");
  EXPECT_EQ(spec.seed, UINT64_MAX);
  ASSERT_EQ(spec.rules.size(), 3U);
  EXPECT_EQ(spec.rules[0].steps[0].action.dist.a, 1'500'000);
  EXPECT_EQ(spec.rules[0].text, "rail0 = delay( 1.5ms )");
  EXPECT_EQ(spec.rules[1].line, 5U);
  EXPECT_EQ(spec.rules[1].column, 3U);
}

TEST(FaultSpec, ReadsEveryActionWithItsArgument) {
  for (const char* const text : {"*=off",
                                 "*=delay(1ns)",
                                 "*=delay(uniform(0ms,5ms))",
                                 "*=delay(normal(20ms,5ms))",
                                 "*=delay(exp(3us))",
                                 "*=delay(pareto(1ms,1.5))",
                                 "*=drop",
                                 "*=lose",
                                 "*=dup",
                                 "*=dup(3)",
                                 "*=late(5s)",
                                 "*=stall(1m)",
                                 "*=rate(100MiB/s)",
                                 "*=eagain(3)",
                                 "*=partial(37%)",
                                 "*=partial(4KiB)",
                                 "*=short(0.5%)",
                                 "*=corrupt(4096bits)",
                                 "*=corrupt(4B)",
                                 "*=reorder(2)",
                                 "*=stale",
                                 "*=restart",
                                 "*=disconnect",
                                 "*=block(50ms)",
                                 "*=pause",
                                 "*=kill",
                                 "*.connect=drop",
                                 "*.load=error(stale_epoch)",
                                 "*.register=error(memlock)",
                                 "*.deregister=delay(1ms)",
                                 "*.poll=stall(2s)",
                                 "*.cancel=drop",
                                 "*.probe=late(1s)",
                                 "*.release=error(closed)",
                                 "*=error(nixl:-3)",
                                 "*=error(ucx:25)",
                                 "*=error(fi:-110)",
                                 "*=error(errno:5)",
                                 "*=50%2*drop->1*off->delay(1s)",
                                 "*=drop@ops(1..3)",
                                 "*=drop@ops(7..)",
                                 "*=drop@0s..",
                                 "*=drop{skip=1,every=2,min=0B,max=1GiB,peer=decode-0,class=release}"}) {
    EXPECT_EQ(parsed(text).rules.size(), 1U) << text;
  }
  EXPECT_EQ(parsed("*=error(ucx:-25)").rules.at(0).steps[0].action.error.backendCode, -25);
}

struct Wrong {
  const char* text;
  uint32_t line;
  uint32_t column;
  const char* says;
};

class FaultSpecErrors : public testing::TestWithParam<Wrong> {};

TEST_P(FaultSpecErrors, AreToldWithTheirPlace) {
  const Wrong& wrong = GetParam();
  FaultSpec spec;
  FaultSyntaxError error;
  ASSERT_FALSE(FaultSpec::parse(wrong.text, &spec, &error)) << wrong.text;
  EXPECT_EQ(error.line, wrong.line) << wrong.text << ": " << error.message;
  EXPECT_EQ(error.column, wrong.column) << wrong.text << ": " << error.message;
  EXPECT_NE(error.message.find(wrong.says), std::string::npos) << wrong.text << ": " << error.message;
  EXPECT_LE(error.caret, error.source.size());
}

INSTANTIATE_TEST_SUITE_P(
    All, FaultSpecErrors,
    testing::Values(
        Wrong{"", 1, 1, "there is no rule"}, Wrong{"  \n# nothing\n", 3, 1, "there is no rule"},
        Wrong{"seed=1", 1, 7, "there is no rule"}, Wrong{";rail0=drop", 1, 1, "a rule is missing"},
        Wrong{"rail0=drop;;rail1=drop", 1, 12, "a rule is missing"}, Wrong{"seed=x;*=drop", 1, 6, "a seed is"},
        Wrong{"seed=18446744073709551616;*=drop", 1, 6, "a seed is"}, Wrong{"seed=;*=drop", 1, 6, "a seed is"},
        Wrong{"*=drop;seed=1", 1, 8, "very beginning"}, Wrong{"seed=1;seed=2;*=drop", 1, 8, "very beginning"},
        Wrong{"rail0", 1, 6, "expected '='"}, Wrong{"=drop", 1, 1, "begins with a path"},
        Wrong{".read=drop", 1, 1, "path before the operation"}, Wrong{"ra*il=drop", 1, 3, "'*' may only end"},
        Wrong{"*x=drop", 1, 1, "'*' may only end"},
        Wrong{"rail0.wrte=drop", 1, 7, "unknown operation 'wrte' (did you mean write?)"},
        Wrong{"*.xyzzy=drop", 1, 3, "unknown operation 'xyzzy';"}, Wrong{"*=", 1, 3, "expected an action"},
        Wrong{"*=dely(1ms)", 1, 3, "unknown action 'dely' (did you mean delay?)"},
        Wrong{"rail0=delay(1ms);\n  rail1=drp", 2, 9, "unknown action 'drp' (did you mean drop?)"},
        Wrong{"*=0%drop", 1, 3, "0% never"}, Wrong{"*=101%drop", 1, 3, "at most 100%"},
        Wrong{"*=0.00000001%drop", 1, 3, "7 decimals"}, Wrong{"*=0*drop", 1, 3, "a count is"},
        Wrong{"*=1.5*drop", 1, 3, "a count is"}, Wrong{"*=5drop", 1, 4, "expected '%'"},
        Wrong{"*=5%3drop", 1, 6, "expected '*'"}, Wrong{"*=5%0*drop", 1, 5, "a count is"},
        Wrong{"*=drop->delay(1ms)", 1, 9, "never reached"}, Wrong{"*=3*drop->off->drop", 1, 16, "never reached"},
        Wrong{"*=delay", 1, 8, "expected '('"}, Wrong{"*=delay()", 1, 9, "expected a time"},
        Wrong{"*=delay(5)", 1, 10, "needs a unit: ns us ms s m"},
        Wrong{"*=delay(5sec)", 1, 10, "unknown unit of time 'sec'"}, Wrong{"*=delay(5MS)", 1, 10, "(did you mean ms?)"},
        Wrong{"*=delay(0ms)", 1, 9, "would do nothing"}, Wrong{"*=delay(25m", 1, 12, "expected ')'"},
        Wrong{"*=delay(1500m)", 1, 9, "at most 24 hours"}, Wrong{"*=delay(0.5ns)", 1, 9, "whole number of nanoseconds"},
        Wrong{"*=delay(5ms~6ms)", 1, 13, "jitter is larger"},
        Wrong{"*=delay(unifrm(1ms,2ms))", 1, 9, "unknown distribution 'unifrm' (did you mean uniform?)"},
        Wrong{"*=delay(uniform(2ms,1ms))", 1, 17, "reversed"}, Wrong{"*=delay(uniform(2ms))", 1, 20, "expected ','"},
        Wrong{"*=delay(pareto(1ms,1ms))", 1, 21, "expected ')'"},
        Wrong{"*=delay(pareto(1ms,0.01))", 1, 20, "a shape is"},
        Wrong{"*=delay(bimodal(1ms,2ms,5))", 1, 26, "expected '%'"},
        Wrong{"*=delay(bimodal(1ms,2ms,0%))", 1, 25, "0% never"},
        Wrong{"*=delay(1234567890123456789ms)", 1, 9, "at most 18 digits"}, Wrong{"*=error", 1, 8, "expected '('"},
        Wrong{"*=error()", 1, 9, "expected an error"},
        Wrong{"*=error(timout)", 1, 9, "unknown error 'timout' (did you mean timeout?)"},
        Wrong{"*=error(ucx)", 1, 12, "expected ':'"}, Wrong{"*=error(ucx:)", 1, 13, "expected a number"},
        Wrong{"*=error(fi:0)", 1, 12, "expected a number"}, Wrong{"*=rate(100MiB)", 1, 14, "expected '/s'"},
        Wrong{"*=rate(100/s)", 1, 11, "needs a unit: B KiB MiB GiB"}, Wrong{"*=rate(0B/s)", 1, 8, "size of 0"},
        Wrong{"*=rate(1MB/s)", 1, 9, "unknown unit of size 'MB' (did you mean MiB?)"},
        Wrong{"*=stall", 1, 8, "expected '('"}, Wrong{"*=eagain(0)", 1, 10, "a count is"},
        Wrong{"*=eagain(1001)", 1, 10, "from 1 to 1000"}, Wrong{"*=partial(0%)", 1, 11, "0% never"},
        Wrong{"*=partial(x)", 1, 11, "expected a share"}, Wrong{"*=partial(4)", 1, 12, "needs a unit"},
        Wrong{"*=short(100%)", 1, 9, "would move everything"}, Wrong{"*=corrupt(0bit)", 1, 11, "a count is"},
        Wrong{"*=corrupt(5000bit)", 1, 11, "from 1 to 4096"}, Wrong{"*=corrupt(1MiB)", 1, 11, "at most 4096"},
        Wrong{"*=corrupt(3)", 1, 12, "needs a unit"}, Wrong{"*=reorder(1)", 1, 12, "has no order"},
        Wrong{"*=dup(0)", 1, 7, "a count is"}, Wrong{"*=drop(3)", 1, 7, "takes nothing"},
        Wrong{"*=skew(+-5s)", 1, 3, "skew is not supported"},
        Wrong{"*.notify=partial(3%)", 1, 10, "does not work on notify"},
        Wrong{"*.poll=drop", 1, 8, "does not work on poll"},
        Wrong{"*.deregister=error(invalid)", 1, 14, "does not work on deregister"},
        Wrong{"*.register=pause", 1, 12, "does not work on register"}, Wrong{"*=drop@", 1, 8, "expected from..to"},
        Wrong{"*=drop@10s", 1, 11, "expected '..'"}, Wrong{"*=drop@30s..10s", 1, 13, "reversed"},
        Wrong{"*=drop@5s..5s", 1, 12, "reversed or empty"}, Wrong{"*=drop@0..5s", 1, 9, "needs a unit"},
        Wrong{"*=drop@every(2s,2s)", 1, 17, "less than its period"}, Wrong{"*=drop@every(2s)", 1, 16, "expected ','"},
        Wrong{"*=drop@ops(0..3)", 1, 12, "a count is"}, Wrong{"*=drop@ops(3..1)", 1, 15, "reversed"},
        Wrong{"*=drop@ops(3)", 1, 13, "expected '..'"}, Wrong{"*=drop@often", 1, 8, "expected from..to"},
        Wrong{"*=drop{}", 1, 8, "expected a filter"},
        Wrong{"*=drop{evry=2}", 1, 8, "unknown filter 'evry' (did you mean every?)"},
        Wrong{"*=drop{every=2,every=3}", 1, 16, "given twice"}, Wrong{"*=drop{every=0}", 1, 14, "a count is"},
        Wrong{"*=drop{every}", 1, 13, "expected '='"}, Wrong{"*=drop{min=2MiB,max=1MiB}", 1, 17, "min is larger"},
        Wrong{"*=drop{min=5}", 1, 13, "needs a unit"}, Wrong{"*=drop{peer=}", 1, 13, "expected a name"},
        Wrong{"*=drop{skip=1", 1, 14, "expected ',' or '}'"}, Wrong{"*=drop rail1=drop", 1, 8, "expected '->'"},
        Wrong{"*=drop->", 1, 9, "never reached"}, Wrong{"*=3*drop->", 1, 11, "expected an action"},
        Wrong{"r\xc3\xa4il=drop", 1, 2, "expected '='"}));

TEST(FaultSpec, KeepsTheCaretInSightOfALongLine) {
  const std::string text = std::string(500, 'a') + "=dely(1ms)";
  FaultSpec spec;
  FaultSyntaxError error;
  ASSERT_FALSE(FaultSpec::parse(text, &spec, &error));
  EXPECT_EQ(error.column, 502U);
  EXPECT_LE(error.source.size(), 100U);
  EXPECT_EQ(error.source.substr(error.caret, 4), "dely");
}

TEST(FaultSpec, RefusesWhatIsTooMuch) {
  FaultSpec spec;
  FaultSyntaxError error;
  EXPECT_FALSE(FaultSpec::parse(std::string(FaultSpec::kMaxBytes + 1, '#'), &spec, &error));
  std::string many;
  for (size_t i = 0; i <= FaultSpec::kMaxRules; ++i) many += "a=drop;";
  EXPECT_FALSE(FaultSpec::parse(many, &spec, &error));
  std::string steps = "a=1*drop";
  for (size_t i = 0; i < FaultSpec::kMaxSteps; ++i) steps += "->1*drop";
  EXPECT_FALSE(FaultSpec::parse(steps, &spec, &error));
}

}  // namespace
}  // namespace kvseam
