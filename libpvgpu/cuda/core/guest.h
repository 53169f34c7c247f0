/* SPDX-License-Identifier: MIT */
/*
 * The internal interfaces of the guest's libcuda.so.1. Sections are named after the file that
 * implements them. Functions return CUresult unless they say otherwise.
 *
 * A handle that the application holds is an opaque number (type, generation, index) that is looked
 * up in a table here and never dereferenced. The wire handle of the same object is a field of it,
 * because some objects (the primary context) outlive the worker's object.
 *
 * Lock order: device.lock, then library_lock, then ctx.lock, then module.lock, then the handle
 * tables, then everything in memory_map.c, staging.c and hostfunc.c (leaves).
 */
#ifndef PVGPU_CUDA_GUEST_H
#define PVGPU_CUDA_GUEST_H

#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL /* cuda.h must not rename calls to their latest revision */
#endif
#include <cuda.h>

#include "cuda_public.h" /* what is defined here is what public functions go on to */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/session.h"
#include "pvgpu_stubs.h"
#include "pvgpu_wire.h"

#define PUBLIC      __attribute__((visibility("default")))
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * A call and its form for programs whose default stream is the thread's own. call may use
 * per_thread. _ptds: the call has no stream parameter; _ptsz: it has one.
 */
#define CU_WITH_THREAD_FORM(name, suffix, params, call)                                            \
	PUBLIC CUresult name params                                                                \
	{                                                                                          \
		const bool per_thread = false;                                                     \
		return (CUresult)(call);                                                           \
	}                                                                                          \
	PUBLIC CUresult name##suffix params                                                        \
	{                                                                                          \
		const bool per_thread = true;                                                      \
		return (CUresult)(call);                                                           \
	}
#define CU_PTDS(name, params, call) CU_WITH_THREAD_FORM(name, _ptds, params, call)
#define CU_PTSZ(name, params, call) CU_WITH_THREAD_FORM(name, _ptsz, params, call)

struct ctx;
struct event;
struct function;
struct library;
struct module;
struct stream;
struct block;

/* handle.c */

/* The first member of every object that the application has a handle of. Slots are never given back
 * to the allocator: a stale handle finds a free slot or one of another generation, never freed
 * memory. */
struct object {
	_Atomic uint32_t generation; /* of the live object; 0: none */
	uint32_t last_generation;
	uint32_t index;
	uint32_t type;   /* enum pvgpu_handle_type */
	uint64_t wire;   /* the worker's handle */
	struct ctx *ctx; /* the context that it lives in; NULL for contexts, libraries, kernels */
	struct object *prev, *next; /* the context's objects; under ctx.lock */
	struct object *free_next;
};

enum { OBJECT_CHUNK = 256, OBJECT_CHUNKS = PVGPU_HANDLES_MAX / OBJECT_CHUNK };
enum { OBJECT_TYPES = PVGPU_H_END, OBJECT_INDEX_SHIFT = 4, OBJECT_TYPE_SHIFT = 56 };

struct object_table {
	_Atomic(char *) chunk[OBJECT_CHUNKS];
	size_t size; /* of one object */
	pthread_mutex_t lock;
	struct object *free;
	uint32_t used; /* slots that exist */
};
extern struct object_table object_tables[OBJECT_TYPES];

/* A zeroed object with a wire handle, which object_find() does not find until it is published; NULL
 * when out of handles. */
void *object_new(enum pvgpu_handle_type type);
/* Let object_find() find it, and put it on its context's list when it has a context (functions are
 * on lists of their modules and kernels). */
void object_publish(struct object *o);
/* Take it out of the tables; true for the one caller that did it. */
bool object_retire(struct object *o);
/* Free an object that is not published or is retired. */
void object_free(struct object *o);

static inline void *object_handle(const struct object *o)
{
	const uint64_t generation = atomic_load_explicit(&o->generation, memory_order_relaxed);

	return (void *)(uintptr_t)((uint64_t)o->type << OBJECT_TYPE_SHIFT | generation << 32 |
				   (uint64_t)o->index << OBJECT_INDEX_SHIFT);
}

