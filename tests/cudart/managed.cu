// SPDX-License-Identifier: MIT
/* Managed memory: host and device use the same addresses, for lists with pointers, too; a driver
 * without it says so. */
#include "test.h"

__global__ void square(int *v)
{
	v[threadIdx.x] *= v[threadIdx.x];
}

struct link {
	link *next, *made_before;
	int value;
};

/* Each thread follows one list, and adds an element's place to its value. */
__global__ void follow(link **lists, int *sums)
{
	int sum = 0, at = 0;

	for (link *l = lists[threadIdx.x]; l; l = l->next) {
		l->value += at++;
		sum += l->value;
	}
	sums[threadIdx.x] = sum;
}

static void check_squares()
{
	struct cudaPointerAttributes a;
	int *v;

	RT(cudaMallocManaged(&v, 64 * sizeof(int)));
	for (int i = 0; i < 64; i++)
		v[i] = i - 30;
	square<<<1, 64>>>(v);
	DONE();
	for (int i = 0; i < 64; i++)
		CHECK(v[i] == (i - 30) * (i - 30), "%d: %d", i, v[i]);
	RT(cudaPointerGetAttributes(&a, v));
	CHECK(a.type == cudaMemoryTypeManaged && a.devicePointer == v && a.hostPointer == v,
	      "type %d, %p and %p for %p", a.type, a.devicePointer, a.hostPointer, (void *)v);
	RT(cudaMemset(v, 0xff, 4));
	CHECK(v[0] == -1 && v[1] == 29 * 29, "%d %d after a fill", v[0], v[1]);
	WANT(cudaErrorInvalidValue, cudaFreeHost(v));
	cudaGetLastError();
	RT(cudaFree(v));
}

/* The list of each thread is longer than that of the one before. An element's value is less by one
 * than that of the element made after it, which stands before it: the device makes them equal. */
static void check_lists()
{
	enum { LISTS = 32 };
	link **lists, *all = NULL;
	int *sums;

	RT(cudaMallocManaged(&lists, LISTS * sizeof(*lists)));
	RT(cudaMallocManaged(&sums, LISTS * sizeof(*sums), cudaMemAttachHost));
	for (int i = 0; i < LISTS; i++) {
		lists[i] = NULL;
		for (int k = 0; k < 3 * i; k++) {
			link *l;

			RT(cudaMallocManaged(&l, sizeof(*l)));
			*l = {lists[i], all, 1000 * i + k};
			lists[i] = all = l;
		}
	}
	RT(cudaMemPrefetchAsync(lists, LISTS * sizeof(*lists), 0, NULL));
	follow<<<1, LISTS>>>(lists, sums);
	DONE();
	for (int i = 0; i < LISTS; i++) {
		const int each = 1000 * i + 3 * i - 1;

		CHECK(sums[i] == 3 * i * each, "list %d: %d", i, sums[i]);
		for (link *l = lists[i]; l; l = l->next)
			CHECK(l->value == each, "list %d: an element is %d", i, l->value);
	}
	while (all) {
		link *l = all;

		all = l->made_before;
		RT(cudaFree(l));
	}
	RT(cudaFree(lists));
	RT(cudaFree(sums));
}

static void check_advice()
{
	const struct cudaMemLocation dev = {cudaMemLocationTypeDevice, 0};
	cudaStream_t s;
	int got = 7;
	char *p;

	RT(cudaMallocManaged(&p, 3 * 4096));
	RT(cudaStreamCreate(&s));
	RT(cudaStreamAttachMemAsync(s, p, 0, cudaMemAttachSingle));
	RT(cudaMemAdvise(p + 4096, 4096, cudaMemAdviseSetPreferredLocation, 0));
	RT(cudaMemAdvise_v2(p + 4096, 1, cudaMemAdviseSetReadMostly, dev));
	RT(cudaMemRangeGetAttribute(&got, sizeof(got), cudaMemRangeAttributePreferredLocation,
				    p + 4096, 1));
	CHECK(got == 0, "prefers %d", got);
	RT(cudaMemRangeGetAttribute(&got, sizeof(got), cudaMemRangeAttributePreferredLocation, p,
				    3 * 4096));
	CHECK(got == cudaInvalidDeviceId, "all prefers %d", got);
	WANT(cudaErrorInvalidValue, cudaMemAdvise(&got, 4, cudaMemAdviseSetReadMostly, 0));
	WANT(cudaErrorInvalidValue, cudaMemPrefetchAsync_v2(&got, 4, dev, 0, s));
	cudaGetLastError();
	RT(cudaStreamDestroy(s));
	RT(cudaFree(p));
}

int main()
{
	int some, *v;

	RT(cudaDeviceGetAttribute(&some, cudaDevAttrManagedMemory, 0));
	if (!some) {
		WANT(cudaErrorNotSupported, cudaMallocManaged(&v, 64));
		WANT(cudaErrorNotSupported, cudaGetLastError());
	} else {
		check_squares();
		check_lists();
		check_advice();
	}
	printf("managed memory is right\n");
	return 0;
}
