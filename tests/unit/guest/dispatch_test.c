/* SPDX-License-Identifier: MIT */
/* The worker's table and replies, and the stubs with good and hostile replies. Every command, by
 * the tables. */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "tests/protocol/wire_case.h"

enum { INVALID_HANDLE = 400, SOME_ERROR = 719 };

static struct wt_value values[WT_FIELDS_MAX], outs[WT_FIELDS_MAX], got[WT_FIELDS_MAX];
static _Alignas(8) uint8_t record[WC_ROOM];
static uint8_t room[WT_FIELDS_MAX][PVGPU_REP_MAX];

static uint32_t typical(const struct wt_cmd *c)
{
	wc_values(c->in, c->n_in, WC_TYPICAL, values);
	return wc_build(c, values, record);
}

/* ---- the table */

START_TEST(find_by_number)
{
	unsigned found = 0;

	for (uint32_t op = 0; op < 70000; op++) {
		const struct pvgpu_cmd_desc *d = pvgpu_cmd_find(op);

		if (!d)
			continue;
		ck_assert_uint_eq(d->op, op);
		ck_assert_ptr_eq(d, &pvgpu_cmds[found++]);
	}
	ck_assert_uint_eq(found, pvgpu_cmd_count);
	ck_assert_uint_eq(found, wt_cmd_count);
	ck_assert_ptr_null(pvgpu_cmd_find(UINT32_MAX));
}
END_TEST

START_TEST(rows)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	const struct pvgpu_cmd_desc *d = pvgpu_cmd_find(c->op);

	ck_assert_str_eq(d->name, c->name);
	ck_assert_int_eq(!!(d->flags & PVGPU_DESC_AWAITED), c->awaited);
	ck_assert_int_eq(!!(d->flags & PVGPU_DESC_MARK), c->mark);
	ck_assert_uint_eq(d->since, c->since);
	ck_assert_uint_le(d->lane, PVGPU_LANE_SIDE);
	ck_assert_uint_le(d->max_len, PVGPU_CMD_MAX);
	ck_assert_uint_ge(d->min_len, sizeof(struct pvgpu_cmd_hdr));
}
END_TEST

/* How commands pass the gate, where their handles lie: as the worker relies on it. */
#define AT(cmd, field) offsetof(struct pvgpu_wire_##cmd, field)
#define STREAM_OF(op, cmd, how)                                                                    \
	{                                                                                          \
		PVGPU_OP_##op, PVGPU_GATED_##how, AT(cmd, ctx), AT(cmd, stream), 0                 \
	}
static const struct {
	uint16_t op, gated, ctx, stream, event;
} targets[] = {
	STREAM_OF(LAUNCH, launch, KERNEL),
	STREAM_OF(LAUNCH_EX, launch_ex, KERNEL),
	STREAM_OF(COPY, copy, COPY),
	STREAM_OF(COPY_INLINE, copy_inline, COPY),
	STREAM_OF(COPY_FETCH, copy_fetch, COPY),
	STREAM_OF(COPY_3D, copy_3d, COPY),
	STREAM_OF(COPY_ARRAY, copy_array, COPY),
	STREAM_OF(COPY_BATCH, copy_batch, COPY),
	STREAM_OF(STREAM_WRITE, stream_write, MEMSET),
	STREAM_OF(STREAM_OPS, stream_ops, KERNEL),
	STREAM_OF(STREAM_ATTR, stream_attr, NOT),
	STREAM_OF(MEMSET, memset, MEMSET),
	STREAM_OF(STREAM_SYNCHRONIZE, stream_synchronize, NOT),
	STREAM_OF(STREAM_WAIT_EVENT, stream_wait_event, NOT),
	STREAM_OF(HOST_FUNC, host_func, NOT),
	STREAM_OF(HOLD, hold, NOT),
	STREAM_OF(SHARED_EVENT_RECORD, shared_event_record, NOT),
	STREAM_OF(SHARED_EVENT_WAIT, shared_event_wait, NOT),
	STREAM_OF(GRAPH_LAUNCH, graph_launch, KERNEL),
	STREAM_OF(GRAPH_UPLOAD, graph_upload, NOT),
	STREAM_OF(CAPTURE_BEGIN, capture_begin, NOT),
	STREAM_OF(CAPTURE_END, capture_end, NOT),
	STREAM_OF(CAPTURE_OPEN, capture_open, NOT),
	STREAM_OF(CAPTURE_CLOSE, capture_close, NOT),
	STREAM_OF(CAPTURE_GET, capture_get, NOT),
	STREAM_OF(CAPTURE_SET, capture_set, NOT),
	STREAM_OF(CAPTURE_HOST, capture_host, NOT),
	{PVGPU_OP_GRAPH_EXEC_UPDATE, PVGPU_GATED_NOT, AT(graph_exec_update, ctx), 0, 0},
	{PVGPU_OP_GRAPH_EXEC_SET, PVGPU_GATED_NOT, AT(graph_exec_set, ctx), 0, 0},
	{PVGPU_OP_GRAPH_EXEC_CHILD, PVGPU_GATED_NOT, AT(graph_exec_child, ctx), 0, 0},
	{PVGPU_OP_GRAPH_EXEC_CHILD_AGAIN, PVGPU_GATED_NOT, AT(graph_exec_child_again, ctx), 0, 0},
	{PVGPU_OP_GRAPH_EXEC_ENABLE, PVGPU_GATED_NOT, AT(graph_exec_enable, ctx), 0, 0},
	{PVGPU_OP_GRAPH_EXEC_ENABLED, PVGPU_GATED_NOT, AT(graph_exec_enabled, ctx), 0, 0},
	{PVGPU_OP_EVENT_RECORD, PVGPU_GATED_NOT, AT(event_record, ctx), AT(event_record, stream),
	 AT(event_record, event)},
	{PVGPU_OP_CTX_SYNCHRONIZE, PVGPU_GATED_NOT, AT(ctx_synchronize, ctx), 0, 0},
};
enum { TARGETS = sizeof(targets) / sizeof(targets[0]) };