static inline void *object_in(const struct object_table *tables, enum pvgpu_handle_type type,
			      const void *handle)
{
	const uint64_t h = (uintptr_t)handle;
	const uint32_t index = (uint32_t)h >> OBJECT_INDEX_SHIFT;
	const uint32_t generation = (uint32_t)(h >> 32) & 0xffffff;
	const struct object_table *t = &tables[type];
	struct object *o;
	char *chunk;

	if (h >> OBJECT_TYPE_SHIFT != type || !generation || index >= PVGPU_HANDLES_MAX ||
	    (h & ((1u << OBJECT_INDEX_SHIFT) - 1)))
		return NULL;
	chunk = atomic_load_explicit(&t->chunk[index / OBJECT_CHUNK], memory_order_acquire);
	if (!chunk)
		return NULL;
	o = (struct object *)(chunk + index % OBJECT_CHUNK * t->size);
	return atomic_load_explicit(&o->generation, memory_order_acquire) == generation ? o : NULL;
}

static inline void *object_find(enum pvgpu_handle_type type, const void *handle)
{
	return object_in(object_tables, type, handle);
}

/* init.c */

struct guest {
	_Atomic(struct pvgpu_session *)
		session;                  /* NULL until cuInit() has succeeded, and after fork */
	uint64_t device_base, device_end; /* device window */
	uint64_t arena_base, arena_end;   /* arena window */
	int device_count;
	int driver_version;
};
extern struct guest guest;

/* The session, for code behind guest_enter() or ctx_enter(). */
static inline struct pvgpu_session *session(void)
{
	return atomic_load_explicit(&guest.session, memory_order_relaxed);
}

/* Open the session when there is none yet, without counting as cuInit(). */
int guest_open(void);
/* The result of a call without a session: CUDA_ERROR_NOT_INITIALIZED. */
int guest_absent(void);
/* A number that no other object or allocation of this process has. */
uint64_t guest_next_id(void);

/* context.c */

enum { CTX_LIMITS = 8 };

/* Settings that the worker has set or reported: it is asked for them once. */
struct ctx_settings {
	struct {
		bool known, set;       /* value; asked */
		uint64_t value, asked; /* as it is; as it was set last */
	} limit[CTX_LIMITS];
	struct {
		bool known, set;
		CUfunc_cache value, asked;
	} cache;
};

struct ctx {
	struct object o;
	_Atomic int state; /* 0: usable; else the result of every call in it */
	int device;
	bool primary;
	_Atomic unsigned int flags;
	unsigned int attached; /* uses counted by cuCtxAttach() */
	uint64_t id;
	unsigned int api_version;
	int priority_least, priority_greatest;
	_Atomic uint64_t waited; /* number of the last call that waited for all its work */
	pthread_mutex_t lock;
	struct object *objects;       /* those that live in it; under lock */
	struct ctx_settings settings; /* under lock */
};

struct ctx_ref {
	struct ctx *ctx;
	uint32_t generation;
};

/* A thread's own blocking stream in a context, which CU_STREAM_PER_THREAD stands for. */
struct thread_stream {
	struct ctx_ref in;
	CUstream stream;
};

struct thread {
	struct ctx_ref current; /* ctx NULL: none */
	bool in_callback;       /* runs a host function: no CUDA calls */
	bool in_output;         /* pulls device output */
	bool registered;        /* thread_end() will run */
	CUstreamCaptureMode capture_mode;
	unsigned int depth, room; /* of below */
	struct ctx_ref *below;    /* contexts under the current one; bottom first */
	unsigned int streams, streams_room;
	struct thread_stream *stream;
};
/* Initial-exec: the launch path must not reach the allocator through lazy TLS. */
extern _Thread_local struct thread self __attribute__((tls_model("initial-exec")));

/* Have thread_end() called at this thread's end. */
void thread_register(void);

static inline bool ctx_ref_live(const struct ctx_ref *r)
{
	return atomic_load_explicit(&r->ctx->o.generation, memory_order_relaxed) == r->generation;
}

static inline CUcontext ctx_handle(const struct ctx *c)
{
	return object_handle(&c->o);
}

static inline struct ctx *ctx_find(CUcontext h)
{
	return object_find(PVGPU_H_CTX, h);
}

/* May this thread call CUDA? 0, or the call's result. */
static inline int guest_enter(void)
{
	struct pvgpu_session *s = atomic_load_explicit(&guest.session, memory_order_acquire);

	if (unlikely(!s))
		return guest_absent();
	if (unlikely(self.in_callback))
		return CUDA_ERROR_NOT_PERMITTED;
	return pvgpu_session_status(s);
}

