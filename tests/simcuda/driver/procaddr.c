/* SPDX-License-Identifier: MIT */
/* cuGetProcAddress: from a call's plain name and a CUDA version to the symbol of that revision. */
#include <string.h>

#include "tests/simcuda/driver/sim.h"

static const struct revision {
	const char *name;
	int since;
	const char *symbol;
	const char *thread; /* the variant for the per-thread default stream, or "" */
} revisions[] = {
#define X(name, since, symbol, thread) {#name, since, symbol, thread},
#include "tests/simcuda/driver/procaddr_table.h"
#undef X
};

#define FLAGS_KNOWN                                                                                \
	(CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)

static CUresult lookup(const char *name, void **fn, int version, uint64_t flags, bool per_thread,
		       CUdriverProcAddressQueryResult *status)
{
	const struct revision *best = NULL;
	bool known = false;

	if (!name || !fn || (flags & ~(uint64_t)FLAGS_KNOWN))
		return CUDA_ERROR_INVALID_VALUE;
	if (flags)
		per_thread = flags == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
	for (size_t i = 0; i < ARRAY_LEN(revisions); i++) {
		const struct revision *r = &revisions[i];

		if (strcmp(r->name, name) || !entry_find(r->symbol))
			continue;
		known = true;
		if (r->since <= version && (!best || r->since > best->since))
			best = r;
	}
	*fn = NULL;
	if (best) {
		sim_fn f = entry_find(per_thread && *best->thread ? best->thread : best->symbol);

		memcpy(fn, &f, sizeof(f));
	}
	if (status)
		*status = best    ? CU_GET_PROC_ADDRESS_SUCCESS
			  : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
				  : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
	return CUDA_SUCCESS;
}

API(cuGetProcAddress_v2, const char *name, void **fn, int version, cuuint64_t flags,
    CUdriverProcAddressQueryResult *status)
{
	return lookup(name, fn, version, flags, false, status);
}

API(cuGetProcAddress, const char *name, void **fn, int version, cuuint64_t flags)
{
	CUdriverProcAddressQueryResult status;
	CUresult r = lookup(name, fn, version, flags, false, &status);

	return r == CUDA_SUCCESS && status != CU_GET_PROC_ADDRESS_SUCCESS ? CUDA_ERROR_NOT_FOUND
									  : r;
}
