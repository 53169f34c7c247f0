/* SPDX-License-Identifier: MIT */
/*
 * Registration by the compiler's constructors: fat binaries, and the host's name (an address) of
 * each kernel and variable in them. A fat binary is loaded when something in it is first used;
 * libraries and kernels of the driver belong to no context, so one load serves all.
 */
#include "cudart/rt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct image {
	void *wrapper;
	_Atomic(CUlibrary) library; /* NULL until something is used */
	struct name *names;
	struct image *next;
};

/* A kernel or a variable. Compilers name it by a text that lies in the program. */
struct name {
	_Atomic(const void *) host;
	struct image *image;
	const char *device;
	size_t bytes; /* of a variable */
	bool kernel, managed;
	_Atomic(CUkernel) handle; /* of a kernel, once it was used */
	struct name *next;
};

/* Open addressing, at most half full. Readers take no lock: a table that became too small stays. */
struct table {
	struct table *older;
	size_t mask, used;
	_Atomic(struct name *) slot[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct table *) table;
static struct image *images;

static size_t hash(const void *p)
{
	return ((uintptr_t)p >> 3) * 0x9e3779b97f4a7c15u >> 20;
}

/* The last registered one: a library that is loaded again may have the same addresses. */
static struct name *find(const void *host)
{
	struct table *t = atomic_load_explicit(&table, memory_order_acquire);
	struct name *n;

	for (size_t i = hash(host); t; i++) {
		n = atomic_load_explicit(&t->slot[i & t->mask], memory_order_acquire);
		if (!n)
			break;
		if (atomic_load_explicit(&n->host, memory_order_relaxed) == host)
			return n;
	}
	return NULL;
}

static void put(struct table *t, struct name *n)
{
	const void *host = atomic_load(&n->host);
	size_t i;

	for (i = hash(host); atomic_load(&t->slot[i & t->mask]); i++)
		;
	atomic_store_explicit(&t->slot[i & t->mask], n, memory_order_release);
	t->used++;
}

static bool grow(void)
{
	struct table *old = atomic_load(&table), *t;
	const size_t slots = old ? 2 * (old->mask + 1) : 1024;

	t = calloc(1, sizeof(*t) + slots * sizeof(t->slot[0]));
	if (!t)
		return false;
	t->mask = slots - 1;
	t->older = old;
	for (size_t i = 0; old && i <= old->mask; i++) {
		struct name *n = atomic_load(&old->slot[i]);

		if (n && atomic_load(&n->host))
			put(t, n);
	}
	atomic_store_explicit(&table, t, memory_order_release);
	return true;
}

static struct name *add(void **handle, const void *host, const char *device, size_t bytes)
{
	struct image *image = (struct image *)handle;
	struct name *n = image ? calloc(1, sizeof(*n)) : NULL;
	struct table *t;

