/* SPDX-License-Identifier: MIT */
/*
 * The compute engine: worker threads that run the blocks of kernels. A cluster of blocks is run as
 * one block.
 *
 * Blocks that have been started are resident, up to the simulated multiprocessors' capacity, and
 * take turns on the workers, so that blocks which wait for each other make progress. Workers run
 * only while this process has the GPU (arbiter.c); between two turns they check whether the slice
 * is over and another process waits. Sleeping blocks keep the GPU: their clock, device time, runs
 * only while the process has it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define MAX_BLOCKS_PER_SM  32u
#define MAX_THREADS_PER_SM 2048u
#define TURN_NS            250000u /* aimed-at length of one turn of a block */
#define FIRST_BUDGET       2000u   /* warp instructions */
#define SPIN_NS            15000u

struct block {
	struct block *next;
	struct op *op;
	struct ptx_cta *cta;
	uint64_t wake; /* device time */
};

enum grant { NONE, ASKING, HELD, DRAINING };

/* All under exec.lock. */
static struct {
	struct op *launches; /* with blocks to start, by priority, then age */
	struct block *ready, **ready_last;
	struct block *asleep; /* by wake time */
	uint64_t launched;    /* unfinished kernels */
	uint64_t used_ns;     /* of the GPU, up to mark */
	uint64_t resident_blocks, resident_threads;
	bool last_was_fresh, spinning;
	unsigned int busy; /* workers in a turn */
	unsigned int idle; /* workers that wait */
	unsigned int naps; /* of these, in arbiter_nap() */
	enum grant grant;
	uint64_t slice_end, mark; /* real time; mark: up to where time is accounted */
	uint64_t device_ns;       /* device time at mark */
	uint64_t looked_after;    /* 0, or when the worker that waits for the sleepers wakes */
	pthread_cond_t wake;
} eng;
static _Atomic uint32_t submitted; /* moves with each submit, for the spinning worker */

static bool has_gpu(void)
{
	return eng.grant == HELD || eng.grant == DRAINING;
}

/* Account time up to now. A process uses the GPU while it has kernels on it, not merely while it
 * has the grant. */
static void account(uint64_t now)
{
	if (!has_gpu())
		return;
	if (eng.launched) {
		eng.used_ns += now - eng.mark;
		eng.device_ns += now - eng.mark;
	}
	eng.mark = now;
}

/* Called when this process begins or ceases to use the GPU; readers compute the time in between. */
static void publish(void)
{
	uint64_t v = eng.used_ns;

	if (has_gpu() && eng.launched)
		v = (eng.mark - eng.used_ns) | SIMGPU_RUNS;
	__atomic_store_n(&arbiter_self->compute, v, __ATOMIC_RELAXED);
}

static void count_launch(bool more)
{
	if (eng.launched == (more ? 0 : 1))
		account(now_ns());
	eng.launched += more ? 1 : -1ull;
	publish();
}

static void begin_grant(void)
{
	eng.grant = HELD;
	eng.mark = now_ns();
	eng.slice_end = eng.mark + sim_config.slice_us * 1000ull;
	publish();
}

static void end_grant(void)
{
	account(now_ns());
	eng.grant = NONE;
	publish();
	arbiter_release();
}

static bool any_work(void)
{
	return eng.launches || eng.ready || eng.asleep || eng.busy;
}

/*
 * There is work. A worker that is neither idle nor in a turn is about to look for some; then none
 * is woken. That worker wakes the next one if it finds more than it can run.
 */
static void call_worker(void)
{
	if (!eng.idle || eng.idle + eng.busy < sim_config.threads)
		return;
	if (eng.idle == eng.naps)
		arbiter_ring();
	else
		pthread_cond_signal(&eng.wake);
}

void compute_submit(struct op *op)
{
	struct op **p = &eng.launches;
	struct kernel_op *k = &op->kernel;
	CUresult r = fault_launch();

	arbiter_add(&arbiter_self->launches, 1);
	count_launch(true);
	if (r != CUDA_SUCCESS) {
		ctx_fail(op->ctx, r);
		k->stop = true;
	}
	while (*p && (*p)->kernel.priority <= k->priority)
		p = &(*p)->kernel.next_launch;
	k->next_launch = *p;
	*p = op;
	atomic_fetch_add_explicit(&submitted, 1, memory_order_release);
	call_worker();
}

static void remove_launch(struct op *op)
{
	for (struct op **p = &eng.launches; *p; p = &(*p)->kernel.next_launch)
		if (*p == op) {
			*p = op->kernel.next_launch;
			return;
		}
}

static bool stopped(struct op *op)
{
	if (ctx_error(op->ctx) != CUDA_SUCCESS)
		op->kernel.stop = true;
	return op->kernel.stop;
}

