/* SPDX-License-Identifier: MIT */
/*
 * Loading images, for modules and libraries: the bytes are copied out of the arena first and
 * checked and used only in the copy; options are numbers from a list; logs go to bounded buffers.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/image.h"
#include "image/declared.h"
#include "image/fatbin.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define OPTIONS_MAX 64

static bool option_allowed(uint32_t id)
{
	switch (id) {
	case CU_JIT_MAX_REGISTERS:
	case CU_JIT_THREADS_PER_BLOCK:
	case CU_JIT_WALL_TIME:
	case CU_JIT_OPTIMIZATION_LEVEL:
	case CU_JIT_TARGET_FROM_CUCONTEXT:
	case CU_JIT_TARGET:
	case CU_JIT_FALLBACK_STRATEGY:
	case CU_JIT_GENERATE_DEBUG_INFO:
	case CU_JIT_LOG_VERBOSE:
	case CU_JIT_GENERATE_LINE_INFO:
	case CU_JIT_CACHE_MODE:
	case CU_JIT_FAST_COMPILE:
	case CU_JIT_LTO:
	case CU_JIT_FTZ:
	case CU_JIT_PREC_DIV:
	case CU_JIT_PREC_SQRT:
	case CU_JIT_FMA:
	case CU_JIT_OPTIMIZE_UNUSED_DEVICE_VARIABLES:
	case CU_JIT_POSITION_INDEPENDENT_CODE:
	case CU_JIT_MIN_CTA_PER_SM:
	case CU_JIT_MAX_THREADS_PER_BLOCK:
	case CU_JIT_OVERRIDE_DIRECTIVE_VALUES:
		return true;
	default:
		return false;
	}
}

int image_options(struct image_job *j, const void *bytes, uint32_t len)
{
	const uint32_t n = len / sizeof(struct pvgpu_jit_option);

	if (len % sizeof(struct pvgpu_jit_option) || n > OPTIONS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < n; i++) {
		struct pvgpu_jit_option o;

		memcpy(&o, (const char *)bytes + i * sizeof(o), sizeof(o));
		if (!option_allowed(o.id))
			return CUDA_ERROR_INVALID_VALUE;
		if (o.id == CU_JIT_WALL_TIME)
			j->time_at = j->options;
		j->option[j->options] = (CUjit_option)o.id;
		j->value[j->options++] = (void *)(uintptr_t)o.value;
	}
	return 0;
}

static void option_add(struct image_job *j, CUjit_option id, void *value)
{
	j->option[j->options] = id;
	j->value[j->options++] = value;
}

void image_logs(struct image_job *j)
{
	if (j->info_size) {
		option_add(j, CU_JIT_INFO_LOG_BUFFER, j->info);
		option_add(j, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, (void *)(uintptr_t)j->info_size);
	}
	if (j->error_size) {
		option_add(j, CU_JIT_ERROR_LOG_BUFFER, j->error);
		option_add(j, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, (void *)(uintptr_t)j->error_size);
	}
}

/* The far end is told no length: an image must say its own, and be all there. */
static int check(const char *bytes, size_t len)
{
	size_t size;

	switch (image_kind(bytes, len)) {
	case IMAGE_PTX:
		return 0; /* a NUL stands behind it */
	case IMAGE_ELF:
	case IMAGE_FATBIN:
		return image_size(bytes, len, &size) ? CUDA_ERROR_INVALID_IMAGE : 0;
	default:
		return CUDA_ERROR_INVALID_IMAGE;
	}
}

/* Entries that would unpack to more than is allowed, or not at all, never reach the far end. */
static int check_fatbin(const char *bytes, size_t len)
{
	struct fatbin_entry e;
	size_t at = 0;
	int r;

	if (image_kind(bytes, len) != IMAGE_FATBIN)
		return 0;
	while ((r = fatbin_next(bytes, len, &at, &e)) > 0) {
		if (e.unpacked > FATBIN_MAX_UNPACKED && e.unpacked != e.stored)
			return CUDA_ERROR_INVALID_IMAGE;
	}
	return r ? CUDA_ERROR_INVALID_IMAGE : 0;
}

static uint64_t pages(const struct gpu *g, uint64_t bytes)
{
	const uint64_t page = g->mem.win.page;

	return bytes > UINT64_MAX - page ? UINT64_MAX : (bytes + page - 1) / page * page;
}

/* g->images.lock is held. */
static int charge_more(struct gpu *g, uint64_t bytes)
{
	uint64_t all, more;

	if (__builtin_add_overflow(g->images.bytes, bytes, &all))
		return CUDA_ERROR_OUT_OF_MEMORY;
	more = pages(g, all) - pages(g, g->images.bytes);
	if (!lease_get(g->w, more))
		return CUDA_ERROR_OUT_OF_MEMORY;
	g->images.bytes = all;
	return 0;
}

