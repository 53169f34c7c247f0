/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/worker_says.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

uint64_t says_take(struct says *in, unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes && in->left; i++, in->left--)
		v |= (uint64_t)*in->at++ << 8 * i;
	return v;
}

void says_bytes(struct says *in, void *to, size_t n)
{
	size_t some = n < in->left ? n : in->left;

	memset(to, 0, n);
	memcpy(to, in->at, some);
	in->at += some;
	in->left -= some;
}

/* Small, or at an edge. */
static uint64_t number(struct says *in)
{
	static const uint64_t edges[] = {0,          1ull << 20, 1ull << 30, (1ull << 30) + 1,
					 1ull << 50, 1ull << 63, UINT64_MAX, 4096};
	const uint64_t n = says_take(in, 1);

	return n & 0x80 ? edges[n & 7] : n;
}

void says_likely(struct says *in, struct fake_worker *k)
{
	struct pvgpu_sup m = {.kind = (uint32_t)says_take(in, 1) % (PVGPU_SUP_RESUMED + 1)};
	const uint64_t wrong = says_take(in, 1);

	m.id = (uint32_t)number(in);
	m.a = number(in);
	m.b = number(in);
	m.c = says_take(in, 1);
	if (!k->w)
		return;
	m.session = wrong & 1 ? (uint32_t)number(in) : k->w->id;
	if (!(wrong & 2) && k->w->number && m.kind == PVGPU_SUP_STATE)
		m.b = k->w->number;
	if (!(wrong & 16) && m.kind == PVGPU_SUP_RESUME)
		m.a = k->w->parking.bytes;
	if (!(wrong & 16) && m.kind == PVGPU_SUP_RESUMED)
		m.a = k->w->parking.coming;
	if (!(wrong & 4) && k->w->vgpu)
		memcpy(m.vgpu, k->w->vgpu->cfg.name, sizeof(m.vgpu));
	if (wrong & 8)
		says_bytes(in, m.reason, sizeof(m.reason));
	msg_send(k->control, &m, sizeof(m), NULL, 0);
}

void says_any(struct says *in, struct fake_worker *k)
{
	unsigned char bytes[sizeof(struct pvgpu_sup) + 64];
	const uint64_t how = says_take(in, 1);
	size_t n = how & 1 ? sizeof(struct pvgpu_sup) : says_take(in, 2) % sizeof(bytes);

	says_bytes(in, bytes, sizeof(bytes));
	if (!k->w)
		return;
	if (how & 2)
		msg_send(k->control, bytes, n, &k->death, 1);
	else
		send(k->control, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if ((how & 0xf0) == 0xf0)
		shutdown(k->control, SHUT_WR);
}

void says_answer(struct says *in, struct fake_worker *k)
{
	static const uint32_t asked[] = {PVGPU_SUP_ASSIGN, PVGPU_SUP_CHUNK_ADD,
					 PVGPU_SUP_CHUNK_REMOVE, PVGPU_SUP_CANARY, PVGPU_SUP_PARK};
	static const uint32_t answers[] = {PVGPU_SUP_SEALED, PVGPU_SUP_CHUNKED, PVGPU_SUP_CHUNKED,
					   PVGPU_SUP_CANARIED, PVGPU_SUP_PARKED};
	const uint64_t which = says_take(in, 1);
	uint64_t a = says_take(in, 1) % 3;
	struct pvgpu_sup_assign m;
	unsigned int fds;

	if (!k->w || !fake_hear(k, asked[which % 5], &m, &fds))
		return;
	if (which % 5 == 4)
		a = a > 1 ? m.head.a : a ? k->w->leased : 0;
	m.head = (struct pvgpu_sup){.kind = answers[which % 5], .id = m.head.id, .a = a};
	msg_send(k->control, &m.head, sizeof(m.head), NULL, 0);
}

void says_check(void)
{
	uint64_t leased = 0, parked = 0, grants = 0;
	unsigned int sessions = 0;
	const struct worker *w;

	TAILQ_FOREACH(w, &fake.d.workers, link)
	{
		leased += w->leased + w->parking.bytes;
		parked += w->parking.bytes;
		grants += w->grants;
		sessions += w->vgpu != NULL;
		MUST(!w->vgpu || w->held);
	}
	MUST(fake.v->ledger.used == leased && fake.v->ledger.parked == parked);
	MUST(fake.d.xen_grants == grants);
	MUST(fake.v->sessions == sessions && fake.d.session_n == sessions);
}

void says_nothing_left(void)
{
	MUST(!fake.v->sessions && !fake.v->openings && !fake.d.xen_grants && !fake.x.ctl);
	MUST(!fake.v->ledger.used && TAILQ_EMPTY(&fake.v->pool->claims));
}
