// The one contract between the engine and whatever moves the bytes: a C table, so that a backend can be a shared
// object opened at run time and built with another compiler. Backends move bytes; they judge nothing.
//
// Rules every backend keeps:
//  - Completion order means nothing. One completion event for each accepted post, and it means three things at once:
//    the operation is over, the bytes have arrived at their destination (when the code is KVSEAM_OK), and no thread or
//    device will touch the memory again. A backend earns that with a flush, delivery-complete or an acknowledgement.
//  - A notification that rides on an operation is delivered to the peer only after the operation's bytes are visible.
//  - `cancel` is a request. The completion still comes, once, when the memory is no longer touched; if it never comes
//    the engine quarantines the memory. A backend that cannot abort one operation fences the endpoint instead.
//  - No exception crosses this table. Nothing here blocks without a bound.
// Threads: capabilities, rails, describe and the memory group (register to drop_key) may be called from any thread
// while another polls; open comes before that thread starts and destroy after it ended; all other calls are that
// thread's only.
#ifndef KVSEAM_CORE_BACKEND_H_
#define KVSEAM_CORE_BACKEND_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KVSEAM_BACKEND_API_VERSION 1u
// Symbol that a shared object `kvseam_<name>.so` exports: const kvseam_backend_api* kvseam_backend_entry(void)
#define KVSEAM_BACKEND_ENTRY "kvseam_backend_entry"

// Status codes; the order is part of the contract, new ones go to the end.
// clang-format off: it indents every second name further and never agrees with itself.
#define KVSEAM_CODES(X)   \
  X(OK)                   \
  X(INVALID_ARGUMENT)     \
  X(OUT_OF_BOUNDS)        \
  X(INVALID_DESCRIPTOR)   \
  X(CLOSED)               \
  X(STALE_REGION)         \
  X(FOREIGN_REGION)       \
  X(REGION_BUSY)          \
  X(REGISTRATION_FAILED)  \
  X(NO_MEMORY)            \
  X(QUEUE_FULL)           \
  X(TIMEOUT)              \
  X(CANCELLED)            \
  X(PEER_DOWN)            \
  X(STALE_EPOCH)          \
  X(TRANSFER_FAILED)      \
  X(INTEGRITY)            \
  X(METADATA_INVALID)     \
  X(INCOMPATIBLE)         \
  X(NOT_SUPPORTED)        \
  X(BACKEND_UNAVAILABLE)  \
  X(PERMIT_INVALID)       \
  X(NO_PATH)              \
  X(FAULTS_SYNTAX)        \
  X(FAULTS_REFUSED)
// clang-format on

typedef enum kvseam_code {
#define KVSEAM_CODE_ENUM(name) KVSEAM_##name,
  KVSEAM_CODES(KVSEAM_CODE_ENUM)
#undef KVSEAM_CODE_ENUM
      KVSEAM_CODE_COUNT
} kvseam_code;

// Which side a failure is charged to; only `path` may hurt a path's health.
#define KVSEAM_BLAMES(X) X(none) X(path) X(peer) X(pool) X(local) X(protocol) X(cancelled)

typedef enum kvseam_blame {
#define KVSEAM_BLAME_ENUM(name) KVSEAM_BLAME_##name,
  KVSEAM_BLAMES(KVSEAM_BLAME_ENUM)
#undef KVSEAM_BLAME_ENUM
      KVSEAM_BLAME_COUNT
} kvseam_blame;

typedef struct kvseam_status {
  int32_t code;          // kvseam_code
  int32_t blame;         // kvseam_blame
  int64_t backend_code;  // the transport's own number, 0 when it has none
  char text[232];        // what happened, NUL-terminated; empty on success
} kvseam_status;

