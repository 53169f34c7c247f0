/* SPDX-License-Identifier: MIT */
/*
 * The prepare phase: load and initialise the far end before there is a guest. libcuda opens its
 * files here.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ATTR_PAGEABLE_MEMORY_ACCESS 88

static int far_failed(struct worker *w, const char *call, CUresult r, char *reason, size_t cap)
{
	snprintf(reason, cap, "%s failed with CUresult %d: %s", call, (int)r, w->opt.libcuda);
	return -1;
}

static int attribute(struct worker *w, CUdevice_attribute which, int *value, char *reason,
		     size_t cap)
{
	CUresult r = w->far.cuDeviceGetAttribute(value, which, w->far.dev);

	return r ? far_failed(w, "cuDeviceGetAttribute", r, reason, cap) : 0;
}

/*
 * With heterogeneous memory management a kernel reaches all of this process's memory, which is more
 * than its guest may have.
 */
static int check_hmm(struct worker *w, char *reason, size_t cap)
{
	int pageable = -1;

	if (attribute(w, ATTR_PAGEABLE_MEMORY_ACCESS, &pageable, reason, cap) < 0)
		return -1;
	if (!pageable)
		return 0;
	if (w->opt.allow_hmm) {
		worker_log(w,
			   "TEST OVERRIDE test_allow_hmm: the GPU reaches pageable memory "
			   "(attribute 88 is %d): this guest is not kept from others",
			   pageable);
		return 0;
	}
	snprintf(reason, cap,
		 "the GPU reaches pageable memory (attribute 88 is %d): load nvidia-uvm with "
		 "uvm_disable_hmm=1",
		 pageable);
	return -1;
}

/* Without error correction a guest that reads its own memory often enough can change a bit of its
 * neighbour's (row hammering, shown on GPUs with GDDR6). */
static int check_ecc(struct worker *w, char *reason, size_t cap)
{
	int on = 0;

	if (attribute(w, CU_DEVICE_ATTRIBUTE_ECC_ENABLED, &on, reason, cap) < 0)
		return -1;
	if (on || w->opt.allow_no_ecc)
		return 0;
	snprintf(reason, cap,
		 "the GPU's memory has no error correction (attribute 32 is 0): switch it on "
		 "(nvidia-smi -e 1), or set allow_no_ecc = 1");
	return -1;
}

/* A unit of systemd may have told the kernel to spare pvgpud when memory runs out. Workers
 * are not spared. */
static void be_not_spared(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char now = 0;

	if (fd >= 0 && read(fd, &now, 1) == 1 && now == '-' && pwrite(fd, "0", 1, 0) != 1)
		perror("pvgpu-worker: oom_score_adj");
	if (fd >= 0)
		close(fd);
}

/*
 * The libraries that guests are offered. A handle of cuBLAS is one of the cuBLASLt that it has
 * loaded itself: of no other copy.
 */
static int libraries(struct worker *w, char *reason, size_t cap)
{
	struct far *f = &w->far;
	void *own;

	if (w->opt.libcublas && far_library(f, "cublas", w->opt.libcublas, reason, cap) < 0)
		return -1;
	if (w->opt.libcublaslt && far_library(f, "cublaslt", w->opt.libcublaslt, reason, cap) < 0)
		return -1;
	own = f->lib.cublas.dl ? dlsym(f->lib.cublas.dl, "cublasLtMatmul") : NULL;
	if (!f->lib.cublaslt.dl || !own || own == dlsym(f->lib.cublaslt.dl, "cublasLtMatmul"))
		return 0;
	/* Paths last: a long one must not cut off what is wrong. */
	snprintf(reason, cap,
		 "libcublas uses another libcublasLt than libcublaslt=: name the one beside %s",
		 w->opt.libcublas);
	return -1;
}

int prepare(struct worker *w, char *reason, size_t cap)
{
	struct far *f = &w->far;
	CUresult r;
	int count;

	be_not_spared();
	if (far_load(f, w->opt.libcuda, reason, cap) < 0)
		return -1;
	if (libraries(w, reason, cap) < 0)
		return -1;
	/* Functions are asked for in the side lane (find.c): their code is loaded there, and that
	 * of functions that nobody asks for is not. */
	setenv("CUDA_MODULE_LOADING", "LAZY", 1);
	r = f->cuInit(0);
	if (r)
		return far_failed(w, "cuInit", r, reason, cap);
	r = f->cuDriverGetVersion(&f->driver_version);
	if (r)
		return far_failed(w, "cuDriverGetVersion", r, reason, cap);
	r = f->cuDeviceGetCount(&count);
	if (r)
		return far_failed(w, "cuDeviceGetCount", r, reason, cap);
	if (w->opt.device >= count) {
		snprintf(reason, cap, "device %d asked for, the far end has %d", w->opt.device,
			 count);
		return -1;
	}
	r = f->cuDeviceGet(&f->dev, w->opt.device);
	if (r)
		return far_failed(w, "cuDeviceGet", r, reason, cap);
	r = f->cuDeviceTotalMem_v2(&f->total_mem, f->dev);
	if (r)
		return far_failed(w, "cuDeviceTotalMem", r, reason, cap);
	r = f->cuDeviceGetName(f->model, sizeof(f->model), f->dev);
	if (r)
		return far_failed(w, "cuDeviceGetName", r, reason, cap);
	if (check_hmm(w, reason, cap) < 0)
		return -1;
	return check_ecc(w, reason, cap);
}
