/* SPDX-License-Identifier: MIT */
/* The driver: libcuda.so.1 is loaded when the first call needs it, so a program starts without one.
 */
#include "cudart/rt.h"

#include <dlfcn.h>
#include <pthread.h>

struct rt_driver rt_cu;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *library;

static CUresult missing(void)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

void *rt_driver_symbol(const char *name)
{
	return library ? dlsym(library, name) : NULL;
}

static void load(void)
{
	static const char *const names[] = {
#define F(name, params) #name,
#include "cudart/driver.def"
#undef F
	};
	void **slot = (void **)&rt_cu;

	library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		slot[i] = rt_driver_symbol(names[i]);
		if (!slot[i])
			slot[i] = (void *)missing;
	}
}

cudaError_t rt_driver_load(void)
{
	pthread_once(&once, load);
	return library ? cudaSuccess : cudaErrorInsufficientDriver;
}

/* libcuda remembers that it is initialised, and that a child of fork() is not. */
cudaError_t rt_driver(void)
{
	const cudaError_t e = rt_driver_load();

	return e ? e : rt_error(rt_cu.cuInit(0));
}
