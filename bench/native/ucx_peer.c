// The honest peer: the same blocks through UCP, from C, with nothing else around it. Put, flush and an acknowledged
// message; or get, where the reader knows. UCX's own environment variables choose transport and device. ucx_peer
// put|get BLOCK_BYTES BLOCKS POOL_BLOCKS SECONDS SEED [WINDOW]
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include "handoff.h"

enum { kDone = 1, kAck = 2, kStop = 3 };
static const int64_t kStuckNs = 30000000000;

typedef struct side {
  ucp_context_h context;
  ucp_worker_h worker;
  ucp_ep_h peer;
  ucp_mem_h memory;
  uint8_t* pool;
  volatile int done;  // messages that came and have not been dealt with
  volatile int acks;
  volatile int stop;
} side;

static void need(ucs_status_t status, const char* what) {
  if (status == UCS_OK) return;
  fprintf(stderr, "%s: %s\n", what, ucs_status_string(status));
  exit(1);
}

static ucs_status_t on_message(void* argument, const void* header, size_t header_bytes, void* data, size_t bytes,
                               const ucp_am_recv_param_t* param) {
  (void)header, (void)header_bytes, (void)bytes, (void)param;
  side* const self = argument;
  switch (*(const char*)data) {
    case kDone:
      ++self->done;
      break;
    case kAck:
      ++self->acks;
      break;
    default:
      self->stop = 1;
  }
  return UCS_OK;
}

static void open_side(side* self, size_t bytes) {
  ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES, .features = UCP_FEATURE_RMA | UCP_FEATURE_AM};
  ucp_config_t* config = NULL;
  need(ucp_config_read(NULL, NULL, &config), "ucp_config_read");
  need(ucp_init(&params, config, &self->context), "ucp_init");
  ucp_config_release(config);
  ucp_worker_params_t worker = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                .thread_mode = UCS_THREAD_MODE_SINGLE};
  need(ucp_worker_create(self->context, &worker, &self->worker), "ucp_worker_create");
  ucp_am_handler_param_t handler = {
      .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
      .id = 0,
      .cb = on_message,
      .arg = self};
  need(ucp_worker_set_am_recv_handler(self->worker, &handler), "ucp_worker_set_am_recv_handler");
  // Allocated by UCX, which lets a shared-memory transport map it directly.
  ucp_mem_map_params_t map = {.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS,
                              .length = bytes,
                              .flags = UCP_MEM_MAP_ALLOCATE};
  need(ucp_mem_map(self->context, &map, &self->memory), "ucp_mem_map");
  ucp_mem_attr_t attributes = {.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS};
  need(ucp_mem_query(self->memory, &attributes), "ucp_mem_query");
  self->pool = attributes.address;
  memset(self->pool, 1, bytes);
}

static void send_all(int socket, const void* data, size_t bytes) {
  for (size_t sent = 0; sent < bytes;) {
    const ssize_t moved = write(socket, (const char*)data + sent, bytes - sent);
    if (moved <= 0) die("write");
    sent += (size_t)moved;
  }
}

static void read_all(int socket, void* data, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    const ssize_t moved = read(socket, (char*)data + got, bytes - got);
    if (moved <= 0) die("read");
    got += (size_t)moved;
  }
}

static void tell(int socket, const void* data, size_t bytes) {
  send_all(socket, &bytes, sizeof(bytes));
  send_all(socket, data, bytes);
}

static void* hear(int socket) {
  size_t bytes = 0;
  read_all(socket, &bytes, sizeof(bytes));
  void* const data = malloc(bytes);
  if (data == NULL) die("malloc");
  read_all(socket, data, bytes);
  return data;
}

/** Each side tells its worker's address and opens an endpoint to the other's. */
static void meet(side* self, int socket) {
  ucp_address_t* own = NULL;
  size_t bytes = 0;
  need(ucp_worker_get_address(self->worker, &own, &bytes), "ucp_worker_get_address");
  tell(socket, own, bytes);
  ucp_worker_release_address(self->worker, own);
  ucp_address_t* const theirs = hear(socket);
  ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS, .address = theirs};
  need(ucp_ep_create(self->worker, &params, &self->peer), "ucp_ep_create");
  free(theirs);
}

/** A null request is one that was done at once. */
static int finished(void* request) {
  if (request == NULL) return 1;
  if (UCS_PTR_IS_ERR(request)) need(UCS_PTR_STATUS(request), "operation");
  const ucs_status_t status = ucp_request_check_status(request);
  if (status == UCS_INPROGRESS) return 0;
  need(status, "operation");
  ucp_request_free(request);
  return 1;
}

