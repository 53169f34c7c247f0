/* SPDX-License-Identifier: MIT */
#include "client/client.h"

#include <dlfcn.h>
#include <stdio.h>

enum { SCRATCH_BYTES = 256 };

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

int api_scratch(struct object *o, uint64_t *scratch, uint64_t *address)
{
	int r = 0;

	if (!*scratch)
		r = api_result(o->ctx, pvgpu_do_mem_alloc(api_session(), o->ctx->o.wire,
							  SCRATCH_BYTES, scratch));
	*address = *scratch;
	return r;
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
