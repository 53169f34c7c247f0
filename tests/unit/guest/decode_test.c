/* SPDX-License-Identifier: MIT */
/*
 * Both halves of the protocol in one test: the decoders read back the stubs' records, and both
 * refuse what the description does not allow. Every command, by the generated tables.
 *
 * decode_test --record FILE writes the records of this version for tests/protocol/recorded/: lines
 * "NAME RECORD-IN-HEX WHAT-IT-SAYS".
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/protocol/wire_case.h"

enum { INVALID_VALUE = 1, INVALID_HANDLE = 400 };

static struct wt_value values[WT_FIELDS_MAX], got[WT_FIELDS_MAX];
static _Alignas(8) uint8_t record[WC_ROOM];

/* The record is in memory of exactly its size, so that a sanitizer detects a read beyond it. */
static int decode(const struct wt_cmd *c, const void *rec, uint32_t len)
{
	void *copy = malloc(len ? len : 1);
	int result;

	ck_assert_ptr_nonnull(copy);
	if (len)
		memcpy(copy, rec, len);
	result = c->decode(&wc_decode, copy, len, got);
	free(copy);
	return result;
}

static int decode_built(const struct wt_cmd *c, const struct wt_value *v)
{
	return decode(c, record, wc_build(c, v, record));
}

static uint32_t typical(const struct wt_cmd *c)
{
	wc_values(c->in, c->n_in, WC_TYPICAL, values);
	return wc_build(c, values, record);
}

/* ---- valid records */

static void same_values(const struct wt_cmd *c, const struct wt_value *want,
			const struct wt_value *have)
{
	for (uint32_t i = 0; i < c->n_in; i++) {
		const struct wt_field *f = &c->in[i];

		if (f->kind == WT_BYTES || f->kind == WT_STRING) {
			ck_assert_msg(have[i].len == want[i].len, "%s %s", c->name, f->name);
			ck_assert_mem_eq(have[i].p, want[i].p, want[i].len);
			if (f->kind == WT_STRING)
				ck_assert_int_eq(((const char *)have[i].p)[have[i].len], 0);
			continue;
		}
		ck_assert_msg(have[i].u == want[i].u && have[i].len == want[i].len, "%s %s",
			      c->name, f->name);
		if (f->kind == WT_HANDLE)
			ck_assert_ptr_eq(have[i].object, (void *)(uintptr_t)want[i].u);
		if (f->kind == WT_HANDLE && f->type2)
			ck_assert_uint_eq(have[i].type, PVGPU_HANDLE_TYPE(want[i].u));
	}
}

START_TEST(stubs_and_decoders_agree)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	const struct pvgpu_cmd_desc *d = pvgpu_cmd_find(c->op);

	for (int variant = 0; variant < WC_VARIANTS; variant++) {
		uint32_t len;

		wc_values(c->in, c->n_in, variant, values);
		memset(&wc_session, 0, sizeof(wc_session));
		ck_assert_int_eq(c->call(wc_guest(), NULL, values, got), c->awaited ? WC_DEAD : 0);
		ck_assert_uint_eq(wc_session.posted, 1);
		len = wc_build(c, values, record);
		ck_assert_uint_eq(wc_session.rec_len, len);
		ck_assert_mem_eq(wc_session.rec, record, len);
		ck_assert_int_eq(c->decode(&wc_decode, wc_session.rec, len, got), 0);
		same_values(c, values, got);
		if (variant == WC_MIN)
			ck_assert_uint_eq(len, d->min_len);
		if (variant == WC_MAX)
			ck_assert_uint_eq(len, d->max_len);
	}
}
END_TEST

START_TEST(seeds_are_what_stubs_make)
{
	static uint8_t seed[WC_ROOM];
	const struct wt_cmd *c = &wt_cmds[_i];

	for (int variant = 0; variant < WC_VARIANTS; variant++) {
		uint32_t len;

		wc_values(c->in, c->n_in, variant, values);
		len = wc_build(c, values, record);
		ck_assert_uint_eq(wc_seed("decode", c, variant, seed, sizeof(seed)), len);
		ck_assert_mem_eq(seed, record, len);
	}
}
END_TEST

