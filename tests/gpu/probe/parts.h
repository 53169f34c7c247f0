/* SPDX-License-Identifier: MIT */
/*
 * Parts of a step: each in a process of its own, so that a question which crashes or hangs costs
 * only itself; and calls beside a running kernel.
 */
#ifndef PVGPU_PROBE_PARTS_H
#define PVGPU_PROBE_PARTS_H

#include <semaphore.h>

#include "tests/gpu/probe/probe.h"

/* A symbol of libcuda for calls that are timed or expected to fail; NULL: absent. */
#define FAR(name) ((__typeof__(name) *)cuda_symbol(#name))
/* Call the exact symbol, and say nothing of a failure: CUresult, or -1 where it is absent. */
#define ASK(name, ...)                                                                             \
	({                                                                                         \
		__typeof__(name) *f_ = FAR(name);                                                  \
		f_ ? (int)f_(__VA_ARGS__) : -1;                                                    \
	})

struct part {
	const char *name; /* of the role, and what its keys begin with */
	void (*run)(void);
	unsigned int limit_s;
	const char *const *env; /* as in role_run */
};
/* In the step's process: run all of them, one after the other; in a part's: run that one. The list
 * ends with a NULL name; where `run` is NULL, the next one's is run: it tells by opt.role. The step
 * has failed when a part crashes, hangs or prints nothing. */
void parts_run(const struct part *parts);

/* With the device's primary context current; false: said why. */
bool part_context(void);
/* say_int with a key that is put together. */
void say_intf(int64_t value, const char *key, ...) __attribute__((format(printf, 2, 3)));

/* PTX of the probe's own: hold(flag, ns, nap) and nothing(). */
extern const char ptx_held[];
/* PTX of tests/kernels. */
extern const char ptx_vector[], ptx_fault[], ptx_sync[];

/*
 * A kernel that runs until it is told to end, or for a few seconds, in a stream of its own which
 * does not wait for the legacy one. by_host: a host function in its place.
 */
struct hold {
	bool by_host;
	CUstream stream;
	volatile uint32_t *flag; /* [0]: end, [1]: it runs */
	CUdeviceptr at;
	CUfunction kernel;
};

bool hold_make(struct hold *h);
/* Run it, and see that it runs; false: said why. */
bool hold_begin(struct hold *h);
/* The same in another stream. */
bool hold_begin_in(struct hold *h, CUstream stream);
/* Tell it to end. */
void hold_release(struct hold *h);
/* End it, and wait for its end. */
void hold_end(struct hold *h);

/* Wait for a post, at most so long. */
bool posted_within(sem_t *s, unsigned int ms);

/* A call beside that kernel, on another thread with the same context. */
struct beside {
	const char *key;
	int (*call)(void *arg);
	void *arg;
	unsigned int limit_ms; /* what takes longer waits for the kernel */
};
/* Says <key>_result, <key>_waits (0 or 1) and <key>_ns; true: it did not wait. Afterwards no kernel
 * runs. */
bool call_beside(struct hold *h, const struct beside *b);

#endif
