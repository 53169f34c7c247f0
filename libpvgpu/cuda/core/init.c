/* SPDX-License-Identifier: MIT */
/* cuInit(): the process's session, opened at its first use. */
#include "cuda/core/above.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/thread.h"

#include <pthread.h>
#include <stdatomic.h>

#include "link/cancel.h"
#include "link/session.h"

enum { API_VERSION = CUDA_VERSION, DEVICES_MAX = 256 }; /* as many as device_snapshot can name */

struct guest guest;

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pvgpu_session *opened; /* under init_lock; may be ahead of guest.session */

static const struct pvgpu_session_ops ops = {
	.callback = hostfunc_run,
	.output = output_pull,
};

/* Set in a forked child of a process that had called cuInit(): every CUDA call fails. */
static _Atomic bool forked;

uint64_t guest_next_id(void)
{
	static _Atomic uint64_t id;

	return atomic_fetch_add_explicit(&id, 1, memory_order_relaxed) + 1;
}

int guest_absent(void)
{
	return CUDA_ERROR_NOT_INITIALIZED;
}

/* Under init_lock. */
static int open_locked(void)
{
	const struct pvgpu_session_info *info;
	struct pvgpu_session *s;
	int r;

	if (opened)
		return pvgpu_session_status(opened);
	r = pvgpu_session_open(&ops, &s);
	if (r)
		return r;
	info = pvgpu_session_info(s);
	guest.device_base = info->device_base;
	guest.device_end = info->device_base + info->device_size;
	guest.arena_base = info->arena_base;
	guest.arena_end = info->arena_base + info->arena_size;
	guest.device_count = (int)info->device_count;
	guest.driver_version = info->driver_version;
	r = info->device_count > DEVICES_MAX ? pvgpu_broken(s, "too many devices")
					     : device_snapshot_all(s, &guest.device_count);
	if (r) {
		pvgpu_session_close(s);
		return r;
	}
	opened = s;
	return 0;
}

int guest_open(void)
{
	int r, cancel;

	if (atomic_load(&forked))
		return CUDA_ERROR_NOT_INITIALIZED;
	cancel = pvgpu_cancel_off();
	pthread_mutex_lock(&init_lock);
	r = open_locked();
	pthread_mutex_unlock(&init_lock);
	pvgpu_cancel_back(cancel);
	return r;
}

PUBLIC CUresult cuInit(unsigned int flags)
{
	int r;

	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (self.in_callback)
		return CUDA_ERROR_NOT_PERMITTED;
	r = guest_open();
	if (r)
		return r;
	if (!guest.device_count)
		return CUDA_ERROR_NO_DEVICE;
	atomic_store_explicit(&guest.session, opened, memory_order_release);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuDriverGetVersion(int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	/* Needs no cuInit(). The lower of this library's version and the worker's driver's. */
	*version = API_VERSION;
	if (!guest_open() && guest.driver_version > 0 && guest.driver_version < API_VERSION)
		*version = guest.driver_version;
	return CUDA_SUCCESS;
}

void init_fork_lock(void)
{
	pthread_mutex_lock(&init_lock);
}

void init_fork_unlock(void)
{
	pthread_mutex_unlock(&init_lock);
}

struct pvgpu_session *init_fork_child(void)
{
	struct pvgpu_session *s = opened;

	opened = NULL;
	if (session())
		atomic_store(&forked, true);
	atomic_store(&guest.session, NULL);
	return s;
}