/* lock held; op has no resident blocks and will start none: it is finished. */
static void launch_over(struct op *op)
{
	count_launch(false);
	exec_unlock();
	exec_finish(op);
	exec_lock();
}

/* lock held; the next block, or cluster, of op, in the memory of c unless that is NULL. */
static struct ptx_cta *begin_block(struct op *op, struct ptx_cta *c)
{
	struct kernel_op *k = &op->kernel;
	const uint32_t *grid = k->launch.grid, *size = k->launch.cluster;
	const uint32_t sx = size[0] ? size[0] : 1, sy = size[0] ? size[1] : 1;
	const uint32_t sz = size[0] ? size[2] : 1;
	uint64_t i = k->next++;
	uint32_t smid = green_sm(op->stream->green, i);
	uint32_t x = (uint32_t)(i % (grid[0] / sx)) * sx;
	uint32_t y = (uint32_t)(i / (grid[0] / sx) % (grid[1] / sy)) * sy;
	uint32_t z = (uint32_t)(i / (grid[0] / sx) / (grid[1] / sy)) * sz;

	if (k->next == k->total)
		remove_launch(op);
	k->resident++;
	eng.resident_blocks += k->blocks;
	eng.resident_threads += (uint64_t)k->threads * k->blocks;
	exec_unlock();
	if (c)
		ptx_cta_reset(c, x, y, z, smid);
	else
		c = ptx_cta_new(&k->launch, x, y, z, smid);
	exec_lock();
	return c;
}

/* Blocks that were never started count as done once the launch is stopped. */
static void drop_rest(struct op *op)
{
	if (op->kernel.next < op->kernel.total) {
		remove_launch(op);
		op->kernel.next = op->kernel.total;
	}
}

static const char *fault_text(enum ptx_fault_kind kind, CUresult *r)
{
	switch (kind) {
	case PTX_FAULT_ADDRESS:
		*r = CUDA_ERROR_ILLEGAL_ADDRESS;
		return "illegal address";
	case PTX_FAULT_MISALIGNED:
		*r = CUDA_ERROR_MISALIGNED_ADDRESS;
		return "misaligned address";
	case PTX_FAULT_ASSERT:
		*r = CUDA_ERROR_ASSERT;
		return "assertion failed";
	case PTX_FAULT_INSTRUCTION:
		*r = CUDA_ERROR_ILLEGAL_INSTRUCTION;
		return "illegal instruction";
	case PTX_FAULT_STACK:
		*r = CUDA_ERROR_LAUNCH_FAILED;
		return "stack exhausted";
	case PTX_FAULT_CLUSTER:
		*r = CUDA_ERROR_LAUNCH_FAILED;
		return "shared memory of a block that has ended";
	default:
		*r = CUDA_ERROR_LAUNCH_FAILED;
		return "trap";
	}
}

static void block_faulted(struct op *op, const struct ptx_fault *f)
{
	CUresult r;
	const char *what = fault_text(f->kind, &r);
	char where[128] = "";

	if (f->kind == PTX_FAULT_ADDRESS)
		range_describe(f->address, where, sizeof(where));
	if (getenv("SIMCUDA_VERBOSE"))
		fprintf(stderr,
			"simcuda: %s: %s at line %u, address 0x%llx%s, block %u,%u,%u thread "
			"%u,%u,%u\n",
			op->kernel.launch.kernel->name, what, f->line,
			(unsigned long long)f->address, where, f->cta[0], f->cta[1], f->cta[2],
			f->thread[0], f->thread[1], f->thread[2]);
	if (!op->kernel.stop && f->kind != PTX_FAULT_ASSERT)
		arbiter_xid(f->kind == PTX_FAULT_ADDRESS ? XID_PAGE_FAULT : XID_EXCEPTION);
	ctx_fail(op->ctx, r);
	op->kernel.stop = true;
}

static void put_ready(struct op *op, struct ptx_cta *c, struct block *b)
{
	b->op = op;
	b->cta = c;
	b->next = NULL;
	*eng.ready_last = b;
	eng.ready_last = &b->next;
}

static void put_asleep(struct block *b, uint64_t wake)
{
	struct block **p = &eng.asleep;

	b->wake = wake;
	while (*p && (*p)->wake <= wake)
		p = &(*p)->next;
	b->next = *p;
	*p = b;
}

static void wake_sleepers(void)
{
	struct block **p = &eng.asleep;

	while (*p) {
		struct block *b = *p;

		if (b->wake > eng.device_ns && !stopped(b->op)) {
			p = &b->next;
			continue;
		}
		*p = b->next;
		put_ready(b->op, b->cta, b);
	}
}

