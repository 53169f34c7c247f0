/* SPDX-License-Identifier: MIT */
/*
 * ptxrun FILE.ptx [-t SM] [-k KERNEL [-g X[,Y[,Z]]] [-b X[,Y[,Z]]] [-s BYTES] [-n BUDGET] [-r RUNS]
 *                 ARG...]
 *
 * Parses a module and lists its kernels; with -k runs one, with -r so often, and prints millions of
 * warp instructions a second. An ARG is i:N (32 bits), l:N (64 bits),
 * f:X, d:X, or buf:BYTES, a zeroed buffer that is printed as 32-bit words when the grid is done.
 */
#include "tests/simcuda/ptx/ptx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct buffer {
	uint8_t *p;
	size_t size;
	bool shown;
};

static struct buffer buffers[256];
static size_t buffer_count;

static void *add_buffer(size_t size, bool shown)
{
	void *p = NULL;

	if (buffer_count == sizeof(buffers) / sizeof(buffers[0]) ||
	    posix_memalign(&p, 256, size + 256)) {
		fprintf(stderr, "ptxrun: cannot allocate %zu bytes\n", size);
		exit(1);
	}
	memset(p, 0, size);
	buffers[buffer_count++] = (struct buffer){p, size, shown};
	return p;
}

static bool check(void *arg, uint64_t addr, uint64_t len, bool write, uint64_t *lo, uint64_t *hi)
{
	for (size_t i = 0; i < buffer_count; i++) {
		uint64_t base = (uintptr_t)buffers[i].p;

		if (addr >= base && addr - base < buffers[i].size &&
		    buffers[i].size - (addr - base) >= len) {
			*lo = base;
			*hi = base + buffers[i].size;
			return true;
		}
	}
	return false;
}

static void print(void *arg, const char *text, size_t len)
{
	fwrite(text, 1, len, stdout);
}

static uint64_t timer(void *arg)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void write_bytes(void *arg, uint64_t addr, const void *bytes, size_t len)
{
	memcpy((void *)(uintptr_t)addr, bytes, len);
}

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	size_t cap = 1 << 16, n = 0, got;
	char *text = malloc(cap);

	if (!f || !text) {
		perror(path);
		exit(1);
	}
	while ((got = fread(text + n, 1, cap - n, f)) > 0) {
		n += got;
		if (n == cap) {
			char *bigger = realloc(text, cap *= 2);

			if (!bigger)
				exit(1);
			text = bigger;
		}
	}
	fclose(f);
	*len = n;
	return text;
}

static void dims(const char *s, uint32_t d[3])
{
	if (sscanf(s, "%u,%u,%u", &d[0], &d[1], &d[2]) < 1) {
		fprintf(stderr, "ptxrun: '%s' is not X[,Y[,Z]]\n", s);
		exit(2);
	}
}

static void list(const struct ptx_module *m)
{
	for (size_t i = 0; i < ptx_kernel_count(m); i++) {
		const struct ptx_kernel *k = ptx_kernel_at(m, i);

		printf("kernel %s: %u params in %u bytes, shared %u, local %u, registers %u, "
		       "sm_%u\n",
		       k->name, k->param_count, k->param_bytes, k->shared_bytes, k->local_bytes,
		       k->registers, k->target);
	}
	for (size_t i = 0; i < ptx_global_count(m); i++) {
		const struct ptx_global *g = ptx_global_at(m, i);

		printf("%s %s: %llu bytes\n", g->is_const ? "const" : "global", g->name,
		       (unsigned long long)g->size);
	}
}

static void set_param(const struct ptx_kernel *k, uint32_t i, const char *arg, uint8_t *params)
{
	union {
		uint64_t l;
		uint32_t w;
		float f;
		double d;
	} v = {0};

	if (i >= k->param_count) {
		fprintf(stderr, "ptxrun: %s has %u parameters\n", k->name, k->param_count);
		exit(2);
	}
	if (!strncmp(arg, "i:", 2))
		v.w = (uint32_t)strtoll(arg + 2, NULL, 0);
	else if (!strncmp(arg, "l:", 2))
		v.l = strtoull(arg + 2, NULL, 0);
	else if (!strncmp(arg, "f:", 2))
		v.f = strtof(arg + 2, NULL);
	else if (!strncmp(arg, "d:", 2))
		v.d = strtod(arg + 2, NULL);
	else if (!strncmp(arg, "buf:", 4))
		v.l = (uintptr_t)add_buffer(strtoull(arg + 4, NULL, 0), true);
	else {
		fprintf(stderr, "ptxrun: '%s' is not i:, l:, f:, d: or buf:\n", arg);
		exit(2);
	}
	memcpy(params + k->params[i].offset, &v, k->params[i].size < 8 ? k->params[i].size : 8);
}

static int finish_block(struct ptx_cta *c, uint64_t budget)
{
	uint64_t ns = 0;
	enum ptx_step s;

	while ((s = ptx_cta_step(c, budget, &ns)) == PTX_RUNNING || s == PTX_SLEEPING) {
		if (s == PTX_SLEEPING) {
			struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

			nanosleep(&t, NULL);
		}
	}
	if (s == PTX_FAULTED) {
		const struct ptx_fault *f = ptx_cta_fault(c);

		fprintf(stderr,
			"fault %d at address %#llx, line %u, block %u,%u,%u thread %u,%u,%u\n",
			f->kind, (unsigned long long)f->address, f->line, f->cta[0], f->cta[1],
			f->cta[2], f->thread[0], f->thread[1], f->thread[2]);
		return 1;
	}
	return 0;
}

struct run {
	uint64_t instructions, ns;
};

