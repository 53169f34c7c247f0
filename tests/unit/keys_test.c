/* SPDX-License-Identifier: MIT */
/* The accessors of single keys: every bound of every key, garbage, versions, states. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_keys.h"

/* In memory of just this size, so that a sanitizer sees a step too far. */
static int check(const struct pvgpu_key *k, const char *text, size_t len, char *err)
{
	char *copy = malloc(len ? len : 1);
	int ret;

	memcpy(copy, text, len);
	ret = pvgpu_key_check(k, copy, len, err);
	free(copy);
	return ret;
}

static void expect(const struct pvgpu_key *k, const char *text, bool good)
{
	char err[PVGPU_KEY_ERROR] = "";
	int ret = check(k, text, strlen(text), err);

	ck_assert_msg(ret == (good ? 0 : -EINVAL), "%s/%s '%s': %d %s", k->tree->name, k->name,
		      text, ret, err);
	if (good)
		return;
	ck_assert_msg(!strncmp(err, k->tree->name, strlen(k->tree->name)) && strstr(err, k->name),
		      "%s", err);
	ck_assert_msg(strstr(err, ": must be "), "%s", err);
}

static void expect_number(const struct pvgpu_key *k, uint64_t v, bool good)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	expect(k, text, good);
}

static bool is_number(const struct pvgpu_key *k)
{
	return k->type <= PVGPU_TYPE_DOMID || (k->type == PVGPU_TYPE_ENUM && k->names->as_number);
}

START_TEST(every_number_at_its_bounds)
{
	for (int i = 0; i < PVGPU_KEYS; i++) {
		const struct pvgpu_key *k = &pvgpu_keys[i];

		if (!is_number(k))
			continue;
		expect_number(k, k->min, true);
		expect_number(k, k->max, true);
		if (k->min)
			expect_number(k, k->min - 1, false);
		if (k->max < UINT64_MAX)
			expect_number(k, k->max + 1, false);
		expect(k, "18446744073709551616", false);
		expect(k, "99999999999999999999", false);
		expect(k, "340282366920938463463374607431768211457", false);
	}
}
END_TEST

START_TEST(every_field_at_its_bounds)
{
	for (int i = 0; i < PVGPU_KEYS; i++) {
		const struct pvgpu_key *k = &pvgpu_keys[i];

		for (uint32_t j = 0; j < k->nfields; j++) {
			const struct pvgpu_field *f = &k->fields[j];
			const uint64_t v[] = {f->min, f->max, f->min - 1, f->max + 1};
			const bool there[] = {true, true, f->min > 0, f->max < UINT64_MAX};

			if (f->type == PVGPU_TYPE_SHARE || f->type == PVGPU_TYPE_ENUM)
				continue; /* no plain numbers */
			for (unsigned int n = 0; n < 4; n++) {
				char text[80];

				snprintf(text, sizeof(text), "%s=%llu", f->name,
					 (unsigned long long)v[n]);
				if (there[n])
					expect(k, text, n < 2);
			}
		}
	}
}
END_TEST

START_TEST(every_text_and_list_at_its_length)
{
	for (int i = 0; i < PVGPU_KEYS; i++) {
		const struct pvgpu_key *k = &pvgpu_keys[i];
		char text[1024] = "";

		if (k->type == PVGPU_TYPE_TEXT) {
			expect(k, "", k->min == 0);
			memset(text, 'x', k->max + 1);
			expect(k, text, false);
			text[k->max] = '\0';
			expect(k, text, true);
			text[0] = '\n';
			expect(k, text, false);
			text[0] = (char)0xc3;
			expect(k, text, false);
		}
		if (k->type != PVGPU_TYPE_REFS)
			continue;
		for (uint64_t n = 1; n <= k->max + 1; n++) {
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu",
				 n > 1 ? "," : "", 4294967296ull - n);
			expect(k, text, n <= k->max);
		}
	}
}
END_TEST

