/* SPDX-License-Identifier: MIT */
/*
 * Launch attributes of streams: kept here, so that they are read back without asking, and told to
 * the worker when they change. A window of an access policy is of memory of the session's.
 */
#include "cuda/copy/copy.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/streams/stream.h"

#include <pvgpu_cuda_launch.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

/* The attributes that streams have, in the order of struct stream_attrs. */
static const CUlaunchAttributeID known[STREAM_ATTRS] = {
	CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
	CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY,
	CU_LAUNCH_ATTRIBUTE_PRIORITY,
	CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
	CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
};

struct place {
	struct target t;
	struct stream *real; /* NULL: the legacy default stream */
	struct stream_attrs *attrs;
};

static int enter(CUstream stream, bool per_thread, struct place *p)
{
	const int r = stream_enter_any(stream, per_thread, &p->t, &p->real);

	if (r)
		return r;
	if (p->real)
		stream_touch(p->real);
	p->attrs = p->real ? &p->real->attrs : &p->t.ctx->legacy_attrs;
	return 0;
}

static int index_of(CUlaunchAttributeID id)
{
	for (int i = 0; i < STREAM_ATTRS; i++)
		if (known[i] == id)
			return i;
	return -1;
}

static CUlaunchAttributeValue value_of(const struct place *p, int i)
{
	CUlaunchAttributeValue v;

	pthread_mutex_lock(&p->t.ctx->lock);
	memcpy(&v, p->attrs->value[i], sizeof(v));
	if (!(p->attrs->given >> i & 1)) {
		memset(&v, 0, sizeof(v));
		if (known[i] == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY)
			v.syncPolicy = CU_SYNC_POLICY_AUTO;
		if (known[i] == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP)
			v.memSyncDomainMap.remote = 1;
	}
	if (known[i] == CU_LAUNCH_ATTRIBUTE_PRIORITY && p->real)
		v.priority = p->real->priority;
	pthread_mutex_unlock(&p->t.ctx->lock);
	return v;
}

static int set(const struct place *p, int i, const CUlaunchAttributeValue *v)
{
	_Static_assert(sizeof(p->attrs->value[0]) == sizeof(*v), "room for a value");
	pthread_mutex_lock(&p->t.ctx->lock);
	memcpy(p->attrs->value[i], v, sizeof(*v));
	p->attrs->given |= 1u << i;
	if (known[i] == CU_LAUNCH_ATTRIBUTE_PRIORITY && p->real)
		p->real->priority = v->priority;
	pthread_mutex_unlock(&p->t.ctx->lock);
	/* How a thread waits is the guest's alone. */
	if (known[i] == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY)
		return 0;
	return pvgpu_do_stream_attr(session(), p->t.ctx->o.wire, p->t.stream, (uint32_t)known[i], v,
				    sizeof(*v));
}

static int check(CUlaunchAttributeID id, const CUlaunchAttributeValue *v)
{
	const CUaccessPolicyWindow *w = &v->accessPolicyWindow;
	enum side side;
	int r = pvgpu_stream_attr_check(id, v);

	if (r || id != CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW || !w->num_bytes)
		return r;
	r = side_of_device((uintptr_t)w->base_ptr, w->num_bytes, &side);
	return r || side != SIDE_DEVICE ? CUDA_ERROR_INVALID_VALUE : 0;
}

static int set_one(CUstream stream, CUstreamAttrID id, const CUstreamAttrValue *value,
		   bool per_thread)
{
	struct place p;
	int r = enter(stream, per_thread, &p);

	if (r)
		return r;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	r = check(id, value);
	return r ? r : set(&p, index_of(id), value);
}

static int get_one(CUstream stream, CUstreamAttrID id, CUstreamAttrValue *value, bool per_thread)
{
	struct place p;
	const int r = enter(stream, per_thread, &p);

	if (r)
		return r;
	if (!value || index_of(id) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	*value = value_of(&p, index_of(id));
	return 0;
}

static int copy_all(CUstream to, CUstream from, bool per_thread)
{
	struct place a, b;
	int r = enter(to, per_thread, &a);

	if (!r)
		r = enter(from, per_thread, &b);
	for (int i = 0; i < STREAM_ATTRS && !r; i++) {
		const CUlaunchAttributeValue v = value_of(&b, i);
		const CUlaunchAttributeValue was = value_of(&a, i);

		if (memcmp(&v, &was, sizeof(v)))
			r = set(&a, i, &v);
	}
	return r;
}

CU_PTSZ(cuStreamSetAttribute, (CUstream stream, CUstreamAttrID id, const CUstreamAttrValue *value),
	set_one(stream, id, value, per_thread))
CU_PTSZ(cuStreamGetAttribute, (CUstream stream, CUstreamAttrID id, CUstreamAttrValue *value),
	get_one(stream, id, value, per_thread))
CU_PTSZ(cuStreamCopyAttributes, (CUstream to, CUstream from), copy_all(to, from, per_thread))

PUBLIC CUresult cuCtxResetPersistingL2Cache(void)
{
	struct ctx *c;
	const int r = ctx_enter(&c);

	return r ? r : pvgpu_do_ctx_reset_l2(session(), c->o.wire);
}