START_TEST(marks)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	struct pvgpu_cmd_hdr *hdr = (struct pvgpu_cmd_hdr *)record;
	uint32_t len = typical(c);
	int mark;

	hdr->flags = PVGPU_CMD_MARK;
	ck_assert_int_eq(decode(c, record, len), c->mark ? 0 : -EPROTO);
	if (!c->mark)
		return;
	memset(&wc_session, 0, sizeof(wc_session));
	ck_assert_int_eq(c->call(wc_guest(), (struct pvgpu_mark *)&mark, values, got), 0);
	ck_assert_ptr_eq(wc_session.mark, (struct pvgpu_mark *)&mark);
	ck_assert_mem_eq(wc_session.rec, record, len);
}
END_TEST

/* ---- malformed records */

START_TEST(every_prefix_fails)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	struct pvgpu_cmd_hdr *hdr = (struct pvgpu_cmd_hdr *)record;

	for (int variant = 0; variant < WC_VARIANTS; variant++) {
		uint32_t full;

		wc_values(c->in, c->n_in, variant, values);
		full = wc_build(c, values, record);
		for (uint32_t len = 0; len<full; len += len> c->fixed + 1024 ? 8 : 1) {
			hdr->len = full;
			ck_assert_int_eq(decode(c, record, len), -EPROTO);
			hdr->len = len;
			ck_assert_int_eq(decode(c, record, len), -EPROTO);
		}
	}
}
END_TEST

START_TEST(nothing_may_follow)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	struct pvgpu_cmd_hdr *hdr = (struct pvgpu_cmd_hdr *)record;
	uint32_t len = typical(c);

	memset(record + len, 0, 16);
	for (uint32_t more = 1; more <= 16; more++) {
		hdr->len = len + more;
		ck_assert_int_eq(decode(c, record, len + more), -EPROTO);
	}
}
END_TEST

START_TEST(header_is_checked)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	struct pvgpu_cmd_hdr *hdr = (struct pvgpu_cmd_hdr *)record;
	uint32_t len = typical(c);
	const struct pvgpu_cmd_hdr good = *hdr;

	for (int bit = 0; bit < 32; bit++) {
		hdr->len ^= 1u << bit;
		ck_assert_int_eq(decode(c, record, len), -EPROTO);
		*hdr = good;
		hdr->zero = 1u << bit;
		ck_assert_int_eq(decode(c, record, len), -EPROTO);
		*hdr = good;
		hdr->seq ^= 1u << bit;
		ck_assert_int_eq(decode(c, record, len), 0);
		*hdr = good;
	}
	for (int bit = 0; bit < 16; bit++) {
		hdr->op ^= (uint16_t)(1u << bit);
		ck_assert_int_eq(decode(c, record, len), -EPROTO);
		*hdr = good;
		hdr->flags = (uint16_t)(1u << bit);
		ck_assert_int_eq(decode(c, record, len),
				 c->mark && hdr->flags == PVGPU_CMD_MARK ? 0 : -EPROTO);
		*hdr = good;
	}
}
END_TEST

START_TEST(padding_must_be_zero)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	uint8_t *bytes = record;
	uint32_t len = typical(c), at = c->fixed;

	for (uint32_t i = 0; i < c->n_pads; i++) {
		for (uint32_t k = 0; k < 32; k++) {
			bytes[c->pads[i] + k / 8] = (uint8_t)(1u << k % 8);
			ck_assert_int_eq(decode(c, record, len), -EPROTO);
			bytes[c->pads[i] + k / 8] = 0;
		}
	}
	for (uint32_t i = 0; i < c->n_in; i++) {
		const struct wt_field *f = &c->in[i];

		if (f->kind != WT_BYTES && f->kind != WT_STRING)
			continue;
		for (uint32_t k = at + (uint32_t)values[i].len; k < at + wc_part(f, values[i].len);
		     k++) {
			bytes[k] = 0x80;
			ck_assert_int_eq(decode(c, record, len), -EPROTO);
			bytes[k] = 0;
		}
		at += wc_part(f, values[i].len);
	}
	ck_assert_int_eq(decode(c, record, len), 0);
}
END_TEST