START_TEST(what_no_key_takes)
{
	static const char *const garbage[] = {
		" ",
		"\n",
		"-",
		"--",
		"-1",
		"+1",
		" 1",
		"1 ",
		"1\n",
		"0x1",
		"01",
		"00",
		"1.0",
		"1e3",
		"1K1",
		"K",
		"1KK",
		"1k",
		"1-",
		"-2",
		"1--2",
		"3-1",
		"0-1",
		",",
		"1,",
		",1",
		"1,,2",
		"=",
		"a=",
		"=1",
		"a=1=",
		"a=1  b=2",
		"a=1 a=2",
		"weight=1 weight=1",
		"Weight=1",
		"/",
		"/local/domain/0",
		"../../x",
		"true",
		"yes",
		"\xff\xfe",
		"4294967296,0",
	};

	for (int i = 0; i < PVGPU_KEYS; i++) {
		const struct pvgpu_key *k = &pvgpu_keys[i];
		unsigned int taken = 0;

		for (size_t g = 0; g < sizeof(garbage) / sizeof(garbage[0]); g++)
			taken += !check(k, garbage[g], strlen(garbage[g]), NULL);
		/* A flag set takes two names that it does not know; a record takes "a=1=". */
		if (k->type != PVGPU_TYPE_TEXT)
			ck_assert_msg(taken <= (k->type == PVGPU_TYPE_FLAGS ? 2u : 1u),
				      "%s takes %u", k->name, taken);
	}
}
END_TEST

START_TEST(a_nul_is_no_end)
{
	const struct pvgpu_key *k = &pvgpu_keys[PVGPU_KEY_FRONTEND_EVENT_CHANNEL];

	ck_assert_int_eq(check(k, "7", 1, NULL), 0);
	ck_assert_int_eq(check(k, "7\0", 2, NULL), -EINVAL);
	ck_assert_int_eq(check(k, "7\0008", 3, NULL), -EINVAL);
	ck_assert_int_eq(check(k, "", 0, NULL), -EINVAL);
}
END_TEST

START_TEST(examples_and_defaults)
{
	for (int i = 0; i < PVGPU_KEYS; i++) {
		const struct pvgpu_key *k = &pvgpu_keys[i];
		char err[PVGPU_KEY_ERROR] = "";

		expect(k, k->example, true);
		if (k->def)
			expect(k, k->def, true);
		ck_assert_int_eq(pvgpu_key_check(k, NULL, 0, err), k->def ? 0 : -ENOENT);
		ck_assert(k->def || strstr(err, "is missing"));
	}
}
END_TEST

START_TEST(sizes)
{
	uint64_t v = 7;
	char buf[32], err[PVGPU_KEY_ERROR];

	ck_assert_int_eq(pvgpu_backend_memory_parse("4G", 2, &v, NULL), 0);
	ck_assert_uint_eq(v, 4ull << 30);
	ck_assert_int_eq(pvgpu_backend_memory_parse("1024T", 5, &v, NULL), 0);
	ck_assert_int_eq(pvgpu_backend_memory_parse("1025T", 5, &v, err), -EINVAL);
	ck_assert_str_eq(
		err,
		"backend/memory '1025T': must be bytes or a number with K, M, G or T, 0 to 1024T");
	ck_assert_int_eq(pvgpu_backend_memory_parse("16777216T", 9, &v, NULL), -EINVAL); /* 2^64 */
	ck_assert_uint_eq(v, 1024ull << 40);
	ck_assert_int_eq(pvgpu_backend_memory_format(4ull << 30, buf, sizeof(buf), NULL), 0);
	ck_assert_str_eq(buf, "4294967296");
	ck_assert_int_eq(pvgpu_backend_memory_format(UINT64_MAX, buf, sizeof(buf), NULL), -EINVAL);
	ck_assert_int_eq(pvgpu_backend_memory_format(4ull << 30, buf, 10, err), -ENOSPC);
	ck_assert_str_eq(err, "backend/memory: needs a buffer of 11 bytes");
}
END_TEST