static uint32_t cluster_size(const struct ptx_launch *l, int i)
{
	return l->cluster[i] ? l->cluster[i] : 1;
}

/* Time of the processor, so that other programs count less. */
static uint64_t used_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int run_grid(const struct ptx_launch *l, uint64_t budget, struct run *r)
{
	struct ptx_cta *c = ptx_cta_new(l, 0, 0, 0, 0);
	uint64_t start = used_ns();
	int failed = !c;

	for (uint32_t z = 0; z < l->grid[2] && !failed; z += cluster_size(l, 2))
		for (uint32_t y = 0; y < l->grid[1] && !failed; y += cluster_size(l, 1))
			for (uint32_t x = 0; x < l->grid[0] && !failed; x += cluster_size(l, 0)) {
				ptx_cta_reset(c, x, y, z, 0);
				failed = finish_block(c, budget);
			}
	r->ns = used_ns() - start;
	if (c)
		r->instructions = ptx_cta_instructions(c);
	ptx_cta_free(c);
	return failed;
}

/* Millions of warp instructions a second, in the fastest of so many runs. */
static int time_grid(const struct ptx_launch *l, uint64_t budget, uint32_t runs)
{
	struct run best = {.ns = UINT64_MAX}, r = {0};
	int failed = 0;

	for (uint32_t i = 0; i < runs && !failed; i++) {
		failed = run_grid(l, budget, &r);
		if (r.ns < best.ns)
			best = r;
	}
	printf("%.2f\n", 1e3 * (double)best.instructions / (double)best.ns);
	return failed;
}

static void show_buffers(void)
{
	for (size_t i = 0; i < buffer_count; i++) {
		if (!buffers[i].shown)
			continue;
		for (size_t k = 0; k + 4 <= buffers[i].size; k += 4) {
			uint32_t v;

			memcpy(&v, buffers[i].p + k, 4);
			printf("%08x%c", v, k % 32 == 28 || k + 8 > buffers[i].size ? '\n' : ' ');
		}
	}
}

struct options {
	const char *kernel;
	unsigned int sm;
	uint64_t budget;
	uint32_t timed; /* runs, 0: one, which shows the buffers */
};

static bool parse_options(int argc, char **argv, struct options *o, struct ptx_launch *l)
{
	int opt;

	while ((opt = getopt(argc, argv, "t:k:g:b:s:n:r:")) != -1) {
		switch (opt) {
		case 't':
			o->sm = (unsigned int)atoi(optarg);
			break;
		case 'k':
			o->kernel = optarg;
			break;
		case 'g':
			dims(optarg, l->grid);
			break;
		case 'b':
			dims(optarg, l->block);
			break;
		case 's':
			l->dynamic_shared = (uint32_t)atoi(optarg);
			break;
		case 'r':
			o->timed = (uint32_t)atoi(optarg);
			break;
		case 'n':
			o->budget = strtoull(optarg, NULL, 0);
			break;
		default:
			return false;
		}
	}
	return optind < argc;
}

/* args: one for each of the kernel's first parameters. */
static int run_kernel(const struct ptx_module *m, const struct options *o, struct ptx_launch *l,
		      char **args, int count)
{
	static uint8_t params[32768];
	struct ptx_image *img;
	uint64_t addr[256];
	struct run once;
	int failed;

	l->kernel = ptx_kernel_find(m, o->kernel);
	if (!l->kernel || ptx_global_count(m) > sizeof(addr) / sizeof(addr[0])) {
		fprintf(stderr, "ptxrun: no kernel '%s'\n", o->kernel);
		return 1;
	}
	for (size_t i = 0; i < ptx_global_count(m); i++)
		addr[i] = (uintptr_t)add_buffer(ptx_global_at(m, i)->size, false);
	if (ptx_image_create(m, addr, write_bytes, NULL, &img) != PTX_OK)
		return 1;
	for (int i = 0; i < count; i++)
		set_param(l->kernel, (uint32_t)i, args[i], params);
	memcpy(l->cluster, l->kernel->reqcluster, sizeof(l->cluster));
	l->image = img;
	l->params = params;
	if (o->timed) {
		failed = time_grid(l, o->budget, o->timed);
	} else {
		failed = run_grid(l, o->budget, &once);
		show_buffers();
	}
	ptx_image_free(img);
	return failed;
}

int main(int argc, char **argv)
{
	struct ptx_env env = {.mem_check = check,
			      .print = print,
			      .globaltimer_ns = timer,
			      .clock_khz = 1500000,
			      .sm_count = 1};
	struct ptx_launch l = {.grid = {1, 1, 1}, .block = {32, 1, 1}, .env = &env};
	struct options o = {.sm = 90, .budget = 1u << 20};
	struct ptx_module *m;
	char log[4096], *text;
	size_t len;
	int failed = 0;

	if (!parse_options(argc, argv, &o, &l)) {
		fprintf(stderr, "usage: ptxrun [-t sm] [-k kernel -g x,y,z -b x,y,z -s shared "
				"-n budget] [-r runs] file.ptx [arg...]\n");
		return 2;
	}
	text = read_file(argv[optind], &len);
	if (ptx_parse(text, len, o.sm, &m, log, sizeof(log)) != PTX_OK) {
		fprintf(stderr, "%s", log);
		failed = 1;
	} else if (o.kernel) {
		failed = run_kernel(m, &o, &l, argv + optind + 1, argc - optind - 1);
	} else {
		list(m);
	}
	ptx_module_free(m);
	for (size_t i = 0; i < buffer_count; i++)
		free(buffers[i].p);
	free(text);
	return failed;
}
