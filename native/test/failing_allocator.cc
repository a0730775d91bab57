// operator new over malloc, and the count of those that are to fail.
#include "failing_allocator.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace kvseam {

namespace {

struct Countdown {
  std::atomic<int64_t> left{0};  // until the first that fails; 0: none does
  std::atomic<bool> lasting{false};
  std::atomic<bool> hit{false};

  void arm(int64_t nth, Shortage shortage) {
    hit = false;
    lasting = shortage == Shortage::kLasting;
    left = nth;
  }
  bool fails() {
    if (lasting && hit) return true;
    if (left == 0 || left.fetch_sub(1) != 1) return false;
    hit = true;
    return true;
  }
};

// Plain data alone may be thread_local here: what needs a constructor could allocate inside operator new.
thread_local int64_t hereLeft = 0;
thread_local bool hereLasting = false;
thread_local bool hereHit = false;
thread_local bool isHere = false;  // the thread of the shortage; not one of those elsewhere
Countdown elsewhere;
std::atomic<bool> elsewhereArmed{false};

bool fails() {
  if (hereLasting && hereHit) return true;
  if (hereLeft != 0) {
    hereLeft -= 1;
    hereHit = hereLeft == 0;
    if (hereHit) return true;
  }
  return elsewhereArmed.load() && !isHere && elsewhere.fails();
}

void* take(std::size_t bytes, std::size_t alignment) {
  if (fails()) return nullptr;
  // NOLINTNEXTLINE(cppcoreguidelines-no-malloc): this is what operator new stands on
  return std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
}

void* takeOrThrow(std::size_t bytes, std::size_t alignment) {
  void* const memory = take(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

constexpr std::size_t kUsual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

ShortageHere::ShortageHere(int64_t nth, Shortage shortage) {
  hereHit = false;
  hereLasting = shortage == Shortage::kLasting;
  hereLeft = nth;
}

ShortageHere::~ShortageHere() {
  hereLeft = 0;
  hereLasting = hereHit = false;
}

bool ShortageHere::hit() const { return hereHit; }

ShortageElsewhere::ShortageElsewhere(int64_t nth, Shortage shortage) {
  isHere = true;
  elsewhere.arm(nth, shortage);
  elsewhereArmed = true;
}

ShortageElsewhere::~ShortageElsewhere() { elsewhereArmed = false; }

bool ShortageElsewhere::hit() const { return elsewhere.hit; }

}  // namespace kvseam

using kvseam::kUsual;
using kvseam::take;
using kvseam::takeOrThrow;

// NOLINTBEGIN(cppcoreguidelines-no-malloc): the other half of the above
void* operator new(std::size_t bytes) { return takeOrThrow(bytes, kUsual); }
void* operator new[](std::size_t bytes) { return takeOrThrow(bytes, kUsual); }
void* operator new(std::size_t bytes, std::align_val_t to) { return takeOrThrow(bytes, static_cast<std::size_t>(to)); }
void* operator new[](std::size_t bytes, std::align_val_t to) {
  return takeOrThrow(bytes, static_cast<std::size_t>(to));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return take(bytes, kUsual); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return take(bytes, kUsual); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc)
