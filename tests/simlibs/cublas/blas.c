/* SPDX-License-Identifier: MIT */
/* OpenBLAS. It is loaded with the library, before a worker closes its sandbox, and starts no
 * threads: so results are the same everywhere. */
#include <dlfcn.h>
#include <stdio.h>

#include "tests/simlibs/cublas/sim.h"

enum { MOST = 20 };

static void *library;

static void __attribute__((constructor)) load(void)
{
	static const char threads[] = "OPENBLAS_NUM_THREADS";

	setenv(threads, "1", 1);
	library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		fprintf(stderr, "simcublas: %s: install libopenblas0\n", dlerror());
}

bool blas_open(void)
{
	return library;
}

/* More arguments than a function takes do no harm; one is the length of a character. */
void blas(const char *name, const void *const *args, unsigned int count)
{
	typedef const void *arg;
	typedef void fortran(arg, arg, arg, arg, arg, arg, arg, arg, arg, arg, arg, arg, arg, arg,
			     arg, arg, arg, arg, arg, arg);
	const void *p[MOST];
	void *symbol = dlsym(library, name);
	fortran *fn;

	if (!symbol || count > MOST) {
		fprintf(stderr, "simcublas: no %s in OpenBLAS\n", name);
		abort();
	}
	memcpy(&fn, &symbol, sizeof(fn));
	for (unsigned int i = 0; i < MOST; i++)
		p[i] = i < count ? args[i] : (const void *)1;
	fn(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13],
	   p[14], p[15], p[16], p[17], p[18], p[19]);
}
