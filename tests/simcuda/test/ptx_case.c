/* SPDX-License-Identifier: MIT */
#include "tests/simcuda/test/ptx_case.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/simcuda/ptx/isa.h"

#define MEM_SIZE (4u << 20)

/* PTX_ISA_USED names a file for what kernels used that ended well, see isa_values.py. */
static char used[1u << 20];
static size_t used_len;

static void note_use(size_t form, const char *mods)
{
	int n = snprintf(used + used_len, sizeof(used) - used_len, "%zu %s\n", form, mods);

	if ((size_t)n < sizeof(used) - used_len)
		used_len += (size_t)n;
}

static void uses_begin(void)
{
	used_len = 0;
	isa_used = getenv("PTX_ISA_USED") ? note_use : NULL;
}

static void uses_end(void)
{
	const char *path = getenv("PTX_ISA_USED");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (fd >= 0) {
		ck_assert_int_eq(write(fd, used, used_len), (ssize_t)used_len);
		close(fd);
	}
	used_len = 0;
}

static bool mem_check(void *arg, uint64_t addr, uint64_t len, bool write, uint64_t *lo,
		      uint64_t *hi)
{
	struct ptx_world *w = arg;
	uint64_t base = (uintptr_t)w->mem;

	__atomic_fetch_add(&w->checks, 1, __ATOMIC_RELAXED);
	if (addr < base || addr - base > w->used || w->used - (addr - base) < len)
		return false;
	*lo = base;
	*hi = base + w->used;
	return true;
}

static void print(void *arg, const char *text, size_t len)
{
	struct ptx_world *w = arg;

	ck_assert_uint_lt(w->printed_len + len, sizeof(w->printed));
	memcpy(w->printed + w->printed_len, text, len);
	w->printed_len += len;
	w->printed[w->printed_len] = 0;
}

