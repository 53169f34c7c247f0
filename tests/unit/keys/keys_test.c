/* SPDX-License-Identifier: MIT */
/* Tests of all keys: every bound of every key, garbage, examples, permissions, states. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/keys/keys_take.h"

static void expect_number(const struct pvgpu_key *k, uint64_t v, bool good)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	keys_take_expect(k, text, good);
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
		keys_take_expect(k, "18446744073709551616", false);
		keys_take_expect(k, "99999999999999999999", false);
		keys_take_expect(k, "340282366920938463463374607431768211457", false);
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
					keys_take_expect(k, text, n < 2);
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
			keys_take_expect(k, "", k->min == 0);
			memset(text, 'x', k->max + 1);
			keys_take_expect(k, text, false);
			text[k->max] = '\0';
			keys_take_expect(k, text, true);
			text[0] = '\n';
			keys_take_expect(k, text, false);
			text[0] = (char)0xc3;
			keys_take_expect(k, text, false);
		}
		if (k->type != PVGPU_TYPE_REFS)
			continue;
		for (uint64_t n = 1; n <= k->max + 1; n++) {
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu",
				 n > 1 ? "," : "", 4294967296ull - n);
			keys_take_expect(k, text, n <= k->max);
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
			taken += !keys_take(k, garbage[g], strlen(garbage[g]), NULL);
		/* A flag set accepts two unknown names; a record accepts "a=1=". */
		if (k->type != PVGPU_TYPE_TEXT)
			ck_assert_msg(taken <= (k->type == PVGPU_TYPE_FLAGS ? 2u : 1u),
				      "%s takes %u", k->name, taken);
	}
}
END_TEST

START_TEST(a_nul_is_no_end)
{
	const struct pvgpu_key *k = &pvgpu_keys[PVGPU_KEY_FRONTEND_EVENT_CHANNEL];

	ck_assert_int_eq(keys_take(k, "7", 1, NULL), 0);
	ck_assert_int_eq(keys_take(k, "7\0", 2, NULL), -EINVAL);
	ck_assert_int_eq(keys_take(k, "7\0008", 3, NULL), -EINVAL);
	ck_assert_int_eq(keys_take(k, "", 0, NULL), -EINVAL);
}
END_TEST

START_TEST(examples_and_defaults)
{
	for (int i = 0; i < PVGPU_KEYS; i++) {
		const struct pvgpu_key *k = &pvgpu_keys[i];
		char err[PVGPU_KEY_ERROR] = "";

		keys_take_expect(k, k->example, true);
		if (k->def)
			keys_take_expect(k, k->def, true);
		ck_assert_int_eq(pvgpu_key_check(k, NULL, 0, err), k->def ? 0 : -ENOENT);
		ck_assert(k->def || strstr(err, "is missing"));
	}
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

/* Rows: from; columns: to. '.' never, 'r' after a restore only, '+' in any state of the other end,
 * 'o' in some states of it. */
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
	/* Moves that depend on the other end's state. */
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
	/* The backend is lost: not while it is connected. */
	ck_assert(!pvgpu_frontend_may_move(PVGPU_STATE_CONNECTED, PVGPU_STATE_RECONFIGURING,
					   PVGPU_STATE_CONNECTED, false));
	ck_assert(pvgpu_frontend_may_move(PVGPU_STATE_CONNECTED, PVGPU_STATE_INITIALISING,
					  PVGPU_STATE_CONNECTED, true));
}
END_TEST

/* The numbers are Xen's. */
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
	ck_assert_uint_le(vgpu, 24);
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