START_TEST(version_ranges)
{
	static const struct {
		const char *a, *b;
		uint32_t common;
	} cases[] = {
		{"1-3", "1", 1},         {"1-3", "2-9", 3},           {"2-9", "1-3", 3},
		{"1-3", "4-5", 0},       {"9-10", "10-12", 10},       {"10", "9", 0},
		{"10", "9-10", 10},      {"1-65535", "65535", 65535}, {"2", "2", 2},
		{"100-200", "20-30", 0},
	};
	const struct pvgpu_key *k = &pvgpu_keys[PVGPU_KEY_BACKEND_PROTOCOL_VERSION];
	static const char *const bad[] = {"",      "0",    "0-1", "2-1", "1-65536", "65536", "1,2",
					  "1-2-3", "1 -2", "1-",  "-1",  "01-2",    "1-02"};
	struct pvgpu_range a, b;
	char buf[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(pvgpu_backend_protocol_version_parse(cases[i].a,
								      strlen(cases[i].a), &a, NULL),
				 0);
		ck_assert_int_eq(pvgpu_backend_protocol_version_parse(cases[i].b,
								      strlen(cases[i].b), &b, NULL),
				 0);
		ck_assert_uint_eq(pvgpu_range_common(a, b), cases[i].common);
		ck_assert_int_eq(pvgpu_backend_protocol_version_format(&a, buf, sizeof(buf), NULL),
				 0);
		ck_assert_str_eq(buf, cases[i].a);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(k, bad[i], false);
	a = (struct pvgpu_range){3, 2};
	ck_assert_int_eq(pvgpu_backend_protocol_version_format(&a, buf, sizeof(buf), NULL),
			 -EINVAL);
}
END_TEST

START_TEST(grant_references)
{
	struct pvgpu_refs r = {0};
	char buf[64], err[PVGPU_KEY_ERROR];

	ck_assert_int_eq(pvgpu_frontend_ring_ref_parse("8,4294967295", 12, &r, NULL), 0);
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(r.ref[1], 4294967295u);
	ck_assert_int_eq(pvgpu_frontend_ring_ref_format(&r, buf, sizeof(buf), NULL), 0);
	ck_assert_str_eq(buf, "8,4294967295");
	ck_assert_int_eq(pvgpu_frontend_ring_ref_parse("8,8", 3, &r, NULL), -EINVAL);
	ck_assert_int_eq(pvgpu_frontend_ring_ref_parse("8,0", 3, &r, err), -EINVAL);
	ck_assert_str_eq(err, "frontend/ring-ref '8,0': must be 1 to 4 grant references separated "
			      "by commas, none 0 and none twice");
	ck_assert_int_eq(pvgpu_frontend_ring_ref_parse("4294967296", 10, &r, NULL), -EINVAL);
	ck_assert_uint_eq(r.n, 2);
	r.n = 5;
	ck_assert_int_eq(pvgpu_frontend_ring_ref_format(&r, buf, sizeof(buf), NULL), -EINVAL);
	r = (struct pvgpu_refs){.n = 1};
	ck_assert_int_eq(pvgpu_frontend_ring_ref_format(&r, buf, sizeof(buf), NULL), -EINVAL);
}
END_TEST

START_TEST(flags)
{
	uint64_t v = 0;
	char buf[64];

	ck_assert_int_eq(pvgpu_backend_features_parse("arena-grow,from-the-future", 26, &v, NULL),
			 0);
	ck_assert_uint_eq(v, PVGPU_FEATURES_ARENA_GROW);
	ck_assert_int_eq(pvgpu_backend_features_parse(NULL, 0, &v, NULL), 0);
	ck_assert_uint_eq(v, 0);
	ck_assert_int_eq(pvgpu_backend_features_parse("arena-grow,arena-grow", 21, &v, NULL),
			 -EINVAL);
	ck_assert_int_eq(pvgpu_backend_features_parse("x,y,x", 5, &v, NULL), -EINVAL);
	ck_assert_int_eq(pvgpu_backend_features_parse("Arena-Grow", 10, &v, NULL), -EINVAL);
	ck_assert_int_eq(
		pvgpu_backend_features_format(PVGPU_FEATURES_ARENA_GROW | PVGPU_FEATURES_ZERO_COPY,
					      buf, sizeof(buf), NULL),
		0);
	ck_assert_str_eq(buf, "zero-copy,arena-grow");
	ck_assert_int_eq(pvgpu_backend_features_format(1ull << 63, buf, sizeof(buf), NULL),
			 -EINVAL);
}
END_TEST

START_TEST(uuids)
{
	static const char text[] = "9C1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90";
	struct pvgpu_uuid u;
	char buf[PVGPU_UUID_TEXT], copy[sizeof(text)];

	ck_assert_int_eq(pvgpu_backend_uuid_parse(text, 36, &u, NULL), 0);
	ck_assert_uint_eq(u.b[0], 0x9c);
	ck_assert_uint_eq(u.b[15], 0x90);
	ck_assert_int_eq(pvgpu_backend_uuid_format(&u, buf, sizeof(buf), NULL), 0);
	ck_assert_str_eq(buf, "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90");
	ck_assert_int_eq(pvgpu_backend_uuid_format(&u, buf, sizeof(buf) - 1, NULL), -ENOSPC);
	ck_assert_int_eq(pvgpu_backend_uuid_parse(text, 35, &u, NULL), -EINVAL);
	for (unsigned int i = 0; i < 36; i++) {
		memcpy(copy, text, sizeof(text));
		copy[i] = copy[i] == '-' ? '0' : '-';
		ck_assert_int_eq(pvgpu_backend_uuid_parse(copy, 36, &u, NULL), -EINVAL);
		copy[i] = 'g';
		ck_assert_int_eq(pvgpu_backend_uuid_parse(copy, 36, &u, NULL), -EINVAL);
	}
}
END_TEST

START_TEST(paths)
{
	static const char *const bad[] = {
		"",
		"/",
		"/local/domain/0/backend/pvgpu/3",
		"/local/domain/0/backend/pvgpu/3/0/",
		"/local/domain/0/backend/pvgpu/3/0/state",
		"/local/domain/00/backend/pvgpu/3/0",
		"/local/domain/0/backend/vbd/3/0",
		"/local/domain/32752/backend/pvgpu/3/0",
		"/local/domain/0/backend/pvgpu/3/65536",
		"/local/domain//backend/pvgpu/3/0",
		"local/domain/0/backend/pvgpu/3/0",
		"/local/domain/0/backend/pvgpu/../0",
		"/local/domain/-1/backend/pvgpu/3/0",
		"/local/domain/0/backend/pvgpu/3/0 ",
	};
	static const char good[] = "/local/domain/32751/backend/pvgpu/3/65535";
	struct pvgpu_ids ids = {0};
	char buf[64];

	ck_assert_int_eq(pvgpu_frontend_backend_parse(good, strlen(good), &ids, NULL), 0);
	ck_assert_uint_eq(ids.be, 32751);
	ck_assert_uint_eq(ids.fe, 3);
	ck_assert_uint_eq(ids.id, 65535);
	ck_assert_int_eq(pvgpu_frontend_backend_format(&ids, buf, sizeof(buf), NULL), 0);
	ck_assert_str_eq(buf, good);
	ck_assert_int_eq(pvgpu_frontend_backend_format(&ids, buf, 20, NULL), -ENOSPC);
	ck_assert_uint_eq(strlen(buf), 19);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(&pvgpu_keys[PVGPU_KEY_FRONTEND_BACKEND], bad[i], false);
	ids.be++;
	ck_assert_int_eq(pvgpu_frontend_backend_format(&ids, buf, sizeof(buf), NULL), -EINVAL);
	ids = (struct pvgpu_ids){.fe = 5, .id = 2};
	ck_assert_int_eq(
		pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_FRONTEND], &ids, "state", buf, sizeof(buf)),
		0);
	ck_assert_str_eq(buf, "/local/domain/5/device/pvgpu/2/state");
	ck_assert_uint_eq(
		pvgpu_tree_match(&pvgpu_trees[PVGPU_TREE_FRONTEND], buf, strlen(buf), &ids),
		strlen(buf) - 6);
	ck_assert_uint_eq(
		pvgpu_tree_match(&pvgpu_trees[PVGPU_TREE_BACKEND], buf, strlen(buf), &ids), 0);
}
END_TEST