static void charge_less(struct gpu *g, uint64_t bytes)
{
	const uint64_t all = g->images.bytes - bytes;

	lease_put(g->w, pages(g, g->images.bytes) - pages(g, all));
	g->images.bytes = all;
}

int image_charge(struct gpu *g, uint64_t bytes)
{
	int r;

	pthread_mutex_lock(&g->images.lock);
	r = charge_more(g, bytes);
	pthread_mutex_unlock(&g->images.lock);
	return r;
}

void image_uncharge(struct gpu *g, uint64_t bytes)
{
	pthread_mutex_lock(&g->images.lock);
	charge_less(g, bytes);
	pthread_mutex_unlock(&g->images.lock);
}

/* A library's variables in a context other than the first, for which its own charge stands. */
struct image_use {
	LIST_ENTRY(image_use) link;
	const struct library *l;
	const struct ctx *c;
	uint64_t bytes;
};

static int use(struct gpu *g, const struct library *l, const struct ctx *c)
{
	struct image_use *u;
	bool first = true;
	int r;

	LIST_FOREACH(u, &g->images.uses, link)
	{
		if (u->l == l && u->c == c)
			return 0;
		if (u->l == l && !u->bytes)
			first = false;
	}
	u = calloc(1, sizeof(*u));
	if (!u)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*u = (struct image_use){.l = l, .c = c, .bytes = first ? 0 : l->declared};
	r = charge_more(g, u->bytes);
	if (r)
		free(u);
	else
		LIST_INSERT_HEAD(&g->images.uses, u, link);
	return r;
}

int image_use(struct gpu *g, const struct library *l, const struct ctx *c)
{
	int r;

	if (!l->declared)
		return 0;
	pthread_mutex_lock(&g->images.lock);
	r = use(g, l, c);
	pthread_mutex_unlock(&g->images.lock);
	return r;
}

void image_unuse(struct gpu *g, const void *gone)
{
	struct image_use *u, *next;

	pthread_mutex_lock(&g->images.lock);
	for (u = LIST_FIRST(&g->images.uses); u; u = next) {
		next = LIST_NEXT(u, link);
		if (u->l != gone && u->c != gone)
			continue;
		charge_less(g, u->bytes);
		LIST_REMOVE(u, link);
		free(u);
	}
	pthread_mutex_unlock(&g->images.lock);
}

static int charge(struct gpu *g, struct image_job *j, uint64_t bytes)
{
	const int r = image_charge(g, bytes);

	if (!r)
		j->charge += bytes;
	return r;
}

/* Variables take device memory that the image's length says nothing of. */
static int charge_declared(struct gpu *g, struct image_job *j)
{
	if (image_declared(j->bytes, j->len, &j->declared))
		return CUDA_ERROR_OUT_OF_MEMORY;
	return charge(g, j, j->declared);
}

int image_copy(struct gpu *g, struct image_job *j)
{
	/* Before this process takes memory for the copy: a guest has no more of it than its vGPU
	 * has of the GPU's. */
	int r = charge(g, j, j->len);

	if (!r) {
		j->bytes = malloc(j->len + 1);
		if (!j->bytes)
			r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (!r) {
		memcpy(j->bytes, (const void *)(uintptr_t)j->addr, j->len);
		j->bytes[j->len] = '\0';
	}
	chunks_unpin(&g->arena.chunks, j->addr, j->len);
	return r;
}

int image_check(const struct image_job *j)
{
	const int r = check(j->bytes, j->len);

	return r ? r : check_fatbin(j->bytes, j->len);
}

int image_fetch(struct gpu *g, struct image_job *j)
{
	int r = image_copy(g, j);

	if (!r)
		r = image_check(j);
	if (!r)
		r = charge_declared(g, j);
	if (!r)
		image_logs(j);
	return r;
}

float image_time(const struct image_job *j)
{
	uint32_t bits;
	float ms;

	if (j->time_at < 0)
		return 0;
	/* The option's value was overwritten with a float. */
	bits = (uint32_t)(uintptr_t)j->value[j->time_at];
	memcpy(&ms, &bits, sizeof(ms));
	return ms;
}

uint32_t image_log(const char *log, uint32_t size)
{
	return size ? (uint32_t)strnlen(log, size) : 0;
}

struct image_job *image_job_new(struct gpu *g, uint32_t seq, uint64_t addr, uint64_t len,
				uint32_t info, uint32_t error)
{
	struct image_job *j;

	if (!chunks_pin(&g->arena.chunks, addr, len))
		return NULL;
	j = calloc(1, sizeof(*j));
	if (!j) {
		chunks_unpin(&g->arena.chunks, addr, len);
		return NULL;
	}
	j->seq = seq;
	j->addr = addr;
	j->len = len;
	j->info_size = info;
	j->error_size = error;
	j->time_at = -1;
	return j;
}

void image_job_free(struct image_job *j)
{
	free(j->bytes);
	free(j);
}
