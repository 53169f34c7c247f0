/* SPDX-License-Identifier: MIT */
/* cuGetProcAddress(): the revision of a call that a program built for some CUDA version expects. */
#include "cuda/core/public.h"

#include <string.h>

#include "cuda_procaddr.h"

/* The driver takes both at once, too; the legacy stream is what is meant then. */
#define FLAGS_KNOWN                                                                                \
	(CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)

static int find(const char *name, void **fn, int version, cuuint64_t flags,
		CUdriverProcAddressQueryResult *status)
{
	static const CUdriverProcAddressQueryResult results[] = {
		[PVGPU_PROCADDR_FOUND] = CU_GET_PROC_ADDRESS_SUCCESS,
		[PVGPU_PROCADDR_NO_NAME] = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND,
		[PVGPU_PROCADDR_TOO_OLD] = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT,
	};
	enum pvgpu_procaddr_status found;
	pvgpu_proc proc;

	if (!name || !fn || flags & ~(cuuint64_t)FLAGS_KNOWN)
		return CUDA_ERROR_INVALID_VALUE;
	proc = pvgpu_procaddr_find(name, version,
				   flags == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &found);
	/* ISO C has no conversion from a function pointer to void *; POSIX has. */
	memcpy(fn, &proc, sizeof(*fn));
	*status = results[found];
	return 0;
}

PUBLIC CUresult cuGetProcAddress_v2(const char *name, void **fn, int version, cuuint64_t flags,
				    CUdriverProcAddressQueryResult *status)
{
	CUdriverProcAddressQueryResult found;
	const int r = find(name, fn, version, flags, &found);

	if (!r && status)
		*status = found;
	return r;
}

PUBLIC CUresult cuGetProcAddress(const char *name, void **fn, int version, cuuint64_t flags)
{
	CUdriverProcAddressQueryResult found;
	const int r = find(name, fn, version, flags, &found);

	if (r)
		return r;
	return found == CU_GET_PROC_ADDRESS_SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