/* guest_enter(), and the thread's current context, usable. */
static inline int ctx_enter(struct ctx **out)
{
	const int r = guest_enter();
	struct ctx *c = self.current.ctx;

	if (unlikely(r))
		return r;
	if (unlikely(!c))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (unlikely(!ctx_ref_live(&self.current)))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*out = c;
	return atomic_load_explicit(&c->state, memory_order_relaxed);
}

/* For a call that finds its context by an address: one that is current must be usable, but none
 * need be. */
static inline int ctx_enter_any(void)
{
	struct ctx *c;

	return self.current.ctx ? ctx_enter(&c) : guest_enter();
}

/* Wait for all work of all contexts. */
void ctx_synchronize_all(void);
/* How calls wait for the context's work, by the flags that it was made with or given since. */
enum pvgpu_patience ctx_patience(const struct ctx *c);
/* The worker has made it anew. */
void ctx_settings_forget(struct ctx *c);
/* Keep a sticky result for the context; returns r. */
int ctx_result(struct ctx *c, int r);
/* A context was destroyed or reset: forget everything in it. */
void ctx_forget_objects(struct ctx *c);

/* device.c */
struct device {
	uint32_t wire; /* its number at the worker; see visible.c */
	uint64_t total_mem;
	CUuuid uuid;
	char name[256];
	char pci_bus_id[32];
	struct pvgpu_device_attr attr[PVGPU_ATTRS_MAX];
	pthread_mutex_t lock; /* of the primary context's life */
	struct ctx *primary;  /* permanent object */
	bool active;          /* the worker has it */
	unsigned int retained;
	unsigned int primary_flags;
	struct launch_limits {
		unsigned int grid[3], block[3], threads;
	} limits;
};
/* One snapshot of each device, when the session opens; *count becomes how many are visible. */
int device_snapshot_all(struct pvgpu_session *s, int *count);
/* NULL when there is no such device. */
struct device *device_at(CUdevice dev);
/* A device attribute's value; 0 where the driver refused it. */
int device_value(int device, CUdevice_attribute attr);

/* visible.c: fill order with the numbers of the devices to be seen; returns how many. */
int visible_devices(const struct device *all, int count, int *order);

/* stream.c */

struct stream {
	struct object o;
	unsigned int flags;
	int priority;
	uint64_t id;
	_Atomic uint64_t
		capture; /* number of the capture that it takes part in, or of an ended one */
};

/* Where a command goes: stream 0 is the context's legacy default stream. */
struct target {
	struct ctx *ctx;
	uint64_t stream;
	bool captured; /* it becomes a node of a graph */
};

/* The worker's handle that tells streams apart: a context's for its default stream. */
static inline uint64_t target_key(const struct target *t)
{
	return t->stream ? t->stream : t->ctx->o.wire;
}

/* The calling thread's own stream in c, made at its first use. */
int stream_of_thread(struct ctx *c, struct stream **out);
/* Give back the thread's own streams: at its end. */
void stream_thread_end(struct thread *t);
/* Where work on stream h goes. A default stream is the current context's; other streams need none.
 */
int stream_enter(CUstream h, bool per_thread, struct target *t);
/* As stream_enter(); *real is the stream, NULL for the legacy default stream. */
int stream_enter_any(CUstream h, bool per_thread, struct target *t, struct stream **real);
/* Wait for the stream; the context's deferred errors come back here. */
int stream_drain(const struct target *t);

/* event.c */

struct event {
	struct object o;
	unsigned int flags;
	_Atomic uint32_t records;   /* how often it was recorded */
	_Atomic uint32_t completed; /* value of records that is known to be done */
	_Atomic uint32_t waited;    /* the same, known by a call that waits */
	_Atomic uint64_t place;     /* of the last record, see done.c */
	_Atomic uint64_t capture;   /* in which it was recorded last; 0: in none */
	_Atomic bool by_node; /* recorded last by a graph's node: its time is the graph's end */
};

int event_record(struct event *e, const struct target *t, bool by_node);

/* capture.c: the rules of capture, kept here: the worker captures in relaxed mode. */

