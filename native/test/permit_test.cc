// The gate's native half: one use, exact terms, nothing to be had by guessing.
#include "../core/permit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace kvseam {
namespace {

constexpr PermitTerms kTerms = {7, KVSEAM_OP_READ, 4096, 1000};

Code redeem(PermitBook* book, uint64_t permit) { return book->redeem(permit, 7, KVSEAM_OP_READ, 4096, 500).code(); }

TEST(Permit, IsGoodForOneTransferOnly) {
  PermitBook book(1);
  const uint64_t permit = book.mint(kTerms, 0);
  EXPECT_EQ(book.outstanding(), 1U);
  EXPECT_EQ(redeem(&book, permit), KVSEAM_OK);
  EXPECT_EQ(redeem(&book, permit), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(book.outstanding(), 0U);
  EXPECT_EQ(book.counters().redeemed, 1U);
  EXPECT_EQ(book.counters().refused, 1U);
}

TEST(Permit, CoversItsPathOperationAndBytesAndSurvivesARefusal) {
  PermitBook book(1);
  const uint64_t permit = book.mint(kTerms, 0);
  EXPECT_EQ(book.redeem(permit, 8, KVSEAM_OP_READ, 1, 500).code(), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(book.redeem(permit, 7 + (uint64_t{1} << 32), KVSEAM_OP_READ, 1, 500).code(), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(book.redeem(permit, 7, KVSEAM_OP_WRITE, 1, 500).code(), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(book.redeem(permit, 7, KVSEAM_OP_READ, 4097, 500).code(), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(book.redeem(permit, 7, KVSEAM_OP_READ, UINT64_MAX, 500).code(), KVSEAM_PERMIT_INVALID);
  EXPECT_NE(book.redeem(permit, 7, KVSEAM_OP_READ, 4097, 500).text().find("4096"), std::string::npos);
  EXPECT_EQ(redeem(&book, permit), KVSEAM_OK);
}

TEST(Permit, IsAsItWasWhenItsRedemptionIsUndone) {
  PermitBook book(1);
  PermitTerms terms = kTerms;
  terms.workload = 77;
  const uint64_t permit = book.mint(terms, 0);
  ASSERT_EQ(redeem(&book, permit), KVSEAM_OK);
  book.undoRedeem(permit);
  EXPECT_EQ(book.outstanding(), 1U);
  EXPECT_EQ(book.counters().redeemed, 0U);
  EXPECT_NE(book.mint(kTerms, 0), permit);
  EXPECT_EQ(book.redeem(permit, 7, KVSEAM_OP_READ, 4097, 500).code(), KVSEAM_PERMIT_INVALID) << "with its terms";
  uint32_t workload = 0;
  EXPECT_TRUE(book.redeem(permit, 7, KVSEAM_OP_READ, 4096, 500, &workload).ok());
  EXPECT_EQ(workload, 77U);
  EXPECT_EQ(redeem(&book, permit), KVSEAM_PERMIT_INVALID);
}

TEST(Permit, EndsWithItsTimeAndIsThenUsedUp) {
  PermitBook book(1);
  EXPECT_EQ(book.redeem(book.mint(kTerms, 0), 7, KVSEAM_OP_READ, 1, 1000).code(), KVSEAM_OK);
  const uint64_t late = book.mint(kTerms, 0);
  EXPECT_EQ(book.redeem(late, 7, KVSEAM_OP_READ, 1, 1001).code(), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(redeem(&book, late), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(book.counters().expired, 1U);
  EXPECT_EQ(book.outstanding(), 0U);
}

TEST(Permit, EndsWithItsEpoch) {
  PermitBook book(1);
  const uint64_t before = book.mint(kTerms, 0);
  book.advanceEpoch();
  const uint64_t after = book.mint(kTerms, 0);
  EXPECT_EQ(redeem(&book, before), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(redeem(&book, after), KVSEAM_OK);
}

TEST(Permit, CanBeRevokedOnce) {
  PermitBook book(1);
  const uint64_t permit = book.mint(kTerms, 0);
  EXPECT_TRUE(book.revoke(permit));
  EXPECT_FALSE(book.revoke(permit));
  EXPECT_FALSE(book.revoke(0));
  EXPECT_EQ(redeem(&book, permit), KVSEAM_PERMIT_INVALID);
}

TEST(Permit, ZeroIsNeverAPermit) {
  PermitBook book(0);
  EXPECT_EQ(redeem(&book, 0), KVSEAM_PERMIT_INVALID);
  for (int i = 0; i < 1000; ++i) EXPECT_NE(book.mint(kTerms, 0), 0U);
  EXPECT_EQ(redeem(&book, 0), KVSEAM_PERMIT_INVALID);
}

TEST(Permit, TheBookIsBoundedAndExpiredPermitsMakeRoom) {
  PermitBook book(1);
  std::vector<uint64_t> permits;
  for (uint32_t i = 0; i < PermitBook::kSlots; ++i)
    permits.push_back(book.mint({7, KVSEAM_OP_READ, 1, i < 10 ? 100 : 1000}, 0));
  EXPECT_EQ(std::count(permits.begin(), permits.end(), 0U), 0);
  EXPECT_EQ(book.mint(kTerms, 50), 0U);
  EXPECT_EQ(book.outstanding(), PermitBook::kSlots);
  EXPECT_NE(book.mint(kTerms, 101), 0U);
  EXPECT_EQ(book.counters().expired, 10U);
  EXPECT_EQ(book.outstanding(), PermitBook::kSlots - 9);
  EXPECT_EQ(redeem(&book, permits[3]), KVSEAM_PERMIT_INVALID);
  EXPECT_EQ(book.redeem(permits[20], 7, KVSEAM_OP_READ, 1, 500).code(), KVSEAM_OK);
}

TEST(Permit, NumbersAreExactInJavaScriptAndDoNotRepeat) {
  PermitBook book(0x123456789abcdefULL);
  std::set<uint64_t> seen;
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t permit = book.mint(kTerms, 0);
    ASSERT_LT(permit, uint64_t{1} << 53);
    ASSERT_TRUE(seen.insert(permit).second);
    ASSERT_EQ(redeem(&book, permit), KVSEAM_OK);
  }
}

TEST(Permit, GuessesFindNothing) {
  PermitBook book(0xfeedULL);
  std::vector<uint64_t> real;
  for (int i = 0; i < 1000; ++i) real.push_back(book.mint(kTerms, 0));
  std::mt19937_64 random(11);
  for (int i = 0; i < 200'000; ++i) {
    const uint64_t guess = random() & ((uint64_t{1} << 53) - 1);
    if (std::find(real.begin(), real.end(), guess) != real.end()) continue;
    ASSERT_EQ(redeem(&book, guess), KVSEAM_PERMIT_INVALID);
  }
  // Every number that differs from a real one by a single bit, and the same numbers of a book with another secret.
  PermitBook other(0xbeefULL);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(redeem(&book, other.mint(kTerms, 0)), KVSEAM_PERMIT_INVALID);
  for (int bit = 0; bit < 64; ++bit)
    ASSERT_EQ(redeem(&book, real[0] ^ uint64_t{1} << bit), KVSEAM_PERMIT_INVALID) << bit;
  for (const uint64_t permit : real) ASSERT_EQ(redeem(&book, permit), KVSEAM_OK);
}

}  // namespace
}  // namespace kvseam
