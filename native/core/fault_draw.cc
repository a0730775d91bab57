// Counter-based draws and integer distributions.
#include "fault_draw.h"

#include <algorithm>
#include <array>

#include "fault_scan.h"

namespace kvseam {

namespace {

using Wide = unsigned __int128;

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr uint64_t kLn2Q32 = 2977044472;  // ln 2 * 2^32, rounded

constexpr uint64_t mix(uint64_t word) {
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

constexpr uint64_t highProduct(uint64_t a, uint64_t b) { return static_cast<uint64_t>(static_cast<Wide>(a) * b >> 64); }

constexpr uint64_t squareRoot(Wide value) {
  uint64_t root = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const uint64_t tried = root | uint64_t{1} << bit;
    if (static_cast<Wide>(tried) * tried <= value) root = tried;
  }
  return root;
}

/** 2^(2^-(i+1)) with 62 fractional bits, i = 0 .. 31. */
constexpr std::array<uint64_t, 32> kRoots = [] {
  std::array<uint64_t, 32> roots{};
  uint64_t last = uint64_t{2} << 62;
  for (uint64_t& root : roots) {
    root = last = squareRoot(static_cast<Wide>(last) << 62);
  }
  return roots;
}();

int64_t bounded(uint64_t ns) {
  return static_cast<int64_t>(std::min(ns, static_cast<uint64_t>(FaultScan::kMaxDurationNs)));
}

}  // namespace

FaultDraw::FaultDraw(uint64_t seed, uint32_t rule, uint32_t step, uint64_t path, FaultOp op, uint64_t number) {
  key_ = mix(seed + kGolden);
  for (const uint64_t part : {uint64_t{rule} << 32 | step, path, uint64_t{static_cast<uint32_t>(op)}, number}) {
    key_ = mix((key_ ^ part) + kGolden);
  }
}

uint64_t FaultDraw::word(uint64_t index) const { return mix(key_ + (index + 1) * kGolden); }

uint64_t FaultDraw::below(uint64_t index, uint64_t bound) const { return highProduct(word(index), bound); }

uint64_t FaultDraw::hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mix(hash);
}

int64_t FaultDraw::time(const FaultDist& dist) const {
  const auto a = static_cast<uint64_t>(dist.a);
  const auto b = static_cast<uint64_t>(dist.b);
  switch (dist.kind) {
    case FaultDist::Kind::kFixed:
      return dist.a;
    case FaultDist::Kind::kUniform:
      return bounded(a + below(kTime, b - a + 1));
    case FaultDist::Kind::kNormal: {
      int64_t sum = -(int64_t{6} << 32);
      for (uint64_t i = 0; i < 6; ++i)
        sum += static_cast<int64_t>((word(kTime + i) >> 32) + (word(kTime + i) & 0xffffffff));
      const __int128 drawn = static_cast<__int128>(dist.a) + (static_cast<__int128>(dist.b) * sum) / (int64_t{1} << 32);
      return drawn <= 0 ? 0 : bounded(static_cast<uint64_t>(drawn));
    }
    case FaultDist::Kind::kExp: {
      const Wide minusLn = static_cast<Wide>(minusLog2(static_cast<uint32_t>(word(kTime)))) * kLn2Q32 >> 32;
      return bounded(static_cast<uint64_t>(std::min<Wide>(static_cast<Wide>(a) * minusLn >> 32, UINT64_MAX)));
    }
    case FaultDist::Kind::kPareto: {
      const Wide exponent = static_cast<Wide>(minusLog2(static_cast<uint32_t>(word(kTime)))) * 1000 / dist.shapeMilli;
      return bounded(powerOfTwo(static_cast<uint64_t>(exponent), a));
    }
    case FaultDist::Kind::kBimodal:
      return below(kTime, FaultStep::kAlways) < dist.secondPpb ? dist.b : dist.a;
  }
  return 0;
}

// log2 of y in [1, 2): squaring doubles the logarithm, and each time the square reaches 2 the next bit is a one.
uint64_t minusLog2(uint32_t word) {
  const uint64_t odd = uint64_t{word} * 2 + 1;  // (word + 0.5) * 2, at most 2^33 - 1
  const int whole = 63 - __builtin_clzll(odd);
  uint64_t y = odd << (62 - whole);  // [1, 2) with 62 fractional bits
  uint64_t fraction = 0;
  for (int bit = 0; bit < 32; ++bit) {
    const Wide square = static_cast<Wide>(y) * y;
    fraction <<= 1;
    if (square >> 125 != 0) {
      fraction |= 1;
      y = static_cast<uint64_t>(square >> 63);
    } else {
      y = static_cast<uint64_t>(square >> 62);
    }
  }
  return (uint64_t{33} << 32) - ((static_cast<uint64_t>(whole) << 32) + fraction);
}

uint64_t powerOfTwo(uint64_t exponent, uint64_t times) {
  uint64_t y = uint64_t{1} << 62;
  for (int bit = 0; bit < 32; ++bit) {
    if ((exponent >> (31 - bit) & 1) != 0)
      y = static_cast<uint64_t>(static_cast<Wide>(y) * kRoots[static_cast<size_t>(bit)] >> 62);
  }
  const uint64_t whole = exponent >> 32;
  if (whole >= 63) return uint64_t{1} << 63;
  const Wide scaled = static_cast<Wide>(times) * y >> 62;  // below 2^65 for any time that the language has
  if (scaled >> (63 - whole) != 0) return uint64_t{1} << 63;
  return static_cast<uint64_t>(scaled << whole);
}

}  // namespace kvseam