extern _Atomic unsigned int captures; /* under way */
static inline bool capturing(void)
{
	return unlikely(atomic_load_explicit(&captures, memory_order_relaxed));
}
/* Work for a stream (NULL: the legacy one), while something is captured. */
int capture_work(struct target *t, struct stream *s);
/* A wait for it, or a query of it (NULL: the legacy one). */
int capture_wait(const struct target *t, struct stream *s);
int capture_wait_ctx(const struct ctx *c);
/* A call that may wait for work, in this thread. */
int capture_unsafe_slow(void);
static inline int capture_unsafe(void)
{
	return capturing() ? capture_unsafe_slow() : 0;
}
/* The stream was asked for a thing that cannot be captured: its capture becomes invalid. */
int capture_refuse(const struct target *t);
/* Make a capture invalid; returns r. */
int capture_spoil(uint64_t id, int r);
/* The stream is to wait for the event, and one of them takes part in a capture. *join: post it. */
int capture_event(struct target *t, struct stream *s, const struct event *e, bool *join);
/* The number of the target's capture. */
uint64_t capture_of(const struct target *t);
/* Each launch of the graph that t is captured into will call so many more host functions. */
void capture_hosts(const struct target *t, uint32_t n);

/* graph.c */

struct node_cache;
struct held;
struct mem_node;

struct graph {
	struct object o;
	uint32_t hosts; /* host functions that a launch calls */
	pthread_mutex_t lock;
	struct node_cache *cache; /* by node: what getters gave out; under lock */
	uint32_t cached;
	struct held *held;         /* user objects; under lock */
	struct mem_node *memory;   /* memory nodes; under lock */
	struct event_node *events; /* nodes of events; under lock */
	/* It is the one inside of a node of this graph; NULL: it stands by itself. */
	struct graph *parent;
	uint32_t in_node;
	struct graph *children, *sibling; /* those inside that were asked for; under lock */
};

struct graph_exec {
	struct object o;
	uint32_t hosts;
	uint64_t flags;
	struct held *held;
	bool memory; /* it has memory nodes */
	struct event_node *events;
};

/* memory.c of graphs: cuMemAllocAsync() and cuMemFreeAsync() in a captured stream. */
int graph_memory_alloc(const struct target *t, uint64_t bytes, CUdeviceptr *out);
int graph_memory_free(const struct target *t, uint64_t addr);
/* events.c of graphs: an external record or wait in a captured stream. */
int graph_event_captured(const struct target *t, CUgraphNodeType type, CUevent event);

/*
 * done.c: what is known to have ended, so that nobody need be asked. A place is a stream and a
 * command in it.
 */
/* The stream's slot is its own from this thread's last command on. */
void done_stream_made(const struct stream *s);
/* Of this thread's last command, which went to t. */
uint64_t done_place(const struct target *t);
/* All of the stream up to the place has ended. */
bool done_known(uint64_t place);
/* The same, and a call has waited for it: device output and errors have come. c: the stream's. */
bool done_waited(uint64_t place, const struct ctx *c);
/* This thread's last command has waited for all work of the context, of the stream. */
void done_wait_ctx(struct ctx *c);
void done_wait_stream(const struct target *t);
/* This thread's last command heard that all work of the stream has ended. */
void done_hear_stream(const struct target *t);
/* Of the session's last one-way command, for work that any thread has sent to t. */
uint64_t done_end(const struct target *t);
/* Nothing was posted since. */
bool done_ctx_at_rest(struct ctx *c);
bool done_stream_at_rest(const struct target *t);
/* All work of the stream has ended. */
bool done_stream_ended(const struct target *t);

/* found.c: functions of a module or kernels of a library that were asked for. Under the owner's
 * lock. */
struct function_info;
struct found {
	enum pvgpu_handle_type type;
	/* Ask the worker for the named, or (name NULL) the index-th one. */
	int (*ask)(struct found *l, const char *name, uint32_t index, uint64_t wire,
		   struct function_info *info);
	/* Set the owner of a new one. */
	void (*adopt)(struct found *l, struct function *f);
	struct function *first; /* all, chained by next */
	struct function **at;   /* the first n in the worker's order */
	uint32_t n, room;
	struct function **by_name; /* hashed; names_room is a power of two, or 0 */
	uint32_t names, names_room;
};
int found_named(struct found *l, const char *name, struct function **out);
/* The handles of the first count. */
int found_first(struct found *l, uint32_t count, void **handles);
/* Remove one, at the owner's end; NULL: there is none left. */
struct function *found_take(struct found *l);