START_TEST(texts)
{
	struct pvgpu_text t;
	char buf[PVGPU_TEXT_MAX + 1], err[PVGPU_KEY_ERROR];

	pvgpu_text_set(&t, "bad\nidea\xc3\xa9", 10);
	ck_assert_str_eq(t.s, "bad?idea??");
	ck_assert_int_eq(pvgpu_backend_last_reason_format(&t, buf, sizeof(buf), NULL), 0);
	memset(buf, 'y', sizeof(buf));
	pvgpu_text_set(&t, buf, sizeof(buf));
	ck_assert_uint_eq(t.len, PVGPU_TEXT_MAX);
	ck_assert_int_eq(pvgpu_backend_last_reason_format(&t, buf, sizeof(buf), NULL), 0);
	ck_assert_int_eq(pvgpu_backend_model_format(&t, buf, sizeof(buf), err), -EINVAL);
	/* An error quotes no more than it must, and nothing that a terminal would obey. */
	ck_assert_int_eq(
		pvgpu_backend_model_parse(
			"\033["
			"2Jaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			70, &t, err),
		-EINVAL);
	ck_assert_str_eq(err, "backend/model '?[2Jaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...': must "
			      "be 1 to 63 printable ASCII characters");
}
END_TEST

START_TEST(records)
{
	struct pvgpu_backend_policy p = {0};
	struct pvgpu_backend_statistics s = {.memory_used = UINT64_MAX,
					     .sessions = UINT32_MAX,
					     .sessions_total = UINT64_MAX,
					     .sessions_failed = UINT64_MAX,
					     .gpu_time = UINT64_MAX,
					     .wait_time = UINT64_MAX,
					     .throttled_time = UINT64_MAX,
					     .copy_bytes = UINT64_MAX,
					     .launches = UINT64_MAX,
					     .slices = UINT64_MAX,
					     .faults = UINT32_MAX,
					     .quarantined = UINT64_MAX,
					     .inflight = UINT64_MAX},
					back;
	char buf[PVGPU_KEY_TEXT], err[PVGPU_KEY_ERROR];

	ck_assert_int_eq(pvgpu_backend_policy_parse(NULL, 0, &p, NULL), 0);
	ck_assert_uint_eq(p.weight, 100);
	ck_assert_uint_eq(p.max_sessions, 64);
	ck_assert_uint_eq(p.arena_limit, 8ull << 30);
	ck_assert(!p.drain);
	ck_assert_int_eq(pvgpu_backend_policy_parse("drain=1 newer=a:b weight=7", 26, &p, NULL), 0);
	ck_assert_uint_eq(p.weight, 7);
	ck_assert(p.drain);
	ck_assert_int_eq(pvgpu_backend_policy_parse("max-sessions=3 weight=10001", 27, &p, err),
			 -EINVAL);
	ck_assert_str_eq(err, "backend/policy weight '10001': must be a number from 1 to 10000");
	ck_assert_uint_eq(p.max_sessions, 64); /* nothing of it is used */
	ck_assert_int_eq(pvgpu_backend_policy_format(&p, buf, sizeof(buf), NULL), 0);
	ck_assert_str_eq(buf,
			 "weight=7 max-sessions=64 arena-limit=8589934592 device-window=0 drain=1 "
			 "priority=medium min-share=0% max-share=100% fixed-share=0% "
			 "rate-commands=0 burst-commands=0 rate-bytes=0 burst-bytes=0 "
			 "queue-depth=0 kernel-limit=10000 pardon=0");
	p.weight = 0;
	ck_assert_int_eq(pvgpu_backend_policy_format(&p, buf, sizeof(buf), err), -EINVAL);
	ck_assert_int_eq(pvgpu_backend_statistics_format(&s, buf, sizeof(buf), NULL), 0);
	ck_assert_int_eq(pvgpu_backend_statistics_parse(buf, strlen(buf), &back, NULL), 0);
	ck_assert_uint_eq(back.memory_used, s.memory_used);
	ck_assert_uint_eq(back.sessions, s.sessions);
	ck_assert_uint_eq(back.sessions_total, s.sessions_total);
	ck_assert_uint_eq(back.sessions_failed, s.sessions_failed);
	ck_assert_uint_eq(back.gpu_time, s.gpu_time);
	ck_assert_uint_eq(back.inflight, s.inflight);
	ck_assert_int_eq(pvgpu_backend_statistics_format(&s, buf, 40, NULL), -ENOSPC);
	memset(buf, 'a', sizeof(buf));
	ck_assert_int_eq(pvgpu_backend_policy_parse(buf, sizeof(buf), &p, NULL), -EINVAL);
}
END_TEST

START_TEST(shares)
{
	static const struct {
		const char *text;
		uint32_t ppm;
		const char *back; /* NULL: the same */
	} good[] = {{"0%", 0, NULL},          {"25%", 250000, NULL}, {"12.5%", 125000, NULL},
		    {"100%", 1000000, NULL},  {"0.0001%", 1, NULL},  {"33.3333%", 333333, NULL},
		    {"1.50%", 15000, "1.5%"}, {"7.0%", 70000, "7%"}, {"99.9999%", 999999, NULL}};
	static const char *const bad[] = {"",
					  "%",
					  "25",
					  "101%",
					  "100.0001%",
					  "-1%",
					  "025%",
					  ".5%",
					  "1.%",
					  "1.00001%",
					  "1%%",
					  "1 %",
					  "1e1%",
					  "25%x",
					  "+1%",
					  "1000%",
					  "99999999999999999999%",
					  "0x1%"};
	struct pvgpu_backend_policy p;
	char text[80], buf[PVGPU_KEY_TEXT], err[PVGPU_KEY_ERROR];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "max-share=%s", good[i].text);
		ck_assert_int_eq(pvgpu_backend_policy_parse(text, strlen(text), &p, NULL), 0);
		ck_assert_uint_eq(p.max_share, good[i].ppm);
		ck_assert_int_eq(pvgpu_backend_policy_format(&p, buf, sizeof(buf), NULL), 0);
		snprintf(text, sizeof(text), " max-share=%s ",
			 good[i].back ? good[i].back : good[i].text);
		ck_assert_msg(strstr(buf, text) != NULL, "%s in %s", text, buf);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "max-share=%s", bad[i]);
		ck_assert_msg(pvgpu_backend_policy_parse(text, strlen(text), &p, err) == -EINVAL,
			      "%s", bad[i]);
	}
	ck_assert_int_eq(pvgpu_backend_policy_parse("max-share=2", 11, &p, err), -EINVAL);
	ck_assert_str_eq(err, "backend/policy max-share '2': must be a share of 0% to 100% with at "
			      "most four decimals, such as 12.5%");
	p.max_share = 1000001;
	ck_assert_int_eq(pvgpu_backend_policy_format(&p, buf, sizeof(buf), err), -EINVAL);
}
END_TEST

