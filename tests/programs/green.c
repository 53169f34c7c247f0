/* SPDX-License-Identifier: MIT */
/*
 * Green contexts: resources and their splits, contexts of them, what runs where, and events of
 * whole contexts.
 */
#include "tests/programs/common.h"

enum { BLOCKS = 4096, PARTS = 2, SMS_MOST = 1024 };

/* out[block] = the multiprocessor on which it runs */
static const char image[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
			    ".visible .entry place(.param .u64 out)\n"
			    "{\n"
			    "	.reg .b32 %r<3>;\n"
			    "	.reg .b64 %rd<4>;\n"
			    "	ld.param.u64 %rd1, [out];\n"
			    "	cvta.to.global.u64 %rd2, %rd1;\n"
			    "	mov.u32 %r1, %smid;\n"
			    "	mov.u32 %r2, %ctaid.x;\n"
			    "	mul.wide.u32 %rd3, %r2, 4;\n"
			    "	add.s64 %rd2, %rd2, %rd3;\n"
			    "	st.global.u32 [%rd2], %r1;\n"
			    "	ret;\n"
			    "}\n";

static struct {
	CUdevice dev;
	CUcontext primary;
	unsigned int sms, minimum;
	CUdevResource all, part[PARTS], rest;
	CUgreenCtx green[PARTS];
	CUcontext ctx[PARTS];
	CUstream stream[PARTS];
	CUfunction place;
	CUdeviceptr out;
} it;

static void resources(void)
{
	int count = 0;

	CU(cuDeviceGetAttribute(&count, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, it.dev));
	CU(cuDeviceGetDevResource(it.dev, &it.all, CU_DEV_RESOURCE_TYPE_SM));
	CHECK(it.all.type == CU_DEV_RESOURCE_TYPE_SM && it.all.sm.smCount == (unsigned int)count,
	      "%u multiprocessors of %d", it.all.sm.smCount, count);
	it.sms = it.all.sm.smCount;
	WANT(CUDA_ERROR_INVALID_RESOURCE_TYPE,
	     cuDeviceGetDevResource(it.dev, &it.all, CU_DEV_RESOURCE_TYPE_INVALID));
	WANT(CUDA_ERROR_INVALID_DEVICE,
	     cuDeviceGetDevResource(77, &it.all, CU_DEV_RESOURCE_TYPE_SM));
	CU(cuCtxGetDevResource(it.primary, &it.all, CU_DEV_RESOURCE_TYPE_SM));
	CHECK(it.all.sm.smCount == it.sms, "the primary context has %u", it.all.sm.smCount);
}

static void split(void)
{
	CUdevResource more[PARTS + 1];
	unsigned int groups = 0, n = PARTS;

	CU(cuDevSmResourceSplitByCount(NULL, &groups, &it.all, NULL, 0, 1));
	CHECK(groups >= PARTS && groups <= it.sms, "%u groups", groups);
	CU(cuDevSmResourceSplitByCount(it.part, &n, &it.all, &it.rest, 0, 1));
	CHECK(n == PARTS, "%u groups of %d", n, PARTS);
	it.minimum = it.part[0].sm.smCount;
	CHECK(it.minimum && it.minimum == it.part[1].sm.smCount, "groups of %u and %u", it.minimum,
	      it.part[1].sm.smCount);
	CHECK(it.rest.type == (it.sms > PARTS * it.minimum ? CU_DEV_RESOURCE_TYPE_SM
							   : CU_DEV_RESOURCE_TYPE_INVALID),
	      "what remains is of type %d", it.rest.type);
	CHECK(it.rest.sm.smCount == it.sms - PARTS * it.minimum, "%u remain", it.rest.sm.smCount);
	n = SMS_MOST;
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDevSmResourceSplitByCount(NULL, &n, &it.all, NULL, 0, it.sms + 1));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDevSmResourceSplitByCount(NULL, &n, &it.all, NULL, 1u << 20, 1));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDevSmResourceSplitByCount(NULL, NULL, &it.all, NULL, 0, 1));
	/* Of what a split gave there are contexts only. */
	n = PARTS;
	WANT(CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION,
	     cuDevSmResourceSplitByCount(more, &n, &it.part[0], NULL, 0, 1));
}