static const uint16_t frees[] = {
	PVGPU_OP_MEM_FREE,      PVGPU_OP_MODULE_UNLOAD, PVGPU_OP_LIBRARY_UNLOAD,
	PVGPU_OP_LINK_DESTROY,  PVGPU_OP_CTX_DESTROY,   PVGPU_OP_CTX_PRIMARY_RESET,
	PVGPU_OP_ARRAY_DESTROY, PVGPU_OP_MEM_RELEASE,   PVGPU_OP_MEM_UNMAP,
	PVGPU_OP_SHARE_CLOSE,   PVGPU_OP_MIPMAP_DESTROY};

START_TEST(gate_and_targets)
{
	unsigned int gated = 0, with_ctx = 0, freeing = 0;

	for (unsigned int i = 0; i < TARGETS; i++) {
		const struct pvgpu_cmd_desc *d = pvgpu_cmd_find(targets[i].op);

		ck_assert_uint_eq(d->gated, targets[i].gated);
		ck_assert_uint_eq(d->ctx, targets[i].ctx);
		ck_assert_uint_eq(d->stream, targets[i].stream);
		ck_assert_uint_eq(d->event, targets[i].event);
		ck_assert_int_eq(!!(d->flags & PVGPU_DESC_CARRIES),
				 d->op == PVGPU_OP_COPY_INLINE || d->op == PVGPU_OP_COPY_FETCH);
		gated += d->gated != PVGPU_GATED_NOT;
		with_ctx++;
	}
	for (unsigned int i = 0; i < sizeof(frees) / sizeof(frees[0]); i++)
		freeing += !!(pvgpu_cmd_find(frees[i])->flags & PVGPU_DESC_FREES);
	ck_assert_uint_eq(freeing, sizeof(frees) / sizeof(frees[0]));
	for (unsigned int i = 0; i < pvgpu_cmd_count; i++) {
		/* A library's are generated: all work has a context and a stream. */
		if (pvgpu_cmds[i].op >> PVGPU_OP_BITS) {
			ck_assert(!pvgpu_cmds[i].gated ||
				  (pvgpu_cmds[i].ctx && pvgpu_cmds[i].stream));
			continue;
		}
		gated -= pvgpu_cmds[i].gated != PVGPU_GATED_NOT;
		with_ctx -= pvgpu_cmds[i].ctx != 0;
		freeing -= !!(pvgpu_cmds[i].flags & PVGPU_DESC_FREES);
	}
	ck_assert_uint_eq(gated | with_ctx | freeing, 0);
}
END_TEST

/* ---- run */