	if (!n)
		return NULL;
	atomic_store(&n->host, host);
	n->image = image;
	n->device = device;
	n->bytes = bytes;
	pthread_mutex_lock(&lock);
	n->next = image->names;
	image->names = n;
	t = atomic_load(&table);
	if ((t && 2 * (t->used + 1) <= t->mask + 1) || grow())
		put(atomic_load(&table), n);
	pthread_mutex_unlock(&lock);
	return n;
}

RT_VISIBLE void **__cudaRegisterFatBinary(void *wrapper)
{
	struct image *image = calloc(1, sizeof(*image));

	if (!image)
		return NULL;
	image->wrapper = wrapper;
	pthread_mutex_lock(&lock);
	image->next = images;
	images = image;
	pthread_mutex_unlock(&lock);
	return (void **)image;
}

RT_VISIBLE void __cudaRegisterFatBinaryEnd(void **handle)
{
}

RT_VISIBLE void __cudaRegisterFunction(void **handle, const char *host, char *device_fn,
				       const char *device, int threads, void *tid, void *bid,
				       void *block, void *grid, int *warp);
RT_VISIBLE void __cudaRegisterFunction(void **handle, const char *host, char *device_fn,
				       const char *device, int threads, void *tid, void *bid,
				       void *block, void *grid, int *warp)
{
	struct name *n = add(handle, host, device, 0);

	if (n)
		n->kernel = true;
}

RT_VISIBLE void __cudaRegisterVar(void **handle, char *host, char *address, const char *device,
				  int external, size_t bytes, int constant, int global);
RT_VISIBLE void __cudaRegisterVar(void **handle, char *host, char *address, const char *device,
				  int external, size_t bytes, int constant, int global)
{
	add(handle, host, device, bytes);
}

/* *host is where the program finds the variable's address, once its fat binary is loaded. */
RT_VISIBLE void __cudaRegisterManagedVar(void **handle, void **host, char *address,
					 const char *device, int external, size_t bytes,
					 int constant, int global);
RT_VISIBLE void __cudaRegisterManagedVar(void **handle, void **host, char *address,
					 const char *device, int external, size_t bytes,
					 int constant, int global)
{
	struct name *n = add(handle, host, device, bytes);

	if (n)
		n->managed = true;
}

/* Host variables that kernels reach: their registration is accepted, the link is not offered. */
RT_VISIBLE void __cudaRegisterHostVar(void **handle, const char *device, char *host, size_t bytes);
RT_VISIBLE void __cudaRegisterHostVar(void **handle, const char *device, char *host, size_t bytes)
{
}

/* The program is about to use a null pointer. */
static void say_unmanaged(const char *variable)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&told))
		fprintf(stderr,
			"pvgpu: the CPU cannot use the managed variable %s: the device has no "
			"managed memory, or the program has no uncompressed PTX of its code "
			"(docs/cudart.md)\n",
			variable);
}

/* Managed variables are reached through a pointer of the program's. */
static void bind_managed(struct image *image, CUlibrary library)
{
	for (struct name *n = image->names; n; n = n->next) {
		CUdeviceptr addr;
		size_t bytes;

		if (!n->managed)
			continue;
		if (rt_cu.cuLibraryGetManaged(&addr, &bytes, library, n->device))
			say_unmanaged(n->device);
		else
			*(void **)(uintptr_t)atomic_load(&n->host) = (void *)(uintptr_t)addr;
	}
}

static cudaError_t load(struct image *image, CUlibrary *out)
{
	CUresult r = CUDA_SUCCESS;
	CUlibrary library;

	pthread_mutex_lock(&lock);
	library = atomic_load(&image->library);
	if (!library) {
		r = rt_cu.cuLibraryLoadData(&library, image->wrapper, NULL, NULL, 0, NULL, NULL, 0);
		if (!r) {
			bind_managed(image, library);
			atomic_store_explicit(&image->library, library, memory_order_release);
		}
	}
	pthread_mutex_unlock(&lock);
	*out = library;
	return rt_error(r);
}

static cudaError_t loaded(struct image *image, CUlibrary *out)
{
	*out = atomic_load_explicit(&image->library, memory_order_acquire);
	return *out ? cudaSuccess : load(image, out);
}

/* nvcc's code calls it before it uses a managed variable. */
RT_VISIBLE char __cudaInitModule(void **handle);
RT_VISIBLE char __cudaInitModule(void **handle)
{
	CUlibrary library;
	cudaError_t e = rt_enter();

	if (!e)
		e = handle ? loaded((struct image *)handle, &library) : cudaErrorInvalidValue;
	rt_fail(e);
	return !e;
}

cudaError_t rt_kernel(const void *host, CUkernel *kernel)
{
	struct name *n = find(host);
	CUlibrary library;
	cudaError_t e;
	CUresult r;

	if (!n || !n->kernel)
		return cudaErrorInvalidDeviceFunction;
	*kernel = atomic_load_explicit(&n->handle, memory_order_acquire);
	if (*kernel)
		return cudaSuccess;
	e = loaded(n->image, &library);
	if (e)
		return e;
	r = rt_cu.cuLibraryGetKernel(kernel, library, n->device);
	if (r)
		return r == CUDA_ERROR_NOT_FOUND ? cudaErrorInvalidDeviceFunction : rt_error(r);
	atomic_store_explicit(&n->handle, *kernel, memory_order_release);
	return cudaSuccess;
}

