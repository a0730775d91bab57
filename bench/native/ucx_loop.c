// The honest peer of the ucx backend: the same library, settings, memory, windows and shuffled blocks in a plain C loop
// between two processes, without permits, notifications to an application, deadlines or signs of life. Prints JSON.
// cc -O2 -o ucx_loop bench/native/ucx_loop.c $(pkg-config --cflags --libs ucx)
// With a pause it spins for that long before each round, as a caller does that has other things to do: caches get cold.
// ucx_loop <tcp|posix,cma> <net device|all> <put|get|am> <block bytes> <blocks> <rounds> [window] [pause us]

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

enum { kDone = 1, kAck = 2, kBlock = 3, kMaxBlob = 4096 };

static ucp_context_h context;
static ucp_worker_h worker;
static ucp_ep_h endpoint;
static uint8_t* memory;
static uint64_t acks, dones, arrived, outstanding;

static void must(ucs_status_t status, const char* what) {
  if (status == UCS_OK) return;
  fprintf(stderr, "ucx_loop: %s: %s\n", what, ucs_status_string(status));
  exit(1);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static ucs_status_t on_message(void* arg, const void* header, size_t header_bytes, void* data, size_t bytes, const ucp_am_recv_param_t* param) {
  (void)param;
  switch ((intptr_t)arg) {
    case kDone:
      ++dones;
      break;
    case kAck:
      ++acks;
      break;
    case kBlock: {
      uint64_t offset;
      if (header_bytes != sizeof(offset)) exit(1);
      memcpy(&offset, header, sizeof(offset));
      memcpy(memory + offset, data, bytes);
      ++arrived;
      break;
    }
  }
  return UCS_OK;
}

static void on_over(void* request, ucs_status_t status, void* arg) {
  (void)arg;
  must(status, "an operation");
  --outstanding;
  ucp_request_free(request);
}

static void count(void* request) {
  if (UCS_PTR_IS_ERR(request)) must(UCS_PTR_STATUS(request), "a post");
  if (request != NULL) ++outstanding;
}

static void wait_below(uint64_t window) {
  while (outstanding >= window) ucp_worker_progress(worker);
}

static const ucp_request_param_t callback = {.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_FLAGS, .cb.send = on_over, .flags = UCP_AM_SEND_FLAG_EAGER};
static const ucp_request_param_t plain = {.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK, .cb.send = on_over};

static void say(int id) {
  count(ucp_am_send_nbx(endpoint, id, NULL, 0, NULL, 0, &callback));
  wait_below(1);
}

static void send_blob(int fd, const void* data, uint32_t bytes) {
  if (write(fd, &bytes, sizeof(bytes)) != sizeof(bytes) || write(fd, data, bytes) != (ssize_t)bytes) exit(1);
}

static void take_blob(int fd, void* data) {
  uint32_t bytes;
  if (read(fd, &bytes, sizeof(bytes)) != sizeof(bytes) || bytes > kMaxBlob || read(fd, data, bytes) != (ssize_t)bytes) exit(1);
}

static ucp_mem_h open_side(const char* transport, const char* device, uint64_t bytes) {
  ucp_config_t* config;
  must(ucp_config_read(NULL, NULL, &config), "ucp_config_read");
  must(ucp_config_modify(config, "TLS", transport), "TLS");
  if (strcmp(device, "all") != 0) must(ucp_config_modify(config, "NET_DEVICES", device), "NET_DEVICES");
  const ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES, .features = UCP_FEATURE_RMA | UCP_FEATURE_AM};
  must(ucp_init(&params, config, &context), "ucp_init");
  ucp_config_release(config);
  const ucp_worker_params_t worker_params = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE, .thread_mode = UCS_THREAD_MODE_SINGLE};
  must(ucp_worker_create(context, &worker_params, &worker), "ucp_worker_create");
  for (int id = kDone; id <= kBlock; ++id) {
    const ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG | UCP_AM_HANDLER_PARAM_FIELD_FLAGS,
        .id = id, .cb = on_message, .arg = (void*)(intptr_t)id, .flags = UCP_AM_FLAG_WHOLE_MSG};
    must(ucp_worker_set_am_recv_handler(worker, &handler), "a handler");
  }
  const ucp_mem_map_params_t map = {.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS, .length = bytes, .flags = UCP_MEM_MAP_ALLOCATE};
  ucp_mem_h handle;
  must(ucp_mem_map(context, &map, &handle), "ucp_mem_map");
  ucp_mem_attr_t attributes = {.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS};
  must(ucp_mem_query(handle, &attributes), "ucp_mem_query");
  memory = attributes.address;
  memset(memory, 1, bytes);
  return handle;
}