START_TEST(bit_flips_are_survived)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	uint8_t *bytes = record;

	for (int variant = 0; variant < WC_VARIANTS; variant++) {
		uint32_t len;

		wc_values(c->in, c->n_in, variant, values);
		len = wc_build(c, values, record);
		if (len > 2048)
			continue; /* more of the same bytes */
		for (uint32_t bit = 0; bit < len * 8; bit++) {
			int result;

			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			result = decode(c, record, len);
			ck_assert(result == 0 || result == -EPROTO);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	ck_assert_uint_eq(wc_bad_lookups, 0);
}
END_TEST

/* ---- bounds */

/* Decoder and stub must agree; the stub refuses without posting. */
static void expect(const struct wt_cmd *c, uint32_t i, int ok, int refusal)
{
	unsigned posted = wc_session.posted;
	int called;

	ck_assert_msg(decode_built(c, values) == (ok ? 0 : -EPROTO), "%s %s: %llu, %llu", c->name,
		      c->in[i].name, (unsigned long long)values[i].u,
		      (unsigned long long)values[i].len);
	called = c->call(wc_guest(), NULL, values, got);
	if (ok)
		ck_assert_int_eq(called, c->awaited ? WC_DEAD : 0);
	else
		ck_assert_msg(called == refusal, "%s %s: stub gave %d", c->name, c->in[i].name,
			      called);
	ck_assert_uint_eq(wc_session.posted, posted + (ok ? 1 : 0));
}

static void try_number(const struct wt_cmd *c, uint32_t i, uint64_t u, int ok)
{
	const uint64_t was = values[i].u;

	values[i].u = u;
	expect(c, i, ok, INVALID_VALUE);
	values[i].u = was;
}

static void check_number(const struct wt_cmd *c, uint32_t i)
{
	const struct wt_field *f = &c->in[i];
	const uint64_t lowest = f->kind == WT_I32   ? (uint64_t)INT32_MIN
				: f->kind == WT_I64 ? (uint64_t)INT64_MIN
						    : 0;
	const uint64_t highest = f->kind == WT_U64   ? UINT64_MAX
				 : f->kind == WT_I64 ? INT64_MAX
				 : f->kind == WT_U32 ? UINT32_MAX
						     : INT32_MAX;

	if (f->bits) {
		for (int bit = 0; bit < (f->kind == WT_U64 ? 64 : 32); bit++)
			try_number(c, i, 1ull << bit, (f->bits >> bit & 1) != 0);
		try_number(c, i, f->bits, 1);
		return;
	}
	try_number(c, i, f->min, 1);
	try_number(c, i, f->max, 1);
	if (f->min != lowest)
		try_number(c, i, f->min - 1, 0);
	if (f->max != highest)
		try_number(c, i, f->max + 1, 0);
}

static void check_length(const struct wt_cmd *c, uint32_t i)
{
	const struct wt_field *f = &c->in[i];
	static char bytes[WC_ROOM];
	const struct wt_value was = values[i];

	memset(bytes, 'x', sizeof(bytes));
	values[i].p = bytes;
	for (int step = f->min ? -1 : 0; step < 4; step++) {
		const uint64_t lens[] = {f->min, f->min + 1, f->max, f->max + 1};

		values[i].len = step < 0 ? f->min - 1 : lens[step];
		bytes[values[i].len] = f->kind == WT_STRING ? 0 : 'x';
		expect(c, i, values[i].len >= f->min && values[i].len <= f->max, INVALID_VALUE);
		bytes[values[i].len] = 'x';
	}
	values[i].len = 3;
	if (f->kind == WT_STRING &&
	    f->max >= 3) { /* NUL inside: only a forged record can have that */
		bytes[1] = 0;
		ck_assert_int_eq(decode_built(c, values), -EPROTO);
	}
	values[i] = was;
}

static void check_range(const struct wt_cmd *c, uint32_t i)
{
	const struct wt_field *f = &c->in[i];
	const uint64_t base = WC_ARENA_BASE, end = base + WC_ARENA_SIZE, most = f->max;
	const struct {
		uint64_t addr, len;
		int ok;
	} ranges[] = {
		{base, 1, 1},          {base, 0, 0},
		{base - 1, 1, 0},      {base - 1, 2, 0},
		{end - 1, 1, 1},       {end - 1, 2, 0},
		{end, 1, 0},           {end, 0, 0},
		{UINT64_MAX, 1, 0},    {UINT64_MAX - 1, 8, 0},
		{base, UINT64_MAX, 0}, {0, 1, 0},
		{base, most, 1},       {base, most + 1, 0},
		{end - most, most, 1}, {end - most + 1, most, 0},
		{0, 0, f->optional},   {base + 1, UINT64_MAX - base, 0},
	};
	const struct wt_value was = values[i];

	ck_assert_uint_le(most, WC_ARENA_SIZE);
	for (size_t k = 0; k < sizeof(ranges) / sizeof(ranges[0]); k++) {
		values[i].u = ranges[k].addr;
		values[i].len = ranges[k].len;
		ck_assert_msg(decode_built(c, values) == (ranges[k].ok ? 0 : -EPROTO),
			      "%s %s: range %zu", c->name, f->name, k);
	}
	values[i].u = base;
	values[i].len = most + 1;
	expect(c, i, 0, INVALID_VALUE);
	values[i].len = 0;
	expect(c, i, 0, INVALID_VALUE);
	values[i] = was;
}

static void check_handle(const struct wt_cmd *c, uint32_t i)
{
	const struct wt_field *f = &c->in[i];
	const uint64_t was = values[i].u;

	for (uint32_t type = 0; type < 256; type++) {
		values[i].u = PVGPU_HANDLE(type, 0, 3, 5);
		expect(c, i, type == f->type || (type && type == f->type2), INVALID_HANDLE);
	}
	values[i].u = 0;
	expect(c, i, f->optional, INVALID_HANDLE);
	values[i].u = PVGPU_HANDLE(f->type, 0, 0, PVGPU_HANDLES_MAX);
	ck_assert_int_eq(decode_built(c, values), -EPROTO);
	values[i].u = PVGPU_HANDLE(f->type, 0, 0, UINT32_MAX);
	ck_assert_int_eq(decode_built(c, values), -EPROTO);
	values[i].u = was;
}

START_TEST(bounds)
{
	const struct wt_cmd *c = &wt_cmds[_i];

	memset(&wc_session, 0, sizeof(wc_session));
	typical(c);
	for (uint32_t i = 0; i < c->n_in; i++) {
		switch (c->in[i].kind) {
		case WT_U32:
		case WT_U64:
		case WT_I32:
		case WT_I64:
			check_number(c, i);
			break;
		case WT_BYTES:
		case WT_STRING:
			check_length(c, i);
			break;
		case WT_ARENA:
			check_range(c, i);
			break;
		case WT_HANDLE:
		case WT_NEW:
			check_handle(c, i);
			break;
		case WT_F32:
		case WT_F64:
			break;
		}
	}
	ck_assert_uint_eq(wc_bad_lookups, 0);
}
END_TEST

START_TEST(unknown_handles)
{
	const struct wt_cmd *c = &wt_cmds[_i];
	uint32_t len = typical(c);

	for (uint32_t i = 0; i < c->n_in; i++) {
		wc_missing = values[i].u;
		if (c->in[i].kind == WT_NEW)
			ck_assert_int_eq(decode(c, record, len), 0);
		if (c->in[i].kind != WT_HANDLE)
			continue;
		ck_assert_int_eq(decode(c, record, len), -ENOENT);
		for (uint32_t k = 0; k < c->n_in; k++) {
			if (c->in[k].kind == WT_HANDLE)
				ck_assert_ptr_eq(got[k].object,
						 k == i ? NULL : (void *)(uintptr_t)values[k].u);
		}
		/* A malformed header is reported before a value out of bounds. */
		((struct pvgpu_cmd_hdr *)record)->zero = 1;
		ck_assert_int_eq(decode(c, record, len), -EPROTO);
		((struct pvgpu_cmd_hdr *)record)->zero = 0;
	}
	wc_missing = 0;
}
END_TEST

/* ---- sessions recorded with earlier versions */

/* The bytes of a hexadecimal number; returns their number, 0 if it is malformed or too long. */
static uint32_t from_hex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = strlen(hex) / 2;

	if (strlen(hex) % 2 || n > room)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
			return 0;
	}
	return (uint32_t)n;
}

