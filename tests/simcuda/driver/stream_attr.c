/* SPDX-License-Identifier: MIT */
/* Launch attributes of streams: kept, and without effect, but for the priority. */
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#include <pvgpu_cuda_launch.h>

static const CUlaunchAttributeID known[SIM_STREAM_ATTRS] = {
	CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
	CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY,
	CU_LAUNCH_ATTRIBUTE_PRIORITY,
	CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
	CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
};

static int index_of(CUlaunchAttributeID id)
{
	for (int i = 0; i < SIM_STREAM_ATTRS; i++)
		if (known[i] == id)
			return i;
	return -1;
}

static CUlaunchAttributeValue value_of(const struct sim_stream *s, int i)
{
	CUlaunchAttributeValue v = s->attr[i];

	if (!(s->attrs_given >> i & 1)) {
		memset(&v, 0, sizeof(v));
		if (known[i] == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY)
			v.syncPolicy = CU_SYNC_POLICY_AUTO;
		if (known[i] == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP)
			v.memSyncDomainMap.remote = 1;
	}
	if (known[i] == CU_LAUNCH_ATTRIBUTE_PRIORITY)
		v.priority = s->priority;
	return v;
}

API_PTSZ(cuStreamGetAttribute, (CUstream stream, CUstreamAttrID id, CUstreamAttrValue *value),
	 (stream, id, value))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!value || index_of(id) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	*value = value_of(s, index_of(id));
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamSetAttribute, (CUstream stream, CUstreamAttrID id, const CUstreamAttrValue *value),
	 (stream, id, value))
{
	const CUaccessPolicyWindow *w;
	struct sim_stream *s;
	uint64_t lo, hi;

	TRY(stream_get(stream, &s));
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(pvgpu_stream_attr_check(id, value));
	w = &value->accessPolicyWindow;
	if (id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW && w->num_bytes &&
	    !range_check((uintptr_t)w->base_ptr, w->num_bytes, false, &lo, &hi))
		return CUDA_ERROR_INVALID_VALUE;
	s->attr[index_of(id)] = *value;
	s->attrs_given |= 1u << index_of(id);
	if (id == CU_LAUNCH_ATTRIBUTE_PRIORITY && !s->legacy)
		s->priority = value->priority;
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamCopyAttributes, (CUstream dst, CUstream stream), (dst, stream))
{
	struct sim_stream *a, *b;

	TRY(stream_get(dst, &a));
	TRY(stream_get(stream, &b));
	memcpy(a->attr, b->attr, sizeof(a->attr));
	a->attrs_given = b->attrs_given;
	if (!a->legacy)
		a->priority = b->priority;
	return CUDA_SUCCESS;
}
