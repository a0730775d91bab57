// Handles: a stale or invented number finds nothing.
#include "../core/handle_table.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace kvseam {
namespace {

TEST(HandleTable, NeverGivesZeroAndFindsOnlyWhatIsThere) {
  HandleTable<int> table;
  EXPECT_EQ(table.find(0), nullptr);
  EXPECT_EQ(table.remove(0), nullptr);
  const uint64_t handle = table.add(std::make_shared<int>(7));
  EXPECT_NE(handle, 0U);
  ASSERT_NE(table.find(handle), nullptr);
  EXPECT_EQ(**table.find(handle), 7);
  EXPECT_EQ(table.live(), 1U);
  for (uint64_t bit = 0; bit < 64; ++bit) EXPECT_EQ(table.find(handle ^ uint64_t{1} << bit), nullptr) << bit;
}

TEST(HandleTable, AnOldHandleDoesNotFindTheNextUserOfItsPlace) {
  HandleTable<int> table;
  std::vector<uint64_t> old;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t handle = table.add(std::make_shared<int>(i));
    for (const uint64_t stale : old) ASSERT_EQ(table.find(stale), nullptr);
    EXPECT_EQ(*table.remove(handle), i);
    EXPECT_EQ(table.remove(handle), nullptr);
    old.push_back(handle);
  }
  EXPECT_EQ(table.live(), 0U);
}

TEST(HandleTable, AnOldHandleStaysInvalidAfterClear) {
  HandleTable<int> table;
  const uint64_t before = table.add(std::make_shared<int>(1));
  table.clear();
  EXPECT_EQ(table.live(), 0U);
  EXPECT_EQ(table.find(before), nullptr);
  const uint64_t after = table.add(std::make_shared<int>(2));
  EXPECT_NE(before, after);
  EXPECT_EQ(table.find(before), nullptr);
}

TEST(HandleTable, AgreesWithAMapUnderRandomUse) {
  HandleTable<int> table;
  std::map<uint64_t, int> model;
  std::vector<uint64_t> seen;
  std::mt19937 random(42);
  for (int step = 0; step < 20'000; ++step) {
    if (model.empty() || random() % 3 != 0) {
      const uint64_t handle = table.add(std::make_shared<int>(step));
      ASSERT_TRUE(model.emplace(handle, step).second);
      seen.push_back(handle);
    } else {
      const uint64_t handle = seen[random() % seen.size()];
      ASSERT_EQ(table.remove(handle) != nullptr, model.erase(handle) == 1);
    }
    const uint64_t probe = seen[random() % seen.size()];
    const auto known = model.find(probe);
    const auto* const found = table.find(probe);
    ASSERT_EQ(found != nullptr, known != model.end());
    if (found != nullptr) {
      ASSERT_EQ(**found, known->second);
    }
  }
  EXPECT_EQ(table.live(), model.size());
  size_t visited = 0;
  table.forEach([&](const std::shared_ptr<int>&) { ++visited; });
  EXPECT_EQ(visited, model.size());
}

TEST(HandleTable, IsExactInAJavaScriptNumberAndFullAtItsLimit) {
  HandleTable<int> table;
  const auto value = std::make_shared<int>(0);
  uint64_t last = 0;
  for (uint64_t i = 0; i <= kHandleIndexMask; ++i) last = table.add(value);
  EXPECT_LT(last, uint64_t{1} << 53);
  EXPECT_EQ(static_cast<uint64_t>(static_cast<double>(last)), last);
  EXPECT_EQ(table.add(value), 0U);
  table.remove(last);
  EXPECT_NE(table.add(value), 0U);
}

}  // namespace
}  // namespace kvseam
