/* SPDX-License-Identifier: MIT */
/* The accessors of single keys, by kind of value: read, written, refused. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/keys/keys_take.h"

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
		"backend/memory '1025T': must be 0, or bytes or a number with K, M, G or T, 1M to "
		"1024T");
	/* A size without its unit is a mistake; 0 is not, where it has a meaning. */
	ck_assert_int_eq(pvgpu_backend_memory_parse("8", 1, &v, err), -EINVAL);
	ck_assert_str_eq(err, "backend/memory '8': must be 0, or bytes or a number with K, M, G or "
			      "T, 1M to 1024T; did you mean 8G?");
	ck_assert_int_eq(pvgpu_backend_memory_parse("512", 3, &v, err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "; did you mean 512M?"));
	ck_assert_int_eq(pvgpu_backend_memory_parse("1023K", 5, &v, err), -EINVAL);
	ck_assert_ptr_null(strstr(err, "did you mean"));
	ck_assert_uint_eq(v, 1024ull << 40);
	ck_assert_int_eq(pvgpu_backend_memory_parse("1M", 2, &v, NULL), 0);
	ck_assert_uint_eq(v, 1 << 20);
	ck_assert_int_eq(pvgpu_backend_memory_parse("0", 1, &v, NULL), 0);
	ck_assert_uint_eq(v, 0);
	ck_assert_int_eq(pvgpu_backend_memory_format(0, buf, sizeof(buf), NULL), 0);
	ck_assert_int_eq(pvgpu_backend_memory_format(4096, buf, sizeof(buf), NULL), -EINVAL);
	ck_assert_int_eq(pvgpu_backend_memory_parse("1024T", 5, &v, NULL), 0);
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
		keys_take_expect(k, bad[i], false);
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
		keys_take_expect(&pvgpu_keys[PVGPU_KEY_FRONTEND_BACKEND], bad[i], false);
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
	/* An error quotes a limited part of the text, without control characters. */
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
			 "queue-depth=0 kernel-limit=10000 latency-goal=0 memory-reserve=0 park=0 "
			 "pardon=0");
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

/* The largest number of unknown short fields, bounded by the text's length. */
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

START_TEST(messages)
{
	static const char *const bad[] = {
		"1",
		"1 ",
		"1 0",
		"1 0/",
		"1 0/1",
		"0 0/1 x",
		"01 0/1 x",
		"1 00/1 x",
		"1 0/01 x",
		"1 1/1 x",
		"1 2/1 x",
		"1  0/1 x",
		" 1 0/1 x",
		"1 0/1\tx",
		"1 0/1 x\n",
		"1 0/1 \x7f",
		"-1 0/1 x",
		"1 -0/1 x",
		"1 0/1 x\xe9",
		"1 0/4294967296 x",
		"1 4294967296/0 x",
		"18446744073709551616 0/1 x",
	};
	struct pvgpu_message m, again;
	char buf[PVGPU_KEY_TEXT], err[PVGPU_KEY_ERROR];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		keys_take_expect(&pvgpu_keys[PVGPU_KEY_HOST_ANSWER], bad[i], false);
	/* A NUL is no end. */
	ck_assert_int_eq(pvgpu_host_answer_parse("1 0/1 x\0y", 9, &m, NULL), -EINVAL);
	ck_assert_int_eq(pvgpu_host_answer_parse(NULL, 0, &m, NULL), 0);
	ck_assert_uint_eq(m.number, 0);
	ck_assert_int_eq(pvgpu_host_answer_format(&m, buf, sizeof(buf), NULL), 0);
	ck_assert_str_eq(buf, "");
	snprintf(buf, sizeof(buf), "18446744073709551615 4294967294/4294967295 ");
	memset(buf + strlen(buf), 'x', PVGPU_MESSAGE_MAX + 1);
	buf[43 + PVGPU_MESSAGE_MAX + 1] = '\0';
	ck_assert_int_eq(pvgpu_host_answer_parse(buf, strlen(buf), &m, err), -EINVAL);
	buf[43 + PVGPU_MESSAGE_MAX] = '\0';
	ck_assert_int_eq(pvgpu_host_answer_parse(buf, strlen(buf), &m, err), 0);
	ck_assert_uint_eq(m.number, UINT64_MAX);
	ck_assert_uint_eq(m.page, UINT32_MAX - 1);
	ck_assert_uint_eq(m.len, PVGPU_MESSAGE_MAX);
	ck_assert_int_eq(pvgpu_host_answer_format(&m, buf, 100, err), -ENOSPC);
	ck_assert_int_eq(pvgpu_host_answer_format(&m, buf, sizeof(buf), err), 0);
	ck_assert_int_eq(pvgpu_host_answer_parse(buf, strlen(buf), &again, err), 0);
	ck_assert_mem_eq(&m, &again, sizeof(m));
	m.s[3] = '\n';
	ck_assert_int_eq(pvgpu_host_answer_format(&m, buf, sizeof(buf), err), -EINVAL);
	m.s[3] = '\0';
	ck_assert_int_eq(pvgpu_host_answer_format(&m, buf, sizeof(buf), err), -EINVAL);
	m.len = PVGPU_MESSAGE_MAX + 1;
	ck_assert_int_eq(pvgpu_host_answer_format(&m, buf, sizeof(buf), err), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys_values");
	TCase *t = tcase_create("keys_values");
	SRunner *r;
	int failed;

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
	tcase_add_test(t, messages);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
