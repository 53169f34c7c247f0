/* SPDX-License-Identifier: MIT */
/*
 * The engines that are not compute: two that copy (towards the host, and everything else), so that
 * both directions overlap each other and kernels; one thread for callbacks; and a keeper, which
 * polls values that streams wait for and holds this process's slot in the shared GPU while it
 * lives.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define CHUNK   (8u << 20)  /* between chunks a copy checks whether its context is destroyed */
#define SMALL   (16u << 10) /* copies up to this size run in any thread */
#define POLL_NS 50000

struct queue {
	pthread_cond_t wake;
	struct op *first, **last;
	bool sleeping;
};

enum { TO_HOST, TO_DEVICE, CALLBACKS, QUEUES };

static struct queue queue[QUEUES];
static struct op *watched; /* OP_WAIT_VALUE */
static pthread_cond_t watch_wake;
static pthread_cond_t claimed_wake;
static int claimed = 1;

static size_t bytes_of(const struct op *op)
{
	if (op->kind == OP_COPY)
		return op->copy.width * op->copy.height * op->copy.depth;
	return op->set.width * op->set.height * op->set.size;
}

bool op_is_small(const struct op *op)
{
	if (op->kind == OP_WRITE || op->kind == OP_FREE)
		return true;
	if (op->kind == OP_CONDITION)
		return !op->condition.node;
	return (op->kind == OP_COPY || op->kind == OP_MEMSET) && bytes_of(op) <= SMALL &&
	       !sim_fault.copy_us && !sim_fault.hang_copy;
}

static bool unwanted(const struct op *op)
{
	return atomic_load_explicit(&op->ctx->dying, memory_order_relaxed) ||
	       ctx_error(op->ctx) != CUDA_SUCCESS;
}

static void copy_row(const struct op *op, char *dst, const char *src, size_t n)
{
	while (n) {
		size_t part = n < CHUNK ? n : CHUNK;

		memmove(dst, src, part);
		dst += part;
		src += part;
		n -= part;
		if (n && unwanted(op))
			return;
	}
}

static void run_copy(const struct op *op)
{
	const struct copy_op *c = &op->copy;
	size_t width = c->width;

	if (sim_fault.copy_tail && width)
		width -= width > 16 ? 16 : 1;
	for (size_t z = 0; z < c->depth; z++)
		for (size_t y = 0; y < c->height; y++)
			copy_row(op, c->dst + z * c->dslice + y * c->dpitch,
				 c->src + z * c->sslice + y * c->spitch, width);
}

static void fill_row(char *p, uint32_t value, uint32_t size, size_t n)
{
	uint16_t v16 = (uint16_t)value;

	if (size == 1) {
		memset(p, (int)value, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (size == 2)
			((uint16_t *)(void *)p)[i] = v16;
		else
			((uint32_t *)(void *)p)[i] = value;
	}
}

static void run_memset(const struct op *op)
{
	const struct memset_op *m = &op->set;
	uint32_t value = sim_fault.memset_value ? m->value ^ 1 : m->value;

	for (size_t y = 0; y < m->height && !(y && unwanted(op)); y++)
		fill_row(m->dst + y * m->pitch, value, m->size, m->width);
}

static void run_write(const struct op *op)
{
	const struct value_op *v = &op->value;

	if (v->size == 4)
		__atomic_store_n((uint32_t *)v->addr, (uint32_t)v->value, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint64_t *)v->addr, v->value, __ATOMIC_RELEASE);
}

/* A slower device moves data more slowly too. */
static void slow_down(uint64_t ns)
{
	uint64_t extra = ns * (100 - sim_config.speed) / sim_config.speed;
	struct timespec t = {(time_t)(extra / 1000000000u), (long)(extra % 1000000000u)};

	if (extra)
		nanosleep(&t, NULL);
}

static void hang(const struct op *op)
{
	struct timespec t = {0, 1000000};

	while (!unwanted(op))
		nanosleep(&t, NULL);
}

/* A place among the copies in flight. SIMGPU_COPIES: all are taken, and the copy is accounted for
 * at its end only. */
