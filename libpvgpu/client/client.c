/* SPDX-License-Identifier: MIT */
#include "client/client.h"

#include <dlfcn.h>
#include <stdio.h>

/* A number that comes back has 16 bytes at most. */
enum { PLACE_BYTES = 16, PLACES = 32 };

/* Waiting for a place is rare: more threads than places use one object at the same time. */
static pthread_mutex_t scratch_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t scratch_given = PTHREAD_COND_INITIALIZER;

const struct pvgpu_client *client;

/* By that library's name, since an application may have linked with another one's path. */
int client_open(const char *library, void (*objects)(void))
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool tried;
	const struct pvgpu_client *(*get)(void) = NULL;
	const struct pvgpu_client *found;
	void *dl, *symbol;

	pthread_mutex_lock(&lock);
	if (tried)
		goto out;
	tried = true;
	dl = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
	symbol = dl ? dlsym(dl, PVGPU_CLIENT_SYMBOL) : NULL;
	memcpy(&get, &symbol, sizeof(get));
	found = get ? get() : NULL;
	if (!found || found->size != sizeof(*found)) {
		fprintf(stderr,
			"pvgpu: %s: the libcuda.so.1 that is loaded is not pvgpu's of the same "
			"version: "
			"put pvgpu's folder first in LD_LIBRARY_PATH\n",
			library);
		goto out;
	}
	client = found;
	objects();
out:
	pthread_mutex_unlock(&lock);
	return client ? 0 : CUDA_ERROR_NOT_INITIALIZED;
}

int api_enter(void)
{
	return client ? client->enter() : CUDA_ERROR_NOT_INITIALIZED;
}

int api_current(struct ctx **c)
{
	return client ? client->current(c) : CUDA_ERROR_NOT_INITIALIZED;
}

int api_find(enum pvgpu_handle_type type, const void *handle, void **object)
{
	const int r = api_enter();
	struct object *o;

	if (r)
		return r;
	o = object_in(client->tables, type, handle);
	*object = o;
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	return o->ctx ? atomic_load_explicit(&o->ctx->state, memory_order_relaxed) : 0;
}

int api_object_stream(struct object *o, CUstream stream, struct target *t)
{
	*t = (struct target){.ctx = o->ctx};
	return stream && stream != CU_STREAM_LEGACY ? client->stream(stream, false, t) : 0;
}

void api_object_size(enum pvgpu_handle_type type, size_t size)
{
	client->tables[type].size = size;
}

/* Under scratch_lock. */
static int scratch_make(const struct object *o, struct scratch *s)
{
	return s->memory ? 0
			 : api_result(o->ctx, pvgpu_do_mem_alloc(api_session(), o->ctx->o.wire,
								 PLACES * PLACE_BYTES, &s->memory));
}

int api_scratch(const struct object *o, struct scratch *s, uint64_t *place)
{
	uint32_t i;
	int r;

	pthread_mutex_lock(&scratch_lock);
	while (s->taken == UINT32_MAX)
		pthread_cond_wait(&scratch_given, &scratch_lock);
	r = scratch_make(o, s);
	if (!r) {
		i = (uint32_t)__builtin_ctz(~s->taken);
		s->taken |= 1u << i;
		*place = s->memory + i * PLACE_BYTES;
	}
	pthread_mutex_unlock(&scratch_lock);
	return r;
}

void api_scratch_give(struct scratch *s, uint64_t place)
{
	const uint32_t bit = 1u << (place - s->memory) / PLACE_BYTES;

	pthread_mutex_lock(&scratch_lock);
	if (s->taken == UINT32_MAX)
		pthread_cond_broadcast(&scratch_given);
	s->taken &= ~bit;
	pthread_mutex_unlock(&scratch_lock);
}

int api_fetch(const struct target *t, uint64_t from, void *to, uint32_t bytes)
{
	uint32_t got = 0;
	const int r = pvgpu_do_copy_fetch(api_session(), t->ctx->o.wire, t->stream, from, bytes, to,
					  bytes, &got);

	return api_result(t->ctx, r ? r : got == bytes ? 0 : CUDA_ERROR_UNKNOWN);
}

/* Called by the generated stubs, see link/session.h. */
int pvgpu_post(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n)
{
	return client->post(s, p, n);
}

int pvgpu_post_mark(struct pvgpu_session *s, struct pvgpu_mark *m, const struct pvgpu_piece *p,
		    unsigned int n)
{
	return client->post_mark(s, m, p, n);
}

int pvgpu_call(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n, void *rep,
	       uint32_t cap, uint32_t *rep_len)
{
	return client->call(s, p, n, rep, cap, rep_len);
}

int pvgpu_broken(struct pvgpu_session *s, const char *what)
{
	return client->broken(s, what);
}

const struct pvgpu_session_info *pvgpu_session_info(const struct pvgpu_session *s)
{
	return client->info(s);
}
