/* SPDX-License-Identifier: MIT */
/* The session of the process: init.c, and output.c, which its threads call. */
#ifndef PVGPU_CUDA_CORE_INIT_H
#define PVGPU_CUDA_CORE_INIT_H

#include <stdatomic.h>
#include <stdint.h>

struct pvgpu_session;

struct guest {
	_Atomic(struct pvgpu_session *)
		session;                  /* NULL until cuInit() has succeeded, and after fork */
	uint64_t device_base, device_end; /* device window */
	uint64_t arena_base, arena_end;   /* arena window */
	int device_count;
	int driver_version;
};
extern struct guest guest;

/* The session, for code behind guest_enter() or ctx_enter(). */
static inline struct pvgpu_session *session(void)
{
	return atomic_load_explicit(&guest.session, memory_order_relaxed);
}

/* Open the session when there is none yet, without counting as cuInit(). */
int guest_open(void);
/* The result of a call without a session: CUDA_ERROR_NOT_INITIALIZED. */
int guest_absent(void);
/* A number that no other object or allocation of this process has. */
uint64_t guest_next_id(void);

/* output.c */
void output_pull(void *arg);

/* init.c, for fork.c: no thread opens a session while the process is copied. */
void init_fork_lock(void);
void init_fork_unlock(void);
/* In the child: forget the parent's session and return it (NULL: there was none). */
struct pvgpu_session *init_fork_child(void);

#endif
