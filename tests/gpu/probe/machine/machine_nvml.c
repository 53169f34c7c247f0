/* SPDX-License-Identifier: MIT */
/*
 * The management library as pvgpu-health uses it: are processes seen, under which pid, with their
 * memory and use? A tenant in a process of its own is looked for.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/gpu/probe/machine/machine.h"
#include "tests/gpu/probe/manage.h"

#define TENANT_BYTES ((size_t)64 << 20)
#define TENANT_MS    20000u
#define STAMPS       5u
/* Of a sampling period, as sample.c takes it: a little less than 1/6 s, a little more than 1 s. */
#define PERIOD_MIN_US 160000u
#define PERIOD_MAX_US 1250000u
#define SAME_US       20000u

static struct nvml *nvml;

/* ---- the tenant ---- */
void machine_tenant(void)
{
	struct pollfd told = {.fd = STDIN_FILENO, .events = POLLIN};
	CUdeviceptr memory;
	CUcontext ctx;
	CUdevice dev;

	if (!cuda_context(&dev, &ctx) || CU(cuMemAlloc_v2, &memory, TENANT_BYTES) != CUDA_SUCCESS ||
	    !cuda_occupy(NULL, 1) || CU(cuCtxSynchronize) != CUDA_SUCCESS)
		return;
	role_ready();
	while (!poll(&told, 1, 0))
		if (!cuda_occupy(NULL, 10) || CU(cuCtxSynchronize) != CUDA_SUCCESS)
			return;
}

/* ---- the device ---- */
/* Modes that pvgpu does not use, but that explain what is seen. */
static void say_modes(nvmlDevice_t device)
{
	typedef nvmlReturn_t one_fn(nvmlDevice_t, unsigned int *);
	typedef nvmlReturn_t two_fn(nvmlDevice_t, unsigned int *, unsigned int *);
	static const struct {
		const char *call, *key;
	} ones[] = {{"nvmlDeviceGetPersistenceMode", "persistence_mode"},
		    {"nvmlDeviceGetAccountingMode", "accounting_mode"},
		    {"nvmlDeviceGetComputeMode", "compute_mode"}},
	  twos[] = {{"nvmlDeviceGetMigMode", "mig_mode"}, {"nvmlDeviceGetEccMode", "ecc_mode"}};
	void *so = dlopen(opt.libnvml, RTLD_NOW | RTLD_LOCAL);
	unsigned int value, pending;

	for (size_t i = 0; so && i < sizeof(ones) / sizeof(ones[0]); i++) {
		one_fn *f = (one_fn *)dlsym(so, ones[i].call);

		if (!f)
			say_failed(ones[i].call, -1);
		else if (manage_did(ones[i].call, f(device, &value)))
			say_int(ones[i].key, value);
	}
	for (size_t i = 0; so && i < sizeof(twos) / sizeof(twos[0]); i++) {
		two_fn *f = (two_fn *)dlsym(so, twos[i].call);

		if (!f)
			say_failed(twos[i].call, -1);
		else if (manage_did(twos[i].call, f(device, &value, &pending)))
			say_int(twos[i].key, value);
	}
}

static void say_events(nvmlDevice_t device)
{
	unsigned long long types = 0;
	const nvmlReturn_t r = nvml->nvmlDeviceGetSupportedEventTypes(device, &types);

	manage_did("nvmlDeviceGetSupportedEventTypes", r);
	verdict(ASSUME_nvml_xid, !r && (types & nvmlEventTypeXidCriticalError),
		"result %d, types 0x%llx", (int)r, types);
}

/* ---- processes ---- */
static const nvmlProcessInfo_t *with_pid(const nvmlProcessInfo_t *at, unsigned int n, pid_t pid)
{
	for (unsigned int i = 0; i < n; i++)
		if (at[i].pid == (unsigned int)pid)
			return &at[i];
	return NULL;
}

static void say_memory(unsigned long long bytes)
{
	const bool known = bytes != NVML_VALUE_NOT_AVAILABLE;

	if (known)
		say_int("nvml_tenant_bytes", (int64_t)bytes);
	verdict(ASSUME_nvml_memory, known && bytes >= TENANT_BYTES,
		known ? "%llu bytes of a process that has allocated %zu" : "not available",
		known ? bytes : 0, TENANT_BYTES);
}

static void look_for(nvmlDevice_t device, pid_t pid, const nvmlProcessInfo_t *before,
		     unsigned int before_n)
{
	static nvmlProcessInfo_t now[MANAGE_PROCESSES];
	const unsigned int n = manage_processes(device, now);
	const nvmlProcessInfo_t *it = with_pid(now, n, pid);
	unsigned int others = 0;

	say_int("nvml_processes_before", before_n);
	say_int("nvml_processes", n);
	verdict(ASSUME_nvml_pids, it, "%u processes, the tenant %s", n,
		it ? "by its pid" : "not by its pid");
	/* Under another pid: that of the namespace that the driver knows. */
	for (unsigned int i = 0; i < n && !it; i++)
		others += !with_pid(before, before_n, (pid_t)now[i].pid);
	say_int("nvml_new_under_other_pids", others);
	for (unsigned int i = 0; i < n && !it && others == 1; i++)
		if (!with_pid(before, before_n, (pid_t)now[i].pid))
			it = &now[i];
	say_int("tenant_pid", pid);
	if (!it)
		return;
	say_int("nvml_tenant_pid", it->pid);
	say_memory(it->usedGpuMemory);
}

