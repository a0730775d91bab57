// Addresses and keys of the UCX backend: what was written is read back, and nothing damaged gets through to UCX.
#include "../backends/ucx/ucx_blob.h"

#include <gtest/gtest.h>

#include <random>

namespace kvseam::ucx {
namespace {

std::string written(const AddressBlob& blob) {
  std::string out(8192, '\0');
  auto bytes = static_cast<uint32_t>(out.size());
  EXPECT_TRUE(blob.write(reinterpret_cast<uint8_t*>(out.data()), &bytes).ok());
  out.resize(bytes);
  return out;
}

std::string written(const KeyBlob& blob) {
  std::string out(1024, '\0');
  auto bytes = static_cast<uint32_t>(out.size());
  EXPECT_TRUE(blob.write(reinterpret_cast<uint8_t*>(out.data()), &bytes).ok());
  out.resize(bytes);
  return out;
}

template <typename Blob>
Status readBack(const std::string& bytes, Blob* out) {
  return Blob::read(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), out);
}

KeyBlob someKey() {
  KeyBlob key;
  key.region = 7;
  key.address = 0x7f0000001000;
  key.bytes = 1 << 20;
  key.shared = {0x1234567890abcdef, 42, 4711, 17};
  key.rails = {std::string("\0\1\2", 3), "second"};
  return key;
}

TEST(UcxBlob, ReadsBackWhatItWrote) {
  AddressBlob address;
  address.rails = {std::string(50, 'a'), std::string("b\0c", 3)};
  AddressBlob addressBack;
  ASSERT_TRUE(readBack(written(address), &addressBack).ok());
  EXPECT_EQ(addressBack.rails, address.rails);
  KeyBlob keyBack;
  ASSERT_TRUE(readBack(written(someKey()), &keyBack).ok());
  EXPECT_EQ(keyBack.region, 7U);
  EXPECT_EQ(keyBack.address, someKey().address);
  EXPECT_EQ(keyBack.bytes, someKey().bytes);
  EXPECT_EQ(keyBack.rails, someKey().rails);
  EXPECT_EQ(keyBack.shared, someKey().shared);
  HelloBlob hello;
  hello.localRail = 1;
  hello.remoteRail = 2;
  hello.name = "prefill-0";
  hello.address = "addr";
  HelloBlob helloBack;
  ASSERT_TRUE(HelloBlob::read(hello.write(), &helloBack));
  EXPECT_EQ(helloBack.name, "prefill-0");
  EXPECT_EQ(helloBack.remoteRail, 2);
  WelcomeBlob welcome;
  welcome.newest = 9;
  welcome.offered = {1, 9};
  WelcomeBlob welcomeBack;
  ASSERT_TRUE(WelcomeBlob::read(welcome.write(), &welcomeBack));
  EXPECT_EQ(welcomeBack.offered, welcome.offered);
}

TEST(UcxBlob, EveryDamagedByteAndEveryShortLengthIsRefused) {
  const std::string good = written(someKey());
  KeyBlob out;
  for (size_t at = 0; at < good.size(); ++at) {
    EXPECT_FALSE(readBack(good.substr(0, at), &out).ok()) << at;
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = good;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const Status status = readBack(damaged, &out);
      EXPECT_TRUE(status.code() == KVSEAM_METADATA_INVALID || status.code() == KVSEAM_INCOMPATIBLE) << at;
    }
  }
  EXPECT_FALSE(readBack(good + "x", &out).ok());
  EXPECT_EQ(out.region, 0U);  // nothing is kept on failure
}

TEST(UcxBlob, MemoryThatCannotBeIsRefusedWithAGoodChecksumToo) {
  KeyBlob out;
  for (int way = 0; way < 4; ++way) {
    KeyBlob key = someKey();
    if (way == 0) key.region = 0;
    if (way == 1) key.address = 0;
    if (way == 2) key.bytes = 0;
    if (way == 3) key.address = UINT64_MAX - 4;
    EXPECT_EQ(readBack(written(key), &out).code(), KVSEAM_METADATA_INVALID) << way;
  }
  KeyBlob none = someKey();
  none.rails.clear();
  EXPECT_EQ(readBack(written(none), &out).code(), KVSEAM_METADATA_INVALID);
  KeyBlob empty = someKey();
  empty.rails[1].clear();
  EXPECT_EQ(readBack(written(empty), &out).code(), KVSEAM_METADATA_INVALID);
}

TEST(UcxBlob, ABlobThatDoesNotFitSaysSo) {
  KeyBlob key = someKey();
  key.rails.assign(16, std::string(100, 'k'));
  std::string out(1024, '\0');
  auto bytes = static_cast<uint32_t>(out.size());
  const Status status = key.write(reinterpret_cast<uint8_t*>(out.data()), &bytes);
  EXPECT_EQ(status.code(), KVSEAM_NOT_SUPPORTED);
  EXPECT_NE(status.text().find("fewer rails"), std::string::npos);
}

TEST(UcxBlob, NoiseIsNoHandshake) {
  std::mt19937 random(5);
  HelloBlob hello;
  WelcomeBlob welcome;
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string noise(random() % 64, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    accepted += HelloBlob::read(noise, &hello) ? 1 : 0;
    if (WelcomeBlob::read(noise, &welcome)) {
      EXPECT_EQ(welcome.offered.size() * 8 + 12, noise.size());
    }
  }
  EXPECT_LT(accepted, 100);
}

}  // namespace
}  // namespace kvseam::ucx
