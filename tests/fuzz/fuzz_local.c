/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: xen-pvgpu-back/contract/local_check.c */
/* FUZZ_OBJS: xen-pvgpu-back/contract/local_check.c xen-pvgpu-back/daemon/rules/ledger.c */
/*
 * What a guest sends on the local link's sockets and what a worker and pvgpud send each other. The
 * first byte says which; what passes the checks must be what the checks promise.
 */
#include <stdlib.h>
#include <string.h>

#include "ring/ring.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/daemon/rules/ledger.h"
#include "xen-pvgpu-back/contract/local_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

static char reason[CHECK_REASON];

/* Messages are read into room for one and have any length. */
static size_t take(void *to, size_t cap, const uint8_t *data, size_t size)
{
	memset(to, 0, cap);
	if (size)
		memcpy(to, data, size < cap ? size : cap);
	return size;
}

static void fuzz_open(const uint8_t *data, size_t size)
{
	struct pvgpu_local_open m;
	size_t len = take(&m, sizeof(m), data, size);

	if (check_open(&m, len, reason) == 0) {
		MUST(pvgpu_ring_size_ok(m.cmd_size) && pvgpu_ring_size_ok(m.rep_size));
		MUST(memchr(m.comm, 0, sizeof(m.comm)));
	} else {
		MUST(memchr(reason, 0, sizeof(reason)) && reason[0]);
	}
}

static void fuzz_chunk(const uint8_t *data, size_t size)
{
	struct check_arena a = {
		.base = 1ull << 45, .size = 1ull << 34, .used = 1 << 20, .limit = 1ull << 33};
	struct pvgpu_local_chunk m;
	unsigned int fds = size ? data[0] & 3 : 0;
	size_t len = size ? take(&m, sizeof(m), data + 1, size - 1) : take(&m, sizeof(m), data, 0);

	if (check_chunk(&m, len, fds, &a, reason) == 0) {
		MUST(m.address >= a.base && m.address + m.size > m.address &&
		     m.address + m.size <= a.base + a.size);
		MUST(m.size % 4096 == 0 && m.address % 4096 == 0);
		MUST(m.op == PVGPU_CHUNK_REMOVE || (fds == 1 && a.used + m.size <= a.limit));
	}
}

/* A conversation of a worker with pvgpud's ledger. */
static void fuzz_worker(const uint8_t *data, size_t size)
{
	struct ledger l = {.quota = 1ull << 32, .used = 1ull << 31};
	uint64_t leased = 0;

	while (size > 1) {
		struct pvgpu_sup m;
		enum check_worker_state state = data[0] % (CHECK_ENDED + 1);
		size_t n = size - 1 < sizeof(m) ? size - 1 : sizeof(m);
		size_t len = take(&m, sizeof(m), data + 1, n);

		data += 1 + n;
		size -= 1 + n;
		if (check_from_worker(&m, len, m.kind == PVGPU_SUP_SHARED && !m.a, state, reason) <
		    0)
			continue;
		MUST(memchr(m.vgpu, 0, sizeof(m.vgpu)));
		MUST(m.kind == PVGPU_SUP_IMPORT || memchr(m.reason, 0, sizeof(m.reason)));
		if (m.kind == PVGPU_SUP_LEASE)
			ledger_take(&l, &leased, m.a);
		if (m.kind == PVGPU_SUP_RETURN)
			ledger_give(&l, &leased, m.a);
		if (m.kind == PVGPU_SUP_STATE)
			ledger_adopt(&l, &leased, m.a >> 24);
		MUST(l.used == (1ull << 31) + leased);
	}
	ledger_end(&l, &leased);
	MUST(l.used == 1ull << 31);
}

static void fuzz_daemon(const uint8_t *data, size_t size)
{
	struct pvgpu_sup_assign m;
	unsigned int fds = size ? data[0] & 7 : 0;
	enum check_serves serves = size ? data[0] >> 3 & 3 : CHECK_NOTHING_YET;
	size_t len = size ? take(&m, sizeof(m), data + 1, size - 1) : take(&m, sizeof(m), data, 0);

	if (serves > CHECK_XEN_SESSION || check_from_daemon(&m, len, serves, fds, reason) != 0)
		return;
	MUST(m.head.kind != PVGPU_SUP_ASSIGN ||
	     (serves == CHECK_NOTHING_YET && pvgpu_ring_size_ok(m.cmd_size) &&
	      m.link <= PVGPU_SUP_LINK_XEN && fds >= PVGPU_SUP_XEN_FDS));
	MUST(m.head.kind < PVGPU_SUP_CHUNK_ADD || m.head.kind > PVGPU_SUP_CLOSE ||
	     serves == CHECK_XEN_SESSION);
	MUST(m.head.kind != PVGPU_SUP_GATE ||
	     (serves != CHECK_NOTHING_YET && fds == PVGPU_GATE_FDS));
	MUST(m.head.kind != PVGPU_SUP_CANARY || serves == CHECK_NOTHING_YET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const what[])(const uint8_t *, size_t) = {fuzz_open, fuzz_chunk, fuzz_worker,
								fuzz_daemon};
	char name[64] = {0};

	if (!size)
		return 0;
	what[data[0] & 3](data + 1, size - 1);
	memcpy(name, data, size < sizeof(name) - 1 ? size : sizeof(name) - 1);
	if (check_vgpu_name(name) == 0)
		MUST(!strchr(name, '/') && name[0] != '.' && strlen(name) < 40);
	return 0;
}
