/* SPDX-License-Identifier: MIT */
/*
 * The libraries and files of a first JIT, and whether it works where nothing can be opened any
 * more, as in a sealed worker: cold, with the compiler's library loaded before, and when one JIT
 * has been done.
 */
#include "tests/gpu/probe/kernels/step_images.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void images_opened(void)
{
	uint64_t first = 0, second = 0;

	if (!part_context())
		return;
	say_files("context");
	say_process("context");
	say_int("first_result", store_run(&first));
	say_int("first_ns", (int64_t)first);
	say_files("jit");
	say_process("jit");
	store_run(&second);
	say_int("second_ns", (int64_t)second);
}

/* ---- nothing can be opened ---- */
#define LOAD(field)                                                                                \
	{                                                                                          \
		BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, field)               \
	}
#define IF_CALL(nr, then)                                                                          \
	{                                                                                          \
		BPF_JMP | BPF_JEQ | BPF_K, then, 0, nr                                             \
	}
#define RETURN(what)                                                                               \
	{                                                                                          \
		BPF_RET | BPF_K, 0, 0, what                                                        \
	}

/* open and its like give EACCES from now on, in all threads; false: there is no seccomp. */
static bool deny_open(void)
{
	struct sock_filter code[] = {
		LOAD(nr),
		IF_CALL(SYS_open, 4),
		IF_CALL(SYS_openat, 3),
		IF_CALL(SYS_openat2, 2),
		IF_CALL(SYS_creat, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | EACCES),
	};
	const struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return false;
	/* With TSYNC: libcuda has threads of its own by now. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
		return false;
	return open("/proc/self/maps", O_RDONLY | O_CLOEXEC) < 0;
}

/* No new descriptor. */
static bool deny_fds(void)
{
	const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit files;

	if (next < 0 || getrlimit(RLIMIT_NOFILE, &files))
		return false;
	close(next);
	files.rlim_cur = (rlim_t)next;
	return !setrlimit(RLIMIT_NOFILE, &files);
}

static void preload(void)
{
	static const char *const names[] = {"libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4",
					    "libnvidia-nvvm70.so.4", "libnvidia-gpucomp.so"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char key[64];

		snprintf(key, sizeof(key), "has_%s", names[i]);
		for (char *p = key; *p; p++)
			if (*p == '-' || *p == '.')
				*p = '_';
		say_int(key, dlopen(names[i], RTLD_NOW | RTLD_GLOBAL) != NULL);
	}
}

void images_denied(void)
{
	const bool files = !strcmp(opt.role, "nofile");
	CUmodule module;
	uint64_t ns = 0;
	int r;

	if (!part_context())
		return;
	if (!strcmp(opt.role, "preloaded") || files)
		preload();
	if (!strcmp(opt.role, "warm") && store_run(&ns))
		return;
	if (files ? !deny_fds() : !deny_open()) {
		say_text("absent", "%s", strerror(errno));
		return;
	}
	ns = now_ns();
	r = ASK(cuModuleLoadDataEx, &module, ptx_store, 0, NULL, NULL);
	say_int("load_ns", (int64_t)(now_ns() - ns));
	say_int("load_result", r);
	/* Memory and a launch may want files of their own. */
	if (!r)
		say_int("run_result", store_run_in(module));
	if (!strcmp(opt.role, "denied"))
		verdict(ASSUME_jit_opens_nothing, !r, "result %d", r);
	else if (!strcmp(opt.role, "warm"))
		verdict(ASSUME_jit_warm_opens_nothing, !r, "result %d", r);
	else
		verdict(ASSUME_jit_preloaded_opens_nothing, !r, "%s: result %d",
			files ? "no descriptor left" : "open denied", r);
}

/* ---- the cache ---- */
static int files_in(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d))) {
		char below[512];

		if (e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		n += 1 + (e->d_type == DT_DIR ? files_in(below) : 0);
	}
	if (d)
		closedir(d);
	return n;
}

static void remove_below(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char below[512];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		if (e->d_type == DT_DIR)
			remove_below(below);
		unlink(below);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

/* With the cache in a folder of our own: what comes into it, and what a second load takes. */
void images_cache(void)
{
	char folder[] = "/tmp/gpu-probe-XXXXXX";
	uint64_t ns = 0;

	if (!mkdtemp(folder)) {
		say_text("absent", "no folder: %s", strerror(errno));
		return;
	}
	setenv("CUDA_CACHE_PATH", folder, 1);
	if (part_context()) {
		store_run(&ns);
		say_int("first_ns", (int64_t)ns);
		store_run(&ns);
		say_int("second_ns", (int64_t)ns);
		say_int("files", files_in(folder));
	}
	remove_below(folder);
}