/* module.c */

struct module {
	struct object o;
	pthread_mutex_t lock;
	struct found found; /* functions; under lock */
	/* A library's module in a context: not to be unloaded by itself. Under library_lock. */
	struct library *library;
	struct module *next;
};
/* The module is retired: free the guest's data of it. */
void module_forget(struct module *m);
/* A module object to be loaded into c; NULL when out of handles. */
struct module *module_new(struct ctx *c);

/* image.c */

/* An image of the application's in arena memory. */
struct image {
	void *mem;
	uint64_t size;
};
/* sm: the device's compute capability, 90 is 9.0: code for others is left out. 0: nothing is. */
int image_from_memory(const void *data, unsigned int sm, struct image *out);
int image_from_file(const char *path, unsigned int sm, struct image *out);
/* size bytes at data as they are, whatever they are; data NULL: just the room. */
int image_from_bytes(const void *data, uint64_t size, struct image *out);
int image_from_any_file(const char *path, struct image *out);
void image_free(struct image *i);

/* jit.c */

enum { JIT_SCALARS_MAX = 64, JIT_LOG_MAX = 4096 }; /* limits of the protocol */

/* The application's options: scalars are sent to the worker, log buffers are filled here. */
struct jit {
	struct pvgpu_jit_option scalar[JIT_SCALARS_MAX];
	uint32_t scalars;
	char *info, *error; /* the application's buffers */
	uint32_t info_size, error_size;
	uint32_t info_len, error_len; /* bytes of log received */
	void **info_size_value, **error_size_value, **wall_time_value;
	float wall_time;
};
int jit_parse(unsigned int n, const CUjit_option *options, void **values, struct jit *jit);
/* The compute capability to load for; 0 when the application names another target. */
unsigned int jit_sm(const struct jit *jit, int device);
/* Bytes of log to ask for when the application's buffer has this size. */
uint32_t jit_log_room(uint32_t size);
/* Write the logs' lengths and the time back into the application's values. */
void jit_finish(struct jit *jit);

/* link.c */

/* A CUlinkState. The application's option values and logs are filled after each call; only one
 * thread may use it at a time, as with the driver's. */
struct link {
	struct object o;
	struct jit jit;
	void *image; /* what it was linked to, for the application */
	size_t size;
};
/* It is retired. */
void link_forget(struct link *l);
/* The image of a program that was compiled to be linked and whose linked code is not for this
 * device: linked from its parts, in arena memory. False: it is no such program, or the link failed;
 * then *result is why, and jit has the logs. */
bool link_prelinked(const void *data, struct ctx *c, struct jit *jit, struct image *out,
		    int *result);

/* function.c */

enum { FUNCTION_ATTRS = 16 };

/* A CUfunction or a CUkernel. Everything but attr is fixed when it is published. */
struct function {
	struct object o;            /* ctx: NULL for kernels */
	struct function *next;      /* of the module, the library or the kernel */
	struct module *module;      /* functions of modules */
	struct library *library;    /* kernels, and functions of kernels */
	struct function *kernel;    /* functions of kernels */
	struct function *instances; /* kernels: their functions in contexts; under library_lock */
	char *name;
	_Atomic int attr[FUNCTION_ATTRS];
	/* Bits by attribute: attr is its value, though -1; it was set to that by the application.
	 */
	_Atomic uint32_t attr_known, attr_set;
	_Atomic uint32_t cache_set; /* 1 + the cache configuration that was set last */
	struct occupancy *_Atomic occupancy;
	bool params_known;
	uint32_t param_count, param_bytes;
	struct pvgpu_param_info *params;
};

/* A func_info, its parameters and a name, as in a reply. */
struct function_info {
	uint32_t len;
	_Alignas(8) char bytes[12 * 1024];
};
/* Fill f from a reply; name NULL: it is in the reply. */
int function_fill(struct function *f, const struct function_info *info, const char *name);
/* The function is retired, or was never published. */
void function_free(struct function *f);
/* A CUfunction, or a CUkernel that was cast to one, as launches and occupancy allow. */
struct function *function_find(CUfunction h);

static inline int function_attr(const struct function *f, CUfunction_attribute attr)
{
	return atomic_load_explicit(&f->attr[attr], memory_order_relaxed);
}

