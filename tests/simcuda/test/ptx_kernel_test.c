/* SPDX-License-Identifier: MIT */
/* Kernels compiled by clang at -O0, -O2 and -O3: the same results as the CPU's, at any step size.
 */
#include "tests/simcuda/test/ptx_case.h"

#define WORK static
#include "tests/kernels/engine/work.h"

static const char *const levels[] = {"O0", "O2", "O3"};

/* Three levels, for the oldest and for the newest architecture. */
#define VARIANTS 6

static void open_kernels(struct ptx_world *w, const char *name, int variant)
{
	char path[128];

	snprintf(path, sizeof(path), "tests/kernels/engine/%s.%s.ptx", name, levels[variant % 3]);
	world_open_file(w, path, variant < 3 ? "70" : "90");
}

START_TEST(work_is_what_the_cpu_does)
{
	enum { N = 1000 };
	struct ptx_world w;
	w32 *out;

	open_kernels(&w, "work", _i);
	world_kernel(&w, "work");
	out = world_alloc(&w, N * 4);
	w.launch.grid[0] = 2;
	w.launch.block[0] = 96;
	world_param_ptr(&w, 0, out);
	world_param_u32(&w, 1, N);
	world_run_ok(&w);
	for (w32 i = 0; i < N; i++)
		ck_assert_msg(out[i] == all_work(i % WORK_COUNT, i / WORK_COUNT),
			      "work %u of %u: %#x, not %#x", i % WORK_COUNT, i / WORK_COUNT, out[i],
			      all_work(i % WORK_COUNT, i / WORK_COUNT));
	world_close(&w);
}
END_TEST

START_TEST(converged_work)
{
	enum { N = 128 };
	struct ptx_world w;
	w32 *out;

	open_kernels(&w, "work", _i);
	world_kernel(&w, "same_work");
	out = world_alloc(&w, N * 4);
	w.launch.block[0] = N;
	for (w32 which = 0; which < WORK_COUNT; which++) {
		world_param_ptr(&w, 0, out);
		world_param_u32(&w, 1, N);
		world_param_u32(&w, 2, which);
		world_run_ok(&w);
		for (w32 i = 0; i < N; i++)
			ck_assert_msg(out[i] == all_work(which, i), "work %u of %u", which, i);
	}
	world_close(&w);
}
END_TEST

START_TEST(small_steps_change_nothing)
{
	enum { N = 320 };
	static const uint64_t budgets[] = {1, 3, 100};
	w32 *out, first[N];

	for (size_t b = 0; b <= CASE_COUNT(budgets); b++) {
		struct ptx_world w;

		open_kernels(&w, "work", _i);
		world_kernel(&w, "work");
		out = world_alloc(&w, N * 4);
		w.launch.block[0] = 64;
		if (b)
			w.budget = budgets[b - 1];
		world_param_ptr(&w, 0, out);
		world_param_u32(&w, 1, N);
		world_run_ok(&w);
		if (b)
			ck_assert_mem_eq(first, out, sizeof(first));
		else
			memcpy(first, out, sizeof(first));
		world_close(&w);
	}
}
END_TEST

START_TEST(every_memory_by_generic_pointers)
{
	static const uint32_t primes[] = {2, 3, 5, 7, 11, 13, 17, 19};
	struct ptx_world w;
	uint32_t *in, *out;

	open_kernels(&w, "memory", _i);
	world_kernel(&w, "generic");
	in = world_alloc(&w, 256);
	out = world_alloc(&w, 256);
	for (uint32_t i = 0; i < 64; i++)
		in[i] = i * i + 1;
	w.launch.block[0] = 64;
	world_param_ptr(&w, 0, out);
	world_param_ptr(&w, 1, in);
	world_run_ok(&w);
	for (uint32_t t = 0; t < 64; t++) {
		uint32_t s = 0;

		for (uint32_t i = 0; i < 8; i++)
			s += t % 4 == 0   ? in[i]
			     : t % 4 == 1 ? primes[i]
			     : t % 4 == 2 ? in[i] * 2
					  : in[(t + i) & 63] + i;
		ck_assert_uint_eq(out[t], s);
	}
	world_close(&w);
}
END_TEST