typedef enum kvseam_op_kind { KVSEAM_OP_READ = 1, KVSEAM_OP_WRITE = 2, KVSEAM_OP_NOTIFY = 4 } kvseam_op_kind;
// A probe is an ordinary operation for a backend; only who keeps figures or injects faults tells it from a payload.
typedef enum kvseam_op_flag {
  KVSEAM_OP_FLAG_PROBE = 1,    // a measurement made for its own sake, over memory of its own
  KVSEAM_OP_FLAG_INBOUND = 2,  // of a probe: the probed path leads to this agent, whichever way these bytes go
} kvseam_op_flag;
typedef enum kvseam_label { KVSEAM_LABEL_MOCK = 0, KVSEAM_LABEL_EMULATED = 1, KVSEAM_LABEL_REAL = 2 } kvseam_label;
typedef enum kvseam_memory_kind { KVSEAM_MEMORY_HOST = 1, KVSEAM_MEMORY_NEURON = 2 } kvseam_memory_kind;

enum { KVSEAM_NAME_MAX = 64, KVSEAM_KEY_MAX = 1024, KVSEAM_ADDRESS_MAX = 8192, KVSEAM_NOTIFY_MAX = 32768 };

typedef struct kvseam_backend kvseam_backend;  // one opened endpoint set of one agent

typedef struct kvseam_rail {
  char name[KVSEAM_NAME_MAX];    // unique within the agent
  char device[KVSEAM_NAME_MAX];  // what the backend opens for it; empty = the backend's choice
  uint64_t bytes_per_second;     // mock: modelled rate, 0 = as fast as memory; others: nominal, 0 = unknown
  int64_t base_latency_ns;       // mock: modelled one-way latency; others: 0
} kvseam_rail;

typedef struct kvseam_open_params {
  uint32_t struct_bytes;
  const char* agent_name;
  uint64_t incarnation;
  const kvseam_rail* rails;
  uint32_t rail_count;
} kvseam_open_params;

typedef struct kvseam_capabilities {
  uint32_t struct_bytes;
  uint32_t operations;    // kvseam_op_kind bits
  uint32_t memory_kinds;  // kvseam_memory_kind bits
  uint32_t label;         // kvseam_label: where a figure measured through this backend comes from
  uint32_t can_cancel;    // 1 when one operation can be stopped without closing its endpoint
  uint32_t can_revoke;    // 1 when revoke() keeps peers out while the bytes stay mapped
  uint64_t max_runs;      // of one post
  char provider[KVSEAM_NAME_MAX];
  char version[KVSEAM_NAME_MAX];
} kvseam_capabilities;

typedef struct kvseam_memory_request {
  uint32_t kind;    // kvseam_memory_kind
  uint32_t device;  // device index for foreign memory
  void* address;    // NULL: the backend allocates
  uint64_t bytes;
  uint64_t region;  // the engine's region id; unique for the life of the agent; above INT64_MAX: its own memory
} kvseam_memory_request;

typedef struct kvseam_memory {
  void* address;  // host address, NULL for memory the host cannot see
  uint64_t bytes;
  void* handle;  // the backend's own
} kvseam_memory;

typedef struct kvseam_peer_info {
  const char* name;
  uint64_t incarnation;
  const uint8_t* address;  // what the peer's export_address wrote
  uint32_t address_bytes;
} kvseam_peer_info;

typedef struct kvseam_run {
  const kvseam_memory* local;
  const kvseam_memory* remote;
  uint64_t local_offset;
  uint64_t remote_offset;
  uint64_t bytes;
} kvseam_run;

typedef struct kvseam_op {
  uint64_t token;  // comes back in the completion
  uint32_t kind;   // kvseam_op_kind
  uint32_t peer;
  uint32_t local_rail;
  uint32_t remote_rail;
  const kvseam_run* runs;  // valid until the completion
  uint64_t run_count;
  uint64_t bytes;
  const uint8_t* notify;  // NULL: none; valid until the completion
  uint32_t notify_bytes;
  int64_t deadline_ns;  // CLOCK_MONOTONIC; a hint, the engine enforces it
  uint32_t path;        // the engine's number of the path, for whoever keeps figures by path
  uint32_t workload;    // class of the request as a number; 0: not told
  uint32_t flags;       // kvseam_op_flag bits
} kvseam_op;