int function_get_attribute(struct function *f, CUfunction_attribute attr, int *value);
int function_set_attribute(struct function *f, CUfunction_attribute attr, int value);
int function_set_cache_config(struct function *f, CUfunc_cache config);
int function_param_info(const struct function *f, size_t index, size_t *offset, size_t *size);

/* occupancy.c: how many blocks fit, asked once for each size of blocks. */
int occupancy_blocks(struct ctx *c, struct function *f, int threads, uint64_t shared,
		     unsigned int flags, int *blocks);
/* A setting that it may depend on has changed, of one function, of any. */
void occupancy_forget(struct function *f);
void occupancy_forget_all(void);
void occupancy_free(struct function *f);

/* library.c */

struct library {
	struct object o;
	struct library *next;   /* of all; under library_lock, as all below */
	struct found found;     /* kernels */
	struct module *modules; /* in contexts */
};
extern pthread_mutex_t library_lock;

/* The context is gone: forget what libraries have in it. */
void library_forget_ctx(const struct ctx *c);
void library_forget_module(struct module *m);
/* The library's module in a context. */
int library_module(struct library *l, struct ctx *c, CUmodule *out);

/* launch.c: a launch's arguments, checked and packed for a node of a graph; out has room for
 * PVGPU_PARAMS_MAX bytes. */
int launch_pack(struct ctx *c, const CUDA_KERNEL_NODE_PARAMS *p, char *out, uint32_t *len,
		struct function **f);
/* copy3d.c: a copy, checked, as a node of a graph. */
int copy_node(struct ctx *c, const CUDA_MEMCPY3D *copy, struct pvgpu_graph_node *n);

/* launch.c: launch attributes in the protocol's form, and what they ask of the launch. */
struct launch_needs {
	bool cooperative;
	unsigned int cluster[3]; /* [0] 0: none */
};
int launch_attrs(const CUlaunchConfig *config, struct pvgpu_launch_attr *out, unsigned int *n,
		 struct launch_needs *needs);

/* memory_map.c: address ranges with a meaning to CUDA; all other memory is pageable */

enum range_kind {
	RANGE_NONE, /* pageable, or not mapped */
	RANGE_DEVICE,
	RANGE_GLOBAL, /* a module's variable */
	RANGE_PINNED, /* arena memory */
	RANGE_STAGED, /* pinned, but beyond the arena: ordinary memory, which kernels cannot reach
		       */
	RANGE_REGISTERED,
	RANGE_MAPPED,   /* physical memory at reserved addresses; flags: the device's access */
	RANGE_RESERVED, /* addresses; in a map of its own */
};

/* Of a RANGE_DEVICE's flags: it goes with the graphs that allocate it. */
enum { RANGE_OF_GRAPH = 1 };
/* Of a RANGE_PINNED's flags: it is managed memory. */
#define RANGE_MANAGED 0x80000000u

struct range {
	uint64_t base, size;
	enum range_kind kind;
	unsigned int flags; /* as given to cuMemHostAlloc() or cuMemHostRegister() */
	uint64_t id;        /* CU_POINTER_ATTRIBUTE_BUFFER_ID */
	struct ctx *ctx;
	/* RANGE_GLOBAL: module or library; RANGE_MAPPED: its memory; RANGE_RESERVED: itself */
	const struct object *owner;
	struct block *block; /* of a pool, see pool.h; NULL: of none */
};

/* id is filled in. CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED for registered memory that overlaps
 * other. A RANGE_GLOBAL that is known already, or empty, is ignored. A range from the worker that
 * is impossible (outside of the window, overlapping) ends the session. */
int range_add(const struct range *r);
/* The range that holds a device address: device memory, a variable, pinned memory. */
bool range_find_device(uint64_t addr, struct range *out);
/* The range that holds a host address: pinned, staged or registered memory. */
bool range_find_host(uint64_t addr, struct range *out);
/* The reservation that holds an address. */
bool range_find_reserved(uint64_t addr, struct range *out);
/* Is nothing at [addr, addr+len) that is valid on the device? */
bool range_is_free(uint64_t addr, uint64_t len);
/* Is [addr, addr+len) made of whole mappings? */
bool range_is_mapped(uint64_t addr, uint64_t len);
/* Set the access of these. */
void range_set_access(uint64_t addr, uint64_t len, unsigned int flags);
/* Remove the range of this kind that begins at addr. */
bool range_remove(uint64_t addr, enum range_kind kind, struct range *out);
/*
 * Remove the device ranges of a context or an owner (a module, a library). Called before the worker
 * is told to end it: afterwards the addresses may be reused for other memory at any time.
 */
