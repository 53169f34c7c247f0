/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD beside the simulated GPU: a driver that has channel groups and takes controls of
 * them, so that the probe's step can be seen to ask, to note and to put back. FAKE_RM is the
 * status with which it refuses each, 0 where it does as it is told. What it was asked is a line
 * each in FAKE_RM_LOG.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLIENT     0xc1d00001u
#define CLASS      0xa06cu
#define BAD_PARAMS 0x3a
#define ASK(nr, p) ioctl(file, _IOC(_IOC_READ | _IOC_WRITE, 'F', nr, sizeof(p)), p)
#define PUBLIC     __attribute__((visibility("default")))

static int file = -1;
static uint64_t slice = 2048;
static uint32_t level;

/* The controls of a group, by number: the parameter that each has. */
static uint32_t answer(uint32_t cmd, void *params, uint32_t size)
{
	switch (cmd) {
	case 0xa06c0101:
		return size == 2 ? 0 : BAD_PARAMS;
	case 0xa06c0103:
	case 0xa06c0104:
		if (size != sizeof(slice))
			return BAD_PARAMS;
		memcpy(cmd & 4 ? params : &slice, cmd & 4 ? &slice : params, size);
		return 0;
	case 0xa06c0105:
		return size == 8 ? 0 : BAD_PARAMS;
	case 0xa06c0107:
	case 0xa06c0108:
		if (size != sizeof(level))
			return BAD_PARAMS;
		memcpy(cmd & 8 ? params : &level, cmd & 8 ? &level : params, size);
		return 0;
	default:
		return BAD_PARAMS;
	}
}

static void log_control(const uint32_t *c, const void *params, uint32_t size)
{
	const char *path = getenv("FAKE_RM_LOG");
	FILE *f = path ? fopen(path, "ae") : NULL;
	uint64_t first = 0;

	if (!f)
		return;
	memcpy(&first, params, size < sizeof(first) ? size : sizeof(first));
	fprintf(f, "%d 0x%x 0x%08x %llu\n", getpid(), c[1], c[2], (unsigned long long)first);
	fclose(f);
}

static void control(uint32_t *c)
{
	const char *how = getenv("FAKE_RM");
	uint32_t refusal = how ? (uint32_t)strtoul(how, NULL, 0) : 0;
	uint64_t at;
	void *params;

	memcpy(&at, &c[4], sizeof(at));
	params = (void *)(uintptr_t)at;
	c[7] = refusal ? refusal : answer(c[2], params, c[6]);
	log_control(c, params, c[6]);
}

/* The way on which the probe's ioctl goes to the kernel. */
PUBLIC long syscall(long nr, ...)
{
	static long (*next)(long, ...);
	long a[6];
	va_list args;

	va_start(args, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	if (nr != SYS_ioctl || file < 0 || (int)a[0] != file)
		return next(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (_IOC_NR((unsigned long)a[1]) == 0x2a)
		control((uint32_t *)a[2]);
	return 0;
}

/* A group as libcuda makes one: the long form of the request, by a transfer where it is the second.
 */
static void make_group(uint32_t object, uint32_t engine)
{
	uint32_t params[5] = {0, 0, 0, engine, 0};
	uint32_t request[12] = {CLIENT, 1, object, CLASS};
	uint64_t at = (uintptr_t)params, transfer[2] = {0x2b | (uint64_t)sizeof(request) << 32};

	memcpy(&request[4], &at, sizeof(at));
	transfer[1] = (uintptr_t)request;
	if (object % 2)
		ASK(0x2b, request);
	else
		ASK(211, transfer);
}

PUBLIC void *dlopen(const char *name, int flags)
{
	static void *(*next)(const char *, int);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "dlopen");
	if (file < 0 && name && strstr(name, "libcuda")) {
		uint32_t gone[4] = {CLIENT, 1, 0x12, 0};

		file = open("/dev/null", O_RDWR | O_CLOEXEC);
		make_group(0x11, 1);
		make_group(0x12, 1);
		make_group(0x13, 10);
		make_group(0x14, 2);
		ASK(0x29, gone);
	}
	return next(name, flags);
}