START_TEST(priorities)
{
	struct pvgpu_backend_policy p = {0};
	char err[PVGPU_KEY_ERROR];

	ck_assert_int_eq(pvgpu_backend_policy_parse("priority=low", 12, &p, NULL), 0);
	ck_assert_uint_eq(p.priority, PVGPU_PRIORITY_LOW);
	ck_assert_int_eq(pvgpu_backend_policy_parse("priority=2", 10, &p, err), -EINVAL);
	ck_assert_str_eq(err, "backend/policy priority '2': must be high, medium or low");
}
END_TEST

/* As many short fields as fit, all unknown: bounded by the text's length. */
START_TEST(a_record_full_of_fields)
{
	struct pvgpu_backend_policy p = {0};
	char buf[PVGPU_KEY_TEXT + 8];
	size_t n = 0;

	for (unsigned int i = 0; n + 5 <= PVGPU_KEY_TEXT - 1; i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%c%c=1", n ? " " : "",
				      (char)('a' + i % 26), (char)('a' + i / 26));
	ck_assert_int_eq(pvgpu_backend_policy_parse(buf, n, &p, NULL), 0);
	ck_assert_uint_eq(p.weight, 100);
	ck_assert_int_eq(pvgpu_backend_policy_parse(buf, n - 3, &p, NULL), -EINVAL);
	memset(buf, 'a', sizeof(buf));
	memcpy(buf, "a=", 2);
	ck_assert_int_eq(pvgpu_backend_policy_parse(buf, 2 + 63, &p, NULL), 0);
	ck_assert_int_eq(pvgpu_backend_policy_parse(buf, 2 + 64, &p, NULL), -EINVAL);
}
END_TEST

