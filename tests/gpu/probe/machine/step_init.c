/* SPDX-License-Identifier: MIT */
/*
 * 2: cuInit as a worker does it: in the environment that pvgpud gives, by the worker's own loader,
 * and then a context and a kernel after what the seal changes.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/gpu/probe/probe.h"
#include "xen-pvgpu-back/worker/far.h"

#define LIMIT_MS  40000u
#define ENV_MAX   32
#define WINDOW    0x200000000000ull /* where window.c asks first, and arena.c */
#define WINDOW_IS (256ull << 30)
#define FAR_FILES 256u /* far_end_files of pvgpud's configuration */
#define SENT      16u  /* FDS_RECEIVED of seal.c */

extern char **environ;

/* ---- in the worker's place ---- */
static void say_since(const char *key, uint64_t began)
{
	say_int(key, (int64_t)(now_ns() - began));
}

static bool load(struct far *far)
{
	char reason[256];
	const uint64_t began = now_ns();

	if (far_load(far, opt.libcuda, reason, sizeof(reason)) < 0) {
		say_text("load_error", "%s", reason);
		return false;
	}
	say_since("load_ns", began);
	return true;
}

/* The calls of prepare.c, in its order. A library that the worker would refuse is looked at, too.
 */
static bool prepare(CUdevice *dev)
{
	struct far far;
	char name[64];
	uint64_t began;
	size_t bytes;
	int n;

	if (!load(&far))
		say_lacking();
	if (!cuda_load())
		return false;
	say_process("loaded");
	setenv("CUDA_MODULE_LOADING", "EAGER", 1);
	began = now_ns();
	if (CU(cuInit, 0) != CUDA_SUCCESS)
		return false;
	say_since("cuinit_ns", began);
	began = now_ns();
	if (CU(cuDriverGetVersion, &n) || CU(cuDeviceGetCount, &n) || CU(cuDeviceGet, dev, 0) ||
	    CU(cuDeviceTotalMem_v2, &bytes, *dev) || CU(cuDeviceGetName, name, sizeof(name), *dev))
		return false;
	say_since("device_calls_ns", began);
	say_process("initialised");
	say_files("initialised");
	return true;
}

static void worker(void)
{
	struct rlimit files;
	CUcontext ctx;
	CUdevice dev;
	uint64_t began;
	int before;
	bool works;

	if (!prepare(&dev)) {
		say_lacking();
		return;
	}
	verdict(ASSUME_window_free_after_init, !proc_mapped(WINDOW, WINDOW_IS),
		"see large_mappings");
	/* As seal.c does. */
	before = proc_highest_fd();
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = (rlim_t)before + 1 + SENT + FAR_FILES;
	files.rlim_max = files.rlim_cur < files.rlim_max ? files.rlim_cur : files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	began = now_ns();
	works = CU(cuDevicePrimaryCtxRetain, &ctx, dev) == CUDA_SUCCESS &&
		CU(cuCtxSetCurrent, ctx) == CUDA_SUCCESS;
	say_since("sealed_context_ns", began);
	works = works && cuda_occupy(NULL, 1) && CU(cuCtxSynchronize) == CUDA_SUCCESS;
	verdict(ASSUME_context_after_seal, works, works ? "and a kernel ran" : "see failed_calls");
	say_process("sealed");
	say_files("sealed");
	say_int("sealed_files_more", proc_highest_fd() - before);
	verdict(ASSUME_far_files, proc_highest_fd() - before <= (int)FAR_FILES,
		"the highest file is %d, before the seal %d", proc_highest_fd(), before);
}

/* ---- the step ---- */
/* The environment of spawn.c's make_env, and the simulated driver's own settings; `more` joins
 * them. */
static void make_env(const char *env[ENV_MAX], const char *more)
{
	size_t n = 0;

	env[n++] = "PVGPU_RUN_DIR=/run/pvgpu";
	env[n++] = "MALLOC_ARENA_MAX=2";
	env[n++] = "CUDA_CACHE_DISABLE=1";
	env[n++] = "CUDA_VISIBLE_DEVICES=0";
	env[n++] = "CUDA_DEVICE_ORDER=PCI_BUS_ID";
	for (char **e = environ; *e && n < ENV_MAX - 1; e++)
		if (!strncmp(*e, "SIMCUDA_", 8) || (more && !strncmp(*e, more, strlen(more))))
			env[n++] = *e;
	env[n] = NULL;
}

/* The file of a library that may have been found by LD_LIBRARY_PATH, which a worker does not have.
 */
static const char *file_of(const char *library)
{
	void *so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	struct link_map *map;

	if (!so || dlinfo(so, RTLD_DI_LINKMAP, &map) < 0 || !map->l_name[0])
		return NULL;
	return strdup(map->l_name);
}

static bool run(const char *role, const char *prefix, const char *more)
{
	const char *env[ENV_MAX];
	struct role r;

	make_env(env, more);
	return role_start_worker(&r, role, prefix, env) && role_wait(&r, LIMIT_MS);
}

void step_init(void)
{
	const char *path;
	struct far far;
	bool by_name, works;

	if (opt.role) {
		if (!strcmp(opt.role, "worker"))
			worker();
		else if (!load(&far))
			say_lacking();
		return;
	}
	by_name = run("load", "by_name_", NULL);
	verdict(ASSUME_libcuda_found, by_name, "%s in a worker's environment: %s", opt.libcuda,
		by_name ? "loaded" : "see by_name_load_error");
	path = file_of(opt.libcuda);
	if (!path) {
		say_text("libcuda_error", "%s", dlerror());
		say_lacking();
		return;
	}
	say_text("libcuda_file", "%s", path);
	opt.libcuda = path;
	works = run("worker", "", NULL);
	verdict(ASSUME_init_as_worker, works, "see %s",
		works ? "cuinit_ns" : "load_error, last_call, failed_calls");
	if (works)
		return;
	say_lacking();
	/* Is it that libcuda finds its own libraries by that? */
	if (getenv("LD_LIBRARY_PATH"))
		run("worker", "with_path_", "LD_LIBRARY_PATH=");
}
