/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: xen-pvgpu-back/daemon/rules/account_check.c */
/* FUZZ_OBJS: xen-pvgpu-back/daemon/rules/account_check.c xen-pvgpu-back/daemon/rules/judge.c */
/*
 * Records of pvgpu-health, which an NVML library that has been taken over may write. What is let
 * through has fields within bounds, and the judge takes it without going wrong.
 *
 * Input: records of 64 bytes; the time is that of the newest one that is let through.
 */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/rules/account_check.h"
#include "xen-pvgpu-back/daemon/rules/judge.h"

#define SECOND 1000000000ull

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct judge j = {0};
	struct account_vgpu account = {0};
	uint64_t now = 100 * SECOND, entitled = 0;
	char why[128], text[41];

	for (; size >= sizeof(struct health_msg);
	     size -= sizeof(struct health_msg), data += sizeof(struct health_msg)) {
		struct health_msg m;

		memcpy(&m, data, sizeof(m));
		why[0] = '\0';
		if (account_check(&m, now, why, sizeof(why)) < 0) {
			must(why[0] != '\0');
			continue;
		}
		must(m.kind && m.kind < HEALTH_KINDS);
		must(m.kind == HEALTH_HELLO || m.device < HEALTH_DEVICES);
		account_text(m.text, text);
		must(strlen(text) <= 40);
		if (m.kind != HEALTH_PROCESS)
			continue;
		must(m.at_ns <= now + SECOND && m.process.end_ns <= now + SECOND);
		must(m.process.begin_ns <= m.process.end_ns || !m.process.end_ns);
		if (m.process.end_ns)
			judge_use(&j, m.process.begin_ns, m.process.end_ns, m.process.busy_ns,
				  entitled, now, why, sizeof(why));
		account_add(&account, m.process.busy_ns, m.process.end_ns, now);
		if (m.pid % 3 == 0)
			account_settle(&account, entitled);
		judge_memory(&j, m.at_ns, m.process.memory, 1 << 20, 1 << 30, now, why,
			     sizeof(why));
		now += m.code % SECOND;
		entitled += m.pid % SECOND;
	}
	return 0;
}
