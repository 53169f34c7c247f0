/* SPDX-License-Identifier: MIT */
/*
 * Faults from SIMCUDA_FAULT: "spec;spec", each one of
 *   fail:CALL:N:CODE    the N-th call of the entry point CALL fails with status CODE (N 0: every)
 *   crash:CALL          the entry point CALL ends the process by a signal
 *   hang:CALL           the entry point CALL never returns
 *   absent:CALL         the library has no symbol CALL
 *   slow-copy:US        every copy takes US microseconds longer
 *   hang-copy:N         the N-th copy never ends
 *   ecc:N               the N-th launch meets an uncorrectable memory error
 *   lost:N              the device is lost at the N-th launch
 *   xid:CODE:N          the device reports this Xid at the N-th launch, which goes on
 *   mutate:WHAT[:N]     a silent error: see mutate.c for those in code, and below for others
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/simcuda/driver/mutate.h"
#include "tests/simcuda/driver/sim.h"

#define MAX_CALLS 32

struct sim_fault sim_fault;

static struct failing_call {
	char name[64];
	uint64_t nth;
	int code;
	_Atomic uint64_t count;
} calls[MAX_CALLS];
static size_t call_count;
static _Atomic uint64_t launches, copies;
static _Atomic bool lost;

static const struct {
	const char *name;
	bool *flag;
} switches[] = {
	{"copy-tail", &sim_fault.copy_tail},     {"memset", &sim_fault.memset_value},
	{"event-zero", &sim_fault.event_zero},   {"event-negative", &sim_fault.event_negative},
	{"wait-event", &sim_fault.wait_ignored}, {"callback", &sim_fault.callback_dropped},
	{"printf", &sim_fault.printf_dropped},   {"global-init", &sim_fault.global_init},
	{"filter", &sim_fault.filter},           {"surface-row", &sim_fault.surface_row},
	{"levels", &sim_fault.first_level},      {"scrub", &sim_fault.scrub},
};

static bool read_mutation(const char *what, uint64_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		if (!strcmp(switches[i].name, what)) {
			*switches[i].flag = true;
			return true;
		}
	/* a GPU may let a warp run ahead; one that keeps pace would hide that a barrier is missing
	 */
	sim_fault.no_pace |= !strcmp(what, "bar");
	return mutate_select(what, n);
}

/* crash, hang, absent: done at once, by entry.c. false: not one of them, or no such symbol. */
static bool read_entry(const char *spec)
{
	static const char *const faults[] = {"crash:", "hang:", "absent:"};

	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		if (!strncmp(spec, faults[i], strlen(faults[i])))
			return entry_break(spec + strlen(faults[i]), (enum entry_fault)i);
	return false;
}

static bool read_spec(const char *spec)
{
	char name[64];
	unsigned long long n = 1;
	int code;

	if (sscanf(spec, "fail:%63[^:]:%llu:%d", name, &n, &code) == 3 && call_count < MAX_CALLS) {
		struct failing_call *c = &calls[call_count++];

		memcpy(c->name, name, sizeof(name));
		c->nth = n;
		c->code = code;
		sim_fault.any_call = true;
		return true;
	}
	if (sscanf(spec, "slow-copy:%llu", &n) == 1)
		sim_fault.copy_us = n;
	else if (sscanf(spec, "hang-copy:%llu", &n) == 1)
		sim_fault.hang_copy = n;
	else if (sscanf(spec, "ecc:%llu", &n) == 1)
		sim_fault.ecc_launch = n;
	else if (sscanf(spec, "xid:%d:%llu", &code, &n) == 2)
		sim_fault.xid_launch = n, sim_fault.xid = (uint64_t)code;
	else if (sscanf(spec, "lost:%llu", &n) == 1)
		sim_fault.lost_launch = n, sim_fault.any_call = true;
	else if (sscanf(spec, "mutate:%63[^:]:%llu", name, &n) >= 1)
		return read_mutation(name, n);
	else
		return read_entry(spec);
	return true;
}

static void each_spec(bool (*read)(const char *spec))
{
	const char *env = getenv("SIMCUDA_FAULT");
	char *copy = env && *env ? strdup(env) : NULL, *save = NULL;

	for (char *spec = copy ? strtok_r(copy, ";", &save) : NULL; spec;
	     spec = strtok_r(NULL, ";", &save))
		if (!read(spec)) {
			fprintf(stderr, "simcuda: SIMCUDA_FAULT: \"%s\" is not understood\n", spec);
			_exit(2);
		}
	free(copy);
}

void fault_read(void)
{
	each_spec(read_spec);
}

static bool read_early(const char *spec)
{
	read_entry(spec);
	return true; /* cuInit reports a bad spec */
}

void fault_read_entries(void)
{
	each_spec(read_early);
}

/* The length without _ptds or _ptsz. */
static size_t plain_length(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && (!strcmp(name + n - 5, "_ptds") || !strcmp(name + n - 5, "_ptsz")) ? n - 5
											   : n;
}

bool fault_is_call(const char *wanted, const char *symbol)
{
	size_t n = plain_length(symbol);

	return plain_length(wanted) == n && !strncmp(wanted, symbol, n);
}

CUresult fault_call(const char *name)
{
	if (atomic_load_explicit(&lost, memory_order_relaxed))
		return CUDA_ERROR_DEVICE_UNAVAILABLE;
	for (size_t i = 0; i < call_count; i++) {
		struct failing_call *c = &calls[i];

		if (fault_is_call(c->name, name) &&
		    (atomic_fetch_add(&c->count, 1) + 1 == c->nth || !c->nth))
			return (CUresult)c->code;
	}
	return CUDA_SUCCESS;
}

CUresult fault_launch(void)
{
	uint64_t n = atomic_fetch_add_explicit(&launches, 1, memory_order_relaxed) + 1;

	if (unlikely(n == sim_fault.xid_launch))
		arbiter_xid((uint32_t)sim_fault.xid);
	if (unlikely(n == sim_fault.ecc_launch)) {
		arbiter_xid(XID_DOUBLE_BIT);
		return CUDA_ERROR_ECC_UNCORRECTABLE;
	}
	if (unlikely(n == sim_fault.lost_launch || arbiter_lost())) {
		if (n == sim_fault.lost_launch)
			arbiter_xid(XID_OFF_BUS);
		atomic_store(&lost, true);
		atomic_store(&sim_quick, false);
		return CUDA_ERROR_DEVICE_UNAVAILABLE;
	}
	return CUDA_SUCCESS;
}

bool fault_copy(void)
{
	if (likely(!sim_fault.copy_us && !sim_fault.hang_copy))
		return false;
	if (sim_fault.copy_us)
		usleep((useconds_t)sim_fault.copy_us);
	return atomic_fetch_add(&copies, 1) + 1 == sim_fault.hang_copy;
}