static bool has_room(const struct op *op)
{
	if (!eng.resident_blocks)
		return true;
	return eng.resident_blocks + op->kernel.blocks <=
		       (uint64_t)sim_config.sms * MAX_BLOCKS_PER_SM &&
	       eng.resident_threads + (uint64_t)op->kernel.threads * op->kernel.blocks <=
		       (uint64_t)sim_config.sms * MAX_THREADS_PER_SM;
}

/* A slower device: the worker sleeps in proportion to the time that it computed. */
static void slow_down(uint64_t ns)
{
	uint64_t extra = ns * (100 - sim_config.speed) / sim_config.speed;
	struct timespec t = {(time_t)(extra / 1000000000u), (long)(extra % 1000000000u)};

	if (extra)
		nanosleep(&t, NULL);
}

static uint64_t next_budget(uint64_t budget, uint64_t ran, uint64_t ns)
{
	if (sim_config.instruction_ns)
		return TURN_NS / sim_config.instruction_ns;
	if (ran < budget / 2 || ns < 1000)
		return budget;
	budget = ran * TURN_NS / ns;
	return budget < 500 ? 500 : budget > 1000000 ? 1000000 : budget;
}

struct turn {
	struct op *op;
	struct ptx_cta *cta;
	struct block *block; /* its place in the lists, reused */
};

/* lock held around; one turn of a block. True: the block has ended, t->cta is to be freed or
 * reused. */
