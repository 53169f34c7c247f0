/* SPDX-License-Identifier: MIT */
#define __CUDA_API_VERSION_INTERNAL
#include "tests/simlibs/cublaslt/work.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sim_work *kept;

static void CUDA_CB run(void *arg)
{
	struct sim_work *w = arg;

	w->run(w);
	if (!w->kept)
		free(w);
}

cublasStatus_t sim_push(struct sim_work *w, CUstream stream)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

	w->kept =
		!cuStreamIsCapturing(stream, &status) && status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
	if (w->kept) {
		pthread_mutex_lock(&lock);
		w->next = kept;
		kept = w;
		pthread_mutex_unlock(&lock);
	}
	if (!cuLaunchHostFunc(stream, run, w))
		return CUBLAS_STATUS_SUCCESS;
	if (!w->kept)
		free(w);
	return CUBLAS_STATUS_EXECUTION_FAILED;
}
