// Metadata from a peer is hostile until proved otherwise: round trip, every truncation, every flipped bit, absurd
// counts.
#include "../core/metadata.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../core/digest.h"

namespace kvseam {
namespace {

Metadata example() {
  Metadata out;
  out.backend = "mock";
  out.agent = "prefill-0";
  out.incarnation = 0x0123456789abcdefULL;
  out.address = std::string("\0\1address", 9);
  for (const char* name : {"efa0", "efa1"}) {
    kvseam_rail rail{};
    std::strcpy(rail.name, name);
    rail.bytes_per_second = 25'000'000'000;
    rail.base_latency_ns = 1500;
    out.rails.push_back(rail);
  }
  out.regions.push_back({1, 4096, "pool", std::string("\0key", 4)});
  out.regions.push_back({2, uint64_t{1} << 40, "pool-2", ""});
  return out;
}

std::string written(const Metadata& metadata) {
  std::string blob;
  EXPECT_TRUE(metadata.write(&blob).ok());
  return blob;
}

Status read(const std::string& blob, Metadata* out) {
  // A copy of exactly this size, so that a sanitizer sees a read beyond it.
  const std::vector<uint8_t> bytes(blob.begin(), blob.end());
  return Metadata::read(bytes.data(), bytes.size(), out);
}

Code readCode(const std::string& blob) {
  Metadata untouched;
  untouched.agent = "untouched";
  const Status status = read(blob, &untouched);
  if (!status.ok()) {
    EXPECT_EQ(untouched.agent, "untouched");
  }
  return status.code();
}

void putNumber(std::string* blob, size_t at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) (*blob)[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

/** Length and checksum made to fit, so that the reader gets past them. */
std::string mended(std::string blob) {
  putNumber(&blob, 8, blob.size(), 4);
  putNumber(&blob, 12, 0, 4);
  putNumber(&blob, 12, crc32c(0, reinterpret_cast<const uint8_t*>(blob.data()), blob.size()), 4);
  return blob;
}

TEST(Metadata, ComesBackAsItWasWritten) {
  const Metadata before = example();
  Metadata after;
  ASSERT_TRUE(read(written(before), &after).ok());
  EXPECT_EQ(after.backend, before.backend);
  EXPECT_EQ(after.agent, before.agent);
  EXPECT_EQ(after.incarnation, before.incarnation);
  EXPECT_EQ(after.address, before.address);
  ASSERT_EQ(after.rails.size(), 2U);
  EXPECT_STREQ(after.rails[1].name, "efa1");
  EXPECT_EQ(after.rails[1].bytes_per_second, 25'000'000'000U);
  EXPECT_EQ(after.rails[1].base_latency_ns, 1500);
  ASSERT_EQ(after.regions.size(), 2U);
  EXPECT_EQ(after.regions[0].key, before.regions[0].key);
  EXPECT_EQ(after.regions[1].bytes, uint64_t{1} << 40);
  EXPECT_EQ(written(after), written(before));
}

TEST(Metadata, IsRefusedWhenTruncatedAnywhere) {
  const std::string blob = written(example());
  for (size_t length = 0; length < blob.size(); ++length) {
    ASSERT_EQ(readCode(blob.substr(0, length)), KVSEAM_METADATA_INVALID) << length;
    // The same with a header that agrees, so that the truncation is met inside.
    if (length >= 16) {
      ASSERT_EQ(readCode(mended(blob.substr(0, length))), KVSEAM_METADATA_INVALID) << length;
    }
  }
  EXPECT_EQ(readCode(blob + '\0'), KVSEAM_METADATA_INVALID);
  EXPECT_EQ(readCode(mended(blob + '\0')), KVSEAM_METADATA_INVALID);
}

TEST(Metadata, IsRefusedWithAnySingleBitFlipped) {
  const std::string blob = written(example());
  for (size_t bit = 0; bit < blob.size() * 8; ++bit) {
    std::string flipped = blob;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << (bit % 8));
    const Code code = readCode(flipped);
    const bool version = bit / 8 == 4 || bit / 8 == 5;
    ASSERT_EQ(code, version ? KVSEAM_INCOMPATIBLE : KVSEAM_METADATA_INVALID) << bit;
  }
}

TEST(Metadata, SaysThatAnotherVersionIsAnotherVersion) {
  std::string blob = written(example());
  putNumber(&blob, 4, 2, 2);
  Metadata out;
  const Status status = read(mended(blob), &out);
  EXPECT_EQ(status.code(), KVSEAM_INCOMPATIBLE);
  EXPECT_NE(status.text().find("version 2"), std::string::npos);
}

TEST(Metadata, RefusesNamesThatAreNotSafeInPathsAndLogs) {
  EXPECT_TRUE(validName("a"));
  EXPECT_TRUE(validName("A-Z_09.:@x"));
  EXPECT_TRUE(validName(std::string(63, 'x')));
  EXPECT_FALSE(validName(""));
  EXPECT_FALSE(validName(std::string(64, 'x')));
  for (int c = 0; c < 256; ++c) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                         c == '_' || c == ':' || c == '@' || c == '-';
    EXPECT_EQ(validName(std::string(1, static_cast<char>(c))), allowed) << c;
    EXPECT_EQ(validName("a" + std::string(1, static_cast<char>(c)) + "b"), allowed) << c;
  }
  Metadata bad = example();
  bad.agent = std::string("a\0b", 3);
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  bad = example();
  bad.regions[0].name = "../etc";
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
}

TEST(Metadata, RefusesRepeatedNamesAndImpossibleSizes) {
  Metadata bad = example();
  bad.rails[1] = bad.rails[0];
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  bad = example();
  bad.regions[1].name = bad.regions[0].name;
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  bad = example();
  bad.regions[1].serial = bad.regions[0].serial;
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  for (const uint64_t bytes : {uint64_t{0}, (uint64_t{1} << 53) + 1, UINT64_MAX}) {
    bad = example();
    bad.regions[0].bytes = bytes;
    EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID) << bytes;
  }
  bad = example();
  bad.rails[0].base_latency_ns = -1;
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  bad = example();
  bad.incarnation = 0;
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  bad = example();
  bad.rails.clear();
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  bad = example();
  bad.regions[0].key = std::string(KVSEAM_KEY_MAX + 1, 'k');
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
  bad = example();
  bad.address = std::string(KVSEAM_ADDRESS_MAX + 1, 'a');
  EXPECT_EQ(readCode(written(bad)), KVSEAM_METADATA_INVALID);
}

TEST(Metadata, RefusesAbsurdCountsBeforeItReservesForThem) {
  const std::string blob = written(example());
  // Counts stand where the rails and the regions begin.
  const size_t rails = 16 + 1 + 4 + 1 + 9 + 8 + 2 + 9;
  const size_t regions = rails + 2 + 2 * (1 + 4 + 16);
  for (const uint64_t count : {uint64_t{3}, uint64_t{257}, uint64_t{0xffff}}) {
    std::string bad = blob;
    putNumber(&bad, rails, count, 2);
    EXPECT_EQ(readCode(mended(bad)), KVSEAM_METADATA_INVALID) << count;
  }
  for (const uint64_t count : {uint64_t{3}, uint64_t{0x10000}, uint64_t{0xffffffff}}) {
    std::string bad = blob;
    putNumber(&bad, regions, count, 4);
    EXPECT_EQ(readCode(mended(bad)), KVSEAM_METADATA_INVALID) << count;
  }
}

TEST(Metadata, IsBoundedInSizeBothWays) {
  Metadata large = example();
  large.regions.clear();
  for (uint64_t i = 1; i <= 900; ++i)
    large.regions.push_back({i, 4096, "r" + std::to_string(i), std::string(KVSEAM_KEY_MAX, 'k')});
  EXPECT_EQ(readCode(written(large)), KVSEAM_OK);
  for (uint64_t i = 901; i <= 1100; ++i)
    large.regions.push_back({i, 4096, "r" + std::to_string(i), std::string(KVSEAM_KEY_MAX, 'k')});
  std::string blob;
  EXPECT_EQ(large.write(&blob).code(), KVSEAM_INVALID_ARGUMENT);
  EXPECT_EQ(readCode(std::string(Metadata::kMaxBytes + 1, 'x')), KVSEAM_METADATA_INVALID);
}

TEST(Metadata, CostsMemoryInProportionToItsSize) {
  Metadata many = example();
  many.regions.clear();
  // The most regions that fit, which is what costs most for its bytes.
  for (uint64_t i = 1; i <= 40'000; ++i) many.regions.push_back({i, 1, "r" + std::to_string(i), ""});
  const std::string blob = written(many);
  const size_t before = mallinfo2().uordblks;
  Metadata out;
  ASSERT_TRUE(read(blob, &out).ok());
  const size_t kept = mallinfo2().uordblks - before;
  // A sanitizer's allocator reports nothing here; then this checks nothing and the others still do.
  EXPECT_LE(kept, 16 * blob.size());
}

}  // namespace
}  // namespace kvseam
