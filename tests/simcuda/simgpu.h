/* SPDX-License-Identifier: MIT */
/*
 * The simulated GPU's shared state: one file (SIMCUDA_GPU, default
 * /dev/shm/pvgpu-simcuda-<uid>) that every process using tests/simcuda's libcuda.so.1 maps.
 * Other programs map it read-only to read the accounting (tests/simcuda/simcuda-top.c does).
 *
 * Words are written by one process at a time and read by any: load them with simgpu_load64().
 * Each slot holds the state of one process, and totals are computed from the slots. So a process
 * may be killed at any point: the slot of a dead owner does not count and is reused.
 */
#ifndef PVGPU_SIMCUDA_SIMGPU_H
#define PVGPU_SIMCUDA_SIMGPU_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SIMGPU_MAGIC   0x5550475056534d31ull
#define SIMGPU_VERSION 8u
#define SIMGPU_SLOTS   256
#define SIMGPU_XIDS    16
#define SIMGPU_COPIES  4  /* copies in flight whose begin is recorded */
#define SIMGPU_BROKEN  2u /* in `lost` */
#define SIMGPU_RUNS    (1ull << 63)

/* One process that has initialised CUDA. */
struct simgpu_process {
	uint32_t pid;
	uint32_t in_use;
	uint64_t start_time; /* of the process, clock ticks since boot (/proc/PID/stat field 22) */
	uint64_t memory;     /* device memory in use, bytes */
	uint64_t memory_peak;
	uint64_t compute; /* time for which it had kernels and the device's compute engine. While it
			   * has them: SIMGPU_RUNS and CLOCK_MONOTONIC less that time */
	uint64_t copy_ns; /* time that its copies and memsets took, summed over engines */
	uint64_t copy_since[SIMGPU_COPIES]; /* CLOCK_MONOTONIC at the begin of those in flight; 0 */
	uint64_t copy_bytes;
	uint64_t launches; /* kernels started */
	uint64_t slices;   /* times the device was given to it */
	uint64_t ticket;   /* place in the queue for the device; 0 = not waiting */
	uint32_t turn;     /* futex: moves when the device is given to this slot */
	uint32_t busy;     /* kernels, copies and memsets of it that are not done */
	uint64_t overlaps; /* times that it began to be busy while another living process was */
	uint64_t traces;   /* works of it that found the cache as another process had left it */
	union {
		pthread_mutex_t life; /* robust; held by a thread of the process while it lives */
		uint64_t life_space[8];
	};
};

struct simgpu {
	uint64_t magic;
	uint32_t version, bytes; /* of the whole structure */
	uint64_t memory;         /* of the device, bytes: the same for every process */
	uint64_t next_ticket;
	uint32_t owner;      /* slot + 1 of the process that has the device, 0 = free */
	uint32_t waiting;    /* slots in the queue */
	uint32_t lost;       /* set by a test to 1: every process that launches a kernel gets the
			      * error of a lost device, which is sticky. SIMGPU_BROKEN: also
			      * those that come when no other has it open, until simcuda-reset */
	uint32_t slots_used; /* from the first; the others have never been used */
	union {
		pthread_mutex_t lock; /* robust; guards owner, tickets and the taking of memory */
		uint64_t lock_space[8];
	};
	uint32_t cached; /* the process whose work is in the L2 cache; 0: none, a memset as large as
			  * the cache has emptied it */
	uint32_t pad;
	uint64_t xids;             /* errors that the device has reported, ever */
	uint64_t xid[SIMGPU_XIDS]; /* the last of them, number n at n % SIMGPU_XIDS: the code, and
				    * above 32 bits the process that it is about */
	struct simgpu_process slot[SIMGPU_SLOTS];
	uint64_t link_until[2]; /* CLOCK_MONOTONIC: the link to the host is taken until then, from
				 * the device and to it */
};

static_assert(sizeof(pthread_mutex_t) <= 64, "room for a mutex");
static_assert(sizeof(struct simgpu_process) == 200, "a slot's layout is read by other programs");

static inline uint64_t simgpu_load64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Time used up to now (CLOCK_MONOTONIC), kernels in flight included. */
static inline uint64_t simgpu_compute(const struct simgpu_process *p, uint64_t now)
{
	uint64_t v = simgpu_load64(&p->compute), begin = v & ~SIMGPU_RUNS;

	if (!(v & SIMGPU_RUNS))
		return v;
	return now > begin ? now - begin : 0;
}

/* The end of a copy clears its `since` before it adds the time: for a moment the copy is missing,
 * but it is never counted twice. */
static inline uint64_t simgpu_copies(const struct simgpu_process *p, uint64_t now)
{
	uint64_t used = __atomic_load_n(&p->copy_ns, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < SIMGPU_COPIES; i++) {
		uint64_t begin = simgpu_load64(&p->copy_since[i]);

		if (begin && begin < now)
			used += now - begin;
	}
	return used;
}

/*
 * Does the slot's process live? The kernel clears the holder's thread id in a robust mutex's futex
 * word (its first word) when that thread dies, by any cause. A reused pid cannot be mistaken.
 */
static inline bool simgpu_alive(const struct simgpu_process *p)
{
	uint32_t word = __atomic_load_n((const uint32_t *)(const void *)&p->life, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&p->in_use, __ATOMIC_ACQUIRE) && (word & 0x3fffffffu);
}

#define SIMGPU_UUID 48

/* The GPU whose file has this path. */
static inline void simgpu_uuid(const char *path, unsigned char out[16])
{
	uint64_t h = 1469598103934665603ull;

	memcpy(out, "simcuda", 8);
	for (const char *p = path; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211ull;
	memcpy(out + 8, &h, sizeof(h));
}

/* As NVML has it. */
static inline void simgpu_uuid_text(const char *path, char out[SIMGPU_UUID])
{
	unsigned char b[16];
	int n = 4;

	simgpu_uuid(path, b);
	strcpy(out, "GPU-");
	for (int i = 0; i < 16; i++)
		n += snprintf(out + n, (size_t)(SIMGPU_UUID - n), "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
}

#endif
