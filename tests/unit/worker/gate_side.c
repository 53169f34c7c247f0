/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/worker/gate_side.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

static void *page_of(int *fd)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	*fd = memfd_create("gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(*fd, 0);
	ck_assert_int_eq(ftruncate(*fd, (off_t)page), 0);
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	ck_assert(p != MAP_FAILED);
	return p;
}

void gate_side_make(struct gate_side *p)
{
	const int size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	p->gate = page_of(&p->files[0]);
	p->report = page_of(&p->files[1]);
	p->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->gate->inflight_ns = p->gate->commands = p->gate->bytes = PVGPU_GATE_NO_LIMIT;
	ck_assert_int_eq(fcntl(p->files[0], F_ADD_SEALS, F_SEAL_FUTURE_WRITE | size), 0);
	ck_assert_int_eq(fcntl(p->files[1], F_ADD_SEALS, size), 0);
}

void gate_side_free(struct gate_side *p)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap(p->gate, page);
	munmap(p->report, page);
	close(p->files[0]);
	close(p->files[1]);
	close(p->bell);
}

int gate_side_give(struct gate_side *p, struct worker *w)
{
	char reason[160];
	const int r = gpu_gate_take(w, p->files[0], p->files[1], p->bell, reason, sizeof(reason));

	fake_kicked(w);
	return r;
}

void gate_side_set(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

void gate_side_put(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_SEQ_CST);
}

uint32_t gate_side_word(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

uint64_t gate_side_number(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_SEQ_CST);
}

bool gate_side_rung(struct gate_side *p)
{
	uint64_t count;

	return read(p->bell, &count, sizeof(count)) == sizeof(count);
}

void gate_side_ring(struct worker *w)
{
	gpu_gate_look(w, true);
	fake_kicked(w);
}

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n";

struct worker *gate_session(uint32_t streams)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX,
		.image = w->arena_base,
		.image_len = sizeof(ptx),
		.module = GATE_MODULE,
	};
	struct pvgpu_wire_module_get_function f = {
		.module = GATE_MODULE,
		.function = GATE_FUNCTION,
		.name_len = 6,
	};

	fake_chunk(w, 0, 4u << 20);
	memcpy((void *)(uintptr_t)w->arena_base, ptx, sizeof(ptx));
	FAKE_SUBMIT(w, MODULE_LOAD, 3, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 3), 0);
	fake_submit(w, &f, sizeof(f), PVGPU_OP_MODULE_GET_FUNCTION, 4, "kernel\0", 7);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 4), 0);
	for (uint32_t i = 1; i <= streams; i++) {
		struct pvgpu_wire_stream_create c = {.ctx = FAKE_CTX, .stream = GATE_STREAM(i)};

		FAKE_SUBMIT(w, STREAM_CREATE, 0, c);
	}
	fake_far.elapsed_ms = GATE_KNOWN_NS / 1e6f;
	for (int i = 0; i < 2; i++)
		gate_launch(w, GATE_STREAM(1), 1);
	gpu_gate_look(w, false);
	fake_kicked(w);
	ck_assert_uint_eq(w->gpu->gate.flying.work, 0);
	w->gpu->gate.commands = w->gpu->gate.launches = w->gpu->gate.busy_ns = 0;
	fake_far.launches = 0;
	fake_far.manual = true;
	return w;
}

int gate_launch(struct worker *w, uint64_t stream, uint32_t shape)
{
	/* Far enough apart to be different kinds of work. */
	const uint32_t grid[3] = {1u << shape % 28, 1u << shape / 28 % 15, 1u << shape / 420 % 15};

	return gate_launch_grid(w, stream, grid);
}

int gate_launch_grid(struct worker *w, uint64_t stream, const uint32_t grid[3])
{
	struct pvgpu_wire_launch l = {
		.ctx = FAKE_CTX,
		.stream = stream,
		.function = GATE_FUNCTION,
		.grid_x = grid[0],
		.grid_y = grid[1],
		.grid_z = grid[2],
		.block_x = 1,
		.block_y = 1,
		.block_z = 1,
		.params_len = 20,
	};
	static const char values[20];

	return fake_submit(w, &l, sizeof(l), PVGPU_OP_LAUNCH, 0, values, sizeof(values));
}

void gate_copy_to(struct worker *w, uint64_t device, uint64_t size)
{
	struct pvgpu_wire_copy c = {
		.ctx = FAKE_CTX,
		.stream = GATE_STREAM(1),
		.dst = device,
		.src = w->arena_base,
		.size = size,
	};

	FAKE_SUBMIT(w, COPY, 0, c);
}

uint64_t gate_launched(void)
{
	uint64_t n;

	pthread_mutex_lock(&fake_far.lock);
	n = fake_far.launches;
	pthread_mutex_unlock(&fake_far.lock);
	return n;
}

void gate_run_freely(void)
{
	fake_far.manual = false;
	fake_complete(-1, UINT64_MAX);
}
