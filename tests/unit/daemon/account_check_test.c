/* SPDX-License-Identifier: MIT */
/* daemon/rules/account_check.c: what pvgpu-health may say. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/rules/account_check.h"

#define NOW 1000000000000ull

static char why[100];

static int check(const struct health_msg *m)
{
	return account_check(m, NOW, why, sizeof(why));
}

static struct health_msg process(void)
{
	return (struct health_msg){.kind = HEALTH_PROCESS,
				   .device = 1,
				   .pid = 1234,
				   .at_ns = NOW,
				   .process = {.begin_ns = NOW - 200,
					       .end_ns = NOW - 100,
					       .busy_ns = 100,
					       .memory = HEALTH_UNKNOWN}};
}

#define REFUSED(field, value, word)                                                                \
	do {                                                                                       \
		struct health_msg m_ = process();                                                  \
                                                                                                   \
		m_.field = value;                                                                  \
		ck_assert_int_eq(check(&m_), -1);                                                  \
		ck_assert_msg(strstr(why, word) != NULL, "%s", why);                               \
	} while (0)

START_TEST(good)
{
	struct health_msg m = process();

	ck_assert_int_eq(check(&m), 0);
	m.process.memory = 5 << 20;
	ck_assert_int_eq(check(&m), 0);
	m.process.begin_ns = m.process.end_ns = m.process.busy_ns = 0;
	ck_assert_int_eq(check(&m), 0);
	m = (struct health_msg){.kind = HEALTH_ROUND, .at_ns = NOW};
	ck_assert_int_eq(check(&m), 0);
	m = (struct health_msg){.kind = HEALTH_XID, .code = 79, .at_ns = NOW};
	ck_assert_int_eq(check(&m), 0);
	m = (struct health_msg){.kind = HEALTH_FACTS, .code = HEALTH_PART};
	ck_assert_int_eq(check(&m), 0);
	m = (struct health_msg){.kind = HEALTH_HELLO, .code = HEALTH_VERSION, .device = 8};
	ck_assert_int_eq(check(&m), 0);
}
END_TEST

START_TEST(bad)
{
	struct health_msg m = {.kind = HEALTH_HELLO, .code = HEALTH_VERSION + 1};

	ck_assert_int_eq(check(&m), -1);
	ck_assert_str_eq(why, "a record of kind 1 with a bad version");
	m = (struct health_msg){.kind = HEALTH_XID, .code = 1 << 20};
	ck_assert_int_eq(check(&m), -1);
	m = (struct health_msg){.kind = HEALTH_DEVICE, .device_memory.total = UINT64_MAX};
	ck_assert_int_eq(check(&m), -1);
	m = (struct health_msg){.kind = HEALTH_FACTS, .code = 1};
	ck_assert_int_eq(check(&m), -1);
	m = (struct health_msg){.kind = HEALTH_FACTS, .code = 1000 * HEALTH_PART};
	ck_assert_int_eq(check(&m), -1);
	REFUSED(kind, 0, "kind");
	REFUSED(kind, HEALTH_KINDS, "kind");
	REFUSED(device, HEALTH_DEVICES, "device");
	REFUSED(pid, UINT32_MAX, "pid");
	REFUSED(at_ns, NOW * 2, "time");
	REFUSED(process.end_ns, NOW * 2, "time");
	REFUSED(process.end_ns, 1, "time");
	REFUSED(process.end_ns, 0, "time");
	REFUSED(process.begin_ns, 0, "time");
	REFUSED(process.busy_ns, UINT64_MAX, "use");
	REFUSED(process.memory_ns, UINT64_MAX, "use");
	REFUSED(process.memory, UINT64_MAX - 1, "memory");
}
END_TEST

START_TEST(texts)
{
	char in[40], out[41];

	memset(in, 'x', sizeof(in));
	account_text(in, out);
	ck_assert_uint_eq(strlen(out), 40);
	memcpy(in, "a\nb\x80\0c", 6);
	account_text(in, out);
	ck_assert_str_eq(out, "a?b?");
}
END_TEST

#define MS 1000000ull

START_TEST(owed)
{
	struct account_vgpu a = {0};
	uint64_t charged = 7000 * MS, sum = 0;

	/* Use before the first sample is unknown. */
	account_add(&a, 5000 * MS, NOW, NOW);
	ck_assert_uint_eq(account_settle(&a, charged), 0);
	for (int i = 0; i < 100; i++) {
		account_add(&a, 30 * MS, NOW, NOW);
		charged += 20 * MS;
		charged += account_settle(&a, charged);
		sum = charged - 7000 * MS;
	}
	/* All of it, but for the part below the threshold. */
	ck_assert_uint_ge(sum, 2950 * MS);
	ck_assert_uint_le(sum, 3000 * MS);
	/* Charged and not used: it earns hardly any credit. */
	for (int i = 0; i < 100; i++) {
		account_add(&a, 0, NOW, NOW);
		charged += 20 * MS;
		ck_assert_uint_eq(account_settle(&a, charged), 0);
	}
	account_add(&a, 150 * MS, NOW, NOW);
	ck_assert_uint_eq(account_settle(&a, charged), 100 * MS);
}
END_TEST

/* Samples come once a second, and late; charges go on all the time. */
START_TEST(owed_later)
{
	struct account_vgpu a = {0};
	uint64_t charged = 0;

	for (int i = 0; i < 300; i++) {
		charged += 25 * MS;
		if (i % 10 == 9)
			account_add(&a, 250 * MS, NOW - 700 * MS, NOW);
		ck_assert_uint_eq(account_settle(&a, charged), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("account_check");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, good);
	tcase_add_test(tc, bad);
	tcase_add_test(tc, texts);
	tcase_add_test(tc, owed);
	tcase_add_test(tc, owed_later);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