START_TEST(permissions)
{
	const struct pvgpu_ids driver_domain = {.fe = 3, .be = 7, .id = 0}, dom0 = {.fe = 3};
	char buf[32];

	pvgpu_key_perms(&pvgpu_keys[PVGPU_KEY_FRONTEND_RING_REF], &driver_domain, buf, sizeof(buf));
	ck_assert_str_eq(buf, "n3,r7");
	pvgpu_key_perms(&pvgpu_keys[PVGPU_KEY_BACKEND_STATE], &driver_domain, buf, sizeof(buf));
	ck_assert_str_eq(buf, "n7,r3");
	pvgpu_key_perms(&pvgpu_keys[PVGPU_KEY_BACKEND_POLICY], &driver_domain, buf, sizeof(buf));
	ck_assert_str_eq(buf, "n0,r7,r3");
	pvgpu_key_perms(&pvgpu_keys[PVGPU_KEY_BACKEND_POLICY], &dom0, buf, sizeof(buf));
	ck_assert_str_eq(buf, "n0,r3");
	pvgpu_key_perms(&pvgpu_keys[PVGPU_KEY_HOST_VERSION], &driver_domain, buf, sizeof(buf));
	ck_assert_str_eq(buf, "n7");
}
END_TEST

/* Rows: from; columns: to. '.' never, 'r' after a restore only, '+' whatever the other end is in,
 * 'o' if it is in the right state. */