static bool take_turn(struct turn *t, uint64_t *budget)
{
	uint64_t sleep_ns = 0, begin, ns, before, ran;
	enum ptx_step step = PTX_FAULTED;

	if (t->cta && !stopped(t->op)) {
		exec_unlock();
		before = ptx_cta_instructions(t->cta);
		begin = now_ns();
		step = ptx_cta_step(t->cta, *budget, &sleep_ns);
		ns = now_ns() - begin;
		ran = ptx_cta_instructions(t->cta) - before;
		*budget = next_budget(*budget, ran, ns);
		if (unlikely(sim_config.speed < 100))
			slow_down(ns);
		if (unlikely(sim_config.instruction_ns))
			pace(begin, ran);
		print_kept(step == PTX_FAULTED && ptx_cta_fault(t->cta)->kind == PTX_FAULT_ASSERT);
		if (step == PTX_FAULTED)
			block_faulted(t->op, ptx_cta_fault(t->cta));
		exec_lock();
	} else if (!t->cta) {
		ctx_fail(t->op->ctx, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	}
	eng.busy--;
	if (stopped(t->op)) {
		drop_rest(t->op);
		step = PTX_DONE;
	}
	if (step == PTX_SLEEPING || step == PTX_RUNNING) {
		t->block->op = t->op;
		t->block->cta = t->cta;
		if (step == PTX_SLEEPING) {
			account(now_ns());
			put_asleep(t->block, eng.device_ns + sleep_ns);
		} else {
			put_ready(t->op, t->cta, t->block);
		}
		t->block = NULL;
		t->cta = NULL;
		return false;
	}
	return true;
}

/* lock held: does the slice last, or is no other process waiting? */
static bool slice_goes_on(void)
{
	uint64_t now = now_ns();

	if (eng.grant != HELD)
		return false;
	account(now);
	if (now < eng.slice_end)
		return true;
	if (arbiter_contended())
		return false;
	eng.slice_end = now + sim_config.slice_us * 1000ull;
	return true;
}

static void wait_idle(void)
{
	eng.idle++;
	pthread_cond_wait(&eng.wake, &exec_mutex);
	eng.idle--;
}

/* lock held: may this worker start a turn now? If not, it has waited or changed the grant. */
static bool may_run(void)
{
	switch (eng.grant) {
	case NONE:
		eng.grant = ASKING;
		exec_unlock();
		arbiter_acquire();
		exec_lock();
		begin_grant();
		return true;
	case HELD:
		if (slice_goes_on())
			return true;
		eng.grant = DRAINING;
		/* fall through */
	case DRAINING:
		if (!eng.busy) {
			end_grant();
			return false;
		}
		/* fall through */
	default:
		wait_idle();
		return false;
	}
}

/* Nobody else wants the GPU: its slices go by without a look, until somebody does. */
static bool nap_until(uint64_t when)
{
	const uint32_t bell = arbiter_bell();
	const uint64_t slice = sim_config.slice_us * 1000ull;
	uint64_t now;

	if (eng.grant != HELD || when <= eng.slice_end || arbiter_contended())
		return false;
	eng.naps++;
	exec_unlock();
	arbiter_nap(bell, when);
	exec_lock();
	eng.naps--;
	now = now_ns();
	if (eng.grant == HELD && now > eng.slice_end)
		eng.slice_end += (now - eng.slice_end + slice - 1) / slice * slice;
	return true;
}

/* The others need not wake for the same sleeper. */
static void wait_until(uint64_t when)
{
	const uint64_t end = when < eng.slice_end ? when : eng.slice_end;
	struct timespec t = {(time_t)(end / 1000000000u), (long)(end % 1000000000u)};

	if (eng.looked_after && eng.looked_after <= when) {
		wait_idle();
		return;
	}
	eng.looked_after = when;
	eng.idle++;
	if (!nap_until(when))
		pthread_cond_timedwait(&eng.wake, &exec_mutex, &t);
	eng.idle--;
	if (eng.looked_after == when)
		eng.looked_after = 0;
}

/* lock held, no block to run: releases the GPU when no kernel is left, then waits for work. */
static void wait_for_work(void)
{
	uint32_t seen;

	if (eng.asleep) {
		uint64_t due =
			eng.mark +
			(eng.asleep->wake > eng.device_ns ? eng.asleep->wake - eng.device_ns : 0);

		wait_until(due);
		return;
	}
	if (!any_work() && has_gpu())
		end_grant();
	seen = atomic_load_explicit(&submitted, memory_order_relaxed);
	if (!eng.busy && !eng.spinning) {
		uint64_t end = now_ns() + SPIN_NS;

		eng.spinning = true;
		exec_unlock();
		while (atomic_load_explicit(&submitted, memory_order_acquire) == seen &&
		       now_ns() < end)
			__builtin_ia32_pause();
		exec_lock();
		eng.spinning = false;
		if (atomic_load_explicit(&submitted, memory_order_relaxed) != seen)
			return;
	}
	wait_idle();
}

static bool unattended(void)
{
	return eng.asleep && !eng.looked_after;
}

/* lock held: alternates between a new block of the launch with the highest priority and a block
 * that waits for its turn. */
static bool pick(struct turn *t)
{
	struct op *op = eng.launches;
	struct block *b;
	bool fresh;

	wake_sleepers();
	b = eng.ready;
	fresh = op && (has_room(op) || stopped(op)) && !(b && eng.last_was_fresh) &&
		!(b && op->kernel.priority > b->op->kernel.priority);
	if (!fresh && !b)
		return false;
	eng.last_was_fresh = fresh;
	eng.busy++;
	if (fresh) {
		if (b || op->kernel.next + 1 < op->kernel.total || op->kernel.next_launch ||
		    unattended())
			call_worker();
		t->op = op;
		t->cta = begin_block(op, NULL);
		return true;
	}
	eng.ready = b->next;
	if (!eng.ready)
		eng.ready_last = &eng.ready;
	if (eng.ready || (op && has_room(op)) || unattended())
		call_worker();
	t->op = b->op;
	t->cta = b->cta;
	free(t->block);
	t->block = b;
	return true;
}

/* lock held: start the launch's next block in the ended block's memory, if it may start now. */
static bool go_on(struct turn *t)
{
	struct kernel_op *k = &t->op->kernel;

	if (!t->cta || k->next == k->total || k->stop || eng.ready || eng.launches != t->op ||
	    !slice_goes_on())
		return false;
	k->resident--;
	eng.resident_blocks -= k->blocks;
	eng.resident_threads -= (uint64_t)k->threads * k->blocks;
	eng.busy++;
	t->cta = begin_block(t->op, t->cta);
	return true;
}

/* lock held: a block has ended and its worker does not go on with the launch. */
static void end_block(struct turn *t)
{
	struct kernel_op *k = &t->op->kernel;

	if (t->cta) { /* freed before it is counted as ended: the launch must outlive it */
		exec_unlock();
		ptx_cta_free(t->cta);
		exec_lock();
		t->cta = NULL;
	}
	k->resident--;
	eng.resident_blocks -= k->blocks;
	eng.resident_threads -= (uint64_t)k->threads * k->blocks;
	if (!k->resident && k->next == k->total)
		launch_over(t->op);
}

static void *worker(void *arg)
{
	uint64_t budget = FIRST_BUDGET;
	struct turn t = {0};
	bool ended;

	exec_lock();
	for (;;) {
		if (!eng.launches && !eng.ready && !eng.asleep) {
			wait_for_work();
			continue;
		}
		if (!t.block)
			t.block = malloc(sizeof(*t.block));
		if (!t.block || !may_run())
			continue;
		if (!pick(&t)) {
			wait_for_work();
			continue;
		}
		do {
			ended = take_turn(&t, &budget);
		} while (ended && go_on(&t));
		if (ended)
			end_block(&t);
	}
	return NULL;
}

int compute_start(void)
{
	pthread_condattr_t attr;
	int err = 0;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&eng.wake, &attr);
	pthread_condattr_destroy(&attr);
	eng.ready_last = &eng.ready;
	for (uint32_t i = 0; i < sim_config.threads && !err; i++)
		err = sim_thread_start(worker, NULL);
	return err;
}
