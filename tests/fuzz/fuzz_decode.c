/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: gen/pvgpu_decode.c */
/* FUZZ_OBJS: gen/pvgpu_decode.c gen/pvgpu_stubs.c gen/pvgpu_wire_test.c tests/fuzz/wire_end.c */
/*
 * Hostile guests: a record goes through the dispatch table to its decoder and, when that accepts
 * it, to a handler that reads every byte it was promised.
 *
 * Input: the record. Bit 7 of seq's second byte makes handlers fail, so that replies and deferred
 * errors run too.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/wire_end.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pvgpu_cmd_desc *d;
	struct pvgpu_cmd_hdr hdr;
	uint8_t *rec;
	int result;

	if (size < sizeof(hdr) || size > PVGPU_CMD_MAX)
		return -1;
	memcpy(&hdr, data, sizeof(hdr));
	d = pvgpu_cmd_find(hdr.op);
	if (!d)
		return -1;
	rec = malloc(size); /* of just this size, for the sanitizer */
	if (!rec)
		return -1;
	memcpy(rec, data, size);
	wire_end_reset(hdr.seq & 0x8000 ? 719 : 0);
	result = d->run(wire_end_worker(), &wire_end_decode, rec, (uint32_t)size);
	if (result && result != PVGPU_FATAL)
		abort();
	/* Nothing was answered, or just what this command may have as an answer. */
	wire_end_check(d, &hdr, result);
	free(rec);
	return 0;
}
