// What the machine itself can do with the same blocks: memcpy, and one TCP stream over loopback.
// plain_peer memcpy|tcp BLOCK_BYTES BLOCKS POOL_BLOCKS SECONDS SEED
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handoff.h"

enum { kBlocksAWrite = 256 };

static void run_memcpy(const handoff* it) {
  uint8_t* const source = pool_of(pool_bytes(it));
  uint8_t* const target = pool_of(pool_bytes(it));
  uint64_t handoffs = 0;
  const int64_t start = now_ns();
  const int64_t end = start + (int64_t)(it->seconds * 1e9);
  do {
    const size_t first = first_of(it, handoffs);
    for (size_t i = first; i < first + it->blocks; ++i) {
      memcpy(target + it->to[i] * it->block_bytes, source + it->from[i] * it->block_bytes, it->block_bytes);
    }
    __asm__ volatile("" : : "r"(target) : "memory");  // the copies are the point, whoever reads them
    ++handoffs;
  } while (now_ns() < end);
  report(it, handoffs, now_ns() - start);
}

/** Reads or writes all blocks of one side; false at the end of the stream. */
static int move_blocks(int socket, uint8_t* pool, const uint32_t* order, const handoff* it, int sending) {
  struct iovec runs[kBlocksAWrite];
  for (size_t first = 0; first < it->blocks;) {
    size_t count = 0;
    for (; count < kBlocksAWrite && first + count < it->blocks; ++count) {
      runs[count].iov_base = pool + order[first + count] * it->block_bytes;
      runs[count].iov_len = it->block_bytes;
    }
    first += count;
    struct iovec* at = runs;
    while (count > 0) {
      const ssize_t moved = sending ? writev(socket, at, (int)count) : readv(socket, at, (int)count);
      if (moved == 0) return 0;
      if (moved < 0) {
        if (errno == EINTR) continue;
        die(sending ? "writev" : "readv");
      }
      size_t left = (size_t)moved;
      while (count > 0 && left >= at->iov_len) {
        left -= at->iov_len;
        ++at;
        --count;
      }
      if (count > 0) {
        at->iov_base = (uint8_t*)at->iov_base + left;
        at->iov_len -= left;
      }
    }
  }
  return 1;
}

static void receive(int socket, const handoff* it) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  uint8_t* const pool = pool_of(pool_bytes(it));
  const char ready = 'r';
  if (write(socket, &ready, 1) != 1) exit(1);
  for (uint64_t number = 0; move_blocks(socket, pool, it->to + first_of(it, number), it, 0); ++number) {
    if (write(socket, &ready, 1) != 1) exit(1);
  }
  exit(0);
}

static void run_tcp(const handoff* it) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof(address);
  if (bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 1) != 0) die("listen");
  if (getsockname(listener, (struct sockaddr*)&address, &length) != 0) die("getsockname");
  const pid_t child = fork();
  if (child < 0) die("fork");
  const int one = 1;
  if (child == 0) {
    const int far = accept(listener, NULL, NULL);
    setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    receive(far, it);
  }
  const int near = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(near, (struct sockaddr*)&address, length) != 0) die("connect");
  setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  uint8_t* const pool = pool_of(pool_bytes(it));
  char said = 0;
  if (read(near, &said, 1) != 1) die("read");
  uint64_t handoffs = 0;
  const int64_t start = now_ns();
  const int64_t end = start + (int64_t)(it->seconds * 1e9);
  do {
    move_blocks(near, pool, it->from + first_of(it, handoffs), it, 1);
    if (read(near, &said, 1) != 1) die("read");
    ++handoffs;
  } while (now_ns() < end);
  report(it, handoffs, now_ns() - start);
  close(near);
  waitpid(child, NULL, 0);
}

int main(int count, char** words) {
  if (count != 7) {
    fprintf(stderr, "usage: plain_peer memcpy|tcp BLOCK_BYTES BLOCKS POOL_BLOCKS SECONDS SEED\n");
    return 2;
  }
  const handoff it = read_handoff(words + 2);
  if (strcmp(words[1], "memcpy") == 0) {
    run_memcpy(&it);
  } else if (strcmp(words[1], "tcp") == 0) {
    run_tcp(&it);
  } else {
    fprintf(stderr, "%s is neither memcpy nor tcp\n", words[1]);
    return 2;
  }
  return 0;
}