static void wait_for(side* self, void* request) {
  const int64_t stuck = now_ns() + kStuckNs;
  while (!finished(request)) {
    ucp_worker_progress(self->worker);
    if (now_ns() > stuck) die("stuck");
  }
}

static void say(side* self, char what) {
  ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS, .flags = UCP_AM_SEND_FLAG_EAGER};
  static char said;
  said = what;
  wait_for(self, ucp_am_send_nbx(self->peer, 0, NULL, 0, &said, 1, &param));
}

static void answer(side* self, int socket, const handoff* it) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  open_side(self, pool_bytes(it));
  meet(self, socket);
  void* key = NULL;
  size_t key_bytes = 0;
  need(ucp_rkey_pack(self->context, self->memory, &key, &key_bytes), "ucp_rkey_pack");
  const uint64_t address = (uint64_t)(uintptr_t)self->pool;
  tell(socket, &address, sizeof(address));
  tell(socket, key, key_bytes);
  ucp_rkey_buffer_release(key);
  while (!self->stop) {
    ucp_worker_progress(self->worker);
    if (self->done == 0) continue;
    --self->done;
    say(self, kAck);
  }
  _exit(0);  // the benchmark is over: nothing here is worth an orderly end
}

static void one_handoff(side* self, const handoff* it, uint64_t number, int put, uint64_t base, ucp_rkey_h key,
                        void** window, size_t wide) {
  const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_MEMH, .memh = self->memory};
  const size_t first = first_of(it, number);
  for (size_t i = first; i < first + it->blocks; ++i) {
    uint8_t* const near = self->pool + (put ? it->from[i] : it->to[i]) * it->block_bytes;
    const uint64_t far = base + (put ? it->to[i] : it->from[i]) * it->block_bytes;
    wait_for(self, window[i % wide]);
    window[i % wide] = put ? ucp_put_nbx(self->peer, near, it->block_bytes, far, key, &param)
                           : ucp_get_nbx(self->peer, near, it->block_bytes, far, key, &param);
  }
  for (size_t i = 0; i < wide; ++i) {
    wait_for(self, window[i]);
    window[i] = NULL;
  }
  if (!put) return;
  const ucp_request_param_t none = {0};
  wait_for(self, ucp_ep_flush_nbx(self->peer, &none));
  say(self, kDone);
  const int64_t stuck = now_ns() + kStuckNs;
  while (self->acks == 0) {
    ucp_worker_progress(self->worker);
    if (now_ns() > stuck) die("stuck");
  }
  --self->acks;
}

int main(int count, char** words) {
  if (count < 7) {
    fprintf(stderr, "usage: ucx_peer put|get BLOCK_BYTES BLOCKS POOL_BLOCKS SECONDS SEED [WINDOW]\n");
    return 2;
  }
  const int put = strcmp(words[1], "get") != 0;
  const handoff it = read_handoff(words + 2);
  const size_t wide = count > 7 ? strtoull(words[7], NULL, 10) : 64;
  void** const window = calloc(wide, sizeof(void*));
  int sockets[2];
  if (window == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) die("set-up");
  side self;
  memset(&self, 0, sizeof(self));
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) answer(&self, sockets[1], &it);
  open_side(&self, pool_bytes(&it));
  meet(&self, sockets[0]);
  uint64_t* const base = hear(sockets[0]);
  void* const packed = hear(sockets[0]);
  ucp_rkey_h key = NULL;
  need(ucp_ep_rkey_unpack(self.peer, packed, &key), "ucp_ep_rkey_unpack");
  one_handoff(&self, &it, 0, put, *base, key, window, wide);  // connects
  uint64_t handoffs = 0;
  const int64_t start = now_ns();
  const int64_t end = start + (int64_t)(it.seconds * 1e9);
  do {
    one_handoff(&self, &it, handoffs, put, *base, key, window, wide);
    ++handoffs;
  } while (now_ns() < end);
  report(&it, handoffs, now_ns() - start);
  fflush(stdout);
  say(&self, kStop);
  const int64_t stuck = now_ns() + 1000000000;
  while (waitpid(child, NULL, WNOHANG) == 0) {
    ucp_worker_progress(self.worker);  // what was said may still be on its way
    if (now_ns() > stuck) kill(child, SIGKILL);
  }
  _exit(0);
}