/* Run a command whose handler returns result; flags of the record. */
static int run(const struct wt_cmd *c, uint32_t len, int result, uint16_t flags)
{
	((struct pvgpu_cmd_hdr *)(void *)record)->flags = flags;
	memset(&wc_worker, 0, sizeof(wc_worker));
	wc_worker.handler_result = result;
	return pvgpu_cmd_find(c->op)->run(wc_far(), &wc_decode, record, len);
}

/* Check the reply, mark or error of a command that ended with result. */
static void expect_end(const struct wt_cmd *c, int result, uint16_t flags, void *ctx)
{
	ck_assert_uint_eq(wc_worker.sent, c->awaited);
	if (c->awaited) {
		const struct pvgpu_rep_hdr *hdr = (const void *)wc_worker.rep;

		ck_assert_uint_eq(hdr->len, wc_worker.rep_len);
		ck_assert_uint_eq(hdr->len, c->reply_fixed);
		ck_assert_uint_eq(hdr->kind, PVGPU_REP_REPLY);
		ck_assert_uint_eq(hdr->flags, 0);
		ck_assert_uint_eq(hdr->seq, WC_SEQ);
		ck_assert_int_eq(hdr->result, result);
	}
	ck_assert_uint_eq(wc_worker.deferred, !c->awaited && result);
	if (wc_worker.deferred) {
		ck_assert_int_eq(wc_worker.deferred_result, result);
		ck_assert_ptr_eq(wc_worker.deferred_ctx, ctx);
	}
	ck_assert_uint_eq(wc_worker.marked, flags & PVGPU_CMD_MARK ? 1 : 0);
	if (wc_worker.marked) {
		ck_assert_int_eq(wc_worker.marked_result, result);
		ck_assert_uint_eq(wc_worker.marked_seq, WC_SEQ);
	}
}

static void *ctx_object(const struct wt_cmd *c)
{
	for (uint32_t i = 0; i < c->n_in; i++) {
		if (c->in[i].kind == WT_HANDLE && !strcmp(c->in[i].name, "ctx"))
			return (void *)(uintptr_t)values[i].u;
	}
	return NULL;
}

START_TEST(handlers_results)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	const uint32_t len = typical(c);
	const int results[] = {0, 1, SOME_ERROR};

	for (uint16_t flags = 0; flags <= (c->mark ? PVGPU_CMD_MARK : 0); flags++) {
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(run(c, len, results[i], flags), 0);
			ck_assert_uint_eq(wc_worker.handled, 1);
			ck_assert_ptr_eq(wc_worker.handled_cmd, c);
			expect_end(c, results[i], flags, ctx_object(c));
		}
		for (int result = -4; result < 0; result++) {
			ck_assert_int_eq(run(c, len, result, flags),
					 result == PVGPU_PENDING ? PVGPU_PENDING : PVGPU_FATAL);
			ck_assert_uint_eq(wc_worker.sent + wc_worker.deferred + wc_worker.marked,
					  0);
		}
	}
}
END_TEST

START_TEST(unknown_handle_is_answered)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	const uint32_t len = typical(c);

	for (uint32_t i = 0; i < c->n_in; i++) {
		if (c->in[i].kind != WT_HANDLE)
			continue;
		wc_missing = values[i].u;
		for (uint16_t flags = 0; flags <= (c->mark ? PVGPU_CMD_MARK : 0); flags++) {
			ck_assert_int_eq(run(c, len, 0, flags), 0);
			ck_assert_uint_eq(wc_worker.handled, 0);
			expect_end(c, INVALID_HANDLE, flags,
				   strcmp(c->in[i].name, "ctx") ? ctx_object(c) : NULL);
		}
	}
	wc_missing = 0;
}
END_TEST

START_TEST(malformed_is_fatal)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	const uint32_t len = typical(c);

	ck_assert_int_eq(run(c, len, 0, 0x8000), PVGPU_FATAL);
	ck_assert_uint_eq(
		wc_worker.handled + wc_worker.sent + wc_worker.deferred + wc_worker.marked, 0);
	ck_assert_int_eq(run(c, len - 8, 0, 0), PVGPU_FATAL);
	ck_assert_uint_eq(
		wc_worker.handled + wc_worker.sent + wc_worker.deferred + wc_worker.marked, 0);
}
END_TEST

/* ---- replies */