typedef enum kvseam_event_kind {
  KVSEAM_EVENT_COMPLETION = 1,    // token, code, blame, backend_code, bytes
  KVSEAM_EVENT_CONNECTED = 2,     // peer, code, blame, backend_code
  KVSEAM_EVENT_PEER_DOWN = 3,     // peer, code, blame, backend_code
  KVSEAM_EVENT_NOTIFICATION = 4,  // name, incarnation, data; the pointers live until the next poll
  KVSEAM_EVENT_MOVED = 5,         // nothing to tell, but something moved, such as a read served: no time to sleep yet
} kvseam_event_kind;

typedef struct kvseam_event {
  uint32_t kind;
  uint32_t peer;
  uint64_t token;
  int32_t code;
  int32_t blame;
  int64_t backend_code;
  uint64_t bytes;
  const char* name;
  uint64_t incarnation;
  const uint8_t* data;
  uint32_t data_bytes;
} kvseam_event;

typedef struct kvseam_counter {
  char name[KVSEAM_NAME_MAX];
  uint64_t value;
} kvseam_counter;

typedef struct kvseam_backend_api {
  uint32_t api_version;
  uint32_t struct_bytes;
  const char* name;

  // Life. `close` stops the transport within the deadline; memory calls stay valid until `destroy`.
  kvseam_status (*open)(const kvseam_open_params* params, kvseam_backend** out);
  kvseam_status (*close)(kvseam_backend* self, int64_t deadline_ns);
  void (*destroy)(kvseam_backend* self);
  void (*capabilities)(kvseam_backend* self, kvseam_capabilities* out);
  // Fills `out` with the rails really opened; returns their number (never more than `max`).
  uint32_t (*rails)(kvseam_backend* self, kvseam_rail* out, uint32_t max);

  // Memory group: thread-safe.
  kvseam_status (*register_memory)(kvseam_backend* self, const kvseam_memory_request* request, kvseam_memory* out);
  void (*revoke_memory)(kvseam_backend* self, kvseam_memory* memory);      // peers are refused from now on
  void (*deregister_memory)(kvseam_backend* self, kvseam_memory* memory);  // frees what register_memory took
  kvseam_status (*export_address)(kvseam_backend* self, uint8_t* out, uint32_t* bytes);
  kvseam_status (*export_key)(kvseam_backend* self, const kvseam_memory* memory, uint8_t* out, uint32_t* bytes);
  kvseam_status (*import_key)(kvseam_backend* self, const kvseam_peer_info* owner, const uint8_t* key,
                              uint32_t key_bytes, uint64_t region_bytes, kvseam_memory* out);
  void (*drop_key)(kvseam_backend* self, kvseam_memory* remote);

  // Progress thread only.
  kvseam_status (*connect)(kvseam_backend* self, const kvseam_peer_info* peer, uint32_t* out_peer);
  void (*disconnect)(kvseam_backend* self, uint32_t peer);
  kvseam_status (*post)(kvseam_backend* self, const kvseam_op* op);
  void (*cancel)(kvseam_backend* self, uint64_t token);
  uint32_t (*poll)(kvseam_backend* self, kvseam_event* out, uint32_t max);
  int (*wait_fd)(kvseam_backend* self);  // -1: none, the engine sleeps with a back-off
  // Before sleeping: 1 = poll again instead. *wake_at_ns: latest time at which to poll again, INT64_MAX = only on fd.
  int (*arm)(kvseam_backend* self, int64_t* wake_at_ns);
  void (*describe)(kvseam_backend* self, int64_t backend_code, char* out, uint32_t out_bytes);
  uint32_t (*counters)(kvseam_backend* self, kvseam_counter* out, uint32_t max);
} kvseam_backend_api;

#ifdef __cplusplus
}
#endif
#endif  // KVSEAM_CORE_BACKEND_H_