static const char frontend_moves[9][10] = {
	/*                 U1234567 8 */
	/* Unknown       */ ".+.......",
	/* Initialising  */ "+..o..+..",
	/* InitWait      */ "+........",
	/* Initialised   */ "+r..oo...",
	/* Connected     */ "+o...o.o.",
	/* Closing       */ "+r....+..",
	/* Closed        */ "+o.......",
	/* Reconfiguring */ "+o...+...",
	/* Reconfigured  */ "+........",
};
static const char backend_moves[9][10] = {
	/* Unknown       */ ".+.......",
	/* Initialising  */ "+.+...+..",
	/* InitWait      */ "+...o+...",
	/* Initialised   */ "+........",
	/* Connected     */ "+.o..+...",
	/* Closing       */ "+.....+..",
	/* Closed        */ "+.o......",
	/* Reconfiguring */ "+........",
	/* Reconfigured  */ "+........",
};

static char kind_of(bool (*may)(enum pvgpu_state, enum pvgpu_state, enum pvgpu_state, bool),
		    unsigned int from, unsigned int to)
{
	unsigned int normal = 0, resumed = 0;

	for (unsigned int other = 0; other <= 8; other++) {
		normal += may(from, to, other, false);
		resumed += may(from, to, other, true);
	}
	ck_assert(resumed >= normal);
	return normal == 9 ? '+' : normal ? 'o' : resumed == 9 ? 'r' : resumed ? '!' : '.';
}

