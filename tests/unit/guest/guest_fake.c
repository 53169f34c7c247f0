/* SPDX-License-Identifier: MIT */
#include "guest_fake.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "link/session.h"
#include "ring/ring.h"

struct fake fake;

static struct pvgpu_session_ops session_ops;
static struct pvgpu_session_info session_info;
static uint64_t device_next, arena_next, handle_next;
static char session_memory;
static pthread_mutex_t lock =
	PTHREAD_MUTEX_INITIALIZER; /* fake.last and the counters of commands */

#define SESSION ((struct pvgpu_session *)&session_memory)

static uint64_t map_window(void)
{
	void *p = mmap(NULL, FAKE_WINDOW, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return (uintptr_t)p;
}

int pvgpu_session_open(const struct pvgpu_session_ops *ops, struct pvgpu_session **out)
{
	if (fake.open_result)
		return fake.open_result;
	session_ops = *ops;
	session_info = (struct pvgpu_session_info){.version = 1,
						   .device_count = fake.devices ? fake.devices : 1,
						   .driver_version = 12080,
						   .device_base = map_window(),
						   .device_size = FAKE_WINDOW,
						   .arena_base = map_window(),
						   .arena_size = FAKE_WINDOW};
	device_next = session_info.device_base;
	arena_next = session_info.arena_base;
	fake.opened++;
	if (fake.early_output)
		session_ops.output(session_ops.arg);
	*out = SESSION;
	return 0;
}

void pvgpu_session_close(struct pvgpu_session *s)
{
}

void pvgpu_session_abandon(struct pvgpu_session *s)
{
	fake.abandoned++;
}

static uint64_t number, worked;
static _Thread_local uint64_t posted;
static _Thread_local enum pvgpu_patience patience;

enum pvgpu_patience pvgpu_wait_so(enum pvgpu_patience how)
{
	const enum pvgpu_patience before = patience;

	patience = how;
	return before;
}

uint64_t pvgpu_posted(void)
{
	return posted;
}

uint64_t pvgpu_worked(struct pvgpu_session *s)
{
	return __atomic_load_n(&worked, __ATOMIC_RELAXED);
}

uint32_t pvgpu_slot(uint64_t handle)
{
	return (PVGPU_HANDLE_TYPE(handle) == PVGPU_H_CTX ? 0 : 32) + PVGPU_HANDLE_INDEX(handle);
}

bool pvgpu_ended(struct pvgpu_session *s, uint32_t slot, uint64_t upto)
{
	return slot < PVGPU_ENDED_SLOTS && fake.ended >= upto && !fake.unsound;
}

bool pvgpu_expect_hosts(struct pvgpu_session *s, uint32_t n)
{
	return true;
}

void pvgpu_expected_hosts(struct pvgpu_session *s)
{
}

bool pvgpu_tells_ends(const struct pvgpu_session *s)
{
	return !fake.old_worker;
}

bool pvgpu_sound(const struct pvgpu_session *s)
{
	return !fake.unsound;
}

const struct pvgpu_session_info *pvgpu_session_info(const struct pvgpu_session *s)
{
	return &session_info;
}

int pvgpu_session_status(const struct pvgpu_session *s)
{
	return fake.dead;
}

uint64_t pvgpu_handle_new(struct pvgpu_session *s, uint32_t type, uint32_t vgpu)
{
	static uint64_t last_stream;
	uint64_t h;

	if (fake.same_stream && type == PVGPU_H_STREAM)
		return last_stream;
	h = PVGPU_HANDLE(type, vgpu, 1, __atomic_fetch_add(&handle_next, 1, __ATOMIC_RELAXED));
	if (type == PVGPU_H_STREAM)
		__atomic_store_n(&last_stream, h, __ATOMIC_RELAXED);
	return h;
}

void pvgpu_handle_free(struct pvgpu_session *s, uint64_t handle)
{
}

void *pvgpu_arena_alloc(struct pvgpu_session *s, uint64_t size, bool staging)
{
	uint64_t p;

	if (fake.arena_full)
		return NULL;
	size = (size + 4095) & ~4095ull;
	p = __atomic_fetch_add(&arena_next, size, __ATOMIC_RELAXED);
	if (p + size > session_info.arena_base + FAKE_WINDOW)
		return NULL;
	__atomic_fetch_add(&fake.arena_allocs, 1, __ATOMIC_RELAXED);
	return (void *)(uintptr_t)p;
}

void pvgpu_arena_free(struct pvgpu_session *s, void *p)
{
	__atomic_fetch_add(&fake.arena_frees, 1, __ATOMIC_RELAXED);
}

int pvgpu_mark_wait(struct pvgpu_session *s, struct pvgpu_mark *m)
{
	m->done = true;
	return fake.dead ? fake.dead : m->result;
}

bool pvgpu_mark_poll(struct pvgpu_session *s, struct pvgpu_mark *m)
{
	return m->done;
}

void pvgpu_count_wait(struct pvgpu_session *s, const uint32_t *count, uint32_t seen)
{
	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) == seen && !fake.dead)
		sched_yield();
}