static unsigned int begin_copying(uint64_t begin)
{
	unsigned int i;

	for (i = 0; i < SIMGPU_COPIES; i++) {
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(&arbiter_self->copy_since[i], &none, begin, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			break;
	}
	return i;
}

static void end_copying(unsigned int i, uint64_t begin)
{
	uint64_t end = now_ns();

	if (i < SIMGPU_COPIES)
		__atomic_store_n(&arbiter_self->copy_since[i], 0, __ATOMIC_RELEASE);
	__atomic_fetch_add(&arbiter_self->copy_ns, end - begin, __ATOMIC_RELEASE);
}

void op_run(struct op *op)
{
	unsigned int place;
	uint64_t begin;

	if (op->kind == OP_WRITE) {
		run_write(op);
		return;
	}
	if (op->kind == OP_CONDITION) {
		condition_defaults(op);
		return;
	}
	if (op->kind == OP_FREE) {
		memory_free_now(op->free_addr);
		mempool_freed();
		return;
	}
	if (unwanted(op))
		return;
	arbiter_work(true); /* a synchronous one was not pushed */
	begin = now_ns();
	place = begin_copying(begin);
	if (op->kind == OP_COPY && fault_copy())
		hang(op);
	if (op->kind == OP_COPY)
		run_copy(op);
	else
		run_memset(op);
	if (unlikely(sim_config.link_gbps > 0) && op->kind == OP_COPY &&
	    op->copy.from_device != op->copy.to_device)
		pace_link(begin, bytes_of(op), op->copy.to_device);
	if (unlikely(sim_config.speed < 100))
		slow_down(now_ns() - begin);
	end_copying(place, begin);
	arbiter_add(&arbiter_self->copy_bytes, bytes_of(op));
	arbiter_cache(op->kind == OP_MEMSET ? bytes_of(op) : 0);
	arbiter_work(false);
}

static bool value_reached(const struct value_op *v)
{
	uint64_t mask = v->size == 4 ? UINT32_MAX : UINT64_MAX;
	uint64_t now = v->size == 4 ? __atomic_load_n((const uint32_t *)v->addr, __ATOMIC_ACQUIRE)
				    : __atomic_load_n((const uint64_t *)v->addr, __ATOMIC_ACQUIRE);

	switch (v->flags & 3) {
	case CU_STREAM_WAIT_VALUE_GEQ:
		return v->size == 4 ? (int32_t)((uint32_t)now - (uint32_t)v->value) >= 0
				    : (int64_t)(now - v->value) >= 0;
	case CU_STREAM_WAIT_VALUE_EQ:
		return now == (v->value & mask);
	case CU_STREAM_WAIT_VALUE_AND:
		return now & v->value;
	default: /* CU_STREAM_WAIT_VALUE_NOR */
		return (~(now | v->value) & mask) != 0;
	}
}

static void run_callback(struct op *op)
{
	struct sim_thread *self = sim_thread();
	const struct host_op *h = &op->host;

	if (self)
		self->in_callback = true;
	if (sim_fault.callback_dropped)
		return;
	if (h->callback)
		h->callback(h->handle, ctx_error(op->ctx), h->arg);
	else if (ctx_error(op->ctx) == CUDA_SUCCESS)
		h->fn(h->arg);
}

void engine_submit(struct op *op)
{
	struct queue *q;

	switch (op->kind) {
	case OP_KERNEL:
		compute_submit(op);
		return;
	case OP_CONDITION:
		if (condition_submit(op))
			return;
		q = &queue[TO_DEVICE];
		break;
	case OP_WAIT_VALUE:
		op->next = watched;
		watched = op;
		pthread_cond_signal(&watch_wake);
		return;
	case OP_HOST:
		q = &queue[CALLBACKS];
		break;
	default:
		q = &queue[op->kind == OP_COPY && !op->copy.to_device ? TO_HOST : TO_DEVICE];
		break;
	}
	op->next = NULL;
	*q->last = op;
	q->last = &op->next;
	if (q->sleeping)
		pthread_cond_signal(&q->wake);
}

static void *engine(void *arg)
{
	struct queue *q = arg;

	for (;;) {
		struct op *op;

		exec_lock();
		while (!q->first) {
			q->sleeping = true;
			pthread_cond_wait(&q->wake, &exec_mutex);
			q->sleeping = false;
		}
		op = q->first;
		q->first = op->next;
		if (!q->first)
			q->last = &q->first;
		exec_unlock();
		if (op->kind == OP_HOST)
			run_callback(op);
		else
			op_run(op);
		exec_finish(op);
	}
	return NULL;
}

/* exec.lock held; takes one watched operation that is due out of the list. */
static struct op *take_due(void)
{
	for (struct op **p = &watched; *p; p = &(*p)->next) {
		struct op *op = *p;

		if (unwanted(op) || value_reached(&op->value)) {
			*p = op->next;
			return op;
		}
	}
	return NULL;
}

static void *keeper(void *arg)
{
	int err = arbiter_claim();

	exec_lock();
	claimed = err;
	pthread_cond_broadcast(&claimed_wake);
	for (;;) {
		struct op *op = take_due();
		struct timespec t;

		if (op) {
			exec_unlock();
			exec_finish(op);
			exec_lock();
			continue;
		}
		if (!watched) {
			pthread_cond_wait(&watch_wake, &exec_mutex);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += POLL_NS;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		pthread_cond_timedwait(&watch_wake, &exec_mutex, &t);
	}
	return NULL;
}

static int start_keeper(void)
{
	int err = sim_thread_start(keeper, NULL);

	if (err)
		return err;
	exec_lock();
	while (claimed > 0)
		pthread_cond_wait(&claimed_wake, &exec_mutex);
	exec_unlock();
	return claimed;
}

int engine_start(void)
{
	pthread_condattr_t attr;
	int err;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&watch_wake, &attr);
	pthread_cond_init(&claimed_wake, &attr);
	pthread_condattr_destroy(&attr);
	for (int i = 0; i < QUEUES; i++) {
		pthread_cond_init(&queue[i].wake, NULL);
		queue[i].last = &queue[i].first;
	}
	err = start_keeper();
	for (int i = 0; i < QUEUES && !err; i++)
		err = sim_thread_start(engine, &queue[i]);
	return err;
}