static void replay(const char *path, char *line)
{
	char *rest = line, *name = strsep(&rest, " "), *hex = strsep(&rest, " "), *have;
	const struct wt_cmd *c;
	uint32_t len;

	ck_assert_msg(rest != NULL, "%s: cannot read '%s'", path, name);
	rest[strcspn(rest, "\n")] = 0;
	len = from_hex(hex, record, sizeof(record));
	ck_assert_msg(len >= sizeof(struct pvgpu_cmd_hdr), "%s: %s: no record", path, name);
	c = wc_find(((struct pvgpu_cmd_hdr *)record)->op);
	ck_assert_msg(c != NULL, "%s: %s: unknown command", path, name);
	ck_assert_msg(c->decode(&wc_decode, record, len, got) == 0, "%s: %s: refused", path, name);
	have = wc_text(c, got);
	ck_assert_str_eq(have, rest);
	free(have);
}

START_TEST(recorded_sessions_still_decode)
{
	char path[256], *line = NULL;
	size_t room = 0;

	for (unsigned version = 1; version <= PVGPU_PROTOCOL_VERSION; version++) {
		unsigned lines = 0;
		FILE *in;

		snprintf(path, sizeof(path), "tests/protocol/recorded/v%u.txt", version);
		in = fopen(path, "r");
		ck_assert_msg(in != NULL, "%s is missing (run from the top folder)", path);
		while (getline(&line, &room, in) > 0) {
			replay(path, line);
			lines++;
		}
		fclose(in);
		ck_assert_uint_gt(lines, 100);
	}
	free(line);
}
END_TEST

