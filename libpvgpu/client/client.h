/* SPDX-License-Identifier: MIT */
/*
 * The parts of generated public functions of libraries beside libcuda (docs/calls.md): the same
 * names as in cuda/core/api.h, over the table of the libcuda.so.1 that is loaded.
 */
#ifndef PVGPU_CLIENT_H
#define PVGPU_CLIENT_H

#include <pthread.h>
#include <string.h>

#include "cuda/core/client.h"
#include "pvgpu_stubs.h"

/* NULL: there is no pvgpu libcuda here, or it is of another version; said once on stderr. */
extern const struct pvgpu_client *client;
int client_open(const char *library, void (*objects)(void));

static inline struct pvgpu_session *api_session(void)
{
	return client->session();
}

static inline int api_result(struct ctx *c, int r)
{
	return c ? client->result(c, r) : r;
}

static inline int api_stream(CUstream stream, bool per_thread, struct target *t)
{
	return client->stream(stream, per_thread, t);
}

/* Of a captured command, see cuda/core/capture.h. */
static inline void api_describe(const struct target *t, const void *bytes, size_t len)
{
	client->describe(t, bytes, len);
}

/* Numbers that travel together, see cuda/staging/numbers.c. */
static inline int api_pack(struct numbers *k, uint64_t bytes)
{
	return client->pack(k, bytes);
}

static inline void api_packs(struct numbers *k, uint64_t at, const void *from, uint64_t bytes)
{
	client->packs(k, at, from, bytes);
}

static inline void api_packed(struct numbers *k, bool posted)
{
	client->packed(k, posted);
}

/* client.c */
int api_enter(void);
int api_current(struct ctx **c);
int api_find(enum pvgpu_handle_type type, const void *handle, void **object);
/* Where the work of an object goes whose stream this is: the legacy default stream is that of the
 * object's context. */
int api_object_stream(struct object *o, CUstream stream, struct target *t);
void api_object_size(enum pvgpu_handle_type type, size_t size);

static inline void *api_new(enum pvgpu_handle_type type)
{
	return client->object_new(type);
}

static inline void api_publish(struct object *o)
{
	client->object_publish(o);
}

static inline bool api_retire(struct object *o)
{
	return client->object_retire(o);
}

static inline void api_free(struct object *o)
{
	client->object_free(o);
}

/* A number by pointer: its bytes, or (mode 1) its address. */
static inline void api_scalar(uint32_t mode, const void *number, uint64_t bytes, uint64_t *value,
			      size_t room)
{
	if (mode)
		value[0] = (uintptr_t)number;
	else
		memcpy(value, number, bytes <= room ? bytes : room);
}

/*
 * Memory that the application lends to the work of an object's stream, as the worker has been told.
 * Setting the stream, even the same one, takes it back. Frameworks set both before each call, so
 * the worker is told only when something has changed by the time of the next call.
 */
struct lent {
	uint64_t stream, at, bytes;
	bool told;
	bool over; /* the stream has been set since */
};

/* The worker knows. Else it is told now. */
static inline bool api_lent(struct lent *l, const struct target *t, const void *at, uint64_t bytes)
{
	const struct lent now = {
		.stream = t->stream, .at = (uintptr_t)at, .bytes = bytes, .told = true};
	const bool knows =
		l->told && l->stream == now.stream && l->at == now.at && l->bytes == now.bytes;

	*l = now;
	return knows;
}

/* Device memory of an object's own for numbers that come back: a place for each call that is under
 * way, since threads may call with one object at the same time. */
struct scratch {
	uint64_t memory; /* 0: none yet */
	uint32_t taken;  /* places, a bit each */
};
int api_scratch(const struct object *o, struct scratch *s, uint64_t *place);
/* The number has been read, or will not be written. */
void api_scratch_give(struct scratch *s, uint64_t place);
/* Wait for the stream's work so far and read so many bytes. */
int api_fetch(const struct target *t, uint64_t from, void *to, uint32_t bytes);

#endif