void range_remove_ctx_device(struct ctx *c);
void range_remove_owner(const struct object *owner);
/* Remove a context's host ranges, when the worker no longer uses them; fn is called with each, with
 * no lock held. */
void range_remove_ctx_host(const struct ctx *c, void (*fn)(const struct range *r));

/* Bytes from the range's begin that copies and fills may touch: what is mapped for it, as with the
 * driver, which rounds sizes. */
uint64_t range_mapped(const struct range *r);
/* Has the device access to all of [addr, addr+len), in mappings without a gap? */
bool range_accessible(uint64_t addr, uint64_t len);
/* Does [addr, addr+len) begin in the range and end in what is mapped for it? */
static inline bool range_holds(const struct range *r, uint64_t addr, uint64_t len)
{
	if (unlikely(r->kind == RANGE_MAPPED))
		return range_accessible(addr, len);
	return len <= range_mapped(r) - (addr - r->base);
}

/* Is [addr, addr+len) device memory, a variable or pinned memory? */
static inline bool range_on_device(uint64_t addr, uint64_t len)
{
	struct range r;

	return range_find_device(addr, &r) && range_holds(&r, addr, len);
}

/* pool_calls.c, pool_alloc.c: memory pools, see pool.h */
CUmemoryPool pool_of_block(const struct block *b);
/* The block's use has ended: cuMemFree(). */
void pool_free(struct block *b);
/* Give back what pools keep unused. False: nothing. */
bool pool_reclaim(void);
void pool_forget_ctx(struct ctx *c);
/* After a call that has waited: pools give back what is above their thresholds. */
void pool_rest_slow(void);
extern _Atomic bool pool_excess;
static inline void pool_rest(void)
{
	if (unlikely(atomic_load_explicit(&pool_excess, memory_order_relaxed)))
		pool_rest_slow();
}

/* host.c: the range is gone: give the memory back that is the library's. */
void host_free(const struct range *r);

/* managed.c */
static inline bool range_is_managed(const struct range *r)
{
	return r->kind == RANGE_PINNED && r->flags & RANGE_MANAGED;
}
/* Its memory goes: so do advice and prefetches of it. */
void managed_forget(const struct range *r);

/* staging.c: copies between pageable memory and the device through pieces of the arena */

struct slot {
	struct pvgpu_mark mark;
	struct slot *next;
	char *mem;
	uint64_t size;   /* STAGING_PIECE or STAGING_SMALL */
	uint64_t stream; /* the key of the one in which it is in flight */
};
/* Measured on two CPUs (docs/performance.md): smaller pieces wake the other side too often. */
enum {
	STAGING_PIECE = 2048 * 1024,
	STAGING_SMALL = 64 * 1024, /* copies up to this size take pieces of this size */
	STAGING_DEPTH = 4,
	STAGING_WAIT_ABOVE = 64 * 1024,
};

/*
 * The pieces of one copy, used in turn, so that they stay in the cache. All copies share one pool
 * of pieces: depth is how many this one has, 0 while it may still get STAGING_DEPTH. A copy that
 * holds a piece never waits for another copy's, or copies could deadlock; where there is memory, no
 * copy waits for one of another stream.
 */
struct staging {
	struct slot *slot[STAGING_DEPTH];
	uint64_t stream, size; /* of its pieces; small ones where there is no room for large ones */
	unsigned int next;     /* number of the next piece; its place is that modulo depth */
	unsigned int depth;
};
struct staging staging_begin(const struct target *t, uint64_t len);

/* Have one piece at least, before pinned memory takes all of the arena: without any, copies travel
 * in records of 4 KiB. */
void staging_reserve(void);
/* Reserve the next piece; returns how many pieces this copy has to use in turn. */
unsigned int staging_hold(struct staging *st);
/* The next piece, free for use; NULL when there is no arena memory or the session is dead. Post it
 * with its mark. */
struct slot *staging_next(struct staging *st);
/* The piece given last was not posted. */
void staging_unused(struct staging *st);
/* The piece posted last has been copied, and so have those before it. */
int staging_wait(struct staging *st);
/* Release the pieces; those in flight become free when their marks are done. */
void staging_end(struct staging *st);
/* The result for a copy that got no piece. */
int staging_failure(void);

