// Draws of the fault layer: the same everywhere and in any order, and distributed as they say.
#include "../core/fault_draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace kvseam {
namespace {

FaultDraw draw(uint64_t number, uint64_t seed = 42) {
  return {seed, 0, 0, FaultDraw::hash("a/r0>b/r0"), FaultOp::op_read, number};
}

std::vector<int64_t> times(const FaultDist& dist, uint64_t count = 20'000) {
  std::vector<int64_t> out;
  for (uint64_t i = 1; i <= count; ++i) out.push_back(draw(i).time(dist));
  return out;
}

double mean(const std::vector<int64_t>& values) {
  double sum = 0;
  for (const int64_t value : values) sum += static_cast<double>(value);
  return sum / static_cast<double>(values.size());
}

TEST(FaultDraw, GivesTheseValuesOnEveryMachine) {
  EXPECT_EQ(FaultDraw::hash("rail0"), 5117660606494865095U);
  EXPECT_EQ(draw(1).word(0), 17386269912918355897U);
  const FaultDist exp{FaultDist::Kind::kExp, 1'000'000};
  EXPECT_EQ(draw(1).time(exp), 901'844);
  const FaultDist pareto{FaultDist::Kind::kPareto, 1'000'000, 0, 1500};
  EXPECT_EQ(draw(1).time(pareto), 1'824'361);
  const FaultDist normal{FaultDist::Kind::kNormal, 20'000'000, 5'000'000};
  EXPECT_EQ(draw(1).time(normal), 23'189'449);
}

TEST(FaultDraw, DependsOnEveryPartOfItsKeyAndOnNothingElse) {
  std::set<uint64_t> words;
  const uint64_t path = FaultDraw::hash("p");
  words.insert(FaultDraw(1, 0, 0, path, FaultOp::op_read, 1).word(0));
  words.insert(FaultDraw(2, 0, 0, path, FaultOp::op_read, 1).word(0));
  words.insert(FaultDraw(1, 1, 0, path, FaultOp::op_read, 1).word(0));
  words.insert(FaultDraw(1, 0, 1, path, FaultOp::op_read, 1).word(0));
  words.insert(FaultDraw(1, 0, 0, FaultDraw::hash("q"), FaultOp::op_read, 1).word(0));
  words.insert(FaultDraw(1, 0, 0, path, FaultOp::op_write, 1).word(0));
  words.insert(FaultDraw(1, 0, 0, path, FaultOp::op_read, 2).word(0));
  words.insert(FaultDraw(1, 0, 0, path, FaultOp::op_read, 1).word(1));
  EXPECT_EQ(words.size(), 8U);
  const FaultDraw one = draw(7);
  const uint64_t later = one.word(5);
  EXPECT_NE(one.word(0), later);
  EXPECT_EQ(one.word(5), later);
}

TEST(FaultDraw, HappensAsOftenAsItsShareSays) {
  uint64_t happened = 0;
  for (uint64_t i = 1; i <= 100'000; ++i) happened += draw(i).happens(50'000'000) ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(happened), 5000, 350);  // five standard deviations
  EXPECT_TRUE(draw(1).happens(FaultStep::kAlways));
}

TEST(FaultDraw, DistributesAsItSays) {
  const std::vector<int64_t> uniform = times({FaultDist::Kind::kUniform, 1000, 3000});
  for (const int64_t value : uniform) ASSERT_TRUE(value >= 1000 && value <= 3000);
  EXPECT_NEAR(mean(uniform), 2000, 25);

  const std::vector<int64_t> normal = times({FaultDist::Kind::kNormal, 1'000'000, 100'000});
  EXPECT_NEAR(mean(normal), 1'000'000, 4000);
  double square = 0;
  for (const int64_t value : normal) square += std::pow(static_cast<double>(value) - 1e6, 2);
  EXPECT_NEAR(std::sqrt(square / 20'000), 100'000, 2500);
  for (const int64_t value : times({FaultDist::Kind::kNormal, 1000, 100'000})) ASSERT_GE(value, 0);

  const std::vector<int64_t> exp = times({FaultDist::Kind::kExp, 1'000'000});
  EXPECT_NEAR(mean(exp), 1'000'000, 36'000);

  const std::vector<int64_t> pareto = times({FaultDist::Kind::kPareto, 1'000'000, 0, 3000});
  EXPECT_NEAR(mean(pareto), 1'500'000, 40'000);  // scale * shape / (shape - 1)
  for (const int64_t value : pareto) ASSERT_GE(value, 999'999);

  uint64_t second = 0;
  for (const int64_t value : times({FaultDist::Kind::kBimodal, 1, 50, 0, 50'000'000})) second += value == 50 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(second), 1000, 155);
  EXPECT_EQ(draw(1).time({FaultDist::Kind::kFixed, 77}), 77);
}

TEST(FaultDraw, IntegerFunctionsAgreeWithTheRealOnes) {
  for (const uint32_t word : {0U, 1U, 2U, 77U, 65'535U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU}) {
    const double expected = -std::log2((static_cast<double>(word) + 0.5) / 4294967296.0);
    EXPECT_NEAR(static_cast<double>(minusLog2(word)) / 4294967296.0, expected, 1e-8) << word;
  }
  for (const double exponent : {0.0, 0.25, 0.5, 1.0, 3.3, 17.9}) {
    const auto fixed = static_cast<uint64_t>(exponent * 4294967296.0);
    EXPECT_NEAR(static_cast<double>(powerOfTwo(fixed, 1'000'000)) / 1e6, std::exp2(exponent),
                std::exp2(exponent) * 1e-6);
  }
  EXPECT_EQ(powerOfTwo(uint64_t{400} << 32, 1), uint64_t{1} << 63);
}

TEST(FaultDraw, NeverLastsLongerThanADay) {
  for (const int64_t value : times({FaultDist::Kind::kPareto, 3'600'000'000'000, 0, 100}, 2000)) {
    ASSERT_TRUE(value >= 3'599'999'999'999 && value <= 86'400'000'000'000);
  }
}

}  // namespace
}  // namespace kvseam
