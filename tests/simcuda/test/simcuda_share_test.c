/* SPDX-License-Identifier: MIT */
/*
 * The simulated GPU shared by processes: one memory, one compute engine given in slices, accounting
 * that other programs read, and no trace of a process that was killed at any point.
 * The other processes are this program again, with a role as argument.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/simcuda/simgpu.h"
#include "tests/simcuda/test/simcuda_child.h"
#include "tests/simcuda/test/simcuda_kernels.h"
#include "tests/simcuda/test/simcuda_test.h"

#define MIB (1ull << 20)

static const struct simgpu *map_gpu(void)
{
	int fd = open(getenv("SIMCUDA_GPU"), O_RDONLY | O_CLOEXEC);
	const struct simgpu *g = mmap(NULL, sizeof(*g), PROT_READ, MAP_SHARED, fd, 0);

	ck_assert(g != MAP_FAILED && g->magic == SIMGPU_MAGIC);
	close(fd);
	return g;
}

static const struct simgpu_process *slot_of(const struct simgpu *g, pid_t pid)
{
	for (int i = 0; i < SIMGPU_SLOTS; i++)
		if (simgpu_alive(&g->slot[i]) && g->slot[i].pid == (uint32_t)pid)
			return &g->slot[i];
	return NULL;
}

static size_t free_memory(void)
{
	size_t f, t;

	OK(cuMemGetInfo(&f, &t));
	return f;
}

static CUfunction kernel(const char *name)
{
	static CUmodule m;
	CUfunction f;

	if (!m)
		OK(cuModuleLoadData(&m, PTX_ALL));
	OK(cuModuleGetFunction(&f, m, name));
	return f;
}

static void nap(uint32_t us, uint32_t times)
{
	uint32_t ns = us * 1000;
	CUdeviceptr p;
	void *args[] = {&ns, &times, &p};

	OK(cuMemAlloc(&p, 4));
	OK(cuLaunchKernel(kernel("nap"), 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
	OK(cuCtxSynchronize());
	OK(cuMemFree(p));
}

/* Code of the other process. */
static void say(const char *word)
{
	printf("%s\n", word);
	fflush(stdout);
}

static unsigned long mutexes_to_live;

/* The library's, when it sets up the GPU's file: one call for each mutex in it. */
__attribute__((visibility("default"))) int pthread_mutexattr_setrobust(pthread_mutexattr_t *a,
								       int robust)
{
	int (*real)(pthread_mutexattr_t *, int);

	if (mutexes_to_live && !--mutexes_to_live)
		raise(SIGKILL);
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_mutexattr_setrobust");
	return real(a, robust);
}

