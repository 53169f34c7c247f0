/* SPDX-License-Identifier: MIT */
/*
 * Takes one of the library's descriptors away from it, and goes on to use CUDA: every call returns,
 * and the one that needed the descriptor says that the device is lost. What lies under its number
 * then is left alone.
 *
 *   descriptors N close|file|event     the N-th descriptor that cuInit() opens; prints the result
 */
#include <cuda.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 64, LIMIT = 60 /* seconds */ };

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int other_file(const char *how)
{
	char path[] = "/tmp/pvgpu-descriptors-XXXXXX";
	int fd = -1;

	if (!strcmp(how, "event"))
		return eventfd(0, EFD_NONBLOCK);
	fd = mkstemp(path);
	unlink(path);
	return fd;
}

static void CUDA_CB nothing(void *arg)
{
}

/* Each kind of call that wakes somebody, with pauses in which all fall asleep. */
static CUresult use(void)
{
	const struct timespec t = {.tv_nsec = 20000000};
	CUresult r = CUDA_SUCCESS;

	for (int i = 0; !r && i < 20; i++) {
		nanosleep(&t, NULL);
		r = cuLaunchHostFunc(NULL, nothing, NULL);
		if (!r)
			r = cuCtxSynchronize();
	}
	return r;
}

int main(int argc, char **argv)
{
	bool before[FDS];
	int which = argc > 2 ? atoi(argv[1]) : -1, fd, other = -1;
	CUcontext ctx;
	CUresult r;

	alarm(LIMIT);
	for (fd = 0; fd < FDS; fd++)
		before[fd] = is_open(fd);
	if (cuInit(0) || cuDevicePrimaryCtxRetain(&ctx, 0) || cuCtxSetCurrent(ctx) || use())
		return 1;
	for (fd = 0; fd < FDS; fd++)
		if (!before[fd] && is_open(fd) && !which--)
			break;
	if (fd == FDS)
		return 2; /* there is no such one */
	if (!strcmp(argv[2], "close")) {
		close(fd);
	} else {
		other = other_file(argv[2]);
		if (other < 0 || dup2(other, fd) < 0)
			return 1;
	}
	r = use();
	printf("%d\n", (int)r);
	if (!strcmp(argv[2], "file") && lseek(other, 0, SEEK_END))
		return 3; /* something was written */
	return other >= 0 && !is_open(fd) ? 4 : 0;
}
