/* SPDX-License-Identifier: MIT */
/* Prefix sums in three launches that depend on each other. */
#include "tests/programs/common.h"

PTX(ptx_scan);

enum { BLOCK = 256 };

int main(int argc, char **argv)
{
	uint32_t n = (uint32_t)argument(argc, argv, 1, 20011), blocks = (n + BLOCK - 1) / BLOCK,
		 sum = 0;
	uint32_t *in = host_alloc(n * sizeof(*in)), *out = host_alloc(n * sizeof(*out));
	CUdeviceptr din, dout, dtotals, dscanned, dspare;
	CUfunction scan;
	CUmodule module;

	CHECK(blocks <= BLOCK, "at most %d elements", BLOCK * BLOCK);
	start();
	random_fill(in, n * sizeof(*in), 17);
	module = load(ptx_scan);
	scan = function(module, "scan_blocks");
	din = upload(in, n * sizeof(*in));
	dout = device_alloc(n * sizeof(*out));
	dtotals = device_alloc(blocks * sizeof(*out));
	dscanned = device_alloc(blocks * sizeof(*out));
	dspare = device_alloc(sizeof(*out));
	LAUNCH(scan, blocks, BLOCK, 0, NULL, &din, &dout, &dtotals, &n);
	LAUNCH(scan, 1, BLOCK, 0, NULL, &dtotals, &dscanned, &dspare, &blocks);
	LAUNCH(function(module, "add_totals"), blocks, BLOCK, 0, NULL, &dout, &dscanned, &n);
	download(out, dout, n * sizeof(*out));
	for (uint32_t i = 0; i < n; i++) {
		sum += in[i];
		CHECK(out[i] == sum, "prefix %u is %u, not %u", i, out[i], sum);
	}
	printf("scan: %u prefix sums, digest %016llx\n", n,
	       (unsigned long long)digest(out, n * sizeof(*out)));
	CU(cuMemFree(din));
	CU(cuMemFree(dout));
	CU(cuMemFree(dtotals));
	CU(cuMemFree(dscanned));
	CU(cuMemFree(dspare));
	finish();
	free(in);
	free(out);
	return 0;
}
