/* SPDX-License-Identifier: MIT */
#include "cuda/core/client.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/numbers.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"

#include "link/session.h"

static struct pvgpu_session *client_session(void)
{
	return session();
}

static int client_enter(void)
{
	return guest_enter();
}

static int client_current(struct ctx **c)
{
	return ctx_enter(c);
}

PUBLIC const struct pvgpu_client *pvgpuClient(void)
{
	static const struct pvgpu_client client = {
		.size = sizeof(client),
		.session = client_session,
		.enter = client_enter,
		.current = client_current,
		.stream = stream_enter,
		.describe = capture_describe,
		.result = ctx_result,
		.tables = object_tables,
		.object_new = object_new,
		.object_publish = object_publish,
		.object_retire = object_retire,
		.object_free = object_free,
		.copy2d = cuMemcpy2DUnaligned_v2,
		.copy2d_async = cuMemcpy2DAsync_v2,
		.pack = numbers_begin,
		.packs = numbers_put,
		.packed = numbers_end,
		.post = pvgpu_post,
		.post_mark = pvgpu_post_mark,
		.call = pvgpu_call,
		.broken = pvgpu_broken,
		.info = pvgpu_session_info,
	};

	return &client;
}

PUBLIC uint64_t pvgpuAwaited(void)
{
	return pvgpu_awaited();
}