cudaError_t rt_kernel_handle(const void *host, CUkernel *kernel)
{
	const cudaError_t e = rt_kernel(host, kernel);
	struct name *n, *alias;

	if (e || find(*kernel))
		return e;
	n = find(host);
	alias = add((void **)n->image, *kernel, n->device, 0);
	if (!alias)
		return cudaErrorMemoryAllocation;
	atomic_store(&alias->handle, *kernel);
	alias->kernel = true;
	return cudaSuccess;
}

/* Its image is one without a wrapper, which has the library's kernels. */
static struct image *image_of(CUlibrary library)
{
	struct image *i;

	pthread_mutex_lock(&lock);
	for (i = images; i; i = i->next)
		if (!i->wrapper && atomic_load(&i->library) == library)
			break;
	if (!i && (i = calloc(1, sizeof(*i)))) {
		atomic_store(&i->library, library);
		i->next = images;
		images = i;
	}
	pthread_mutex_unlock(&lock);
	return i;
}

bool rt_kernel_known(CUkernel kernel, CUlibrary library)
{
	struct name *n = find(kernel);

	if (n)
		return true;
	n = add((void **)image_of(library), kernel, NULL, 0);
	if (!n)
		return false;
	atomic_store(&n->handle, kernel);
	n->kernel = true;
	return true;
}

static void forget(struct image *image)
{
	struct image **at;

	for (at = &images; *at && *at != image; at = &(*at)->next)
		;
	if (*at)
		*at = image->next;
	/* The entries stay, as readers may be on their way over them; they match nothing. */
	for (struct name *n = image->names; n; n = n->next)
		atomic_store(&n->host, NULL);
}

void rt_kernels_forget(CUlibrary library)
{
	struct image *i;

	pthread_mutex_lock(&lock);
	for (i = images; i; i = i->next)
		if (!i->wrapper && atomic_load(&i->library) == library)
			break;
	if (i)
		forget(i);
	pthread_mutex_unlock(&lock);
}

RT_VISIBLE void __cudaUnregisterFatBinary(void **handle)
{
	struct image *image = (struct image *)handle;
	CUlibrary library;

	if (!image)
		return;
	pthread_mutex_lock(&lock);
	forget(image);
	library = atomic_exchange(&image->library, NULL);
	pthread_mutex_unlock(&lock);
	/* At the process's end the driver has gone first, or goes with it: this may fail. */
	if (library)
		rt_cu.cuLibraryUnload(library);
}

static bool is(const struct name *n, CUkernel kernel, CUfunction fn)
{
	CUkernel own = atomic_load(&n->handle);
	CUfunction f;

	if (!n->kernel || !own || atomic_load(&n->host) == own)
		return false;
	return own == kernel || (fn && !rt_cu.cuKernelGetFunction(&f, own) && f == fn);
}

const void *rt_kernel_host(CUkernel kernel, CUfunction fn)
{
	const void *found = fn ? (const void *)fn : (const void *)kernel;

	pthread_mutex_lock(&lock);
	for (struct image *i = images; i; i = i->next)
		for (struct name *n = i->names; n; n = n->next)
			if (is(n, kernel, fn))
				found = atomic_load(&n->host);
	pthread_mutex_unlock(&lock);
	return found;
}

cudaError_t rt_variable(const void *host, CUdeviceptr *addr, size_t *bytes)
{
	struct name *n = find(host);
	CUlibrary library;
	cudaError_t e;
	CUresult r;

	if (!n || n->kernel)
		return cudaErrorInvalidSymbol;
	e = loaded(n->image, &library);
	if (e)
		return e;
	r = n->managed ? rt_cu.cuLibraryGetManaged(addr, bytes, library, n->device)
		       : rt_cu.cuLibraryGetGlobal(addr, bytes, library, n->device);
	return r == CUDA_ERROR_NOT_FOUND ? cudaErrorInvalidSymbol : rt_error(r);
}
