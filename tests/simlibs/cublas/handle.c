/* SPDX-License-Identifier: MIT */
/*
 * Handles, their settings, and calls on their way. For tests: SIMCUBLAS_STATUS=CALL:STATUS has a
 * call answer a status, SIMCUBLAS_WORKSPACE=BYTES has a handle take so much device memory for
 * itself.
 */
#include "tests/simlibs/cublas/sim.h"

#include <pthread.h>

enum { WORKSPACE = 4 << 20, VERSION = 130000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the lists of jobs */

cublasStatus_t sim_asked(const char *call)
{
	const char *text = getenv("SIMCUBLAS_STATUS");
	const size_t len = strlen(call);

	if (!text || strncmp(text, call, len) || text[len] != ':')
		return CUBLAS_STATUS_SUCCESS;
	return (cublasStatus_t)atoi(text + len + 1);
}

static size_t workspace(void)
{
	const char *text = getenv("SIMCUBLAS_WORKSPACE");

	return text ? strtoull(text, NULL, 10) : WORKSPACE;
}

PUBLIC cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
	cublasStatus_t s = sim_asked("cublasCreate_v2");
	struct cublasContext *h;

	if (s || !handle)
		return s ? s : CUBLAS_STATUS_INVALID_VALUE;
	if (!blas_open())
		return CUBLAS_STATUS_NOT_INITIALIZED;
	h = calloc(1, sizeof(*h));
	if (!h)
		return CUBLAS_STATUS_ALLOC_FAILED;
	if (cuModuleLoadData(&h->module, SIMCUDA_NATIVE_PTX) ||
	    cuModuleGetFunction(&h->native, h->module, "native")) {
		free(h);
		return CUBLAS_STATUS_NOT_INITIALIZED;
	}
	if (cuMemAlloc_v2(&h->workspace, workspace())) {
		cuModuleUnload(h->module);
		free(h);
		return CUBLAS_STATUS_ALLOC_FAILED;
	}
	pthread_mutex_init(&h->answering, NULL);
	h->special = CUDA_EMULATION_SPECIAL_VALUES_SUPPORT_DEFAULT;
	*handle = h;
	return CUBLAS_STATUS_SUCCESS;
}

static void forget(struct job *j)
{
	simcuda_native_remove(&j->native);
	pthread_mutex_lock(&lock);
	*j->link = j->next;
	if (j->next)
		j->next->link = j->link;
	pthread_mutex_unlock(&lock);
	free(j);
}

PUBLIC cublasStatus_t cublasDestroy_v2(cublasHandle_t h)
{
	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	cuCtxSynchronize();
	while (h->jobs)
		forget(h->jobs);
	cuMemFree_v2(h->workspace);
	cuModuleUnload(h->module);
	free(h);
	return CUBLAS_STATUS_SUCCESS;
}

static bool run(struct simcuda_native *n, uint64_t *bad)
{
	struct job *j = (struct job *)n;
	bool good = !j->lent || sim_reach(j->lent, sizeof(*j->lent), true, bad);

	if (good && j->lent)
		*j->lent += 8;
	good = good && j->exec(j, bad);
	if (!j->captured)
		forget(j);
	return good;
}

void *sim_job(struct cublasContext *h, size_t size, bool (*exec)(struct job *j, uint64_t *bad))
{
	struct job *j = calloc(1, size);

	if (!j)
		return NULL;
	j->h = h;
	j->device = h->mode == CUBLAS_POINTER_MODE_DEVICE;
	j->lent = h->lent;
	j->exec = exec;
	j->native.run = run;
	simcuda_native_add(&j->native);
	pthread_mutex_lock(&lock);
	j->next = h->jobs;
	j->link = &h->jobs;
	if (j->next)
		j->next->link = &j->next;
	h->jobs = j;
	pthread_mutex_unlock(&lock);
	return j;
}

cublasStatus_t sim_launch(void *job)
{
	struct job *j = job;
	uint64_t number = j->native.number;
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	struct cublasContext *h = j->h;

	j->captured = !cuStreamIsCapturing(h->stream, &status) &&
		      status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
	if (!cuLaunchKernel(h->native, 1, 1, 1, 1, 1, 1, 0, h->stream, (void *[]){&number}, NULL))
		return CUBLAS_STATUS_SUCCESS;
	forget(j);
	return CUBLAS_STATUS_EXECUTION_FAILED;
}