static void meet(int in, int out) {
  ucp_address_t* address;
  size_t bytes;
  must(ucp_worker_get_address(worker, &address, &bytes), "ucp_worker_get_address");
  send_blob(out, address, (uint32_t)bytes);
  static uint8_t theirs[kMaxBlob];
  take_blob(in, theirs);
  const ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE,
                                  .address = (ucp_address_t*)theirs, .err_mode = UCP_ERR_HANDLING_MODE_PEER};
  must(ucp_ep_create(worker, &params, &endpoint), "ucp_ep_create");
}

static void shuffle(uint32_t* ids, uint32_t n, uint64_t seed) {
  for (uint32_t i = 0; i < n; ++i) ids[i] = i;
  for (uint32_t i = n - 1; i > 0; --i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const uint32_t j = (uint32_t)((seed >> 33) % (i + 1));
    const uint32_t t = ids[i];
    ids[i] = ids[j];
    ids[j] = t;
  }
}

static void serve(uint64_t blocks, uint64_t rounds, int am) {
  for (uint64_t round = 1; round <= rounds; ++round) {
    while (dones < round || (am && arrived < blocks * round)) ucp_worker_progress(worker);
    say(kAck);
  }
  // Gets are served by progress until the client says so once more.
  while (dones < rounds + 1) ucp_worker_progress(worker);
}

int main(int argc, char** argv) {
  if (argc < 7) return fprintf(stderr, "ucx_loop <tls> <device|all> <put|get|am> <block bytes> <blocks> <rounds> [window] [pause us]\n"), 2;
  const char* op = argv[3];
  const uint64_t block = strtoull(argv[4], NULL, 10), blocks = strtoull(argv[5], NULL, 10), rounds = strtoull(argv[6], NULL, 10);
  const uint64_t window = argc > 7 ? strtoull(argv[7], NULL, 10) : 64;
  const int64_t pause_us = argc > 8 ? strtoll(argv[8], NULL, 10) : 0;
  const int getting = strcmp(op, "get") == 0, am = strcmp(op, "am") == 0;
  int down[2], up[2];
  if (pipe(down) != 0 || pipe(up) != 0) return 1;
  const pid_t child = fork();
  const int in = child == 0 ? down[0] : up[0], out = child == 0 ? up[1] : down[1];
  ucp_mem_h handle = open_side(argv[1], argv[2], block * blocks);
  meet(in, out);
  if (child == 0) {
    void* packed;
    size_t bytes;
    must(ucp_rkey_pack(context, handle, &packed, &bytes), "ucp_rkey_pack");
    send_blob(out, packed, (uint32_t)bytes);
    send_blob(out, &memory, sizeof(memory));
    serve(blocks, getting ? 0 : rounds, am);
    _exit(0);
  }
  static uint8_t packed[kMaxBlob];
  take_blob(in, packed);
  uint64_t theirs;
  take_blob(in, &theirs);
  ucp_rkey_h key;
  must(ucp_ep_rkey_unpack(endpoint, packed, &key), "ucp_ep_rkey_unpack");
  uint32_t* from = malloc(blocks * sizeof(*from));
  uint32_t* to = malloc(blocks * sizeof(*to));
  uint64_t* offsets = malloc(blocks * sizeof(*offsets));
  shuffle(from, (uint32_t)blocks, 1);
  shuffle(to, (uint32_t)blocks, 2);
  printf("{\"ucx\":\"%s\",\"tls\":\"%s\",\"op\":\"%s\",\"block\":%lu,\"blocks\":%lu,\"window\":%lu,\"pauseUs\":%ld,\"ns\":[", ucp_get_version_string(), argv[1], op, block, blocks, window, (long)pause_us);
  for (uint64_t round = 0; round < rounds; ++round) {
    for (const int64_t until = now() + pause_us * 1000; now() < until;) continue;
    const int64_t start = now();
    for (uint64_t i = 0; i < blocks; ++i) {
      uint8_t* here = memory + from[i] * block;
      const uint64_t there = theirs + to[i] * block;
      wait_below(window);
      if (getting) {
        count(ucp_get_nbx(endpoint, here, block, there, key, &plain));
      } else if (am) {
        offsets[i] = to[i] * block;
        count(ucp_am_send_nbx(endpoint, kBlock, &offsets[i], sizeof(offsets[i]), here, block, &callback));
      } else {
        count(ucp_put_nbx(endpoint, here, block, there, key, &plain));
      }
    }
    wait_below(1);
    if (!getting) {
      if (!am) {
        count(ucp_ep_flush_nbx(endpoint, &plain));
        wait_below(1);
      }
      say(kDone);
      while (acks <= round) ucp_worker_progress(worker);
    }
    printf("%s%ld", round == 0 ? "" : ",", (long)(now() - start));
  }
  printf("]}\n");
  fflush(stdout);
  say(kDone);
  int status;
  waitpid(child, &status, 0);
  _exit(0);  // what is open ends with the process
}