static int act(const char *role, const char *arg)
{
	unsigned long n = arg ? strtoul(arg, NULL, 0) : 0;
	CUdeviceptr p;
	void *args[] = {&p};

	if (!strcmp(role, "begin"))
		mutexes_to_live = n;
	if (!strcmp(role, "no-device")) {
		say(cuInit(0) == CUDA_ERROR_NO_DEVICE ? "none" : "one");
		return 0;
	}
	start();
	if (!strcmp(role, "hold-memory")) {
		OK(cuMemAlloc(&p, n * MIB));
		say("ready");
		pause();
	} else if (!strcmp(role, "nap")) {
		uint64_t begin;

		kernel("nap"); /* loaded, so that only device time follows */
		say("ready");
		begin = test_now_ns();
		nap(500, (uint32_t)n * 2);
		printf("done\n%llu\n", (unsigned long long)begin);
		fflush(stdout);
	} else if (!strcmp(role, "sleep")) {
		kernel("nap");
		say("ready");
		for (;;)
			nap((uint32_t)n * 1000, 1);
	} else if (!strcmp(role, "spin")) {
		OK(cuMemAlloc(&p, 4));
		OK(cuMemsetD32(p, 0, 1));
		OK(cuLaunchKernel(kernel("spin"), 4, 1, 1, 32, 1, 1, 0, NULL, args, NULL));
		say("ready");
		cuCtxSynchronize();
	} else if (!strcmp(role, "churn")) {
		say("ready");
		for (;;) {
			OK(cuMemAlloc(&p, 8 * MIB));
			OK(cuMemsetD32(p, 1, 1));
			OK(cuLaunchKernel(kernel("spin"), 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
			OK(cuCtxSynchronize());
			OK(cuMemFree(p));
		}
	} else if (!strcmp(role, "total")) {
		size_t total;

		OK(cuDeviceTotalMem(&total, 0));
		printf("%zu\n", total / (size_t)MIB);
		fflush(stdout);
	} else if (!strcmp(role, "bus")) {
		char id[16];

		OK(cuDeviceGetPCIBusId(id, sizeof(id), 0));
		say(id);
	}
	return 0;
}

START_TEST(memory_is_one)
{
	struct child c;
	CUdeviceptr p;
	size_t all;

	start();
	all = free_memory();
	c = spawn("hold-memory", "1024");
	wait_for(&c, "ready");
	ck_assert_uint_eq(all - free_memory(), 1024 * MIB);
	FAILS(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&p, 1536 * MIB));
	stop(&c, SIGKILL);
	OK(cuMemAlloc(&p, 1536 * MIB));
	ck_assert_uint_eq(all - free_memory(), 1536 * MIB);
}
END_TEST

START_TEST(memory_size_is_the_first_ones)
{
	struct child c;

	start();
	setenv("SIMCUDA_MEMORY", "64M", 1);
	c = spawn("total", NULL);
	wait_for(&c, "2048");
	finish(&c);
}
END_TEST

static void expect(const char *visible, const char *role, const char *word)
{
	struct child c;

	setenv("CUDA_VISIBLE_DEVICES", visible, 1);
	c = spawn(role, NULL);
	wait_for(&c, word);
	ck_assert_int_eq(finish(&c), 0);
}

START_TEST(devices_are_apart)
{
	const char *path = getenv("SIMCUDA_GPU");
	char second[300];
	struct child c;
	size_t all;

	setenv("SIMCUDA_DEVICES", "2", 1);
	start();
	all = free_memory();
	setenv("SIMCUDA_MEMORY", "512M", 1); /* a device's first process sets its size */
	setenv("CUDA_VISIBLE_DEVICES", "1", 1);
	c = spawn("hold-memory", "256");
	wait_for(&c, "ready");
	ck_assert_uint_eq(free_memory(), all);
	expect("1", "total", "512");
	expect("1,0", "bus", "0000:02:00.0");
	expect("0", "total", "2048");
	expect("0,1", "bus", "0000:01:00.0");
	expect("2", "no-device", "none");
	expect("", "no-device", "none");
	expect("-1", "no-device", "none");
	expect("GPU-1234", "no-device", "none");
	stop(&c, SIGKILL);
	snprintf(second, sizeof(second), "%s.1", path);
	ck_assert_int_eq(unlink(second), 0);
}
END_TEST

/* Two kernels that sleep for 150 ms of device time each cannot be done before 300 ms are over. */
START_TEST(time_is_one)
{
	const struct simgpu *g;
	uint64_t begin, its;
	char line[64];
	struct child c;

	start();
	kernel("nap");
	g = map_gpu();
	c = spawn("nap", "150");
	wait_for(&c, "ready");
	begin = test_now_ns();
	nap(500, 300);
	wait_for(&c, "done");
	hear(&c, line);
	its = strtoull(line, NULL, 10); /* either may have been the first */
	ck_assert_uint_gt(its, 0);
	begin = its < begin ? its : begin;
	ck_assert_uint_ge(test_now_ns() - begin, 300000000);
	ck_assert_uint_ge(simgpu_compute(slot_of(g, getpid()), test_now_ns()), 140000000);
	ck_assert_int_eq(finish(&c), 0);
}
END_TEST

/* Beside a kernel that does not end another one of 150 ms has several slices. On a machine that
 * keeps one of the two processes waiting the other one has a slice as long: it tries again. */
START_TEST(slices_are_short)
{
	const struct simgpu *g;
	uint64_t before, slices;
	struct child c;

	start();
	kernel("nap");
	g = map_gpu();
	c = spawn("spin", NULL);
	wait_for(&c, "ready");
	do {
		before = slot_of(g, getpid())->slices;
		nap(500, 300);
		slices = slot_of(g, getpid())->slices - before;
	} while (slices <= 5);
	stop(&c, SIGKILL);
}
END_TEST

/* A kernel that sleeps for 150 slices, and nobody who waits for the GPU. */
START_TEST(a_sleeping_kernel_takes_no_processor)
{
	struct rusage before, after;

	start();
	kernel("nap");
	getrusage(RUSAGE_SELF, &before);
	nap(300000, 1);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_lt(after.ru_nvcsw - before.ru_nvcsw, 50);
}
END_TEST

/* Five short kernels beside sleeps of 4 s wait for slices, not for the sleeps' ends. On a machine
 * that keeps this process waiting the other one uses the GPU for longer meanwhile: it tries again.
 */
START_TEST(a_sleeping_kernel_gives_way)
{
	const struct simgpu *g;
	uint64_t before, used;
	struct child c;

	start();
	kernel("nap");
	g = map_gpu();
	c = spawn("sleep", "4000");
	wait_for(&c, "ready");
	do {
		before = simgpu_compute(slot_of(g, c.pid), test_now_ns());
		for (int i = 0; i < 5; i++)
			nap(500, 1);
		used = simgpu_compute(slot_of(g, c.pid), test_now_ns()) - before;
	} while (used > 2000000000);
	stop(&c, SIGKILL);
}
END_TEST

START_TEST(a_busy_neighbour_does_not_keep_the_gpu)
{
	struct child a, b;

	start();
	a = spawn("spin", NULL);
	b = spawn("spin", NULL);
	wait_for(&a, "ready");
	wait_for(&b, "ready");
	nap(500, 20);
	stop(&a, SIGTERM); /* an endless kernel does not delay its process's end */
	stop(&b, SIGKILL);
	nap(500, 2);
}
END_TEST

START_TEST(accounts_can_be_read)
{
	const struct simgpu_process *me;
	CUdeviceptr p;
	char buf[4096];
	uint64_t before;

	start();
	me = slot_of(map_gpu(), getpid());
	ck_assert_ptr_nonnull(me);
	ck_assert_uint_gt(me->start_time, 0);
	OK(cuMemAlloc(&p, 10 * MIB));
	ck_assert_uint_eq(me->memory, 10 * MIB);
	before = me->copy_bytes;
	OK(cuMemcpyHtoD(p, buf, sizeof(buf)));
	ck_assert_uint_eq(me->copy_bytes - before, sizeof(buf));
	nap(1000, 20);
	ck_assert_uint_eq(me->launches, 1);
	ck_assert_uint_ge(me->compute, 20000000);
	/* Finished work is accounted for, and the account does not grow afterwards. */
	ck_assert_uint_eq(me->compute & SIMGPU_RUNS, 0);
	before = me->compute;
	ck_assert_uint_eq(simgpu_compute(me, test_now_ns() + 1000000000), before);
	ck_assert_uint_eq(simgpu_copies(me, test_now_ns() + 1000000000), me->copy_ns);
	before = me->memory;
	OK(cuMemFree(p));
	ck_assert_uint_eq(before - me->memory, 10 * MIB);
	ck_assert_uint_ge(me->memory_peak, 10 * MIB);
}
END_TEST

/* Lost for all processes. A process that got the error keeps it; new processes work again. */
START_TEST(the_device_can_be_lost)
{
	uint32_t ns = 1000, times = 1;
	CUdeviceptr p;
	void *args[] = {&ns, &times, &p};
	struct child c;
	struct simgpu *g;
	CUcontext ctx;
	int fd;

	start();
	nap(100, 1);
	fd = open(getenv("SIMCUDA_GPU"), O_RDWR | O_CLOEXEC);
	g = mmap(NULL, sizeof(*g), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(g != MAP_FAILED);
	close(fd);
	OK(cuMemAlloc(&p, 4));
	__atomic_store_n(&g->lost, 1, __ATOMIC_RELAXED);
	OK(cuLaunchKernel(kernel("nap"), 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
	FAILS(CUDA_ERROR_DEVICE_UNAVAILABLE, cuCtxSynchronize());
	__atomic_store_n(&g->lost, 0, __ATOMIC_RELAXED);
	FAILS(CUDA_ERROR_DEVICE_UNAVAILABLE, cuCtxCreate(&ctx, NULL, 0, 0));
	c = spawn("nap", "1");
	wait_for(&c, "ready");
	wait_for(&c, "done");
	ck_assert_int_eq(finish(&c), 0);
}
END_TEST

/* Who watches may look after the process is gone and the next one has set up the unused device. */
START_TEST(reported_errors_stay)
{
	const char *roles[] = {"nap", "total"};
	const struct simgpu *g;

	setenv("SIMCUDA_FAULT", "xid:95:1", 1);
	for (size_t i = 0; i < 2; i++) {
		struct child c = spawn(roles[i], "1");
		char line[64];

		hear(&c, line);
		while (line[0])
			hear(&c, line);
		ck_assert_int_eq(finish(&c), 0);
	}
	g = map_gpu();
	ck_assert_uint_eq(g->xids, 1);
	ck_assert_uint_eq((uint32_t)g->xid[0], 95);
}
END_TEST

/* Work of two processes at once is counted, one after the other is not. */
START_TEST(overlaps_are_counted)
{
	const struct simgpu_process *me;
	struct child c;

	start();
	kernel("nap");
	nap(100, 2);
	me = slot_of(map_gpu(), getpid());
	ck_assert_uint_eq(me->overlaps, 0);
	ck_assert_uint_eq(me->busy, 0);
	c = spawn("hold-memory", "1");
	wait_for(&c, "ready");
	nap(100, 2);
	stop(&c, SIGKILL);
	ck_assert_uint_eq(me->overlaps, 0);
	c = spawn("spin", NULL);
	wait_for(&c, "ready");
	nap(100, 2);
	ck_assert_uint_gt(me->overlaps, 0);
	stop(&c, SIGKILL);
	ck_assert_uint_eq(me->busy, 0);
}
END_TEST

START_TEST(killed_at_any_point)
{
	unsigned int seed = (unsigned int)time(NULL) ^ (unsigned int)getpid();
	const char *given = getenv("SIMCUDA_SEED");
	size_t all;

	if (given)
		seed = (unsigned int)strtoul(given, NULL, 0);
	printf("killed_at_any_point: SIMCUDA_SEED=%u\n", seed);
	start();
	kernel("nap"); /* loaded, its variables count */
	all = free_memory();
	for (int i = 0; i < 20; i++) {
		struct child a = spawn("churn", NULL), b = spawn("churn", NULL);
		struct timespec t = {0, (long)(rand_r(&seed) % 20000) * 1000};

		wait_for(&a, "ready");
		nanosleep(&t, NULL);
		stop(&a, SIGKILL);
		nap(100, 2); /* the GPU goes on */
		stop(&b, SIGKILL);
		ck_assert_uint_eq(free_memory(), all);
	}
}
END_TEST

START_TEST(killed_while_it_sets_up)
{
	static const char *const mutexes[] = {"1", "2", "200"};
	struct child c = spawn("total", NULL);
	struct simgpu *g;
	CUdeviceptr p;
	int fd;

	wait_for(&c, "2048");
	finish(&c);
	fd = open(getenv("SIMCUDA_GPU"), O_RDWR | O_CLOEXEC);
	g = mmap(NULL, sizeof(*g), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(g != MAP_FAILED);
	close(fd);
	g->lost = SIMGPU_BROKEN;
	g->xids = 3;
	for (size_t i = 0; i < sizeof(mutexes) / sizeof(*mutexes); i++) {
		int status;

		c = spawn("begin", mutexes[i]);
		status = finish(&c);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		ck_assert_uint_eq(g->magic, SIMGPU_MAGIC);
		ck_assert_uint_eq(g->lost, SIMGPU_BROKEN);
		ck_assert_uint_eq(g->xids, 3);
	}
	g->lost = 0;
	start();
	OK(cuMemAlloc(&p, MIB));
	nap(100, 1);
}
END_TEST

START_TEST(other_files_are_replaced)
{
	const char *path = getenv("SIMCUDA_GPU");
	char junk[10000];
	int fd;

	memset(junk, 0x5a, sizeof(junk));
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_eq(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	start();
	ck_assert_uint_eq(free_memory(), 2048 * MIB);
	ck_assert_ptr_nonnull(slot_of(map_gpu(), getpid()));
}
END_TEST

START_TEST(another_version_is_replaced)
{
	const char *path = getenv("SIMCUDA_GPU");
	struct child c = spawn("total", NULL);
	uint32_t version = 99;
	struct stat st;
	int fd;

	wait_for(&c, "2048");
	finish(&c);
	fd = open(path, O_RDWR);
	ck_assert_int_eq(pwrite(fd, &version, 4, offsetof(struct simgpu, version)), 4);
	start();
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 0); /* processes that map the old file keep it */
	close(fd);
	ck_assert_ptr_nonnull(slot_of(map_gpu(), getpid()));
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *t;

	self = argv[0];
	if (argc > 1)
		return act(argv[1], argc > 2 ? argv[2] : NULL);
	s = suite_create("simcuda_share");
	t = tcase_create("all");
	tcase_set_timeout(t, 120);
	tcase_add_test(t, memory_is_one);
	tcase_add_test(t, memory_size_is_the_first_ones);
	tcase_add_test(t, devices_are_apart);
	tcase_add_test(t, time_is_one);
	tcase_add_test(t, slices_are_short);
	tcase_add_test(t, a_sleeping_kernel_takes_no_processor);
	tcase_add_test(t, a_sleeping_kernel_gives_way);
	tcase_add_test(t, a_busy_neighbour_does_not_keep_the_gpu);
	tcase_add_test(t, accounts_can_be_read);
	tcase_add_test(t, the_device_can_be_lost);
	tcase_add_test(t, reported_errors_stay);
	tcase_add_test(t, overlaps_are_counted);
	tcase_add_test(t, killed_at_any_point);
	tcase_add_test(t, killed_while_it_sets_up);
	tcase_add_test(t, other_files_are_replaced);
	tcase_add_test(t, another_version_is_replaced);
	suite_add_tcase(s, t);
	return run_suite(s, "share");
}
