/* SPDX-License-Identifier: MIT */
/*
 * Calls each symbol that it is given, by name and by cuGetProcAddress, with nothing but zeros, in a
 * session with a context. Prints a line for each: the name, the status by name, the one by
 * cuGetProcAddress; -1: there is no such symbol.
 */
#include <cuda.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef int any_call(long, long, long, long, long, long, long, long, long, long);

static int call(void *symbol)
{
	any_call *fn;

	if (!symbol)
		return -1;
	memcpy(&fn, &symbol, sizeof(fn));
	return fn(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	CUcontext ctx;
	CUdevice dev;
	void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);

	if (!self || cuInit(0) || cuDeviceGet(&dev, 0) || cuDevicePrimaryCtxRetain(&ctx, dev) ||
	    cuCtxSetCurrent(ctx))
		return 1;
	for (int i = 1; i < argc; i++) {
		void *found = NULL;
		int by_name = call(dlsym(self, argv[i]));

		if (cuGetProcAddress(argv[i], &found, 13000, 0, NULL))
			found = NULL;
		printf("%s %d %d\n", argv[i], by_name, call(found));
	}
	/* The session lives. */
	return (int)cuCtxSynchronize();
}
