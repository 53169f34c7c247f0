/* SPDX-License-Identifier: MIT */
/* Settings of dumps, none of which is written, and a log without messages. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

enum { TEXT_MAX = 1024 };

struct dump_settings {
	bool flag[CU_COREDUMP_MAX];
	unsigned int generation;
	char text[CU_COREDUMP_MAX][TEXT_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dump_settings settings = {
	.flag = {[CU_COREDUMP_TRIGGER_HOST] = true},
	.text = {[CU_COREDUMP_FILE] = "core.cuda.%h.%p",
		 [CU_COREDUMP_PIPE] = "corepipe.cuda.%h.%p"},
};

static bool is_text(CUcoredumpSettings what)
{
	return what == CU_COREDUMP_FILE || what == CU_COREDUMP_PIPE;
}

/* Where the value is, and its size. */
static void *value_of(CUcoredumpSettings what, size_t *size)
{
	switch (what) {
	case CU_COREDUMP_ENABLE_ON_EXCEPTION:
	case CU_COREDUMP_TRIGGER_HOST:
	case CU_COREDUMP_LIGHTWEIGHT:
	case CU_COREDUMP_ENABLE_USER_TRIGGER:
		*size = sizeof(bool);
		return &settings.flag[what];
	case CU_COREDUMP_FILE:
	case CU_COREDUMP_PIPE:
		*size = TEXT_MAX;
		return settings.text[what];
	case CU_COREDUMP_GENERATION_FLAGS:
		*size = sizeof(settings.generation);
		return &settings.generation;
	default:
		return NULL;
	}
}

static CUresult get(CUcoredumpSettings what, void *value, size_t *size)
{
	size_t room, have;
	const void *from;

	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	room = *size;
	from = value_of(what, &have);
	if (!from)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	if (is_text(what))
		have = strlen(from) + 1;
	*size = have;
	if (value && room >= have)
		memcpy(value, from, have);
	pthread_mutex_unlock(&lock);
	return value && room < have ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult set(CUcoredumpSettings what, const void *value, const size_t *size)
{
	size_t room;
	void *to = value_of(what, &room);

	if (!to || !value || !size || !*size)
		return CUDA_ERROR_INVALID_VALUE;
	if (is_text(what) ? strnlen(value, *size) >= room : *size < room)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	memset(to, 0, room);
	memcpy(to, value, is_text(what) ? strnlen(value, *size) : room);
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

/* A context's settings are those of all. */
API(cuCoredumpGetAttribute, CUcoredumpSettings what, void *value, size_t *size)
{
	ENTER();
	CURRENT(ctx);
	return get(what, value, size);
}

API(cuCoredumpSetAttribute, CUcoredumpSettings what, void *value, size_t *size)
{
	ENTER();
	CURRENT(ctx);
	return set(what, value, size);
}

API(cuCoredumpGetAttributeGlobal, CUcoredumpSettings what, void *value, size_t *size)
{
	ENTER();
	return get(what, value, size);
}

API(cuCoredumpSetAttributeGlobal, CUcoredumpSettings what, void *value, size_t *size)
{
	ENTER();
	return set(what, value, size);
}

/* Callbacks of a log that has no messages: they are counted, so that none is taken back twice. */
enum { CALLBACKS = 64 };
static char callbacks[CALLBACKS];

API(cuLogsRegisterCallback, CUlogsCallback fn, void *data, CUlogsCallbackHandle *callback)
{
	CUlogsCallbackHandle made = NULL;

	(void)data;
	if (!fn)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < CALLBACKS && !made; i++) {
		if (callbacks[i])
			continue;
		callbacks[i] = 1;
		made = (CUlogsCallbackHandle)(void *)&callbacks[i];
	}
	pthread_mutex_unlock(&lock);
	if (!made)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (callback)
		*callback = made;
	return CUDA_SUCCESS;
}

API(cuLogsUnregisterCallback, CUlogsCallbackHandle callback)
{
	const uintptr_t at = (uintptr_t)callback - (uintptr_t)callbacks;
	bool was = false;

	pthread_mutex_lock(&lock);
	if (at < CALLBACKS) {
		was = callbacks[at];
		callbacks[at] = 0;
	}
	pthread_mutex_unlock(&lock);
	return was ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuLogsCurrent, CUlogIterator *at, unsigned int flags)
{
	if (!at || flags)
		return CUDA_ERROR_INVALID_VALUE;
	*at = 0;
	return CUDA_SUCCESS;
}

API(cuLogsDumpToFile, CUlogIterator *at, const char *path, unsigned int flags)
{
	int fd;

	if (!path || flags || (at && *at))
		return CUDA_ERROR_INVALID_VALUE;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	close(fd);
	return CUDA_SUCCESS;
}

API(cuLogsDumpToMemory, CUlogIterator *at, char *buffer, size_t *size, unsigned int flags)
{
	if (!buffer || !size || !*size || flags || (at && *at))
		return CUDA_ERROR_INVALID_VALUE;
	*buffer = 0;
	*size = 0;
	return CUDA_SUCCESS;
}