static void prepare_outs(const struct wt_cmd *c, uint32_t cap)
{
	memset(got, 0, sizeof(got));
	for (uint32_t i = 0; i < c->n_out; i++) {
		got[i].to = room[i];
		got[i].cap = cap;
	}
	memset(room, 0xee, sizeof(room));
}

/* Make the worker's reply with the outputs `outs` the guest's next reply. */
static void reply_with(const struct wt_cmd *c, int result)
{
	const uint32_t len = typical(c);

	memset(&wc_worker, 0, sizeof(wc_worker));
	wc_worker.handler_result = result;
	wc_worker.handler_out = outs;
	ck_assert_int_eq(pvgpu_cmd_find(c->op)->run(wc_far(), &wc_decode, record, len), 0);
	memset(&wc_session, 0, sizeof(wc_session));
	memcpy(wc_session.rep, wc_worker.rep, wc_worker.rep_len);
	wc_session.rep_len = wc_worker.rep_len;
	wc_session.rep_result = result;
}

static void expect_outs(const struct wt_cmd *c, uint32_t cap, int scalars)
{
	for (uint32_t i = 0; i < c->n_out; i++) {
		const uint64_t len = outs[i].len < cap ? outs[i].len : cap;

		if (c->out[i].kind != WT_BYTES) {
			ck_assert_msg(got[i].u == (scalars ? outs[i].u : 0), "%s %s", c->name,
				      c->out[i].name);
			continue;
		}
		ck_assert_uint_eq(got[i].len, len);
		ck_assert_mem_eq(room[i], outs[i].p, len);
		ck_assert_uint_eq(room[i][len], 0xee);
	}
}

START_TEST(replies_arrive)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	const uint32_t caps[] = {PVGPU_REP_MAX - 1, 3, 0};

	for (int k = 0; c->awaited && k < WC_VARIANTS * 3 * 2; k++) {
		const uint32_t cap = caps[k / 2 % 3];
		const int result = k % 2 ? SOME_ERROR : 0;

		wc_values(c->out, c->n_out, k / 6, outs);
		reply_with(c, result);
		ck_assert_uint_le(wc_session.rep_len, PVGPU_REP_MAX);
		prepare_outs(c, cap);
		ck_assert_int_eq(c->call(wc_guest(), NULL, values, got), result);
		expect_outs(c, cap, !result);
		for (uint32_t i = 0; i < c->n_out; i++)
			got[i].to = NULL;
		ck_assert_int_eq(c->call(wc_guest(), NULL, values, got), result);
		ck_assert_uint_eq(wc_session.broken, 0);
	}
}
END_TEST

START_TEST(seeds_are_what_workers_send)
{
	static uint8_t seed[PVGPU_REP_MAX + 4];
	const struct wt_cmd *c = &wt_cmds[_i];

	for (int variant = 0; c->awaited && variant < WC_VARIANTS; variant++) {
		wc_values(c->out, c->n_out, variant, outs);
		reply_with(c, 0);
		ck_assert_uint_eq(wc_seed("reply", c, variant, seed, sizeof(seed)),
				  wc_session.rep_len + 4);
		ck_assert_mem_eq(seed + 4, wc_session.rep, wc_session.rep_len);
	}
}
END_TEST

START_TEST(replies_are_bounded)
{
	static _Alignas(8) uint8_t buf[PVGPU_REP_MAX];
	static uint8_t much[PVGPU_REP_MAX * 2];
	const struct wt_cmd *c = &wt_cmds[_i];
	uint32_t full;

	if (!c->awaited)
		return;
	wc_values(c->out, c->n_out, WC_MAX, outs);
	full = c->encode_reply(buf, sizeof(buf), 1, 0, outs);
	ck_assert_uint_gt(full, 0);
	for (uint32_t i = 0; i < c->n_out; i++) {
		if (c->out[i].kind == WT_BYTES) {
			outs[i].p = much;
			outs[i].len = sizeof(much);
		}
	}
	ck_assert_uint_eq(c->encode_reply(buf, sizeof(buf), 1, 0, outs), full);
	ck_assert_uint_eq(c->encode_reply(buf, full, 1, 0, outs), full);
	ck_assert_uint_eq(c->encode_reply(buf, full - 1, 1, 0, outs), 0);
	for (uint32_t i = 0; i < c->n_out; i++)
		outs[i].p = NULL; /* a length without bytes */
	ck_assert_uint_eq(c->encode_reply(buf, c->reply_fixed, 1, 0, outs), c->reply_fixed);
}
END_TEST

