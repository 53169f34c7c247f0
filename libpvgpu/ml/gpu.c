/* SPDX-License-Identifier: MIT */
/*
 * The description of the GPU below the vGPU, from pvgpud: the key `card` of
 * xenstore-schema/pvgpu.schema, on the local link as an answer and on the Xen link as a file of the
 * module.
 */
#include "ml/ml.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "link/cancel.h"
#include "link/link.h"
#include "link/local.h"

static_assert(PVGPU_LOCAL_GPU_TEXT <= ML_GPU_TEXT, "room for the local link's answer");

static nvmlReturn_t ask_local(const char *path, char *text, size_t *len)
{
	struct pvgpu_local_gpu m;
	const nvmlReturn_t r = ml_ask_local(path, PVGPU_LOCAL_ASK_GPU, &m, sizeof(m));

	if (r)
		return r;
	*len = strnlen(m.text, sizeof(m.text));
	memcpy(text, m.text, *len);
	return NVML_SUCCESS;
}

static nvmlReturn_t ask(char *text, size_t *len)
{
	const int cancel = pvgpu_cancel_off();
	const char *path;
	nvmlReturn_t r;

	r = pvgpu_link_named(&path) ? ml_gpu_xen(path, text, len) : ask_local(path, text, len);
	pvgpu_cancel_back(cancel);
	return r;
}

static bool known;

void ml_gpu_forget(void)
{
	known = false;
}

/* Monitors ask for many values at once; pvgpud learns new ones seldom. */
nvmlReturn_t ml_gpu(struct pvgpu_gpu_card *out)
{
	static struct pvgpu_gpu_card last;
	static struct timespec at;
	char text[ML_GPU_TEXT];
	struct timespec now;
	size_t len = 0;
	nvmlReturn_t r;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!known || now.tv_sec != at.tv_sec) {
		known = false;
		r = ask(text, &len);
		/* A backend of an earlier release tells nothing. */
		if (r == NVML_ERROR_NOT_SUPPORTED)
			len = 0;
		else if (r)
			return r;
		if (pvgpu_gpu_card_parse(text, len, &last, NULL))
			pvgpu_gpu_card_parse("", 0, &last, NULL);
		at = now;
		known = true;
	}
	*out = last;
	return NVML_SUCCESS;
}
