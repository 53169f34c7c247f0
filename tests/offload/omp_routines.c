/* SPDX-License-Identifier: MIT */
/* Device memory by calls: allocation, copies (of boxes, too), pointers for regions. */
#include <omp.h>

#include "tests/offload/check.h"

enum { N = 256 };

int main(void)
{
	const int dev = omp_get_default_device(), host = omp_get_initial_device();
	int v[N], w[N], box[4][4] = {{0}}, bad = 0;
	const size_t shape[] = {4, 4}, part[] = {2, 2}, to[] = {1, 2}, from[] = {0, 0};
	int *p = omp_target_alloc(sizeof(v), dev), *q = omp_target_alloc(sizeof(box), dev);

	CHECK(p && q, "no device memory");
	for (int i = 0; i < N; i++)
		v[i] = i * i;
	CHECK(!omp_target_memcpy(p, v, sizeof(v), 0, 0, dev, host), "copy to the device");
#pragma omp target is_device_ptr(p)
	for (int i = 0; i < N; i++)
		p[i] = -p[i];
	CHECK(!omp_target_memcpy(w, p, sizeof(int) * (N - 10), 0, sizeof(int) * 10, host, dev),
	      "copy from the device");
	for (int i = 0; i < N - 10; i++)
		bad += w[i] != -(i + 10) * (i + 10);
	SAME("wrong", bad, 0);
	CHECK(!omp_target_memcpy(q, box, sizeof(box), 0, 0, dev, host), "copy of the box");
	CHECK(!omp_target_memcpy_rect(q, v, sizeof(int), 2, part, to, from, shape, shape, dev,
				      host),
	      "copy of a part");
	CHECK(!omp_target_memcpy(box, q, sizeof(box), 0, 0, host, dev), "copy of the box back");
	SAME("corner", box[1][2], 0);
	SAME("beside it", box[1][3], 1);
	SAME("below it", box[2][3], 25);
	CHECK(!omp_target_associate_ptr(v, p, sizeof(v), 0, dev), "associate");
#pragma omp target map(tofrom : v)
	v[3] = 1234;
	SAME("the host's", v[3], 9);
#pragma omp target update from(v [3:1])
	SAME("the device's", v[3], 1234);
	CHECK(!omp_target_disassociate_ptr(v, dev), "disassociate");
	omp_target_free(q, dev);
	omp_target_free(p, dev);
	return 0;
}
