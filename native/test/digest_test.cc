// CRC-32C against published vectors, and against a slow one of our own for every length and alignment.
#include "../core/digest.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "memory_for_test.h"

namespace kvseam {
namespace {

uint32_t crcOf(const std::string& text) {
  return crc32c(0, reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

// Bit by bit, straight from the definition (reflected polynomial 0x82F63B78).
uint32_t slowCrc(uint32_t crc, const uint8_t* data, size_t bytes) {
  crc = ~crc;
  for (size_t i = 0; i < bytes; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

TEST(Digest, GivesThePublishedSums) {
  // RFC 3720, B.4, and the check value of the CRC catalogue.
  EXPECT_EQ(crcOf(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crcOf(std::string(32, '\xff')), 0x62a8ab43U);
  std::string rising;
  for (int i = 0; i < 32; ++i) rising.push_back(static_cast<char>(i));
  EXPECT_EQ(crcOf(rising), 0x46dd794eU);
  EXPECT_EQ(crcOf(std::string(rising.rbegin(), rising.rend())), 0x113fdb5cU);
  EXPECT_EQ(crcOf("123456789"), 0xe3069283U);
  EXPECT_EQ(crcOf(""), 0U);
}

TEST(Digest, InstructionAndTableAgreeWithTheDefinitionForEveryLengthAlignmentAndSplit) {
  std::mt19937 random(3);
  std::vector<uint8_t> bytes(300);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t at = 0; at < 9; ++at) {
    for (size_t length = 0; length <= 130; ++length) {
      const uint32_t expected = slowCrc(0, bytes.data() + at, length);
      ASSERT_EQ(crc32c(0, bytes.data() + at, length), expected) << at << " " << length;
      ASSERT_EQ(crc32cByTable(0, bytes.data() + at, length), expected) << at << " " << length;
      const size_t cut = length / 3;
      ASSERT_EQ(crc32c(crc32c(0, bytes.data() + at, cut), bytes.data() + at + cut, length - cut), expected);
    }
  }
}

TEST(Digest, FollowsTheOrderOfTheList) {
  const auto memory = std::make_shared<MemoryForTest>(4096);
  for (size_t i = 0; i < 4096; ++i) memory->data()[i] = static_cast<uint8_t>(i * 7 + i / 256);
  const double offsets[] = {1000, 0, 4000};
  const double lengths[] = {100, 0, 96};
  std::shared_ptr<DescriptorList> list;
  ASSERT_TRUE(DescriptorList::fromRuns(memory, offsets, lengths, 3, &list).ok());
  uint32_t sum = 0;
  ASSERT_TRUE(digestOf(*list, 0, 3, &sum).ok());
  EXPECT_EQ(sum, crc32c(crc32c(0, memory->data() + 1000, 100), memory->data() + 4000, 96));
  ASSERT_TRUE(digestOf(*list, 2, 1, &sum).ok());
  EXPECT_EQ(sum, crc32c(0, memory->data() + 4000, 96));
  ASSERT_TRUE(digestOf(*list, 3, 0, &sum).ok());
  EXPECT_EQ(sum, 0U);
  EXPECT_EQ(digestOf(*list, 1, 3, &sum).code(), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(digestOf(*list, UINT64_MAX, 1, &sum).code(), KVSEAM_OUT_OF_BOUNDS);
  EXPECT_EQ(digestOf(*list, 1, UINT64_MAX, &sum).code(), KVSEAM_OUT_OF_BOUNDS);
}

TEST(Digest, SaysSoWhenTheHostCannotReadTheBytes) {
  const auto device = std::make_shared<MemoryForTest>(4096, MemoryForTest::kNotHere);
  std::shared_ptr<DescriptorList> list;
  ASSERT_TRUE(DescriptorList::fromBlocks(device, {0, 0, 1, 64}, nullptr, 4, &list).ok());
  uint32_t sum = 0;
  EXPECT_EQ(digestOf(*list, 0, 4, &sum).code(), KVSEAM_NOT_SUPPORTED);
}

}  // namespace
}  // namespace kvseam
