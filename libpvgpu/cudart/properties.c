/* SPDX-License-Identifier: MIT */
/* The answer of cudaGetDeviceProperties, from the driver's attributes. */
#include "cudart/properties.h"

#include <string.h>

/* An attribute that the driver does not know is 0. */
static int ask(CUdevice dev, int attr)
{
	int value;

	return rt_cu.cuDeviceGetAttribute(&value, attr, dev) ? 0 : value;
}

/* The members that are not attributes lie at the same place in both layouts. */
static cudaError_t head(struct prop12 *p, CUdevice dev)
{
	CUuuid uuid;
	CUresult r;

	r = rt_cu.cuDeviceGetName(p->name, sizeof(p->name), dev);
	if (!r)
		r = rt_cu.cuDeviceTotalMem_v2(&p->totalGlobalMem, dev);
	if (!r && !rt_cu.cuDeviceGetUuid_v2(&uuid, dev))
		memcpy(&p->uuid, &uuid, sizeof(p->uuid));
	if (rt_cu.cuDeviceGetLuid(p->luid, &p->luidDeviceNodeMask, dev)) {
		memset(p->luid, 0, sizeof(p->luid));
		p->luidDeviceNodeMask = 0;
	}
	return rt_error(r);
}

_Static_assert(offsetof(struct prop12, totalGlobalMem) == offsetof(struct prop13, totalGlobalMem),
	       "");

#define ASK(member, attr) p->member = ask(dev, CU_DEVICE_ATTRIBUTE_##attr);
#define SKIP(member, attr)

static void fill12(struct prop12 *p, CUdevice dev)
{
#define P   ASK
#define OLD ASK
#define NEW SKIP
#include "cudart/properties.def"
#undef OLD
#undef NEW
}

static void fill13(struct prop13 *p, CUdevice dev){
#define OLD SKIP
#define NEW ASK
#include "cudart/properties.def"
}

static cudaError_t check(const void *p, int device, CUdevice *dev)
{
	const cudaError_t e = rt_device(device, dev);

	return e || p ? e : cudaErrorInvalidValue;
}

cudaError_t rt_properties12(struct prop12 *p, int device)
{
	cudaError_t e;
	CUdevice dev;

	e = check(p, device, &dev);
	if (e)
		return e;
	memset(p, 0, sizeof(*p));
	fill12(p, dev);
	return head(p, dev);
}

cudaError_t rt_properties13(struct prop13 *p, int device)
{
	struct prop12 first = {0};
	cudaError_t e;
	CUdevice dev;

	e = check(p, device, &dev);
	if (e)
		return e;
	memset(p, 0, sizeof(*p));
	fill13(p, dev);
	e = head(&first, dev);
	memcpy(p, &first, offsetof(struct prop13, sharedMemPerBlock));
	return e;
}

cudaError_t rt_choose(int *device, size_t memory, int major, int minor)
{
	cudaError_t e = rt_driver();
	int count = 0, best = -1, best_cc = 0;

	if (!e)
		e = rt_error(rt_cu.cuDeviceGetCount(&count));
	for (int i = 0; !e && i < count; i++) {
		size_t has;
		CUdevice dev;
		int cc;

		e = rt_device(i, &dev);
		if (e)
			break;
		cc = ask(dev, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) * 10 +
		     ask(dev, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
		e = rt_error(rt_cu.cuDeviceTotalMem_v2(&has, dev));
		if (!e && has >= memory && cc >= major * 10 + minor && cc > best_cc) {
			best = i;
			best_cc = cc;
		}
	}
	if (!e)
		*device = best < 0 ? 0 : best;
	return e;
}
