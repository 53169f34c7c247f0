/* SPDX-License-Identifier: MIT */
/*
 * The GPU shared by processes: one amount of memory for all, and compute time that is given in
 * order of arrival. See simgpu.h for the file and why a killed process leaves no trace.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

/* Interval in which a waiting process checks that the owner lives. It doubles: hundreds may wait.
 */
#define LOOK_NS      10000000
#define LOOK_MOST_NS 160000000

struct simgpu_process *arbiter_self;
static struct simgpu *gpu;
static uint32_t self_slot;           /* index + 1 */
static struct simgpu_process *given; /* has the device now; lock held */
static int open_fd;

static void set64(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static void set32(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static uint32_t get32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

void arbiter_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/*
 * Of two processes that become busy at once at least one sees the other: each stores its word
 * before it reads the other's.
 */
void arbiter_work(bool more)
{
	struct simgpu_process *self = arbiter_self;
	uint32_t n = get32(&gpu->slots_used);

	if (!more) {
		__atomic_fetch_sub(&self->busy, 1, __ATOMIC_SEQ_CST);
		return;
	}
	if (__atomic_fetch_add(&self->busy, 1, __ATOMIC_SEQ_CST))
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct simgpu_process *p = &gpu->slot[i];

		if (p == self || !__atomic_load_n(&p->busy, __ATOMIC_SEQ_CST) || !simgpu_alive(p))
			continue;
		arbiter_add(&self->overlaps, 1);
		return;
	}
}

void arbiter_cache(uint64_t cleared)
{
	struct simgpu_process *self = arbiter_self;
	const uint32_t pid = self->pid;
	const uint32_t was =
		__atomic_exchange_n(&gpu->cached, cleared >= SIM_L2 ? 0 : pid, __ATOMIC_SEQ_CST);

	if (was && was != pid)
		arbiter_add(&self->traces, 1);
}

static void give_next(void);

/* lock held: slots of dead processes become free, and with them memory and the device. */
static void reap(void)
{
	bool owner_died = false;
	uint32_t waiting = 0;

	for (uint32_t i = 0; i < SIMGPU_SLOTS; i++) {
		struct simgpu_process *p = &gpu->slot[i];

		if (!get32(&p->in_use))
			continue;
		if (simgpu_alive(p)) {
			waiting += simgpu_load64(&p->ticket) != 0;
			continue;
		}
		owner_died |= get32(&gpu->owner) == i + 1;
		set64(&p->memory, 0);
		set64(&p->ticket, 0);
		__atomic_store_n(&p->in_use, 0, __ATOMIC_RELEASE);
	}
	set32(&gpu->waiting, waiting);
	if (owner_died)
		set32(&gpu->owner, 0);
	if (!get32(&gpu->owner))
		give_next();
}

static void lock(void)
{
	if (pthread_mutex_lock(&gpu->lock) == EOWNERDEAD) {
		pthread_mutex_consistent(&gpu->lock);
		reap();
	}
}

/* Threads of a process wait for its turn to move, to get the device or while they have it. */
static void wake(struct simgpu_process *p)
{
	syscall(SYS_futex, &p->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* The woken process takes the lock. It must be free by then, also where that process gets this
 * one's processor. */
static void unlock(void)
{
	struct simgpu_process *p = given;

	given = NULL;
	pthread_mutex_unlock(&gpu->lock);
	if (p)
		wake(p);
}

/* lock held, device free: to the one that has waited longest. */
static void give_next(void)
{
	uint32_t best = 0, waiting = 0;
	struct simgpu_process *p;

	for (uint32_t i = 0; i < SIMGPU_SLOTS; i++) {
		p = &gpu->slot[i];
		if (!get32(&p->in_use) || !simgpu_load64(&p->ticket) || !simgpu_alive(p))
			continue;
		waiting++;
		if (!best || p->ticket < gpu->slot[best - 1].ticket)
			best = i + 1;
	}
	set32(&gpu->waiting, waiting - (best != 0));
	if (!best)
		return;
	p = &gpu->slot[best - 1];
	set32(&gpu->owner, best);
	set64(&p->ticket, 0);
	set64(&p->slices, p->slices + 1);
	__atomic_fetch_add(&p->turn, 1, __ATOMIC_RELEASE);
	given = p;
}

static bool owner_is_dead(void)
{
	uint32_t owner = get32(&gpu->owner);

	return owner && !simgpu_alive(&gpu->slot[owner - 1]);
}

static void ring(struct simgpu_process *p)
{
	__atomic_fetch_add(&p->turn, 1, __ATOMIC_RELEASE);
	wake(p);
}

uint32_t arbiter_bell(void)
{
	return __atomic_load_n(&arbiter_self->turn, __ATOMIC_ACQUIRE);
}

void arbiter_ring(void)
{
	ring(arbiter_self);
}

void arbiter_nap(uint32_t bell, uint64_t until)
{
	struct timespec t = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};

	syscall(SYS_futex, &arbiter_self->turn, FUTEX_WAIT_BITSET, bell, &t, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

void arbiter_acquire(void)
{
	struct timespec look = {0, LOOK_NS};
	struct simgpu_process *owner = NULL;
	uint32_t turn;

	lock();
	if (!get32(&gpu->owner) && !get32(&gpu->waiting)) {
		set32(&gpu->owner, self_slot);
		set64(&arbiter_self->slices, arbiter_self->slices + 1);
		unlock();
		return;
	}
	set64(&arbiter_self->ticket, ++gpu->next_ticket);
	set32(&gpu->waiting, get32(&gpu->waiting) + 1);
	turn = get32(&arbiter_self->turn);
	/* An owner that knows of another one that waits does not nap. */
	if (!get32(&gpu->owner) || owner_is_dead())
		reap();
	else if (get32(&gpu->waiting) == 1)
		owner = &gpu->slot[get32(&gpu->owner) - 1];
	unlock();
	if (owner)
		ring(owner);
	while (get32(&gpu->owner) != self_slot) {
		syscall(SYS_futex, &arbiter_self->turn, FUTEX_WAIT, turn, &look, NULL, 0);
		turn = get32(&arbiter_self->turn);
		if (look.tv_nsec < LOOK_MOST_NS)
			look.tv_nsec *= 2;
		if (owner_is_dead() || !get32(&gpu->owner)) {
			lock();
			reap();
			unlock();
		}
	}
	lock(); /* the process that gave it may have died half-way */
	if (simgpu_load64(&arbiter_self->ticket)) {
		set64(&arbiter_self->ticket, 0);
		reap();
	}
	unlock();
}

void arbiter_release(void)
{
	lock();
	if (get32(&gpu->owner) == self_slot) {
		set32(&gpu->owner, 0);
		if (get32(&gpu->waiting))
			give_next();
	}
	unlock();
}

bool arbiter_contended(void)
{
	return get32(&gpu->waiting) != 0;
}

bool arbiter_lost(void)
{
	return get32(&gpu->lost) != 0;
}

void arbiter_xid(uint32_t code)
{
	uint64_t n;

	lock();
	n = simgpu_load64(&gpu->xids);
	set64(&gpu->xid[n % SIMGPU_XIDS], (uint64_t)arbiter_self->pid << 32 | code);
	__atomic_store_n(&gpu->xids, n + 1, __ATOMIC_RELEASE);
	unlock();
}

static uint64_t memory_used(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SIMGPU_SLOTS; i++)
		if (get32(&gpu->slot[i].in_use))
			sum += simgpu_load64(&gpu->slot[i].memory);
	return sum;
}

CUresult arbiter_take_memory(uint64_t bytes)
{
	CUresult r = CUDA_SUCCESS;
	uint64_t used;

	if (!bytes)
		return CUDA_SUCCESS;
	lock();
	used = memory_used();
	if (bytes > gpu->memory || used > gpu->memory - bytes) {
		reap();
		used = memory_used();
	}
	if (bytes > gpu->memory || used > gpu->memory - bytes) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
	} else {
		uint64_t mine = arbiter_self->memory + bytes;

		set64(&arbiter_self->memory, mine);
		if (mine > arbiter_self->memory_peak)
			set64(&arbiter_self->memory_peak, mine);
	}
	unlock();
	return r;
}

void arbiter_give_memory(uint64_t bytes)
{
	if (!bytes)
		return;
	lock();
	set64(&arbiter_self->memory, arbiter_self->memory - bytes);
	unlock();
}

void arbiter_memory(uint64_t *free_bytes, uint64_t *total)
{
	uint64_t used;

	lock();
	reap();
	used = memory_used();
	unlock();
	*total = gpu->memory;
	*free_bytes = used < gpu->memory ? gpu->memory - used : 0;
}

static void mutex_make(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
}

static bool anybody_alive(void)
{
	for (uint32_t i = 0; i < SIMGPU_SLOTS; i++)
		if (simgpu_alive(&gpu->slot[i]))
			return true;
	return false;
}

static bool usable(size_t size)
{
	return size == sizeof(*gpu) && gpu->magic == SIMGPU_MAGIC &&
	       gpu->version == SIMGPU_VERSION && gpu->bytes == sizeof(*gpu);
}

/*
 * This process may be killed in here, too: the next one that opens the file, or resets the GPU, can
 * use it, and a broken GPU stays broken. What the device has reported stays, since those who watch
 * it may not have looked yet.
 */
static void initialise(void)
{
	if (gpu->lost != SIMGPU_BROKEN)
		gpu->lost = 0;
	gpu->version = SIMGPU_VERSION;
	gpu->bytes = sizeof(*gpu);
	gpu->memory = sim_config.memory;
	gpu->next_ticket = 0;
	gpu->owner = gpu->waiting = gpu->slots_used = gpu->cached = 0;
	mutex_make(&gpu->lock);
	memset(gpu->slot, 0, sizeof(gpu->slot));
	for (uint32_t i = 0; i < SIMGPU_SLOTS; i++)
		mutex_make(&gpu->slot[i].life);
	__atomic_store_n(&gpu->magic, SIMGPU_MAGIC, __ATOMIC_RELEASE);
}

/* The file at the path, locked against others that start, or a negative errno. */
static int open_locked(const char *path)
{
	for (;;) {
		struct stat by_fd, by_path;
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return -errno;
		if (!flock(fd, LOCK_EX) && !fstat(fd, &by_fd) && !stat(path, &by_path) &&
		    by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev)
			return fd;
		close(fd); /* another process replaced the file meanwhile */
	}
}

/*
 * Maps the file. A file of another layout is unlinked and created again, so that a process that
 * still uses the old one keeps it. An unused file is set up again with this process's settings.
 */
int arbiter_open(void)
{
	for (int attempt = 0; attempt < 3; attempt++) {
		int fd = open_locked(sim_config.gpu), err = 0;
		struct stat st;

		if (fd < 0) {
			fprintf(stderr, "simcuda: SIMCUDA_GPU %s: %s\n", sim_config.gpu,
				strerror(-fd));
			return fd;
		}
		if (fstat(fd, &st))
			err = -errno;
		else if (!st.st_size) /* sparse, it would be a SIGBUS where there is no room */
			err = -posix_fallocate(fd, 0, sizeof(*gpu));
		if (err)
			fprintf(stderr, "simcuda: SIMCUDA_GPU %s: %zu bytes: %s\n", sim_config.gpu,
				sizeof(*gpu), strerror(-err));
		if (!err && st.st_size && (size_t)st.st_size != sizeof(*gpu)) {
			unlink(sim_config.gpu);
			close(fd);
			continue;
		}
		gpu = err ? MAP_FAILED
			  : mmap(NULL, sizeof(*gpu), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (gpu == MAP_FAILED)
			return close(fd), err ? err : -ENOMEM;
		if (st.st_size && !usable((size_t)st.st_size) && gpu->magic) {
			munmap(gpu, sizeof(*gpu));
			unlink(sim_config.gpu);
			close(fd);
			continue;
		}
		if (!gpu->magic || !anybody_alive())
			initialise();
		open_fd = fd; /* and with it the lock, until arbiter_claim() */
		return 0;
	}
	return -EBUSY;
}

static uint64_t start_time(void)
{
	unsigned long long ticks = 0;
	char text[1024], *p;
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = 0;
	p = strrchr(text, ')'); /* the name may hold anything; field 3 follows it */
	for (int field = 3; p && field < 23; field++)
		p = strchr(p + 1, ' ');
	if (p)
		sscanf(p, " %llu", &ticks);
	return ticks;
}

/* Takes a slot for as long as the calling thread lives. */
int arbiter_claim(void)
{
	int err = -EUSERS;

	lock();
	reap();
	for (uint32_t i = 0; i < SIMGPU_SLOTS && err; i++) {
		struct simgpu_process *p = &gpu->slot[i];
		int life;

		if (get32(&p->in_use))
			continue;
		life = pthread_mutex_trylock(&p->life);
		if (life == EOWNERDEAD)
			pthread_mutex_consistent(&p->life);
		else if (life)
			continue;
		memset(p, 0, offsetof(struct simgpu_process, life));
		p->pid = (uint32_t)getpid();
		p->start_time = start_time();
		if (i >= gpu->slots_used)
			set32(&gpu->slots_used, i + 1);
		arbiter_self = p;
		self_slot = i + 1;
		__atomic_store_n(&p->in_use, 1, __ATOMIC_RELEASE);
		err = 0;
	}
	unlock();
	flock(open_fd, LOCK_UN); /* the mapping keeps the open file, and the lock, beyond close() */
	close(open_fd);
	if (err)
		fprintf(stderr, "simcuda: %s: all %d places are taken\n", sim_config.gpu,
			SIMGPU_SLOTS);
	return err;
}

uint64_t *arbiter_link(bool to_device)
{
	return &gpu->link_until[to_device];
}