/* ---- use ---- */
struct use {
	uint64_t stamps[STAMPS];
	unsigned int stamp_n, mine, busy;
};

static void take_use(struct use *u, const nvmlProcessUtilizationSample_t *s, unsigned int n,
		     unsigned int pid)
{
	for (unsigned int i = 0; i < n; i++) {
		const uint64_t last = u->stamp_n ? u->stamps[u->stamp_n - 1] : 0;

		if (s[i].timeStamp && s[i].pid == pid) {
			u->mine++;
			u->busy += s[i].smUtil;
		}
		if (s[i].timeStamp > last + SAME_US && u->stamp_n < STAMPS)
			u->stamps[u->stamp_n++] = s[i].timeStamp;
	}
}

static void say_use(nvmlDevice_t device, pid_t pid)
{
	static nvmlProcessUtilizationSample_t s[MANAGE_PROCESSES];
	const uint64_t end = now_ns() + (opt.quick ? 1500 : 8000) * 1000000ull;
	uint64_t shortest = UINT64_MAX, longest = 0;
	struct use u = {0};

	/* How often the driver samples is what is measured. */
	while (now_ns() < end && u.stamp_n < STAMPS) {
		unsigned int n = MANAGE_PROCESSES;
		nvmlReturn_t r = nvml->nvmlDeviceGetProcessUtilization(
			device, s, &n, u.stamp_n ? u.stamps[u.stamp_n - 1] : 0);

		if (r == NVML_SUCCESS)
			take_use(&u, s, n < MANAGE_PROCESSES ? n : MANAGE_PROCESSES,
				 (unsigned int)pid);
		else if (r != NVML_ERROR_NOT_FOUND &&
			 !manage_did("nvmlDeviceGetProcessUtilization", r))
			break;
		usleep(10000);
	}
	for (unsigned int i = 1; i < u.stamp_n; i++) {
		const uint64_t period = u.stamps[i] - u.stamps[i - 1];

		shortest = period < shortest ? period : shortest;
		longest = period > longest ? period : longest;
	}
	say_int("nvml_use_samples", u.mine);
	if (u.mine)
		say_int("nvml_use_mean_percent", u.busy / u.mine);
	verdict(ASSUME_nvml_use, u.mine && u.busy, "%u samples of the tenant, %u in all", u.mine,
		u.stamp_n);
	if (!longest)
		return;
	say_int("nvml_period_min_us", (int64_t)shortest);
	say_int("nvml_period_max_us", (int64_t)longest);
	verdict(ASSUME_nvml_period, shortest >= PERIOD_MIN_US && longest <= PERIOD_MAX_US,
		"%llu to %llu us", (unsigned long long)shortest, (unsigned long long)longest);
}

static void say_processes(nvmlDevice_t device)
{
	static nvmlProcessInfo_t before[MANAGE_PROCESSES];
	const unsigned int n = manage_processes(device, before);
	struct role r;

	if (!role_start(&r, "tenant", "tenant_", NULL))
		return;
	if (role_await(&r, TENANT_MS)) {
		look_for(device, r.pid, before, n);
		say_use(device, r.pid);
	}
	role_wait(&r, TENANT_MS);
}

static void say_memory_and_modes(nvmlDevice_t device)
{
	nvmlMemory_t memory;

	if (manage_did("nvmlDeviceGetMemoryInfo", nvml->nvmlDeviceGetMemoryInfo(device, &memory))) {
		say_int("nvml_memory_bytes", (int64_t)memory.total);
		say_int("nvml_memory_used_bytes", (int64_t)memory.used);
	}
	say_modes(device);
}

void machine_nvml(const CUuuid *uuid)
{
	const uint64_t began = now_ns();
	nvmlDevice_t device;
	char reason[200];
	int index;

	if (!*opt.libnvml)
		return;
	nvml = manage_open(reason, sizeof(reason));
	verdict(ASSUME_nvml_calls, nvml, "%s", nvml ? "loaded and initialised" : reason);
	if (!nvml)
		return;
	say_int("nvml_open_ns", (int64_t)(now_ns() - began));
	say_text("nvml_driver", "%s", nvml->driver);
	say_int("nvml_devices", nvml->device_n);
	if (!manage_device(uuid, &device, &index))
		return;
	if (uuid)
		verdict(ASSUME_nvml_uuid, index >= 0, "device 0 of CUDA is number %d of %u", index,
			nvml->device_n);
	say_memory_and_modes(device);
	say_events(device);
	say_processes(device);
}