START_TEST(moves)
{
	for (unsigned int from = 0; from < 9; from++)
		for (unsigned int to = 0; to < 9; to++) {
			ck_assert_msg(kind_of(pvgpu_frontend_may_move, from, to) ==
					      frontend_moves[from][to],
				      "frontend %u -> %u", from, to);
			ck_assert_msg(kind_of(pvgpu_backend_may_move, from, to) ==
					      backend_moves[from][to],
				      "backend %u -> %u", from, to);
		}
	ck_assert(!pvgpu_frontend_may_move(1, 6, 16, false));
	ck_assert(!pvgpu_frontend_may_move(4294967295u, 0, 1, false));
	/* The other end's state decides. */
	ck_assert(pvgpu_frontend_may_move(PVGPU_STATE_INITIALISED, PVGPU_STATE_CONNECTED,
					  PVGPU_STATE_CONNECTED, false));
	ck_assert(!pvgpu_frontend_may_move(PVGPU_STATE_INITIALISED, PVGPU_STATE_CONNECTED,
					   PVGPU_STATE_INITWAIT, false));
	ck_assert(pvgpu_backend_may_move(PVGPU_STATE_INITWAIT, PVGPU_STATE_CONNECTED,
					 PVGPU_STATE_INITIALISED, false));
	ck_assert(!pvgpu_backend_may_move(PVGPU_STATE_INITWAIT, PVGPU_STATE_CONNECTED,
					  PVGPU_STATE_CONNECTED, false));
	ck_assert(pvgpu_backend_may_move(PVGPU_STATE_CLOSED, PVGPU_STATE_INITWAIT,
					 PVGPU_STATE_CLOSED, false));
	ck_assert(!pvgpu_backend_may_move(PVGPU_STATE_CLOSED, PVGPU_STATE_INITWAIT,
					  PVGPU_STATE_CONNECTED, false));
	/* Lost: not while the backend is well. */
	ck_assert(!pvgpu_frontend_may_move(PVGPU_STATE_CONNECTED, PVGPU_STATE_RECONFIGURING,
					   PVGPU_STATE_CONNECTED, false));
	ck_assert(pvgpu_frontend_may_move(PVGPU_STATE_CONNECTED, PVGPU_STATE_INITIALISING,
					  PVGPU_STATE_CONNECTED, true));
}
END_TEST

/* Xen's numbers, which are no choice of ours. */
START_TEST(xenbus_numbers)
{
	static const char *const names[] = {"Unknown",     "Initialising",  "InitWait",
					    "Initialised", "Connected",     "Closing",
					    "Closed",      "Reconfiguring", "Reconfigured"};
	enum pvgpu_state s = PVGPU_STATE_CLOSED;

	for (unsigned int i = 0; i < 9; i++)
		ck_assert_str_eq(pvgpu_name_of(&pvgpu_state_names, i), names[i]);
	ck_assert_ptr_null(pvgpu_name_of(&pvgpu_state_names, 9));
	ck_assert_int_eq(pvgpu_frontend_state_parse("4", 1, &s, NULL), 0);
	ck_assert_int_eq(s, PVGPU_STATE_CONNECTED);
	ck_assert_int_eq(pvgpu_frontend_state_parse("Connected", 9, &s, NULL), -EINVAL);
	ck_assert_int_eq(pvgpu_frontend_state_parse("0", 1, &s, NULL), -EINVAL);
}
END_TEST

START_TEST(quotas)
{
	unsigned int vgpu = 0, own = 1;

	for (int i = 0; i < PVGPU_KEYS; i++) {
		vgpu += pvgpu_keys[i].tree->per_vgpu;
		own += pvgpu_keys[i].tree->per_vgpu && pvgpu_keys[i].owner == PVGPU_BACKEND;
	}
	ck_assert_uint_le(vgpu, 20);
	ck_assert_uint_le(own, 8);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys");
	TCase *t = tcase_create("keys");
	SRunner *r;
	int failed;

	tcase_add_test(t, every_number_at_its_bounds);
	tcase_add_test(t, every_field_at_its_bounds);
	tcase_add_test(t, every_text_and_list_at_its_length);
	tcase_add_test(t, what_no_key_takes);
	tcase_add_test(t, a_nul_is_no_end);
	tcase_add_test(t, examples_and_defaults);
	tcase_add_test(t, sizes);
	tcase_add_test(t, version_ranges);
	tcase_add_test(t, grant_references);
	tcase_add_test(t, flags);
	tcase_add_test(t, uuids);
	tcase_add_test(t, paths);
	tcase_add_test(t, texts);
	tcase_add_test(t, records);
	tcase_add_test(t, shares);
	tcase_add_test(t, priorities);
	tcase_add_test(t, a_record_full_of_fields);
	tcase_add_test(t, permissions);
	tcase_add_test(t, moves);
	tcase_add_test(t, xenbus_numbers);
	tcase_add_test(t, quotas);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