static uint64_t now(void *arg)
{
	struct ptx_world *w = arg;
	struct timespec ts;

	if (w->now_ns)
		return w->now_ns;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void write_bytes(void *arg, uint64_t addr, const void *bytes, size_t len)
{
	memcpy((void *)(uintptr_t)addr, bytes, len);
}

void *world_alloc(struct ptx_world *w, size_t size)
{
	void *p = w->mem + w->used;

	w->used += (size + 255) & ~(size_t)255;
	ck_assert_uint_le(w->used, w->mem_size);
	return p;
}

void world_open(struct ptx_world *w, const char *text)
{
	uint64_t addr[64];
	char log[2048];

	memset(w, 0, sizeof(*w));
	uses_begin();
	if (ptx_parse(text, strlen(text), 90, &w->m, log, sizeof(log)) != PTX_OK)
		ck_abort_msg("%s\n%s", log, strlen(text) < 4000 ? text : "");
	w->mem_size = MEM_SIZE;
	w->mem =
		mmap(NULL, w->mem_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(w->mem, MAP_FAILED);
	ck_assert_uint_le(ptx_global_count(w->m), 64);
	for (size_t i = 0; i < ptx_global_count(w->m); i++)
		addr[i] = (uintptr_t)world_alloc(w, ptx_global_at(w->m, i)->size);
	ck_assert_int_eq(ptx_image_create(w->m, addr, write_bytes, w, &w->img), PTX_OK);
	w->env = (struct ptx_env){.arg = w,
				  .mem_check = mem_check,
				  .print = print,
				  .globaltimer_ns = now,
				  .clock_khz = 1000000,
				  .sm_count = 4};
	w->launch = (struct ptx_launch){.image = w->img,
					.grid = {1, 1, 1},
					.block = {32, 1, 1},
					.params = w->params,
					.env = &w->env,
					.grid_id = 7};
	w->budget = 1u << 20;
	if (ptx_kernel_count(w->m))
		w->launch.kernel = ptx_kernel_at(w->m, 0);
}

void world_open_file(struct ptx_world *w, const char *path, const char *target)
{
	static char text[4u << 20];
	FILE *f = fopen(path, "rb");
	size_t n;
	char *at;

	ck_assert_msg(f != NULL, "cannot open %s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	at = strstr(text, ".target sm_");
	ck_assert_ptr_nonnull(at);
	memcpy(at + strlen(".target sm_"), target, 2);
	world_open(w, text);
}

void world_close(struct ptx_world *w)
{
	ptx_image_free(w->img);
	ptx_module_free(w->m);
	munmap(w->mem, w->mem_size);
}

void world_kernel(struct ptx_world *w, const char *name)
{
	w->launch.kernel = ptx_kernel_find(w->m, name);
	ck_assert_msg(w->launch.kernel != NULL, "no kernel %s", name);
}

void world_param(struct ptx_world *w, uint32_t i, const void *value)
{
	const struct ptx_kernel *k = w->launch.kernel;

	ck_assert_uint_lt(i, k->param_count);
	memcpy(w->params + k->params[i].offset, value, k->params[i].size);
}

void world_param_u64(struct ptx_world *w, uint32_t i, uint64_t value)
{
	ck_assert_uint_eq(w->launch.kernel->params[i].size, 8);
	world_param(w, i, &value);
}

void world_param_u32(struct ptx_world *w, uint32_t i, uint32_t value)
{
	ck_assert_uint_eq(w->launch.kernel->params[i].size, 4);
	world_param(w, i, &value);
}

void world_param_ptr(struct ptx_world *w, uint32_t i, const void *p)
{
	world_param_u64(w, i, (uintptr_t)p);
}

static enum ptx_step run_block(struct ptx_world *w, struct ptx_cta *c)
{
	uint64_t steps = 0, ns = 0;
	enum ptx_step s;

	while ((s = ptx_cta_step(c, w->budget, &ns)) == PTX_RUNNING || s == PTX_SLEEPING) {
		if (s == PTX_SLEEPING && w->now_ns)
			w->now_ns += ns;
		ck_assert_msg(steps++ < 50000000, "the block does not end");
		ck_assert_msg(s != PTX_SLEEPING || steps < 100000, "the block sleeps for ever");
	}
	return s;
}

enum ptx_step world_run(struct ptx_world *w, struct ptx_fault *fault)
{
	struct ptx_launch *l = &w->launch;
	struct ptx_cta *c = ptx_cta_new(l, 0, 0, 0, 1);
	enum ptx_step s = PTX_DONE;
	uint32_t size[3], n[3];

	ck_assert_ptr_nonnull(c);
	for (int i = 0; i < 3; i++) {
		size[i] = l->cluster[i] ? l->cluster[i] : 1;
		n[i] = l->grid[i] / size[i];
	}
	for (uint32_t k = 0; k < n[0] * n[1] * n[2] && s == PTX_DONE; k++) {
		if (k)
			ptx_cta_reset(c, k % n[0] * size[0], k / n[0] % n[1] * size[1],
				      k / n[0] / n[1] * size[2], 1);
		s = run_block(w, c);
	}
	if (fault)
		*fault = *ptx_cta_fault(c);
	ptx_cta_free(c);
	if (s == PTX_DONE)
		uses_end();
	return s;
}

void world_run_ok(struct ptx_world *w)
{
	struct ptx_fault f;
	enum ptx_step s = world_run(w, &f);

	ck_assert_msg(s == PTX_DONE, "fault %d at %#llx, line %u, thread %u", f.kind,
		      (unsigned long long)f.address, f.line, f.thread[0]);
}

#define SENTINEL 0x5a5a5a5a5a5a5a5aull

static void case_text(char *to, size_t size, const struct insn_case *c, bool half)
{
	const char *store = c->result == 'd'   ? ""
			    : c->result == 'w' ? "cvt.u64.u32 %d3, %w3;\n"
			    : c->result == 'h' ? "cvt.u64.u16 %d3, %h3;\n"
					       : "selp.b64 %d3, 1, 0, %p3;\n";

	snprintf(to, size,
		 PTX_HEAD
		 ".visible .entry k(.param .u64 in, .param .u64 out)\n{\n"
		 ".reg .pred %%p<8>;\n.reg .b16 %%h<8>;\n.reg .b32 %%w<8>;\n.reg .b64 %%d<12>;\n"
		 "ld.param.u64 %%d8, [in];\nld.param.u64 %%d9, [out];\n"
		 "ld.global.u64 %%d0, [%%d8];\nld.global.u64 %%d1, [%%d8+8];\nld.global.u64 %%d2, "
		 "[%%d8+16];\n"
		 "cvt.u32.u64 %%w0, %%d0;\ncvt.u32.u64 %%w1, %%d1;\ncvt.u32.u64 %%w2, %%d2;\n"
		 "cvt.u16.u64 %%h0, %%d0;\ncvt.u16.u64 %%h1, %%d1;\ncvt.u16.u64 %%h2, %%d2;\n"
		 "setp.ne.u64 %%p0, %%d0, 0;\nsetp.ne.u64 %%p1, %%d1, 0;\nsetp.ne.u64 %%p2, %%d2, "
		 "0;\n"
		 "mov.u64 %%d3, 0x5a5a5a5a5a5a5a5a;\nmov.u32 %%w3, 0x5a5a5a5a;\nmov.u16 %%h3, "
		 "0x5a5a;\n"
		 "setp.ne.u32 %%p3, 0, 0;\n"
		 "mov.u32 %%w7, %%tid.x;\nand.b32 %%w6, %%w7, 1;\nsetp.eq.u32 %%p7, %%w6, 0;\n"
		 "%s%s\n%s%s"
		 "mul.wide.u32 %%d10, %%w7, 8;\nadd.u64 %%d10, %%d10, %%d9;\nst.global.u64 "
		 "[%%d10], %%d3;\n"
		 "ret;\n}\n",
		 half ? "@%p7 bra SKIP;\n" : "", c->text, half ? "SKIP:\n" : "", store);
}

static void run_case(const struct insn_case *c, bool half)
{
	static const uint64_t kept[] = {
		['d'] = SENTINEL, ['w'] = 0x5a5a5a5a, ['h'] = 0x5a5a, ['p'] = 0};
	struct ptx_world w;
	uint64_t *in, *out;
	char text[4096];

	case_text(text, sizeof(text), c, half);
	world_open(&w, text);
	in = world_alloc(&w, 24);
	out = world_alloc(&w, 256);
	in[0] = c->a;
	in[1] = c->b;
	in[2] = c->c;
	world_param_ptr(&w, 0, in);
	world_param_ptr(&w, 1, out);
	world_run_ok(&w);
	for (int l = 0; l < 32; l++) {
		uint64_t expect = half && !(l & 1) ? kept[(unsigned char)c->result] : c->expect;

		ck_assert_msg(out[l] == expect,
			      "%s (%#llx, %#llx, %#llx): lane %d has %#llx, not %#llx", c->text,
			      (unsigned long long)c->a, (unsigned long long)c->b,
			      (unsigned long long)c->c, l, (unsigned long long)out[l],
			      (unsigned long long)expect);
	}
	world_close(&w);
}

void run_insn_cases(const struct insn_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		run_case(&cases[i], false);
		run_case(&cases[i], true);
	}
}

void run_threads(const char *insn, char result, const uint64_t (*in)[3], uint64_t *out, uint32_t n)
{
	char store[64] = "", text[2048];
	struct ptx_world w;
	uint64_t *from, *to;

	if (result != 'd')
		snprintf(store, sizeof(store), "%s",
			 result == 'w'   ? "cvt.u64.u32 %d3, %w3;\n"
			 : result == 'h' ? "cvt.u64.u16 %d3, %h3;\n"
					 : "selp.b64 %d3, 1, 0, %p3;\n");
	snprintf(text, sizeof(text),
		 PTX_HEAD
		 ".visible .entry k(.param .u64 in, .param .u64 out)\n{\n"
		 ".reg .pred %%p<8>;\n.reg .b16 %%h<8>;\n.reg .b32 %%w<8>;\n"
		 ".reg .b64 %%d<12>;\nld.param.u64 %%d8, [in];\nld.param.u64 %%d9, [out];\n"
		 "mov.u32 %%w7, %%tid.x;\nmul.wide.u32 %%d10, %%w7, 24;\n"
		 "add.u64 %%d8, %%d8, %%d10;\nmul.wide.u32 %%d10, %%w7, 8;\n"
		 "add.u64 %%d9, %%d9, %%d10;\nld.global.u64 %%d0, [%%d8];\n"
		 "ld.global.u64 %%d1, [%%d8+8];\nld.global.u64 %%d2, [%%d8+16];\n"
		 "cvt.u32.u64 %%w0, %%d0;\ncvt.u32.u64 %%w1, %%d1;\ncvt.u32.u64 %%w2, "
		 "%%d2;\ncvt.u16.u64 %%h0, %%d0;\ncvt.u16.u64 %%h1, %%d1;\n"
		 "cvt.u16.u64 %%h2, %%d2;\nsetp.ne.u64 %%p0, %%d2, 0;\n%s\n%s"
		 "st.global.u64 [%%d9], %%d3;\nret;\n}\n",
		 insn, store);
	world_open(&w, text);
	from = world_alloc(&w, n * 24);
	to = world_alloc(&w, n * 8);
	memcpy(from, in, n * 24);
	w.launch.block[0] = n;
	world_param_ptr(&w, 0, from);
	world_param_ptr(&w, 1, to);
	world_run_ok(&w);
	memcpy(out, to, n * 8);
	world_close(&w);
}

void expect_value(const char *insn, const uint64_t in[3], uint64_t got, uint64_t want)
{
	ck_assert_msg(got == want, "%s (%#llx, %#llx, %#llx) gives %#llx, not %#llx", insn,
		      (unsigned long long)in[0], (unsigned long long)in[1],
		      (unsigned long long)in[2], (unsigned long long)got, (unsigned long long)want);
}

void expect_invalid(const char *text, const char *log_part)
{
	struct ptx_module *m;
	char log[4096];
	enum ptx_result r = ptx_parse(text, strlen(text), 90, &m, log, sizeof(log));

	ck_assert_msg(r == PTX_INVALID, "result %d for: %s", r, text);
	ck_assert_msg(strstr(log, log_part) != NULL, "the log says: %s\nnot: %s", log, log_part);
}

int run_suite(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