void pvgpu_let_go(struct pvgpu_session *s, uint32_t *word, uint32_t value)
{
	(void)s;
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

int pvgpu_broken(struct pvgpu_session *s, const char *what)
{
	if (!fake.expect_broken) {
		fprintf(stderr, "bad reply to %s\n", what);
		abort();
	}
	fake.broken++;
	return fake.dead = PVGPU_DEAD_RESULT;
}

static const struct pvgpu_cmd_hdr *note(const struct pvgpu_piece *p, unsigned int n)
{
	const struct pvgpu_cmd_hdr *h = (const void *)fake.last;

	fake.last_len = 0;
	for (unsigned int i = 0; i < n; i++) {
		memcpy(fake.last + fake.last_len, p[i].base, p[i].len);
		fake.last_len += p[i].len;
	}
	if (h->len != fake.last_len || h->op >= FAKE_OPS)
		abort();
	fake.count[h->op]++;
	posted = ++number;
	return h;
}

unsigned int fake_commands(void)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < FAKE_OPS; i++)
		sum += fake.count[i];
	return sum;
}

static void *at(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static void run_copy_3d(const struct pvgpu_wire_copy_3d *c)
{
	for (uint64_t z = 0; z < c->depth; z++)
		for (uint64_t y = 0; y < c->height; y++)
			memmove(at(c->dst + (z * c->dst_height + y) * c->dst_pitch),
				at(c->src + (z * c->src_height + y) * c->src_pitch), c->width);
}

static void run_memset(const struct pvgpu_wire_memset *m)
{
	for (uint64_t y = 0; y < m->height; y++)
		for (uint64_t x = 0; x < m->width; x++)
			memcpy(at(m->dst + y * m->pitch + x * m->element), &m->value, m->element);
}

/* The stream's thread is this one. */
static void run_hold(const struct pvgpu_wire_hold *h)
{
	const uint32_t *word = at(h->word);

	while ((int32_t)(__atomic_load_n(word, __ATOMIC_ACQUIRE) - h->value) < 0)
		sched_yield();
}

static void run_copy_batch(const struct pvgpu_wire_copy_batch *c)
{
	const struct pvgpu_copy_line *line = (const void *)(c + 1);

	for (uint32_t i = 0; i < c->lines_len / sizeof(*line); i++)
		memmove(at(line[i].dst), at(line[i].src), line[i].size);
}

static void execute(const struct pvgpu_cmd_hdr *h)
{
	const struct pvgpu_wire_copy *copy = (const void *)h;
	const struct pvgpu_wire_copy_inline *in = (const void *)h;

	switch (h->op) {
	case PVGPU_OP_COPY:
		memmove(at(copy->dst), at(copy->src), copy->size);
		break;
	case PVGPU_OP_COPY_INLINE:
		memcpy(at(in->dst), in + 1, in->data_len);
		break;
	case PVGPU_OP_COPY_BATCH:
		run_copy_batch((const void *)h);
		break;
	case PVGPU_OP_COPY_3D:
		run_copy_3d((const void *)h);
		break;
	case PVGPU_OP_MEMSET:
		run_memset((const void *)h);
		break;
	case PVGPU_OP_HOLD:
		run_hold((const void *)h);
		break;
	case PVGPU_OP_HOST_FUNC:
		fake.callback_id = ((const struct pvgpu_wire_host_func *)h)->id;
		break;
	default:
		break;
	}
}

int pvgpu_post(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n)
{
	if (fake.dies_at && ((const struct pvgpu_cmd_hdr *)p[0].base)->op == fake.dies_at)
		fake.dead = PVGPU_DEAD_RESULT;
	if (fake.dead)
		return fake.dead;
	pthread_mutex_lock(&lock);
	execute(note(p, n));
	__atomic_store_n(&worked, posted, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	return 0;
}

static void mark_done(struct pvgpu_mark *m)
{
	__atomic_store_n(&m->done, true, __ATOMIC_RELEASE);
	if (m->fn)
		m->fn(m);
}

int pvgpu_post_mark(struct pvgpu_session *s, struct pvgpu_mark *m, const struct pvgpu_piece *p,
		    unsigned int n)
{
	const struct pvgpu_cmd_hdr *h;

	m->result = 0;
	__atomic_store_n(&m->done, false, __ATOMIC_RELAXED);
	if (fake.dead)
		return fake.dead;
	pthread_mutex_lock(&lock);
	fake.marked++;
	h = note(p, n);
	/* A hold's mark comes first. */
	if (h->op == PVGPU_OP_HOLD)
		mark_done(m);
	execute(h);
	__atomic_store_n(&worked, posted, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	if (h->op != PVGPU_OP_HOLD && (m->fn || !fake.hold_marks))
		mark_done(m);
	return 0;
}

/* Sizes of the fixed parts of replies that have more than a header. */
static const uint32_t reply_size[FAKE_OPS] = {
#define REPLY(OP, cmd) [PVGPU_OP_##OP] = sizeof(struct pvgpu_wire_##cmd##_reply)
	REPLY(DEVICE_SNAPSHOT, device_snapshot),
	REPLY(SM_SPLIT, sm_split),
	REPLY(GREEN_CREATE, green_create),
	REPLY(MEM_INFO, mem_info),
	REPLY(OUTPUT_PULL, output_pull),
	REPLY(CTX_PRIMARY_RETAIN, ctx_primary_retain),
	REPLY(CTX_CREATE, ctx_create),
	REPLY(CTX_GET_LIMIT, ctx_get_limit),
	REPLY(CTX_GET_CACHE_CONFIG, ctx_get_cache_config),
	REPLY(MODULE_LOAD, module_load),
	REPLY(MODULE_GET_FUNCTION, module_get_function),
	REPLY(MODULE_GET_GLOBAL, module_get_global),
	REPLY(MODULE_FUNCTION_COUNT, module_function_count),
	REPLY(MODULE_FUNCTION_AT, module_function_at),
	REPLY(LIBRARY_KERNEL_COUNT, library_kernel_count),
	REPLY(LIBRARY_KERNEL_AT, library_kernel_at),
	REPLY(LIBRARY_GET_GLOBAL, library_get_global),
	REPLY(LIBRARY_LOAD, library_load),
	REPLY(LIBRARY_GET_KERNEL, library_get_kernel),
	REPLY(KERNEL_GET_FUNCTION, kernel_get_function),
	REPLY(FUNC_GET_ATTRIBUTE, func_get_attribute),
	REPLY(FUNC_OCCUPANCY, func_occupancy),
	REPLY(MEM_ALLOC, mem_alloc),
	REPLY(MEM_RESERVE, mem_reserve),
	REPLY(COPY_FETCH, copy_fetch),
	REPLY(EVENT_ELAPSED, event_elapsed),
	REPLY(GRAPH_ADD, graph_add),
	REPLY(GRAPH_MOVE, graph_move),
	REPLY(GRAPH_CONDITION, graph_condition),
	REPLY(GRAPH_CONDITIONAL, graph_conditional),
	REPLY(GRAPH_INSTANTIATE, graph_instantiate),
	REPLY(GRAPH_EXEC_UPDATE, graph_exec_update),
#undef REPLY
};

static const struct {
	int attr, value;
} device_attrs[] = {{1, 1024},   {2, 1024},  {3, 1024},    {4, 64},     {5, 0x7fffffff},
		    {6, 65535},  {7, 65535}, {8, 49152},   {10, 32},    {11, 0x7fffffff},
		    {12, 65536}, {16, 8},    {19, 1},      {39, 2048},  {75, 9},
		    {95, 1},     {102, 1},   {22, 131072}, {23, 65536}, {73, 32768},
		    {74, 32768}};

static uint32_t reply_snapshot(uint32_t device, struct pvgpu_wire_device_snapshot_reply *r)
{
	struct pvgpu_device_attr *attr;
	char *tail = (char *)(r + 1);

	r->total_mem = FAKE_WINDOW;
	r->uuid_len = 16;
	memcpy(tail, "0123456789abcdef", 16);
	tail[0] += (char)device;
	tail += 16;
	r->name_len = 8;
	memcpy(tail, "fake GPU", 8);
	tail += 8;
	r->pci_bus_id_len = 12;
	memset(tail, 0, 16);
	memcpy(tail, "0000:3b:00.0", 12);
	tail += 16;
	r->attrs_len = PVGPU_ATTRS_MAX * sizeof(*attr);
	attr = (void *)tail;
	memset(attr, 0, r->attrs_len);
	attr[200].result = 1;
	for (size_t i = 0; i < sizeof(device_attrs) / sizeof(device_attrs[0]); i++)
		attr[device_attrs[i].attr].value = device_attrs[i].value;
	return (uint32_t)(tail - (char *)r) + r->attrs_len;
}

/* Info of a function; all replies that contain one have the same begin. */
static uint32_t reply_function(struct pvgpu_wire_module_get_function_reply *r)
{
	char *tail = (char *)(r + 1);
	const uint32_t params = fake.info.param_count * (uint32_t)sizeof(fake.params[0]);

	r->info_len = (uint32_t)sizeof(fake.info) + params;
	memcpy(tail, &fake.info, sizeof(fake.info));
	memcpy(tail + sizeof(fake.info), fake.params, params);
	return (uint32_t)sizeof(*r) + r->info_len;
}

/* The same with a name: "f" and the number. */
static uint32_t reply_function_at(uint32_t index, struct pvgpu_wire_module_function_at_reply *r)
{
	uint32_t len = reply_function((struct pvgpu_wire_module_get_function_reply *)r);
	struct pvgpu_func_info *info = (void *)(r + 1);
	char *name = (char *)r + len;

	memset(name, 0, 8);
	name[0] = 'f';
	name[1] = (char)('0' + index);
	info->name_len = 2;
	r->info_len += 2;
	return len + 8;
}

static uint32_t reply_fetch(const struct pvgpu_cmd_hdr *h, struct pvgpu_wire_copy_fetch_reply *r)
{
	const struct pvgpu_wire_copy_fetch *c = (const void *)h;

	r->data_len = c->size;
	memset(r + 1, 0, PVGPU_PAD8(c->size));
	memcpy(r + 1, at(c->src), c->size);
	return (uint32_t)sizeof(*r) + PVGPU_PAD8(c->size);
}

static uint32_t fill_reply(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t len)
{
	const struct pvgpu_wire_mem_alloc *alloc = (const void *)h;
	const struct pvgpu_wire_module_load *load = (const void *)h;

	switch (h->op) {
	case PVGPU_OP_DEVICE_SNAPSHOT:
		return reply_snapshot(((const struct pvgpu_wire_device_snapshot *)h)->device, rep);
	case PVGPU_OP_MODULE_GET_FUNCTION:
	case PVGPU_OP_LIBRARY_GET_KERNEL:
	case PVGPU_OP_KERNEL_GET_FUNCTION:
		return reply_function(rep);
	case PVGPU_OP_MODULE_FUNCTION_COUNT:
		((struct pvgpu_wire_module_function_count_reply *)rep)->count = FAKE_FUNCTIONS;
		return len;
	case PVGPU_OP_LIBRARY_KERNEL_COUNT:
		((struct pvgpu_wire_library_kernel_count_reply *)rep)->count = FAKE_FUNCTIONS;
		return len;
	case PVGPU_OP_MODULE_FUNCTION_AT:
		return reply_function_at(((const struct pvgpu_wire_module_function_at *)h)->index,
					 rep);
	case PVGPU_OP_LIBRARY_KERNEL_AT:
		return reply_function_at(((const struct pvgpu_wire_library_kernel_at *)h)->index,
					 rep);
	case PVGPU_OP_COPY_FETCH:
		return reply_fetch(h, rep);
	case PVGPU_OP_MEM_ALLOC:
		((struct pvgpu_wire_mem_alloc_reply *)rep)->address = device_next;
		device_next += (alloc->size + 511) & ~511ull;
		return len;
	case PVGPU_OP_MEM_RESERVE:
		device_next = (device_next + PVGPU_ALLOC_PAGE - 1) & ~(PVGPU_ALLOC_PAGE - 1ull);
		((struct pvgpu_wire_mem_reserve_reply *)rep)->address = device_next;
		device_next += ((const struct pvgpu_wire_mem_reserve *)h)->size;
		return len;
	case PVGPU_OP_MODULE_LOAD:
		fake.image_len = load->image_len;
		memcpy(fake.image, at(load->image),
		       load->image_len < sizeof(fake.image) ? load->image_len : sizeof(fake.image));
		return len;
	case PVGPU_OP_MODULE_GET_GLOBAL:
		((struct pvgpu_wire_module_get_global_reply *)rep)->address = 0x10000;
		((struct pvgpu_wire_module_get_global_reply *)rep)->size = 64;
		return len;
	case PVGPU_OP_FUNC_OCCUPANCY:
		((struct pvgpu_wire_func_occupancy_reply *)rep)->blocks =
			1024 / ((const struct pvgpu_wire_func_occupancy *)h)->block_size;
		return len;
	case PVGPU_OP_CTX_CREATE:
	case PVGPU_OP_CTX_PRIMARY_RETAIN:
		((struct pvgpu_wire_ctx_create_reply *)rep)->priority_greatest = -5;
		return len;
	default:
		return len;
	}
}

uint64_t pvgpu_awaited(void)
{
	return 0;
}

int pvgpu_call(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n, void *rep,
	       uint32_t cap, uint32_t *rep_len)
{
	const struct pvgpu_cmd_hdr *h;
	struct pvgpu_rep_hdr *r = rep;
	uint32_t len;
	int result = 0;

	*rep_len = 0;
	if (fake.dead)
		return fake.dead;
	pthread_mutex_lock(&lock);
	h = note(p, n);
	fake.patience = patience;
	len = reply_size[h->op] ? reply_size[h->op] : sizeof(*r);
	memset(rep, 0, len);
	if (fake.fail_result && h->op == fake.fail_op)
		result = fake.fail_result;
	else
		len = fill_reply(h, rep, len);
	if (!result && fake.twist)
		fake.twist(h, rep, &len);
	if (len > cap)
		abort();
	*r = (struct pvgpu_rep_hdr){.len = len, .kind = PVGPU_REP_REPLY, .result = result};
	*rep_len = len;
	pthread_mutex_unlock(&lock);
	return result;
}

void fake_callback(uint32_t status)
{
	session_ops.callback(session_ops.arg, fake.callback_id, status);
}

void fake_output(void)
{
	session_ops.output(session_ops.arg);
}
