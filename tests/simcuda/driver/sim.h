/* SPDX-License-Identifier: MIT */
/*
 * The internal interfaces of the simulated CUDA driver. Sections are named after the implementing
 * file.
 *
 * Locks, outermost first: life (init, contexts, modules: slow calls) -> vmm -> ranges -> exec.lock
 * -> the shared GPU's lock. exec.lock is held for a few instructions only, never while a kernel
 * runs, memory is copied or a callback is called.
 */
#ifndef PVGPU_SIMCUDA_SIM_H
#define PVGPU_SIMCUDA_SIM_H

#define __CUDA_API_VERSION_INTERNAL /* cuda.h must not rename calls to their latest revision */
#include <cuda.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "tests/simcuda/ptx/ptx.h"
#include "tests/simcuda/simgpu.h"

#define SIM_EXPORT         __attribute__((visibility("default")))
#define likely(x)          __builtin_expect(!!(x), 1)
#define unlikely(x)        __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)       (sizeof(a) / sizeof((a)[0]))

#define SIM_VERSION        13000
#define SIM_GRANULARITY    (2ull << 20)
#define SIM_STREAM_ENTRIES 1021 /* of a channel: a push to a stream that has taken them waits */

/* An exported entry point, declared right before its definition. */
#define API(name, ...)                                                                             \
	SIM_EXPORT CUresult CUDAAPI name(__VA_ARGS__);                                             \
	CUresult CUDAAPI name(__VA_ARGS__)

/*
 * An entry point with a variant where the NULL stream means the calling thread's own stream. The
 * parameter must be called `stream`; the text after the macro is the common body.
 */
