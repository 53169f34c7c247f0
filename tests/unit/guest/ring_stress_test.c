/* SPDX-License-Identifier: MIT */
/*
 * Both streams at once under load, between two threads and between two processes: every byte
 * arrives once and in order, and no side sleeps for ever. Each side sleeps on one doorbell for both
 * streams, as the guest and the worker do. PVGPU_STRESS=N makes it N times as long; N may be
 * less than 1.
 *
 * Two sides that poll need a CPU each: beside other work they may be slower by any factor. So the
 * records come in rounds, and a slow machine runs fewer rounds.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/stress.h"
#include "ring/poll.h"
#include "ring/ring.h"

enum { RECORD_MAX = 1024, LOST_MS = 30000, ROUNDS = 10 };

/* No further round of a setting starts after this time. */
#define ENOUGH_NS 10000000000ull

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define RECORDS 60000u
#else
#define RECORDS 400000u
#endif

struct setting {
	const char *name;
	uint32_t size;       /* of each stream */
	uint32_t largest;    /* record */
	unsigned int polls;  /* number of waits out of 16 that spin */
	unsigned int pauses; /* number of records out of 1024 that are followed by a yield */
};

static const struct setting settings[] = {
	{"sleeping, tiny streams", 2048, RECORD_MAX, 0, 0},
	{"sleeping, small records", 4096, 64, 0, 8},
	{"polling", 65536, RECORD_MAX, 16, 0},
	{"mixed, tiny streams", 2048, RECORD_MAX, 8, 64},
	{"mixed", 65536, RECORD_MAX, 8, 8},
};

struct side {
	const struct setting *set;
	struct pvgpu_ring out, in;
	int own_bell, peer_bell;
	uint32_t records;
	uint32_t sent, got;
	uint64_t seed;
	/* Counters. */
	uint64_t rang, slept;
	bool failed;
};

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

/* Length and contents of a record follow from its number. */
static uint32_t record_len(const struct side *s, uint32_t n)
{
	return 16 + (n * 2654435761u >> 7) % ((s->set->largest - 16) / 8 + 1) * 8;
}

static void ring(struct side *s, bool needed)
{
	const uint64_t one = 1;

	if (needed && write(s->peer_bell, &one, sizeof(one)) == sizeof(one))
		s->rang++;
}

static bool produce(struct side *s)
{
	uint32_t rec[RECORD_MAX / 4];
	bool some = false;

	while (s->sent < s->records) {
		const uint32_t len = record_len(s, s->sent);
		int room = pvgpu_ring_has_space(&s->out, len);

		if (room < 0)
			s->failed = true;
		if (room <= 0)
			return some;
		rec[0] = len;
		for (uint32_t i = 1; i < len / 4; i++)
			rec[i] = s->sent * 31 + i;
		pvgpu_ring_put(&s->out, 0, rec, 16);
		pvgpu_ring_put(&s->out, 16, rec + 4, len - 16);
		ring(s, pvgpu_ring_publish(&s->out, len));
		s->sent++;
		some = true;
		if (next_random(&s->seed) % 1024 < s->set->pauses)
			sched_yield();
		if (next_random(&s->seed) % 8 == 0)
			return some;
	}
	return some;
}

static bool consume(struct side *s)
{
	_Alignas(8) uint32_t rec[RECORD_MAX / 4];
	bool some = false;
	int len;

	while (s->got < s->records && (len = pvgpu_ring_fetch(&s->in, rec, sizeof(rec))) != 0) {
		if (len < 0 || (uint32_t)len != record_len(s, s->got)) {
			s->failed = true;
			return false;
		}
		for (uint32_t i = 1; i < (uint32_t)len / 4; i++)
			if (rec[i] != s->got * 31 + i)
				s->failed = true;
		ring(s, pvgpu_ring_consume(&s->in, (uint32_t)len));
		s->got++;
		some = true;
		if (next_random(&s->seed) % 8 == 0)
			return some;
	}
	return some;
}

static bool ready(void *arg)
{
	struct side *s = arg;

	if (s->got < s->records && pvgpu_ring_avail(&s->in) != 0)
		return true;
	return s->sent < s->records && pvgpu_ring_has_space(&s->out, record_len(s, s->sent)) != 0;
}