START_TEST(bytes_and_strings)
{
	static const char *const words[] = {"one", "three", "fifteen"};
	enum { N = 201 };
	struct ptx_world w;
	uint8_t *in, *out;

	open_kernels(&w, "memory", _i);
	world_kernel(&w, "bytes");
	in = world_alloc(&w, N);
	out = world_alloc(&w, 128);
	for (uint32_t i = 0; i < N; i++)
		in[i] = (uint8_t)(i * 37);
	w.launch.block[0] = 100;
	world_param_ptr(&w, 0, out);
	world_param_ptr(&w, 1, in);
	world_param_u32(&w, 2, N);
	world_run_ok(&w);
	for (uint32_t t = 0; t < 100; t++) {
		uint32_t h = 0;

		for (uint32_t i = 0; i < 33; i++)
			h = h * 31 + (in[(t + (32 - i) * 7) % N] ^ 0x5a);
		for (const char *p = words[t % 3]; *p; p++)
			h = h * 31 + (uint8_t)*p;
		ck_assert_uint_eq(out[t], (uint8_t)(h >> 3));
	}
	world_close(&w);
}
END_TEST

static void expect_atomics(const uint32_t *v, uint32_t n)
{
	uint32_t sum = n * (n - 1) / 2, x = 0, a = 0xffffffff, o = 0, inc = 0, dec = 0;

	for (uint32_t t = 0; t < n; t++) {
		x ^= t;
		o |= 1u << (t & 31);
		a &= ~(1u << (t & 7));
		inc = inc >= 9 ? 0 : inc + 1;
		dec = dec == 0 || dec > 9 ? 9 : dec - 1;
	}
	ck_assert_uint_eq(v[0], sum);
	ck_assert_uint_eq(v[1], (n - 1) * 3);
	ck_assert_uint_eq(v[2], o);
	ck_assert_uint_eq(v[3], a);
	ck_assert_uint_eq(v[4], x);
	ck_assert_uint_eq(v[5], inc);
	ck_assert_uint_eq(v[6], dec);
	ck_assert_uint_eq(v[7], sum);
	ck_assert_uint_eq(v[8], n / 2);
	ck_assert_uint_eq(v[9], n / 4);
}

START_TEST(atomics)
{
	enum { N = 200 };
	struct ptx_world w;
	uint32_t *out;
	int *limits;
	uint64_t *wide, seen = 0;

	open_kernels(&w, "memory", _i);
	world_kernel(&w, "atomics");
	out = world_alloc(&w, N * 4);
	limits = world_alloc(&w, 8);
	wide = world_alloc(&w, 16);
	limits[1] = -1000;
	w.launch.block[0] = N;
	world_param_ptr(&w, 0, out);
	world_param_ptr(&w, 1, limits);
	world_param_ptr(&w, 2, wide);
	world_run_ok(&w);
	for (uint32_t t = 0; t < N; t++)
		seen += out[t];
	ck_assert_uint_eq(seen, N * (N - 1) / 2);
	ck_assert_int_eq(limits[0], -(N - 1));
	ck_assert_int_eq(limits[1], -5);
	ck_assert_uint_eq(wide[0], (uint64_t)(N * (N - 1) / 2) << 32);
	ck_assert_uint_eq(wide[1], (uint64_t)(N - 1) << 40);
	world_kernel(&w, "results");
	w.launch.block[0] = 1;
	world_param_ptr(&w, 0, out);
	world_run_ok(&w);
	expect_atomics(out, N);
	world_close(&w);
}
END_TEST