#define API_PTSZ(name, PARAMS, ARGS)                                                               \
	static CUresult do_##name PARAMS;                                                          \
	SIM_EXPORT CUresult CUDAAPI name PARAMS;                                                   \
	SIM_EXPORT CUresult CUDAAPI name##_ptsz PARAMS;                                            \
	CUresult CUDAAPI name PARAMS                                                               \
	{                                                                                          \
		ENTER_AS(#name);                                                                   \
		return do_##name ARGS;                                                             \
	}                                                                                          \
	CUresult CUDAAPI name##_ptsz PARAMS                                                        \
	{                                                                                          \
		ENTER_AS(#name);                                                                   \
		if (!stream)                                                                       \
			stream = CU_STREAM_PER_THREAD;                                             \
		return do_##name ARGS;                                                             \
	}                                                                                          \
	static CUresult do_##name PARAMS

/* The same for synchronous calls, which have no stream parameter: the body gets one. */
#define API_PTDS(name, PARAMS, DO_PARAMS, ARGS_LEGACY, ARGS_THREAD)                                \
	static CUresult do_##name DO_PARAMS;                                                       \
	SIM_EXPORT CUresult CUDAAPI name PARAMS;                                                   \
	SIM_EXPORT CUresult CUDAAPI name##_ptds PARAMS;                                            \
	CUresult CUDAAPI name PARAMS                                                               \
	{                                                                                          \
		ENTER_AS(#name);                                                                   \
		return do_##name ARGS_LEGACY;                                                      \
	}                                                                                          \
	CUresult CUDAAPI name##_ptds PARAMS                                                        \
	{                                                                                          \
		ENTER_AS(#name);                                                                   \
		return do_##name ARGS_THREAD;                                                      \
	}                                                                                          \
	static CUresult do_##name DO_PARAMS

/* Every entry point but a few begins with one of these. */
#define ENTER_AS(name)                                                                             \
	do {                                                                                       \
		CUresult enter_ = sim_enter(name);                                                 \
		if (unlikely(enter_ != CUDA_SUCCESS))                                              \
			return enter_;                                                             \
	} while (0)
#define ENTER() ENTER_AS(__func__)
#define TRY(call)                                                                                  \
	do {                                                                                       \
		CUresult try_ = (call);                                                            \
		if (unlikely(try_ != CUDA_SUCCESS))                                                \
			return try_;                                                               \
	} while (0)
/* For calls that find the context by an address or a handle: one that is current must be usable,
 * but none need be. */
#define ENTER_ANY()                                                                                \
	do {                                                                                       \
		ENTER();                                                                           \
		TRY(ctx_current_if_any());                                                         \
	} while (0)
/* The current context, usable and without a sticky error. */
#define CURRENT(var)                                                                               \
	struct sim_ctx *var = NULL;                                                                \
	TRY(ctx_current(&var))

struct op;
struct sim_green;
struct sim_stream;

/* pool.c: handles are pointers into type-stable memory, so that any value can be checked. */
struct handle {
	_Atomic uint32_t live;
	uint32_t pad;
	struct handle *next;
};
struct pool {
	size_t size;
	pthread_mutex_t lock;
	_Atomic(char *) chunk[24];
	struct handle *first, *last; /* free objects, oldest first */
};
#define POOL(type)                                                                                 \
	{                                                                                          \
		.size = sizeof(type), .lock = PTHREAD_MUTEX_INITIALIZER                            \
	}
void *pool_new(struct pool *p); /* zeroed but for the handle; NULL: out of memory */
void pool_free(struct pool *p, void *obj);
/* The same, but the object is kept for pool_renew, which makes it live and zeroed again. */
void pool_retire(struct pool *p, void *obj);
void pool_renew(struct pool *p, void *obj);
bool pool_live(struct pool *p, const void *obj);
/* An object's place, whether it lives or not. */
bool pool_has(struct pool *p, const void *obj);
void pool_each(struct pool *p, void (*fn)(void *obj, void *arg), void *arg);

/* config.c */
struct sim_config {
	char gpu[4096];
	int device; /* number of the device, as PCI bus device + 1; -1: none */
	uint64_t memory, context_bytes;
	uint32_t sms, cc, speed, instruction_ns, threads, slice_us, turn;
	double link_gbps; /* bytes a nanosecond, each way; 0: as fast as the host copies */
	bool ecc;         /* claim that memory has error correction */
	bool page_bounds; /* kernels reach each page that an allocation touches */
	bool hmm;         /* claim that kernels reach pageable memory, which they do not */
};
extern struct sim_config sim_config;
void sim_config_read(void);

/* init.c */
struct sim_thread {
	struct sim_ctx **stack;
	uint32_t depth, room;
	struct thread_stream {
		uint64_t ctx_id;
		uint64_t green_id;
		struct sim_stream *stream;
	} * streams;
	uint32_t stream_count;
	bool in_callback;
};
extern _Atomic bool sim_quick; /* initialised, and no call fault is set: no check at entry */
extern pthread_mutex_t sim_life;
CUresult sim_enter_slow(const char *name);
struct sim_thread *sim_thread(void); /* NULL: out of memory */
extern __thread struct sim_thread *sim_self;
int sim_thread_start(void *(*fn)(void *), void *arg);

static inline CUresult sim_enter(const char *name)
{
	if (likely(atomic_load_explicit(&sim_quick, memory_order_acquire) &&
		   !(sim_self && sim_self->in_callback)))
		return CUDA_SUCCESS;
	return sim_enter_slow(name);
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* pace.c: a thread's turn, begun then, has run so many instructions of warps */
void pace(uint64_t begun, uint64_t instructions);
/* A copy between host and device that began then: sleep for as long as the link takes. */
void pace_link(uint64_t begun, uint64_t bytes, bool to_device);

/* heap.c: device-side malloc and free, a heap for each context */
struct device_heap {
	pthread_mutex_t lock;
	uint64_t base;
	uint32_t *block; /* at a block's first unit: its units, and whether it is in use */
	uint32_t units, next;
};
struct sim_ctx;
void heap_init(struct device_heap *h);
CUresult heap_open(struct sim_ctx *ctx); /* before the first kernel that uses it */
bool heap_is_open(struct device_heap *h);
void heap_close(struct sim_ctx *ctx);
uint64_t heap_malloc(struct sim_ctx *ctx, uint64_t size);
bool heap_free(struct sim_ctx *ctx, uint64_t addr);

/* native.c: code of libraries that kernels call; false: *number is what cannot be reached */
bool native_run(uint64_t *number);

/* context.c */
struct print_fifo {
	pthread_mutex_t lock;
	char *text;
	size_t size, head, used; /* a ring of messages: u32 length, u32 file, text */
	_Atomic bool any;
};
/* Where events of a whole context, or of a green one, are recorded, and what streams that are made
 * later wait for. */
struct sim_joint {
	struct sim_stream *stream;
	struct op *awaited; /* holds a reference */
};
struct sim_ctx {
	struct handle h;
	uint64_t id;
	uint32_t flags, version;
	bool primary;
	_Atomic uint32_t attached; /* cuCtxAttach without cuCtxDetach */
	_Atomic int error;         /* sticky CUresult */
	_Atomic bool dying;        /* being destroyed: queued work completes without running */
	struct sim_ctx *base; /* of a green context's: the primary one; else the context itself */
	struct sim_green *green; /* of a green context's, which has only what is above */
	struct sim_joint joint;  /* exec.lock: of its events, see event.c */
	struct sim_stream *legacy;
	struct sim_stream *streams;        /* exec.lock */
	_Atomic uint32_t pending;          /* operations of all streams */
	_Atomic uint32_t blocking_pending; /* of those that the legacy stream waits for */
	_Atomic size_t limit[16];
	_Atomic CUfunc_cache cache;
	CUsharedconfig shared;
	struct print_fifo print;
	struct device_heap heap;
	struct ptx_env env;
};
extern struct pool ctx_pool;
CUresult ctx_current(struct sim_ctx **out);
CUresult ctx_current_or_none(struct sim_ctx **out); /* may be sticky; INVALID_CONTEXT if none */
CUresult ctx_current_if_any(void);
/* The green context that is current; NULL: none is. */
struct sim_green *ctx_green(void);
/* A context that is none but a handle, for a green one. */
struct sim_ctx *ctx_of_green(struct sim_ctx *base, struct sim_green *green);
void ctx_of_green_gone(struct sim_ctx *c);
void ctx_give_op(struct op *op); /* NULL: nothing */
CUresult ctx_new(uint32_t flags, bool primary, struct sim_ctx **out);
void ctx_delete(struct sim_ctx *ctx);
void ctx_fail(struct sim_ctx *ctx, CUresult error); /* first error sticks */
static inline CUresult ctx_error(struct sim_ctx *ctx)
{
	return (CUresult)atomic_load_explicit(&ctx->error, memory_order_acquire);
}
/* The same for a caller: a failed kernel's output is written before its error is returned. */
CUresult ctx_status(struct sim_ctx *ctx);
bool device_is_valid(CUdevice dev);

/* print.c */
void print_init(struct print_fifo *f);
void print_free(struct print_fifo *f);
bool print_begun(struct print_fifo *f); /* has a kernel printed, ever? */
void print_keep(struct sim_ctx *ctx, const char *text, size_t len);
void print_kept(bool is_assertion); /* at the end of the calling worker's turn */
void print_flush(struct sim_ctx *ctx);

/* exec.c: a graph of operations; a stream is a chain in it. */
enum op_kind {
	OP_NOP,
	OP_KERNEL,
	OP_COPY,
	OP_MEMSET,
	OP_HOST,
	OP_WRITE,
	OP_WAIT_VALUE,
	OP_FREE,
	OP_CONDITION
};
struct edge {
	struct edge *next;
	struct op *op;
};
struct copy_op {
	char *dst;
	const char *src;
	size_t width, height, depth;
	size_t dpitch, spitch, dslice, sslice; /* bytes */
	bool from_device, to_device;
	void *staged; /* to free afterwards */
};
struct memset_op {
	char *dst;
	size_t pitch, width, height; /* width in elements */
	uint32_t value, size;        /* element bytes */
};
struct kernel_op {
	struct ptx_launch launch;
	uint64_t total, next, done; /* clusters, most of them of one block */
	uint32_t resident;
	uint32_t blocks;  /* of a cluster */
	uint32_t threads; /* per block */
	CUfunction func;
	uint32_t grid[3], block[3], shared; /* as asked for */
	bool cooperative;
	int priority;
	_Atomic bool stop; /* faulted or cancelled: start nothing more */
	struct op *next_launch;
};
struct host_op {
	CUhostFn fn;
	CUstreamCallback callback;
	CUstream handle;
	void *arg;
};
struct value_op {
	void *addr;
	uint64_t value;
	uint32_t size, flags;
};
/* Of a launch of a graph: one of its conditional nodes, or (NULL) its conditions' first values. */
struct condition_op {
	struct sim_graph *run; /* referenced */
	struct sim_node *node;
};
struct op {
	enum op_kind kind;
	_Atomic uint32_t refs;
	uint32_t blockers;      /* operations that must finish first */
	_Atomic uint32_t state; /* futex: 0 pending, 1 a thread waits, 2 done */
	struct sim_stream *stream;
	struct sim_ctx *ctx;
	struct op *next;        /* in an engine's queue */
	struct edge out, *more; /* operations that wait for this one */
	uint64_t done_ns;
	uint32_t extra;   /* bytes of params */
	uint32_t entries; /* of the stream's */
	bool of_graph;
	union {
		struct copy_op copy;
		struct memset_op set;
		struct kernel_op kernel;
		struct host_op host;
		struct value_op value;
		struct condition_op condition;
		uint64_t free_addr;
	};
	_Alignas(16) char params[];
};
enum { SIM_STREAM_ATTRS = 5 };
struct sim_stream {
	struct handle h;
	struct sim_ctx *ctx;
	struct sim_stream *next, **link; /* in ctx->streams */
	uint64_t id;
	uint32_t flags;
	int priority;
	struct sim_green *green; /* NULL: it is of the whole device */
	uint64_t green_id;
	bool legacy, per_thread;
	bool null;            /* a green context's default stream */
	bool joint;           /* no program's: of struct sim_joint, or stream_inside */
	bool gone;            /* destroyed, with work in flight */
	uint32_t attrs_given; /* bits; see stream_attr.c */
	CUlaunchAttributeValue attr[SIM_STREAM_ATTRS];
	struct sim_capture *capture; /* graph_lock */
	struct sim_node **cap_dep;   /* what the next captured operation depends on */
	uint32_t cap_deps;
	struct op *tail; /* last operation, unless it is done; holds a reference */
	_Atomic uint32_t pending;
	_Atomic uint32_t entries; /* that the pending operations take */
	enum op_kind last;        /* pushed; of what decides who does it */
};
extern struct pool stream_pool;
int exec_start(void);
struct op *op_new(enum op_kind kind, struct sim_stream *s, size_t params);
/* Takes op (with the caller's reference unless keep). after: one more operation to wait for. */
void exec_push(struct op *op, struct op *after, bool keep);
void exec_wait(struct op *op);
void op_get(struct op *op);
void op_put(struct op *op);
bool op_done(const struct op *op);
bool exec_idle(struct sim_stream *s); /* would an operation pushed now start at once? */
bool exec_busy(struct sim_stream *s); /* does a query of this stream find work? */
void exec_stream_wait(struct sim_stream *s);
void exec_ctx_wait(struct sim_ctx *ctx);
void exec_all_wait(void);
void exec_finish(struct op *op); /* an engine has run it; takes exec.lock */
void exec_lock(void);
void exec_unlock(void);
extern pthread_mutex_t exec_mutex;
void exec_ctx_close(struct sim_ctx *ctx);
void stream_attach(struct sim_stream *s);
void stream_detach(struct sim_stream *s); /* frees it once its work is done */

/* engine.c: the copy engines, the callback thread and the poller */
int engine_start(void);
void engine_submit(struct op *op); /* exec.lock held */
bool op_is_small(const struct op *op);
void op_run(struct op *op); /* copies, memsets, writes */

/* graph_condition.c */
bool condition_submit(struct op *op); /* exec.lock held; false: the context has failed */
void condition_defaults(struct op *op);
void condition_done(struct op *op); /* it is freed */
bool condition_set(void *ctx, uint64_t handle, uint32_t value);

/* compute.c */
int compute_start(void);
void compute_submit(struct op *op); /* exec.lock held */
void compute_stop(struct sim_ctx *ctx);

/* arbiter.c: the GPU shared with other processes */
int arbiter_open(void);
int arbiter_claim(void); /* by the thread that lives as long as the process */
void arbiter_acquire(void);
void arbiter_release(void);
bool arbiter_contended(void);
/* The bell rings when another process begins to wait for the device that this one has, and at
 * arbiter_ring(). A nap ends at that time (CLOCK_MONOTONIC), or when the bell has rung since
 * arbiter_bell(), or for no reason. */
uint32_t arbiter_bell(void);
void arbiter_ring(void);
void arbiter_nap(uint32_t bell, uint64_t until);
bool arbiter_lost(void);         /* the device is, for all processes */
void arbiter_xid(uint32_t code); /* the device reports an error, by NVIDIA's numbers */
CUresult arbiter_take_memory(uint64_t bytes);
void arbiter_give_memory(uint64_t bytes);
void arbiter_memory(uint64_t *free_bytes, uint64_t *total);
/* This process has work on the device, or one less: see simgpu_process.busy. */
void arbiter_work(bool more);
/* It uses the L2 cache; cleared: bytes of a memset. */
#define SIM_L2 4194304
/* Memory synchronisation domains, which have no effect here. */
#define SIM_SYNC_DOMAINS 4
void arbiter_cache(uint64_t cleared);
void arbiter_add(uint64_t *counter, uint64_t n);
extern struct simgpu_process *arbiter_self;
/* The link's words of the shared file: until when each direction is taken. */
uint64_t *arbiter_link(bool to_device);

/* ranges.c: accessible addresses */
enum range_kind { RANGE_DEVICE, RANGE_HOST, RANGE_REGISTERED, RANGE_MAPPED, RANGE_MANAGED };
struct range {
	uint64_t base, size;
	enum range_kind kind;
	uint32_t access; /* 1 read, 2 write */
	uint32_t flags;  /* cuMemHostAlloc/Register flags */
	bool sync_memops;
	struct sim_ctx *ctx;
	uint64_t ctx_id, buffer_id;
	uint64_t owner_base, owner_size; /* what cuMemGetAddressRange reports */
	uint32_t place;                  /* share.c: of memory that other processes may open; 0 */
};
CUresult range_add(const struct range *r);
bool range_remove(uint64_t base, struct range *out);
bool range_find(uint64_t addr, struct range *out);
bool range_update(uint64_t base, uint32_t access, int sync_memops);
void range_set_place(uint64_t base, uint32_t place);
bool range_any(uint64_t base, uint64_t size); /* does a range overlap it? */
/* Does it reach from registered memory into what lies beside it, which may be registered, too? The
 * driver copies and fills no such range; kernels may use it. */
bool range_leaves_registered(uint64_t addr, uint64_t len);
bool range_check(uint64_t addr, uint64_t len, bool write, uint64_t *lo, uint64_t *hi);
/* The same for a kernel's word that begins in an allocation: what is mapped for it may end later.
 */
bool range_check_mapped(uint64_t addr, uint64_t len, bool write);
/* Does an allocation touch the page in which the bytes lie? *lo and *hi: the page. */
bool range_check_page(uint64_t addr, uint64_t len, uint64_t *lo, uint64_t *hi);
/* Where an address that is in no allocation lies, for a message: " (4 bytes behind ...)". */
void range_describe(uint64_t addr, char *text, size_t size);
void range_each_of(struct sim_ctx *ctx, enum range_kind kind, void (*fn)(const struct range *));

/* managed.c: a range that is not in the table any more */
void managed_release(const struct range *r);
/* Memory for a module's managed variables, by their numbers; NULL where it has none. */
CUresult managed_place(const struct ptx_module *ptx, uint64_t **out);
void managed_unplace(const struct ptx_module *ptx, uint64_t *addr);

/* capture.c */
extern _Atomic uint32_t sim_captures; /* under way */
extern __thread struct op *
	*sim_collect; /* where this thread's next operation goes, in place of a stream */
CUresult capture_legacy(struct sim_ctx *ctx); /* the legacy stream is used: an error? */
CUresult capture_check(struct sim_stream *s); /* work for it: has its capture become invalid? */
CUresult capture_wait(struct sim_stream *s);  /* a wait or query of it: not while it is captured */
CUresult capture_wait_ctx(struct sim_ctx *ctx);
/* The stream is destroyed: exec held. */
void capture_abandon(struct sim_stream *s);
CUresult capture_unsafe_slow(void);
void capture_add(struct op *op);
static inline CUresult capture_unsafe(void)
{
	return atomic_load_explicit(&sim_captures, memory_order_relaxed) ? capture_unsafe_slow()
									 : CUDA_SUCCESS;
}

/* memory.c */
CUresult memory_alloc(struct sim_ctx *ctx, size_t size, uint64_t *addr);
/* The same; waits for memory that work under way frees. With no lock held. */
CUresult memory_alloc_waiting(struct sim_ctx *ctx, size_t size, uint64_t *addr);
CUresult memory_free(uint64_t addr);
void memory_free_now(uint64_t addr); /* no work uses it any more */
size_t memory_mapped(size_t size);   /* what is mapped for an allocation of this size */
void memory_free_all(struct sim_ctx *ctx);
void *memory_map(size_t size, size_t align); /* anonymous, aligned */

/* green.c */
void green_drop_ctx(struct sim_ctx *ctx);
/* NULL: of the whole device. Where a kernel's n-th block runs. */
uint32_t green_sms(const struct sim_green *g);
uint32_t green_sm(const struct sim_green *g, uint64_t block);
struct sim_ctx *green_ctx(const struct sim_green *g);
struct sim_stream *green_stream(struct sim_green *g);
struct sim_joint *green_joint(struct sim_green *g);
uint64_t green_id(const struct sim_green *g); /* 0: of none */
bool green_live(const struct sim_green *g, uint64_t id);

/* array.c: arrays lie in rows, slices and layers like any other memory */
struct sim_array {
	struct handle h;
	struct sim_ctx *ctx;
	CUDA_ARRAY3D_DESCRIPTOR desc;
	uint64_t addr;                       /* 0: to be mapped later, which nobody can */
	size_t pitch, slice, rows, slices;   /* slices: or layers; at least 1 */
	size_t row_bytes, texel_bytes, size; /* size: of all of it */
	bool is_level;                       /* of a mipmapped array, whose memory it is in */
};
CUresult array_get(CUarray handle, struct sim_array **out);
CUresult array_check(const CUDA_ARRAY3D_DESCRIPTOR *d);
/* An array of a description that is right, without memory yet; NULL: there is none left. */
struct sim_array *array_new(struct sim_ctx *ctx, const CUDA_ARRAY3D_DESCRIPTOR *d);
void array_free(struct sim_array *a);
void array_drop_ctx(struct sim_ctx *ctx);
/* Of an element's one channel; 0 for formats that are not known. */
size_t array_channel_bytes(CUarray_format format);

/* mipmap.c */
struct sim_mipmap {
	struct handle h;
	struct sim_ctx *ctx;
	uint64_t addr; /* 0: to be mapped later */
	size_t size;
	uint32_t levels;
	struct sim_array *level[PTX_LEVELS];
};
CUresult mipmap_get(CUmipmappedArray handle, struct sim_mipmap **out);
void mipmap_drop_ctx(struct sim_ctx *ctx);

/* texture.c */
const struct ptx_texture *texture_find(uint64_t handle, bool is_surface);
void texture_drop_ctx(struct sim_ctx *ctx);

/* mempool.c */
CUmemoryPool mempool_of(uint64_t addr); /* NULL: of none */
bool graph_memory_is(uint64_t addr);    /* graph_memory.c: it is freed with its graphs */
void mempool_gone(uint64_t addr);       /* memory, of a pool or not, is freed */
void mempool_freed(void);               /* the turn of a cuMemFreeAsync() has come */
bool mempool_wait(void);                /* for all of these; false: there are none */

/* vmm.c: a process's device memory that can be shared lies in one sparse file */
#define VMM_FILE_BYTES (1ull << 46)
int vmm_open(void);
int vmm_file(void);
/* Bytes of it, which are zero and are never used twice; false: none are left. */
bool vmm_take(uint64_t size, uint64_t *offset);
void vmm_punch(uint64_t offset, uint64_t size);

/* dirt.c: the fault mutate:scrub; without it all of this does nothing */
int dirt_open(void);
void dirt_keep(const void *memory, size_t size); /* it is given back */
void dirt_give(void *memory, size_t size);       /* it is new */
void dirt_private(void *arg, enum ptx_private which, bool is_new, void *memory, size_t size);

/* stream.c, event.c */
CUresult stream_get(CUstream handle, struct sim_stream **out); /* resolves NULL, 1 and 2 */
CUresult stream_create(struct sim_ctx *ctx, struct sim_green *green, uint32_t flags, int priority,
		       struct sim_stream **out);
/* A stream that is no program's, for what a launch there runs meanwhile; NULL: out of memory. */
struct sim_stream *stream_inside(const struct sim_stream *launch);
/* A stream that is new waits for what its context waits for. */
CUresult event_stream_made(struct sim_stream *s);
/* Record the event behind all work of the context, or of the green one; let both wait for one. */
CUresult event_record_all(CUevent event, struct sim_ctx *ctx, struct sim_green *green);
CUresult event_wait_all(CUevent event, struct sim_ctx *ctx, struct sim_green *green);
void stream_thread_exit(struct sim_thread *t);
void event_drop_ctx(struct sim_ctx *ctx);

/* copy.c */
CUresult copy_submit(struct sim_stream *s, const struct copy_op *c, bool sync);
/* An asynchronous copy between any two places, or (run: false) only its checks. */
CUresult copy_line(struct sim_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t n, bool run);
CUresult copy_box(CUstream stream, const CUDA_MEMCPY3D *p, bool run);

/* batch.c: the rules of batches */
CUresult batch_stream(CUstream stream);
bool batch_groups(const size_t *first, size_t groups, size_t count);

/* module.c, function.c, library.c */
struct sim_module {
	struct handle h;
	struct sim_ctx *ctx;
	struct ptx_module *ptx;
	bool owns_ptx;
	struct ptx_image *image;
	struct sim_library *library;
	uint64_t memory;
	uint64_t *addr;    /* of each global */
	uint64_t *managed; /* addresses of those that are managed; NULL: there are none, or they are
			    * the library's */
	struct sim_func **func;
	size_t func_count;
	struct sim_module *next_in_library;
};
struct func_settings {
	_Atomic uint32_t max_dynamic; /* limit of dynamic shared memory */
	_Atomic int carveout;
	_Atomic bool any_cluster;    /* of more blocks than every device has room for */
	_Atomic uint32_t cluster[3]; /* that launches must have, 0: as they like */
};
struct sim_func {
	struct handle h;
	struct sim_module *module;
	const struct ptx_kernel *k;
	struct func_settings set;
	_Atomic CUfunc_cache cache;
};
struct sim_kernel {
	struct handle h;
	struct sim_library *library;
	const struct ptx_kernel *k;
	struct func_settings set;
};
struct sim_library {
	struct handle h;
	struct ptx_module *ptx;
	struct sim_kernel **kernel;
	size_t kernel_count;
	struct sim_module *modules; /* one for each context that used it */
	uint64_t *managed;          /* addresses of managed variables, one for all contexts */
	bool has_initial;           /* they have their initial values */
};
extern struct pool module_pool, func_pool, library_pool, kernel_pool;
/* Parse any kind of image. log (may be NULL) gets the JIT's errors. */
CUresult image_parse(const void *image, struct ptx_module **out, char *log, size_t log_size);
/* Its texts, under a name for messages. */
struct unit_list;
CUresult image_units(const void *image, size_t limit, const char *name, struct unit_list *out,
		     char *log, size_t log_size);
CUresult image_status(enum ptx_result r);
CUresult image_read_file(const char *path, void **data, size_t *size);
/* linked.c: texts that become one module, and the ELF file that stands for such a module. */
struct unit_list {
	struct ptx_unit *unit;
	size_t count, room;
};
CUresult units_add(struct unit_list *l, const char *name, const char *text, size_t len);
void units_free(struct unit_list *l);
CUresult linked_write(const struct unit_list *l, uint64_t variables, void **elf, size_t *size);
CUresult linked_read(const void *elf, size_t size, struct unit_list *out); /* adds its texts */
CUresult module_create(struct sim_ctx *ctx, struct ptx_module *ptx, struct sim_library *library,
		       struct sim_module **out);
void module_delete(struct sim_module *m);
void module_drop_ctx(struct sim_ctx *ctx);
CUresult module_find_global(struct sim_module *m, const char *name, CUdeviceptr *addr,
			    size_t *size);
struct jit_request {
	char *error_log, *info_log;
	size_t error_size, info_size;
	void **error_used, **info_used;
};
CUresult jit_options(unsigned int n, CUjit_option *options, void **values, struct jit_request *out);
CUresult jit_parse(const void *image, struct jit_request *jit, struct ptx_module **out);
#define JIT_LOG 8192
void jit_log(char *log, size_t size, void **used, const char *text);
CUresult func_get(CUfunction handle, struct sim_func **out); /* also of a CUkernel */
CUresult library_module(struct sim_library *lib, struct sim_ctx *ctx, struct sim_module **out);
CUresult kernel_func(struct sim_kernel *k, struct sim_ctx *ctx, struct sim_func **out);
uint32_t func_max_threads(const struct ptx_kernel *k);
bool func_registers_fit(const struct ptx_kernel *k, uint32_t threads); /* in a block */

/* cluster.c */
/* The largest cluster in blocks that a launch of the function may have. */
uint32_t cluster_largest(const struct func_settings *s);
/* The size that the kernel's text or its attributes demand; zeros: none. */
void cluster_required(const struct ptx_kernel *k, const struct func_settings *s, uint32_t size[3]);
/* size: as asked for, zeros for none; gets what the kernel demands. */
CUresult cluster_check(const struct ptx_kernel *k, const struct func_settings *s,
		       const uint32_t grid[3], uint32_t size[3]);
/* Of a kernel whose grid is set. */
void cluster_apply(struct kernel_op *k, const uint32_t size[3]);

/* attributes.c */
CUresult device_attribute(int attribute, int *value);
static inline uint32_t sim_cc_major(void)
{
	return sim_config.cc / 10;
}

/* occupancy.c */
uint32_t occupancy_blocks(const struct ptx_kernel *k, uint32_t threads, uint64_t dynamic);

/* entry.c */
typedef void (*sim_fn)(void);
enum entry_fault { ENTRY_CRASHES, ENTRY_HANGS, ENTRY_ABSENT };
sim_fn entry_find(const char *symbol);                    /* NULL: there is none */
bool entry_break(const char *call, enum entry_fault how); /* false: no such symbol */

/* Errors that the device reports, by the numbers that NVIDIA's driver logs. */
enum sim_xid { XID_EXCEPTION = 13, XID_PAGE_FAULT = 31, XID_DOUBLE_BIT = 48, XID_OFF_BUS = 79 };

/* fault.c: the faults of SIMCUDA_FAULT */
struct sim_fault {
	bool any_call; /* some call is to fail */
	uint64_t ecc_launch, lost_launch;
	uint64_t xid_launch, xid; /* number of the launch, code */
	uint64_t copy_us, hang_copy;
	bool copy_tail, memset_value, event_zero, event_negative, wait_ignored, callback_dropped,
		printf_dropped, global_init, no_pace, scrub, filter, surface_row, first_level;
};
extern struct sim_fault sim_fault;
void fault_read(void);
void fault_read_entries(void); /* those of entry.c only */
/* Is this symbol CALL of a spec? _ptds and _ptsz forms count as the call itself. */
bool fault_is_call(const char *wanted, const char *symbol);
CUresult fault_call(const char *name);
CUresult fault_launch(void); /* counts launches */
bool fault_copy(void);       /* counts copies; may sleep; true: hang */
char *fault_mutate(const char *text, size_t len, size_t *new_len); /* NULL: unchanged */

#endif