static void descriptors(void)
{
	CUdevResource other[PARTS], mixed[PARTS], none = {0};
	CUdevResourceDesc desc;
	unsigned int n = PARTS;

	CU(cuDevSmResourceSplitByCount(other, &n, &it.all, NULL, 0, it.minimum + 1));
	mixed[0] = it.part[0];
	mixed[1] = other[0];
	WANT(CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION, cuDevResourceGenerateDesc(&desc, mixed, 2));
	WANT(CUDA_ERROR_INVALID_RESOURCE_TYPE, cuDevResourceGenerateDesc(&desc, &none, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuDevResourceGenerateDesc(&desc, it.part, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuDevResourceGenerateDesc(NULL, it.part, 1));
}

static CUgreenCtx create(CUdevResource *of, unsigned int n)
{
	CUdevResourceDesc desc;
	CUgreenCtx green;

	CU(cuDevResourceGenerateDesc(&desc, of, n));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGreenCtxCreate(&green, desc, it.dev, 0));
	CU(cuGreenCtxCreate(&green, desc, it.dev, CU_GREEN_CTX_DEFAULT_STREAM));
	return green;
}

static void contexts(void)
{
	unsigned long long id[PARTS], ids[PARTS];
	CUdevResource has;

	for (int i = 0; i < PARTS; i++) {
		it.green[i] = create(&it.part[i], 1);
		CU(cuCtxFromGreenCtx(&it.ctx[i], it.green[i]));
		CU(cuGreenCtxGetDevResource(it.green[i], &has, CU_DEV_RESOURCE_TYPE_SM));
		CHECK(has.sm.smCount == it.minimum, "it has %u", has.sm.smCount);
		CU(cuGreenCtxGetId(it.green[i], &id[i]));
		CU(cuCtxGetId(it.ctx[i], &ids[i]));
		CU(cuGreenCtxStreamCreate(&it.stream[i], it.green[i], CU_STREAM_NON_BLOCKING, 0));
	}
	CHECK(id[0] != id[1] && ids[0] != ids[1], "two have one number");
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuGreenCtxStreamCreate(&it.stream[0], it.green[0], CU_STREAM_DEFAULT, 0));
	WANT(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy(it.ctx[0]));
}

/* How many multiprocessors a kernel of many blocks runs on. */
static unsigned int spread(CUstream s)
{
	static uint32_t at[BLOCKS];
	bool used[SMS_MOST] = {false};
	unsigned int n = 0;

	CU(cuMemsetD32(it.out, SMS_MOST, BLOCKS));
	LAUNCH(it.place, BLOCKS, 1, 0, s, &it.out);
	CU(cuStreamSynchronize(s));
	download(at, it.out, sizeof(at));
	for (int i = 0; i < BLOCKS; i++) {
		CHECK(at[i] < SMS_MOST, "block %d did not run", i);
		n += !used[at[i]];
		used[at[i]] = true;
	}
	return n;
}

static void current(void)
{
	CUdevResource has;
	CUgreenCtx green;
	CUstream mine;
	CUcontext ctx;
	void *args[] = {&it.out};

	CU(cuCtxPushCurrent(it.ctx[0]));
	CU(cuCtxGetCurrent(&ctx));
	CHECK(ctx == it.ctx[0], "another context is current");
	CU(cuCtxGetDevResource(NULL, &has, CU_DEV_RESOURCE_TYPE_SM));
	CHECK(has.sm.smCount == it.minimum, "the current context has %u", has.sm.smCount);
	CU(cuStreamGetGreenCtx(NULL, &green));
	CHECK(green == it.green[0], "the default stream is another context's");
	CU(cuStreamCreate(&mine, CU_STREAM_DEFAULT));
	CU(cuStreamGetGreenCtx(mine, &green));
	CHECK(green == it.green[0], "a new stream is another context's");
	CU(cuStreamGetCtx(mine, &ctx));
	CHECK(ctx == it.ctx[0], "nor is its context");
	CU(cuStreamGetCtx_v2(mine, &ctx, &green));
	CHECK(ctx == it.primary && green == it.green[0], "both contexts of a stream");
	CHECK(spread(NULL) <= it.minimum && spread(mine) <= it.minimum, "too many are used");
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
	     cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
	/* More blocks than its multiprocessors hold together, as many as the device's do. */
	WANT(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
	     cuLaunchCooperativeKernel(it.place, 2 * it.sms, 1, 1, 1024, 1, 1, 0, NULL, args));
	CU(cuStreamDestroy(mine));
	CU(cuCtxPopCurrent(&ctx));
	CHECK(ctx == it.ctx[0], "another context was current");
	CU(cuStreamGetGreenCtx(NULL, &green));
	CHECK(!green, "the primary context is a green one");
	CHECK(spread(it.stream[1]) <= it.minimum, "too many are used");
	CHECK(spread(NULL) > it.minimum, "the primary context has a part only");
}

/* A green context of all of another one. */
static void nested(void)
{
	CUdevResource has, part;
	unsigned int n = 1;
	CUgreenCtx all = create(&it.all, 1), inner;

	CU(cuGreenCtxGetDevResource(all, &has, CU_DEV_RESOURCE_TYPE_SM));
	CHECK(has.sm.smCount == it.sms, "all are %u", has.sm.smCount);
	CU(cuDevSmResourceSplitByCount(&part, &n, &has, NULL, 0, 1));
	inner = create(&part, 1);
	CU(cuGreenCtxGetDevResource(inner, &has, CU_DEV_RESOURCE_TYPE_SM));
	CHECK(has.sm.smCount == it.minimum, "the inner one has %u", has.sm.smCount);
	CU(cuGreenCtxDestroy(inner));
	CU(cuGreenCtxDestroy(all));
	inner = create(it.part, PARTS);
	CU(cuGreenCtxGetDevResource(inner, &has, CU_DEV_RESOURCE_TYPE_SM));
	CHECK(has.sm.smCount == PARTS * it.minimum, "both parts are %u", has.sm.smCount);
	CU(cuGreenCtxDestroy(inner));
}

