/* SPDX-License-Identifier: MIT */
/*
 * Adaptive polling before a sleep (user space). A wait that ends soon is cheaper to poll for than
 * to sleep for; one that lasts longer is not. The length of the last waits decides how long the
 * next one polls: a wait that ended within the most that one polls lengthens the polling, a longer
 * one shortens it, down to none.
 *
 *   if (!pvgpu_poll(&p, ready, arg)) {
 *           uint64_t t = pvgpu_poll_now();
 *           sleep until woken
 *           pvgpu_poll_slept(&p, pvgpu_poll_now() - t);
 *   }
 *
 * PVGPU_POLL_ITERATIONS in the environment sets the most rounds that a wait polls (0: never), for
 * tests and emulators. Used by one thread at a time.
 */
#ifndef PVGPU_RING_POLL_H
#define PVGPU_RING_POLL_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define PVGPU_POLL_NS 50000u /* about the cost of a sleep: longer polling does not pay */
/* Where a processor can be spared, as CUDA's own waits poll for the GPU: a virtual machine's
 * processor that has halted takes long to wake up. */
#define PVGPU_POLL_LONG_NS    500000u
#define PVGPU_POLL_PROCESSORS 4
#define PVGPU_POLL_ONE        1024u /* fixed-point one of the hit rate */
#define PVGPU_POLL_HARD       (1u << 24)

struct pvgpu_poll {
	uint32_t max;  /* rounds at most; 0: never poll */
	uint32_t rate; /* how often polling would have been enough lately, 0..PVGPU_POLL_ONE */
	uint32_t ns;   /* that a wait polls at most */
};

static inline void pvgpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

static inline uint64_t pvgpu_poll_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* `ns` from now, as a wait for a condition variable with that clock takes it. */
static inline struct timespec pvgpu_poll_after(uint64_t ns)
{
	const uint64_t at = pvgpu_poll_now() + ns;

	return (struct timespec){.tv_sec = (time_t)(at / 1000000000u),
				 .tv_nsec = (long)(at % 1000000000u)};
}

/* That this process may use; 0: not known. */
static inline int pvgpu_poll_processors(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 0 : CPU_COUNT(&cpus);
}

/* Rounds in so many ns: a pause takes 10 to 150 cycles, depending on the processor. */
static inline uint32_t pvgpu_poll_calibrate(uint32_t ns)
{
	uint64_t best = UINT64_MAX;

	for (int run = 0; run < 3; run++) {
		uint64_t t = pvgpu_poll_now();

		for (int i = 0; i < 64; i++)
			pvgpu_relax();
		t = pvgpu_poll_now() - t;
		if (t < best)
			best = t;
	}
	return (uint32_t)(64ull * ns / (best + 64)); /* a ns for each ready() */
}

/* most_ns: that a wait polls where there are processors enough. */
static inline void pvgpu_poll_init(struct pvgpu_poll *p, uint32_t most_ns)
{
	const char *env = getenv("PVGPU_POLL_ITERATIONS");
	const int processors = pvgpu_poll_processors();

	p->ns = processors < PVGPU_POLL_PROCESSORS ? PVGPU_POLL_NS : most_ns;
	p->rate = PVGPU_POLL_ONE / 2;
	if (env && *env) {
		unsigned long n = strtoul(env, NULL, 0);

		p->max = n > PVGPU_POLL_HARD ? PVGPU_POLL_HARD : (uint32_t)n;
		return;
	}
	/* With one CPU the other side cannot answer while this side polls. */
	p->max = processors == 1 ? 0 : pvgpu_poll_calibrate(p->ns);
}

static inline void pvgpu_poll_learn(struct pvgpu_poll *p, bool hit)
{
	if (hit)
		p->rate += (PVGPU_POLL_ONE - p->rate + 7) / 8;
	else
		p->rate -= (p->rate + 3) / 4;
}

/* Poll for a while. True: ready; false: sleep now. */
static inline bool pvgpu_poll(struct pvgpu_poll *p, bool (*ready)(void *arg), void *arg)
{
	uint64_t n = (uint64_t)p->max * p->rate / PVGPU_POLL_ONE;

	if (ready(arg))
		return true;
	while (n--) {
		pvgpu_relax();
		if (ready(arg)) {
			pvgpu_poll_learn(p, true);
			return true;
		}
	}
	return false;
}

/* A sleep after a failed poll took ns: would polling have been enough? */
static inline void pvgpu_poll_slept(struct pvgpu_poll *p, uint64_t ns)
{
	pvgpu_poll_learn(p, ns < p->ns);
}

#endif