static int write_records(const char *path)
{
	FILE *out = fopen(path, "w");

	if (!out) {
		perror(path);
		return 1;
	}
	for (unsigned k = 0; k < wt_cmd_count * 2; k++) {
		const struct wt_cmd *c = &wt_cmds[k / 2];
		char *text;

		wc_values(c->in, c->n_in, k % 2 ? WC_TYPICAL : WC_MIN, values);
		c->call(wc_guest(), NULL, values, got);
		fprintf(out, "%s-%s ", c->name, wc_variant_names[k % 2]);
		for (uint32_t i = 0; i < wc_session.rec_len; i++)
			fprintf(out, "%02x", wc_session.rec[i]);
		text = wc_text(c, values);
		fprintf(out, " %s\n", text);
		free(text);
	}
	if (fclose(out)) {
		perror(path);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	Suite *suite = suite_create("decode");
	TCase *each = tcase_create("every command"), *once = tcase_create("recorded");
	SRunner *runner = srunner_create(suite);
	const int n = (int)wt_cmd_count;
	int failed;

	if (argc == 3 && !strcmp(argv[1], "--record"))
		return write_records(argv[2]);
	tcase_set_timeout(each, 120);
	suite_add_tcase(suite, each);
	suite_add_tcase(suite, once);
	tcase_add_loop_test(each, stubs_and_decoders_agree, 0, n);
	tcase_add_loop_test(each, seeds_are_what_stubs_make, 0, n);
	tcase_add_loop_test(each, marks, 0, n);
	tcase_add_loop_test(each, every_prefix_fails, 0, n);
	tcase_add_loop_test(each, nothing_may_follow, 0, n);
	tcase_add_loop_test(each, header_is_checked, 0, n);
	tcase_add_loop_test(each, padding_must_be_zero, 0, n);
	tcase_add_loop_test(each, bit_flips_are_survived, 0, n);
	tcase_add_loop_test(each, bounds, 0, n);
	tcase_add_loop_test(each, unknown_handles, 0, n);
	tcase_add_test(once, recorded_sessions_still_decode);
	/* Hundreds of small cases: with a process for each, the leak checks at their ends would
	 * take most of the time. */
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