static cublasStatus_t fetch(struct cublasContext *h, void *to, uint64_t bytes)
{
	if (cuMemcpyDtoHAsync_v2(to, h->workspace, bytes, h->stream) ||
	    cuStreamSynchronize(h->stream))
		return CUBLAS_STATUS_EXECUTION_FAILED;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t sim_answer(void *job, void *to, uint64_t bytes)
{
	struct cublasContext *h = ((struct job *)job)->h;
	cublasStatus_t s;

	if (h->mode)
		return sim_launch(job);
	pthread_mutex_lock(&h->answering);
	s = sim_launch(job);
	if (!s)
		s = fetch(h, to, bytes);
	pthread_mutex_unlock(&h->answering);
	return s;
}

bool sim_reach(const void *p, uint64_t bytes, bool write, uint64_t *bad)
{
	if (simcuda_reach((uintptr_t)p, bytes, write))
		return true;
	*bad = (uintptr_t)p;
	return false;
}

PUBLIC cublasStatus_t cublasGetVersion_v2(cublasHandle_t h, int *version)
{
	const cublasStatus_t s = sim_asked("cublasGetVersion_v2");

	/* A handle is not asked for: frameworks look before they make one. */
	(void)h;
	if (s || !version)
		return s ? s : CUBLAS_STATUS_INVALID_VALUE;
	*version = VERSION;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value)
{
	const int parts[] = {VERSION / 10000, VERSION / 100 % 100, VERSION % 100};
	const cublasStatus_t s = sim_asked("cublasGetProperty");

	if (s || type > PATCH_LEVEL || !value)
		return s ? s : CUBLAS_STATUS_INVALID_VALUE;
	*value = parts[type];
	return CUBLAS_STATUS_SUCCESS;
}

#define SETTER(Name, member, type, name, bad)                                                      \
	PUBLIC cublasStatus_t cublasSet##Name(cublasHandle_t h, type name)                         \
	{                                                                                          \
		if (!h)                                                                            \
			return CUBLAS_STATUS_NOT_INITIALIZED;                                      \
		if (bad)                                                                           \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		h->member = name;                                                                  \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}
#define GETTER(Name, member, type, name)                                                           \
	PUBLIC cublasStatus_t cublasGet##Name(cublasHandle_t h, type *name)                        \
	{                                                                                          \
		if (!h)                                                                            \
			return CUBLAS_STATUS_NOT_INITIALIZED;                                      \
		if (!name)                                                                         \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		*name = h->member;                                                                 \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}
#define PAIR(Name, member, type, name, bad)                                                        \
	SETTER(Name, member, type, name, bad)                                                      \
	GETTER(Name, member, type, name)
GETTER(Stream_v2, stream, CUstream, streamId)
PAIR(PointerMode_v2, mode, cublasPointerMode_t, pointerMode, pointerMode > 1)
PAIR(MathMode, math, cublasMath_t, mathMode, mathMode > 31)
PAIR(AtomicsMode, atomics, cublasAtomicsMode_t, atomicsMode, atomicsMode > 1)
PAIR(SmCountTarget, sm_count, int, smCountTarget, smCountTarget < 0)
PAIR(EmulationStrategy, strategy, cublasEmulationStrategy_t, emulationStrategy,
     emulationStrategy > CUBLAS_EMULATION_STRATEGY_EAGER)
PAIR(EmulationSpecialValuesSupport, special, cudaEmulationSpecialValuesSupport, mask,
     mask > CUDA_EMULATION_SPECIAL_VALUES_SUPPORT_DEFAULT)
PAIR(FixedPointEmulationMantissaControl, control, cudaEmulationMantissaControl, mantissaControl,
     mantissaControl > CUDA_EMULATION_MANTISSA_CONTROL_FIXED)
PAIR(FixedPointEmulationMaxMantissaBitCount, bit_count, int, maxMantissaBitCount, 0)
PAIR(FixedPointEmulationMantissaBitOffset, bit_offset, int, mantissaBitOffset, 0)

PUBLIC cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t h, void *workspace, size_t bytes)
{
	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	h->lent = bytes >= sizeof(*h->lent) ? workspace : NULL;
	return CUBLAS_STATUS_SUCCESS;
}

/* Takes back the workspace, also when the stream is the same one. */
PUBLIC cublasStatus_t cublasSetStream_v2(cublasHandle_t h, CUstream streamId)
{
	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	h->stream = streamId;
	h->lent = NULL;
	return CUBLAS_STATUS_SUCCESS;
}