/* Sleep until rung; a sleep of LOST_MS means a lost wake-up. */
static void sleep_for_peer(struct side *s)
{
	struct pollfd fd = {.fd = s->own_bell, .events = POLLIN};
	const bool gets = s->got < s->records, sends = s->sent < s->records;
	uint64_t count;
	bool may = true;

	if (gets)
		may = pvgpu_ring_sleep_begin(&s->in);
	if (may && sends)
		may = pvgpu_ring_wait_begin(&s->out, record_len(s, s->sent));
	if (may) {
		s->slept++;
		if (poll(&fd, 1, LOST_MS) != 1 ||
		    read(s->own_bell, &count, sizeof(count)) != sizeof(count)) {
			fprintf(stderr, "a wake-up was lost: %u sent, %u got\n", s->sent, s->got);
			s->failed = true;
		}
	}
	if (gets)
		pvgpu_ring_sleep_end(&s->in);
	if (sends)
		pvgpu_ring_wait_end(&s->out);
}

static void *run(void *arg)
{
	struct side *s = arg;
	struct pvgpu_poll p = {.max = 2000, .rate = PVGPU_POLL_ONE};

	while (!s->failed && (s->sent < s->records || s->got < s->records)) {
		bool some = produce(s);

		some |= consume(s);
		if (some)
			continue;
		ring(s, pvgpu_ring_flush(&s->in));
		if (next_random(&s->seed) % 16 < s->set->polls) {
			if (!pvgpu_poll(&p, ready, s))
				sched_yield();
			continue;
		}
		sleep_for_peer(s);
	}
	ring(s, pvgpu_ring_flush(&s->in));
	return NULL;
}

static void make_sides(struct side s[2], const struct setting *set, void *mem, uint32_t records,
		       unsigned int round)
{
	int bell[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};

	memset(mem, 0, PVGPU_RING_PAGE_SIZE);
	for (int i = 0; i < 2; i++) {
		s[i] = (struct side){.set = set,
				     .own_bell = bell[i],
				     .peer_bell = bell[!i],
				     .records = records,
				     .seed = 1234567u + 2 * round + (unsigned int)i};
		pvgpu_ring_init_producer(&s[i].out, mem, i ? PVGPU_RING_REP : PVGPU_RING_CMD,
					 set->size, set->size);
		pvgpu_ring_init_consumer(&s[i].in, mem, i ? PVGPU_RING_CMD : PVGPU_RING_REP,
					 set->size, set->size);
	}
}

static bool in_threads(struct side s[2])
{
	pthread_t t;

	pthread_create(&t, NULL, run, &s[1]);
	run(&s[0]);
	pthread_join(t, NULL);
	return !s[0].failed && !s[1].failed;
}

static bool in_processes(struct side s[2])
{
	pid_t child = fork();
	int status;

	if (!child) {
		run(&s[1]);
		_exit(s[1].failed);
	}
	run(&s[0]);
	return waitpid(child, &status, 0) == child && status == 0 && !s[0].failed;
}

/* One setting, by threads or by processes. */
static bool stress_rings(const struct setting *set, bool processes, uint32_t records)
{
	const size_t bytes = pvgpu_ring_bytes(set->size, set->size);
	const uint64_t begun = pvgpu_poll_now();
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t rang = 0, slept = 0;
	unsigned int round = 0;
	bool ok = true;

	while (ok && round < ROUNDS && (!round || pvgpu_poll_now() - begun < ENOUGH_NS)) {
		struct side s[2];

		make_sides(s, set, mem, records, round++);
		ok = processes ? in_processes(s) : in_threads(s);
		rang += s[0].rang;
		slept += s[0].slept;
		close(s[0].own_bell);
		close(s[1].own_bell);
	}
	/* A side that never sleeps is never rung. */
	ok = ok && !(set->polls == 16 && rang);
	printf("%-24s %-9s %u records each way, %lu doorbells and %lu sleeps of one side: %s\n",
	       set->name, processes ? "processes" : "threads", round * records, (unsigned long)rang,
	       (unsigned long)slept, ok ? "ok" : "FAILED");
	munmap(mem, bytes);
	return ok;
}

int main(void)
{
	const uint32_t records = (uint32_t)stress(RECORDS) / ROUNDS + 1;
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0); /* or the child would write it again */
	for (unsigned int i = 0; i < 2 * sizeof(settings) / sizeof(settings[0]); i++)
		failed |= !stress_rings(&settings[i / 2], i % 2, records);
	return failed;
}
