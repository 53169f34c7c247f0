/* SPDX-License-Identifier: MIT */
/*
 * cuInit, the check at the begin of every entry point, and the state of a thread.
 *
 * cuInit opens all files (the shared GPU's and the memory file of vmm.c) and starts all threads.
 * Later calls only map anonymous memory, so that a process can be sealed after cuInit.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

_Atomic bool sim_quick;
pthread_mutex_t sim_life = PTHREAD_MUTEX_INITIALIZER;
__thread struct sim_thread *sim_self;

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool ready, forked;
static pthread_key_t thread_key;

static void in_forked_child(void)
{
	atomic_store(&forked, atomic_load(&ready));
	atomic_store(&sim_quick, false);
}

static void thread_exit(void *p)
{
	struct sim_thread *t = p;

	if (!atomic_load(&forked))
		stream_thread_exit(t);
	sim_self = NULL;
	free(t->stack);
	free(t->streams);
	free(t);
}

struct sim_thread *sim_thread(void)
{
	if (likely(sim_self != NULL))
		return sim_self;
	sim_self = calloc(1, sizeof(*sim_self));
	if (sim_self)
		pthread_setspecific(thread_key, sim_self);
	return sim_self;
}

/* A detached thread with every signal blocked: the program's handlers must not run on it. */
int sim_thread_start(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t t;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&t, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

static CUresult start(void)
{
	sim_config_read();
	if (sim_config.device < 0)
		return CUDA_ERROR_NO_DEVICE;
	fault_read();
	if (pthread_key_create(&thread_key, thread_exit) ||
	    pthread_atfork(NULL, NULL, in_forked_child))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (arbiter_open() || vmm_open() || dirt_open() || exec_start() || engine_start() || compute_start())
		return CUDA_ERROR_OPERATING_SYSTEM;
	return CUDA_SUCCESS;
}

CUresult sim_enter_slow(const char *name)
{
	if (atomic_load(&forked) || !atomic_load(&ready))
		return CUDA_ERROR_NOT_INITIALIZED;
	if (sim_self && sim_self->in_callback)
		return CUDA_ERROR_NOT_PERMITTED;
	return fault_call(name);
}

API(cuInit, unsigned int flags)
{
	CUresult r = CUDA_SUCCESS;

	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (atomic_load(&forked))
		return CUDA_ERROR_NOT_INITIALIZED;
	pthread_mutex_lock(&init_lock);
	if (!atomic_load(&ready)) {
		r = start();
		if (r == CUDA_SUCCESS) {
			atomic_store(&ready, true);
			atomic_store(&sim_quick, !sim_fault.any_call);
		}
	}
	pthread_mutex_unlock(&init_lock);
	if (r == CUDA_SUCCESS && sim_fault.any_call)
		r = fault_call("cuInit");
	return r;
}

API(cuDriverGetVersion, int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = SIM_VERSION;
	return CUDA_SUCCESS;
}

API(cuGetExportTable, const void **table, const CUuuid *id)
{
	if (table)
		*table = NULL;
	return CUDA_ERROR_NOT_SUPPORTED;
}

API(cuProfilerStart, void)
{
	CURRENT(ctx);
	return CUDA_SUCCESS;
}

API(cuProfilerStop, void)
{
	CURRENT(ctx);
	return CUDA_SUCCESS;
}