START_TEST(padding_of_replies_is_zero)
{
	static _Alignas(8) uint8_t buf[PVGPU_REP_MAX];
	const struct wt_cmd *c = &wt_cmds[_i];
	uint32_t at = c->reply_fixed, len;

	if (!c->awaited)
		return;
	memset(buf, 0xff, sizeof(buf));
	wc_values(c->out, c->n_out, WC_TYPICAL, outs);
	len = c->encode_reply(buf, sizeof(buf), 1, 0, outs);
	for (uint32_t i = 0; i < c->n_reply_pads * 4; i++)
		ck_assert_uint_eq(buf[c->reply_pads[i / 4] + i % 4], 0);
	for (uint32_t i = 0; i < c->n_out; i++) {
		if (c->out[i].kind != WT_BYTES)
			continue;
		for (at += (uint32_t)outs[i].len; at % 8; at++)
			ck_assert_uint_eq(buf[at], 0);
	}
	ck_assert_uint_eq(at, len);
}
END_TEST

START_TEST(short_and_long_replies_break_the_session)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	struct pvgpu_rep_hdr *hdr = (void *)wc_session.rep;
	uint32_t full;

	if (!c->awaited)
		return;
	for (int variant = 0; variant < WC_VARIANTS; variant++) {
		wc_values(c->out, c->n_out, variant, outs);
		reply_with(c, 0);
		full = wc_session.rep_len;
		prepare_outs(c, PVGPU_REP_MAX - 1);
		for (uint32_t len = 1; len <= full + 16; len++) {
			if (len == full)
				continue;
			wc_session.rep_len = len;
			/* The runtime returns the header's length, and at most the bytes that the
			 * stub has room for. */
			for (int said = len > full; said < 2; said++) {
				hdr->len = said ? len : full;
				ck_assert_int_eq(c->call(wc_guest(), NULL, values, got), WC_BROKEN);
			}
		}
	}
	wc_session.rep_len = 0;
	ck_assert_int_eq(c->call(wc_guest(), NULL, values, got), WC_DEAD);
}
END_TEST

START_TEST(hostile_replies_are_survived)
{
	const struct wt_cmd *c = &wt_cmds[_i];

	if (!c->awaited)
		return;
	for (int variant = 0; variant < WC_VARIANTS; variant++) {
		wc_values(c->out, c->n_out, variant, outs);
		reply_with(c, 0);
		prepare_outs(c, 64);
		for (uint32_t bit = 0; bit < c->reply_fixed * 8; bit++) {
			wc_session.rep[bit / 8] ^= (uint8_t)(1u << bit % 8);
			c->call(wc_guest(), NULL, values, got);
			for (uint32_t i = 0; i < c->n_out; i++) {
				ck_assert_uint_le(got[i].len, 64);
				ck_assert_uint_eq(room[i][64], 0xee);
			}
			wc_session.rep[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	wc_session.rep_result = -5;
	ck_assert_int_eq(c->call(wc_guest(), NULL, values, got), WC_BROKEN);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *each = tcase_create("every command"), *table = tcase_create("table");
	SRunner *runner = srunner_create(suite);
	const int n = (int)wt_cmd_count;
	int failed;

	tcase_set_timeout(each, 120);
	suite_add_tcase(suite, each);
	suite_add_tcase(suite, table);
	tcase_add_test(table, find_by_number);
	tcase_add_test(table, gate_and_targets);
	tcase_add_loop_test(each, rows, 0, n);
	tcase_add_loop_test(each, handlers_results, 0, n);
	tcase_add_loop_test(each, unknown_handle_is_answered, 0, n);
	tcase_add_loop_test(each, malformed_is_fatal, 0, n);
	tcase_add_loop_test(each, replies_arrive, 0, n);
	tcase_add_loop_test(each, seeds_are_what_workers_send, 0, n);
	tcase_add_loop_test(each, replies_are_bounded, 0, n);
	tcase_add_loop_test(each, padding_of_replies_is_zero, 0, n);
	tcase_add_loop_test(each, short_and_long_replies_break_the_session, 0, n);
	tcase_add_loop_test(each, hostile_replies_are_survived, 0, n);
	/* Hundreds of small cases: with a process for each, the leak checks at their ends would
	 * take most of the time. */
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
