/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: libpvgpu/link/replies.c libpvgpu/link/results.c */
/* FUZZ_OBJS: libpvgpu/link/session.c libpvgpu/link/windows.c libpvgpu/link/post.c
 *	libpvgpu/link/replies.c libpvgpu/link/wait.c libpvgpu/link/thread.c libpvgpu/link/results.c
 *	libpvgpu/link/handles.c libpvgpu/link/arena.c libpvgpu/link/pages.c libpvgpu/link/choose.c
 *	libpvgpu/link/local.c libpvgpu/link/device.c libpvgpu/link/identity.c gen/pvgpu_stubs.c */
/*
 * A hostile worker's reply stream: the runtime drains these bytes while calls, marks and host
 * functions are pending. Whatever comes, each is completed at most once, nothing else is written,
 * and after the session's end all are complete.
 *
 * Input: u8 where the stream's index lies beyond the bytes, u8 slack of the calls' buffers, the
 * bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "link/runtime.h"

enum { SIZE = 65536, CALLS = 4, MARKS = 4 };

static void no_doorbell(struct pvgpu_link *l)
{
}

static const struct pvgpu_link_ops link_ops = {
	.doorbell = no_doorbell,
	.kick = no_doorbell,
	.hangup = no_doorbell,
};

static unsigned int fn_calls;

static void count(struct pvgpu_mark *m)
{
	fn_calls++;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Commands 1 to 4 have marks, 5 to 8 are calls. */
static void prepare(struct pvgpu_session *s, struct pvgpu_call_slot *calls,
		    struct pvgpu_mark *marks, uint32_t cap)
{
	const struct pvgpu_cmd_hdr rec = {.len = sizeof(rec), .op = PVGPU_OP_COPY};
	const struct pvgpu_piece piece = {&rec, sizeof(rec)};

	for (unsigned int i = 0; i < MARKS; i++) {
		marks[i] = (struct pvgpu_mark){.fn = i % 2 ? count : NULL};
		must(pvgpu_post_mark(s, &marks[i], &piece, 1) == 0);
	}
	for (unsigned int i = 0; i < CALLS; i++) {
		struct pvgpu_call_slot *c = &calls[i];

		*c = (struct pvgpu_call_slot){.seq = (uint32_t)++s->number, .cap = cap, .rep = malloc(cap)};
		must(c->rep != NULL);
		c->next = s->calls[c->seq % PVGPU_CALL_BUCKETS];
		s->calls[c->seq % PVGPU_CALL_BUCKETS] = c;
	}
	must(pvgpu_callback_expect(s) && pvgpu_callback_expect(s));
}

static void check(struct pvgpu_session *s, const struct pvgpu_call_slot *calls,
		  const struct pvgpu_mark *marks)
{
	must(fn_calls == MARKS / 2);
	for (unsigned int i = 0; i < CALLS; i++)
		must(calls[i].done && calls[i].result >= 0 && calls[i].result <= 999 &&
		     calls[i].len <= PVGPU_REP_MAX);
	for (unsigned int i = 0; i < MARKS; i++)
		must(marks[i].done && marks[i].result >= 0 && marks[i].result <= 999);
	must(s->cb.expected <= 2 && s->cb.tail - s->cb.head + s->cb.expected == 2);
	must(!s->leading && !s->followers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pvgpu_session_ops ops;
	struct pvgpu_link l = {.ops = &link_ops, .cmd_size = SIZE, .rep_size = SIZE};
	struct pvgpu_call_slot calls[CALLS];
	struct pvgpu_mark marks[MARKS];
	struct pvgpu_session *s;

	if (size < 2 || size - 2 > SIZE)
		return -1;
	l.page = calloc(1, pvgpu_ring_bytes(SIZE, SIZE));
	must(l.page != NULL);
	s = pvgpu_session_new(&ops, &l);
	must(s != NULL);
	fn_calls = 0;
	prepare(s, calls, marks, 16 + data[1]);
	memcpy(s->rep.data, data + 2, size - 2);
	l.page->rep_prod.v = (uint32_t)(size - 2) + (data[0] < 16 ? data[0] * 8191u : 0);
	must(pvgpu_try_drain(s, true));
	pvgpu_session_fail(s, NULL);
	check(s, calls, marks);
	for (unsigned int i = 0; i < CALLS; i++)
		free(calls[i].rep);
	pvgpu_session_free(s);
	free(l.page);
	return 0;
}