/* Returns when everything is staged; dst is device memory. wait: a copy of some size has arrived
 * then, as with the real driver, where only small synchronous copies are merely staged. */
int staging_write(const struct target *t, uint64_t dst, const void *src, uint64_t len, bool wait);
/* Returns when dst is filled; src is device memory. */
int staging_read(const struct target *t, void *dst, uint64_t src, uint64_t len);

/* The size of a copy's pieces. */
uint64_t staging_piece(uint64_t len);
/* One piece for as long as its caller likes; NULL: there is no arena memory or the session is dead.
 * in_flight: a command with the piece's mark is on its way, and the piece is free after that. */
struct slot *staging_take(void);
void staging_give(struct slot *s, bool in_flight);

/* numbers.c: the numbers of a generated call, one after the other */
struct numbers {
	struct slot *slot; /* the piece of the arena that they lie in, NULL: in small */
	char *to;
	/* For the command. */
	const void *record;
	uint32_t record_len;
	uint64_t large, large_len;
	_Alignas(8) char small[PVGPU_INLINE_MAX];
};
int numbers_begin(struct numbers *k, uint64_t bytes);
/* at: a multiple of 8; up to the next multiple behind them there is room. */
void numbers_put(struct numbers *k, uint64_t at, const void *from, uint64_t bytes);
void numbers_end(struct numbers *k, bool posted);

/* array.c, texture.c: the object is retired. array.h has what the folder shares. */
struct array {
	struct object o;
	CUDA_ARRAY3D_DESCRIPTOR desc;
	uint64_t texel_bytes, row_bytes, rows, slices; /* slices: or layers; at least 1 */
};
/* A CUtexObject or a CUsurfObject: the application holds the driver's number. */
struct texture {
	struct object o;
	uint64_t number;
	bool is_surface;
	struct texture *next; /* of all; under a lock of texture.c */
	CUDA_RESOURCE_DESC resource;
	CUDA_TEXTURE_DESC desc;
};
void texture_forget(struct texture *t);

/* vmm.c: physical memory and reserved addresses. Counts under its lock. */
struct physical {
	struct object o;
	CUmemAllocationProp prop;
	uint64_t size;
	unsigned int refs, maps; /* uses of the handle; mappings: it goes when both are 0 */
};
struct reservation {
	struct object o;
	uint64_t base, size;
	unsigned int maps;
};

/* move.c: asynchronous copies from and to memory that the worker does not reach, in pieces. */
struct moving {
	uint64_t user, extent; /* the application's memory that it touches */
	uint64_t dev, len;     /* of a linear copy */
	void *what;            /* of the functions; freed when the copy has ended */
	bool to_device;
	unsigned int pieces;
	uint64_t piece; /* bytes of the arena that one takes at most */
	/* Copy piece k between the application's memory and mem: in another thread. */
	void (*pack)(const struct moving *v, unsigned int k, char *mem);
	/* Post the copy of piece k between mem and the device. */
	int (*post)(const struct moving *v, const struct target *t, unsigned int k, char *mem,
		    struct pvgpu_mark *m);
};
/* MOVE_BUSY: there is no memory, or not with this worker; `what` is the caller's then. */
enum { MOVE_BUSY = -1 };
int move_async(const struct target *t, const struct moving *v);
/* Has any of them not ended? */
bool move_pending(void);
/* The application's memory goes: none touches it from here on. */
void move_forget(uint64_t base, uint64_t len);

/* hostfunc.c */

/* A host function of a graph: kept until the process ends, and called by each launch. 0: no room.
 */
uint64_t hostfunc_keep(CUhostFn fn, void *user_data, struct ctx *c);
/* Which it is; false: none. */
bool hostfunc_kept(uint64_t id, CUDA_HOST_NODE_PARAMS *out);
void hostfunc_run(void *arg, uint64_t id, uint32_t status);
void hostfunc_forget_ctx(struct ctx *c);

/* output.c */
void output_pull(void *arg);

/* init.c, for fork.c: no thread opens a session while the process is copied. */
void init_fork_lock(void);
void init_fork_unlock(void);
/* In the child: forget the parent's session and return it (NULL: there was none). */
struct pvgpu_session *init_fork_child(void);

#endif