static void records(CUevent e)
{
	struct gate gate;

	gate_close(&gate, it.stream[0]);
	CU(cuGreenCtxRecordEvent(it.green[1], e));
	CU(cuEventSynchronize(e));
	CU(cuGreenCtxRecordEvent(it.green[0], e));
	WANT(CUDA_ERROR_NOT_READY, cuEventQuery(e));
	CU(cuCtxRecordEvent(it.ctx[1], e));
	CU(cuEventSynchronize(e));
	/* The primary context has the work of its green ones, too. */
	CU(cuCtxRecordEvent(it.primary, e));
	WANT(CUDA_ERROR_NOT_READY, cuEventQuery(e));
	gate_open(&gate);
	CU(cuEventSynchronize(e));
}

static void waits(CUevent e)
{
	struct gate gate;
	CUstream later, other;

	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	gate_close(&gate, it.stream[0]);
	CU(cuEventRecord(e, it.stream[0]));
	CU(cuGreenCtxWaitEvent(it.green[1], e));
	CU(cuGreenCtxStreamCreate(&later, it.green[1], CU_STREAM_NON_BLOCKING, 0));
	CU(cuMemsetD32Async(it.out, 1, 1, it.stream[1]));
	CU(cuMemsetD32Async(it.out + 4, 2, 1, later));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(it.stream[1]));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(later));
	CU(cuStreamSynchronize(other)); /* of the primary context, which does not wait */
	CU(cuCtxWaitEvent(it.primary, e));
	CU(cuMemsetD32Async(it.out + 8, 3, 1, other));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(other));
	gate_open(&gate);
	CU(cuStreamSynchronize(other));
	CU(cuStreamSynchronize(later));
	CU(cuStreamDestroy(later));
	CU(cuStreamDestroy(other));
}

static void captured(CUevent e)
{
	CUgraph graph;

	CU(cuStreamBeginCapture(it.stream[0], CU_STREAM_CAPTURE_MODE_RELAXED));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuGreenCtxWaitEvent(it.green[0], e));
	WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(it.stream[0], &graph));
	CU(cuStreamBeginCapture(it.stream[0], CU_STREAM_CAPTURE_MODE_RELAXED));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuCtxRecordEvent(it.ctx[0], e));
	WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(it.stream[0], &graph));
	CU(cuStreamBeginCapture(it.stream[0], CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuGreenCtxRecordEvent(it.green[1], e));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuGreenCtxRecordEvent(it.green[0], e));
	WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(it.stream[0], &graph));
	CU(cuStreamBeginCapture(it.stream[0], CU_STREAM_CAPTURE_MODE_RELAXED));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuCtxWaitEvent(it.primary, e));
	WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(it.stream[0], &graph));
}

static void refused(void)
{
	CUdevResource has;

	WANT(CUDA_ERROR_INVALID_RESOURCE_TYPE,
	     cuCtxGetDevResource(it.ctx[0], &has, CU_DEV_RESOURCE_TYPE_INVALID));
	WANT(CUDA_ERROR_INVALID_RESOURCE_TYPE,
	     cuGreenCtxGetDevResource(it.green[0], &has, CU_DEV_RESOURCE_TYPE_INVALID));
	if (!handles_are_checked())
		return;
	WANT(CUDA_ERROR_INVALID_VALUE, cuCtxFromGreenCtx(NULL, it.green[0]));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGreenCtxGetId(it.green[0], NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamGetGreenCtx(NULL, NULL));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuCtxRecordEvent(it.primary, NULL));
}

static void destroy(void)
{
	CUgreenCtx gone = it.green[0];

	CU(cuStreamDestroy(it.stream[1]));
	CU(cuGreenCtxDestroy(it.green[0]));
	CU(cuGreenCtxDestroy(it.green[1]));
	if (!handles_are_checked())
		return;
	/* A stream that was left in it answers so for ever. */
	WANT(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuStreamQuery(it.stream[0]));
	WANT(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuStreamDestroy(it.stream[0]));
	WANT(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuGreenCtxDestroy(gone));
	WANT(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSetCurrent(it.ctx[0]));
	WANT(CUDA_ERROR_INVALID_CONTEXT, cuGreenCtxDestroy(NULL));
}

int main(void)
{
	CUmodule module;
	CUevent e;

	it.dev = start();
	CU(cuCtxGetCurrent(&it.primary));
	module = load(image);
	it.place = function(module, "place");
	it.out = device_alloc(BLOCKS * sizeof(uint32_t));
	CU(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	resources();
	split();
	descriptors();
	contexts();
	current();
	nested();
	records(e);
	waits(e);
	captured(e);
	refused();
	destroy();
	CU(cuEventDestroy(e));
	CU(cuMemFree(it.out));
	CU(cuModuleUnload(module));
	finish();
	puts("green contexts: all right");
	return 0;
}