START_TEST(vectors)
{
	struct ptx_world w;
	float *in, *out;
	uint16_t *small;

	open_kernels(&w, "memory", _i);
	world_kernel(&w, "vectors");
	in = world_alloc(&w, 1024);
	out = world_alloc(&w, 1024);
	small = world_alloc(&w, 512);
	for (int i = 0; i < 128; i++) {
		in[i] = (float)i;
		small[i] = (uint16_t)(i * 3);
	}
	world_param_ptr(&w, 0, out);
	world_param_ptr(&w, 1, in);
	world_param_ptr(&w, 2, small);
	world_run_ok(&w);
	for (int t = 0; t < 32; t++) {
		float expect[] = {in[4 * t + 3], in[4 * t + 2] * 2, in[4 * t + 1] + in[4 * t],
				  in[4 * t]};
		uint16_t s[] = {(uint16_t)(12 * t + 9), (uint16_t)(12 * t + 1),
				(uint16_t)(12 * t + 3), (uint16_t)(12 * t + 6)};

		ck_assert_mem_eq(&out[4 * t], expect, 16);
		ck_assert_mem_eq(&small[4 * t], s, 8);
	}
	world_close(&w);
}
END_TEST

START_TEST(reductions)
{
	enum { N = 256 };
	struct ptx_world w;
	uint32_t *in, *out, sum = 0, scan = 0;

	open_kernels(&w, "memory", _i);
	world_kernel(&w, "reduce");
	in = world_alloc(&w, N * 4);
	out = world_alloc(&w, N * 4);
	for (uint32_t i = 0; i < N; i++)
		sum += in[i] = i * 5 + 2;
	w.launch.block[0] = N;
	w.launch.dynamic_shared = N * 4;
	world_param_ptr(&w, 0, out);
	world_param_ptr(&w, 1, in);
	world_run_ok(&w);
	for (uint32_t t = 0; t < N; t++) {
		scan = t % 32 ? scan + in[t] : in[t];
		ck_assert_uint_eq(out[t], scan + sum);
	}
	world_close(&w);
}
END_TEST

START_TEST(prints)
{
	struct ptx_world w;
	char expect[4096];
	int n = 0;

	open_kernels(&w, "print", _i);
	world_kernel(&w, "talk");
	world_param_u32(&w, 0, 5);
	world_run_ok(&w);
	for (int t = 0; t < 5; t++)
		n += snprintf(expect + n, sizeof(expect) - (size_t)n,
			      "thread %u: %d %5.2f %s %c %llx %#llx|%-6d|%06d|%+d|%#x|%e|%%\n",
			      (unsigned)t, -t, t * 0.5, t & 1 ? "odd" : "even", 'a' + t,
			      0x123456789abcull + (unsigned)t, (unsigned long long)t * 16, t, t * 7,
			      t, (unsigned)t + 16, t * 1000.0);
	ck_assert_str_eq(w.printed, expect);
	world_close(&w);
}
END_TEST

START_TEST(asserts)
{
	struct ptx_world w;
	struct ptx_fault f;

	open_kernels(&w, "print", _i);
	world_kernel(&w, "checked");
	world_param_u32(&w, 0, 9);
	ck_assert_int_eq(world_run(&w, &f), PTX_FAULTED);
	ck_assert_int_eq(f.kind, PTX_FAULT_ASSERT);
	ck_assert_uint_eq(f.thread[0], 9);
	ck_assert_ptr_nonnull(
		strstr(w.printed, "thread: [9,0,0] Assertion `threadIdx.x < limit` failed."));
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_kernel");
	TCase *t = tcase_create("kernels");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, work_is_what_the_cpu_does, 0, VARIANTS);
	tcase_add_loop_test(t, converged_work, 0, VARIANTS);
	tcase_add_loop_test(t, small_steps_change_nothing, 0, VARIANTS);
	tcase_add_loop_test(t, every_memory_by_generic_pointers, 0, VARIANTS);
	tcase_add_loop_test(t, bytes_and_strings, 0, VARIANTS);
	tcase_add_loop_test(t, atomics, 0, VARIANTS);
	tcase_add_loop_test(t, vectors, 0, VARIANTS);
	tcase_add_loop_test(t, reductions, 0, VARIANTS);
	tcase_add_loop_test(t, prints, 0, VARIANTS);
	tcase_add_loop_test(t, asserts, 0, VARIANTS);
	suite_add_tcase(s, t);
	return run_suite(s);
}
