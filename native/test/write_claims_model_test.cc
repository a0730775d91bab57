// Claims against a model that keeps one owner for each byte: random lists of every shape, taken and given up in random
// order, refused exactly when the model says so.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "../core/descriptors.h"
#include "../core/write_claims.h"
#include "memory_for_test.h"

namespace kvseam {
namespace {

struct Claim {
  std::shared_ptr<DescriptorList> list;
  uint64_t first;
  uint64_t count;
};

/** Bytes of the small window of each region that lists are drawn from; the region itself may be far larger. */
constexpr uint64_t kWindow = 4096;

class Model {
 public:
  explicit Model(size_t regions) : owner_(regions, std::vector<uint32_t>(kWindow)) {}

  /** OK, or the code that the claim must be refused with. */
  Code verdict(const Claim& claim, const std::vector<std::shared_ptr<MemoryForTest>>& memories, uint64_t base) const {
    Code code = KVSEAM_OK;
    std::vector<std::vector<bool>> mine(owner_.size(), std::vector<bool>(kWindow));
    each(claim, memories, base, [&](size_t region, uint64_t at) {
      if (code != KVSEAM_OK) return;
      if (owner_[region][at] != 0) {
        code = KVSEAM_REGION_BUSY;
      } else if (mine[region][at]) {
        code = KVSEAM_INVALID_DESCRIPTOR;
      }
      mine[region][at] = true;
    });
    return code;
  }
  void set(const Claim& claim, const std::vector<std::shared_ptr<MemoryForTest>>& memories, uint64_t base,
           uint32_t owner) {
    each(claim, memories, base, [&](size_t region, uint64_t at) { owner_[region][at] = owner; });
  }

 private:
  template <typename F>
  static void each(const Claim& claim, const std::vector<std::shared_ptr<MemoryForTest>>& memories, uint64_t base,
                   F&& visit) {
    for (uint64_t i = claim.first; i < claim.first + claim.count; ++i) {
      size_t region = 0;
      while (memories[region] != claim.list->memory(i)) ++region;
      for (uint64_t b = 0; b < claim.list->length(i); ++b) visit(region, claim.list->offset(i) - base + b);
    }
  }
  std::vector<std::vector<uint32_t>> owner_;
};

class ClaimsAgainstTheModel : public ::testing::TestWithParam<int> {};

TEST_P(ClaimsAgainstTheModel, AreRefusedExactlyWhenAByteIsTaken) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()) * 7919 + 1);
  const auto below = [&](uint64_t n) { return random() % n; };
  // From regions whose every byte has a granule to those where nothing under 32 KiB has one.
  const uint64_t bytes = uint64_t{1} << (12 + below(31));
  const uint64_t base = below(2) == 0 ? 0 : (bytes - kWindow) / kWindow * kWindow;
  std::vector<std::shared_ptr<MemoryForTest>> memories;
  for (int i = 0; i < 2; ++i) memories.push_back(std::make_shared<MemoryForTest>(bytes, MemoryForTest::kNotHere));
  Model model(memories.size());
  std::vector<Claim> held;
  std::vector<std::shared_ptr<DescriptorList>> known;

  const auto newList = [&] {
    std::shared_ptr<DescriptorList> list;
    const auto simple = [&](const std::shared_ptr<MemoryForTest>& memory) {
      std::shared_ptr<DescriptorList> made;
      const uint64_t count = 1 + below(6);
      if (below(2) == 0) {
        const uint64_t blockBytes = uint64_t{1} << below(10);
        std::vector<uint32_t> ids(count);
        for (uint32_t& id : ids) id = static_cast<uint32_t>(below(kWindow / blockBytes));
        EXPECT_TRUE(DescriptorList::fromBlocks(memory, {base, 0, 1, blockBytes}, ids.data(), count, &made).ok());
      } else {
        const uint64_t unit = uint64_t{1} << below(8);
        std::vector<double> offsets(count);
        std::vector<double> lengths(count);
        for (uint64_t i = 0; i < count; ++i) {
          const uint64_t length = below(4) * unit;
          offsets[i] = static_cast<double>(base + below((kWindow - length) / unit + 1) * unit);
          lengths[i] = static_cast<double>(length);
        }
        EXPECT_TRUE(DescriptorList::fromRuns(memory, offsets.data(), lengths.data(), count, &made).ok());
      }
      return made;
    };
    if (below(4) != 0) return simple(memories[below(2)]);
    EXPECT_TRUE(
        DescriptorList::join({simple(memories[0]), simple(memories[1]), simple(memories[below(2)])}, &list).ok());
    return list;
  };

  uint32_t taken = 0;
  uint32_t refused = 0;
  for (int step = 0; step < 400; ++step) {
    if (!held.empty() && below(5) < 2) {
      const size_t which = below(held.size());
      WriteClaims::release(*held[which].list, held[which].first, held[which].count);
      model.set(held[which], memories, base, 0);
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
      continue;
    }
    // Lists are used again, as prepared ones are, also while they are held; and often by a part.
    if (known.empty() || below(3) != 0) known.push_back(newList());
    const std::shared_ptr<DescriptorList>& list = known[below(known.size())];
    Claim claim{list, 0, list->count()};
    if (below(3) == 0) {
      claim.first = below(list->count());
      claim.count = below(list->count() - claim.first + 1);
    }
    const Status status = WriteClaims::claim(*list, claim.first, claim.count);
    const Code verdict = model.verdict(claim, memories, base);
    // A list that overlaps itself and another may be refused for either.
    ASSERT_EQ(status.ok(), verdict == KVSEAM_OK) << "step " << step << ": " << status.text();
    if (!status.ok()) {
      ++refused;
      ASSERT_TRUE(status.code() == KVSEAM_REGION_BUSY || status.code() == KVSEAM_INVALID_DESCRIPTOR);
      ASSERT_TRUE(status.code() != KVSEAM_REGION_BUSY || !held.empty());
      continue;
    }
    ++taken;
    model.set(claim, memories, base, 1);
    held.push_back(claim);
  }
  for (const Claim& claim : held) WriteClaims::release(*claim.list, claim.first, claim.count);
  for (const auto& memory : memories) {
    EXPECT_EQ(memory->claims().transfers(), 0U);
    EXPECT_FALSE(memory->claims().marked(0, bytes));
  }
  EXPECT_GT(taken, 0U);
  EXPECT_GT(refused, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ClaimsAgainstTheModel, ::testing::Range(0, 100));

}  // namespace
}  // namespace kvseam
