// What the native peers have in common: one handoff is a list of blocks in shuffled order on both sides, timed until
// the far side has said that all of them are in place. Plain C, so that nothing of kvseam is in what kvseam is compared
// with.
#ifndef KVSEAM_BENCH_HANDOFF_H_
#define KVSEAM_BENCH_HANDOFF_H_

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef struct handoff {
  size_t block_bytes;
  size_t blocks;
  size_t pool_blocks;  // of either side; the next handoff takes the next blocks, so that memory and not the cache is
                       // measured
  double seconds;      // how long to repeat it
  uint32_t* from;      // block numbers at the source
  uint32_t* to;        // block numbers at the destination
} handoff;

static inline int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void die(const char* what) {
  perror(what);
  exit(1);
}

/** Shared with a child that is forked later, and touched, since first touches are several times slower. */
static inline uint8_t* pool_of(size_t bytes) {
  uint8_t* const pool = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (pool == MAP_FAILED) die("mmap");
  memset(pool, 1, bytes);
  return pool;
}

static inline uint32_t* shuffled(size_t count, uint64_t seed) {
  uint32_t* const order = malloc(count * sizeof(uint32_t));
  if (order == NULL) die("malloc");
  for (size_t i = 0; i < count; ++i) order[i] = (uint32_t)i;
  for (size_t i = count; i > 1; --i) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's MMIX generator; any order will do
    const size_t j = (size_t)((seed >> 33) % i);
    const uint32_t swap = order[i - 1];
    order[i - 1] = order[j];
    order[j] = swap;
  }
  return order;
}

static inline handoff read_handoff(char** words) {
  handoff it;
  it.block_bytes = strtoull(words[0], NULL, 10);
  it.blocks = strtoull(words[1], NULL, 10);
  it.pool_blocks = strtoull(words[2], NULL, 10);
  it.seconds = strtod(words[3], NULL);
  if (it.block_bytes == 0 || it.blocks == 0 || it.pool_blocks < it.blocks || it.seconds <= 0) {
    fprintf(stderr, "block bytes, blocks and seconds must be above 0, and the pool must hold one handoff\n");
    exit(2);
  }
  const uint64_t seed = strtoull(words[4], NULL, 10);
  it.from = shuffled(it.pool_blocks, seed);
  it.to = shuffled(it.pool_blocks, seed + 1);
  return it;
}

/** Where handoff `number` begins in `from` and `to`. */
static inline size_t first_of(const handoff* it, uint64_t number) {
  return (size_t)(number % (it->pool_blocks / it->blocks)) * it->blocks;
}

static inline size_t pool_bytes(const handoff* it) { return it->pool_blocks * it->block_bytes; }

static inline void report(const handoff* it, uint64_t handoffs, int64_t ns) {
  printf("{\"handoffs\":%llu,\"bytesPerSecond\":%.0f,\"nsPerHandoff\":%.0f}\n", (unsigned long long)handoffs,
         (double)handoffs * (double)it->blocks * (double)it->block_bytes * 1e9 / (double)ns,
         (double)ns / (double)handoffs);
}

#endif  // KVSEAM_BENCH_HANDOFF_H_
