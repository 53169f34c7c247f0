/* SPDX-License-Identifier: MIT */
/*
 * 5: contexts: time, device and host memory, threads and files. The cost of a process is measured
 * by another one, in which the step runs: by the free memory of its own context, and by NVML.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/probe/memory/context.h"
#include "tests/gpu/probe/manage.h"

#define LIMIT_MS       40000u
#define CONTEXT_MEMORY ((int64_t)1 << 30) /* of pvgpud's configuration */
#define NEAR           ((int64_t)64 << 20)
#define BACK_NS        5000000000ull

static struct nvml *nvml;
static nvmlDevice_t device;
static bool has_context; /* of this process */

/* ---- looking at the device; -1: not known ---- */
struct look {
	int64_t used_cuda, used_nvml, process;
};

static int64_t process_bytes(pid_t pid)
{
	static nvmlProcessInfo_t all[MANAGE_PROCESSES];
	const unsigned int n = manage_processes(device, all);

	for (unsigned int i = 0; i < n; i++)
		if (all[i].pid == (unsigned int)pid &&
		    all[i].usedGpuMemory != NVML_VALUE_NOT_AVAILABLE)
			return (int64_t)all[i].usedGpuMemory;
	return -1;
}

static int64_t used_cuda(void)
{
	size_t left, total;

	return has_context && CU(cuMemGetInfo_v2, &left, &total) == CUDA_SUCCESS
		       ? (int64_t)(total - left)
		       : -1;
}

static struct look look(pid_t pid)
{
	struct look l = {.used_cuda = used_cuda(), .used_nvml = -1, .process = -1};
	nvmlMemory_t memory;

	if (!nvml)
		return l;
	if (manage_did("nvmlDeviceGetMemoryInfo", nvml->nvmlDeviceGetMemoryInfo(device, &memory)))
		l.used_nvml = (int64_t)memory.used;
	l.process = process_bytes(pid);
	return l;
}

static void say_at(const char *prefix, const char *point, const char *what, int64_t value)
{
	char key[96];

	snprintf(key, sizeof(key), "%s%s_%s_bytes", prefix, point, what);
	say_int(key, value);
}

/* The increase since the start; the largest of them, or -1. */
static int64_t say_more(const char *prefix, const char *point, const struct look *was,
			const struct look *is)
{
	int64_t most = -1;

	if (is->used_cuda >= 0) {
		most = is->used_cuda - was->used_cuda;
		say_at(prefix, point, "device", most);
	}
	if (is->used_nvml >= 0 && was->used_nvml >= 0) {
		say_at(prefix, point, "nvml", is->used_nvml - was->used_nvml);
		most = most < 0 ? is->used_nvml - was->used_nvml : most;
	}
	if (is->process >= 0) {
		say_at(prefix, point, "nvml_process", is->process);
		most = is->process > most ? is->process : most;
	}
	return most;
}

/* ---- a process with contexts, watched at each of its points ---- */
static void watch(const char *role, const char *prefix, const char *variable)
{
	const char *env[] = {variable, NULL};
	struct look start = {-1, -1, -1}, now;
	int64_t most = -1, more;
	struct role r;
	uint64_t began = now_ns();
	char key[64];

	if (!role_start(&r, role, prefix, env))
		return;
	for (size_t i = 0; i < CONTEXT_POINTS && role_await(&r, LIMIT_MS); i++) {
		now = look(r.pid);
		if (i == 0)
			start = now;
		more = i ? say_more(prefix, context_points[i], &start, &now) : -1;
		/* The second context is one that a program need not have. */
		most = i <= CONTEXT_KERNEL && more > most ? more : most;
		began = now_ns();
		role_go_on(&r);
	}
	role_wait(&r, LIMIT_MS);
	/* Since it was last told to go on, or was started. */
	snprintf(key, sizeof(key), "%sexit_ns", prefix);
	say_int(key, (int64_t)(now_ns() - began));
	now = look(r.pid);
	say_more(prefix, "gone", &start, &now);
	if (most >= 0)
		verdict(ASSUME_context_memory, most <= CONTEXT_MEMORY,
			"%s: %lld MiB with a context and a kernel", variable,
			(long long)most >> 20);
}

/* ---- a process with memory that is killed ---- */
static void kill_one(void)
{
	const int64_t before = used_cuda();
	int64_t held, after;
	struct role r;
	uint64_t began, reaped;

	if (before < 0 || !role_start(&r, "holder", "holder_", NULL))
		return;
	if (!role_await(&r, LIMIT_MS)) {
		role_kill(&r);
		return;
	}
	held = used_cuda();
	began = now_ns();
	role_kill(&r);
	reaped = now_ns();
	after = used_cuda();
	say_int("kill_to_reap_ns", (int64_t)(reaped - began));
	say_int("kill_held_bytes", held - before);
	verdict(ASSUME_memory_back_at_reap, after - before < NEAR,
		"%lld MiB of %lld MiB are still in use", (long long)(after - before) >> 20,
		(long long)(held - before) >> 20);
	while (after - before >= NEAR && now_ns() - reaped < BACK_NS)
		after = used_cuda();
	say_int("reap_to_free_ns", (int64_t)(now_ns() - reaped));
}

void step_context(void)
{
	char reason[200];
	CUcontext ctx;
	CUdevice dev;
	CUuuid uuid;
	int index;

	if (opt.role) {
		context_role(opt.role);
		return;
	}
	if (!cuda_device(&dev) || CU(cuDeviceGetUuid_v2, &uuid, dev) != CUDA_SUCCESS)
		return;
	nvml = manage_open(reason, sizeof(reason));
	if (!nvml)
		say_text("nvml_error", "%s", reason);
	else if (!manage_device(&uuid, &device, &index))
		nvml = NULL;
	/* While no other process has a context the first one may take more. */
	watch("brief", "first_", "CUDA_MODULE_LOADING=EAGER");
	has_context = cuda_context(&dev, &ctx);
	if (!has_context)
		return;
	watch("whole", "eager_", "CUDA_MODULE_LOADING=EAGER");
	watch("whole", "lazy_", "CUDA_MODULE_LOADING=LAZY");
	watch("brief", "connections_8_", "CUDA_DEVICE_MAX_CONNECTIONS=8");
	watch("brief", "connections_2_", "CUDA_DEVICE_MAX_CONNECTIONS=2");
	watch("brief", "connections_1_", "CUDA_DEVICE_MAX_CONNECTIONS=1");
	role_run("limits", "", NULL, LIMIT_MS);
	role_run("flags", "", NULL, LIMIT_MS);
	kill_one();
}
