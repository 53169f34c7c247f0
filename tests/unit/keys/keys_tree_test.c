/* SPDX-License-Identifier: MIT */
/* Whole trees: the reader of xenstore-ls and the validator. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xenstore-schema/dump.h"

#define FE "/local/domain/3/device/pvgpu/0"
#define BE "/local/domain/7/backend/pvgpu/3/0"

static const char good[] =
	"/local/domain/3/name = \"guest\"   (n0,r3)\n" FE " = \"\"   (n3,r7)\n" FE
	"/backend = \"" BE "\"   (n3,r7)\n" FE "/backend-id = \"7\"   (n3,r7)\n" FE
	"/state = \"4\"   (n3,r7)\n" FE "/protocol-version = \"1\"   (n3,r7)\n" FE
	"/ring-ref = \"8\"   (n3,r7)\n" FE "/event-channel = \"15\"   (n3,r7)\n" BE
	" = \"\"   (n7,r3)\n" BE "/frontend = \"" FE "\"   (n0,r7,r3)\n" BE
	"/frontend-id = \"3\"   (n0,r7,r3)\n" BE "/online = \"1\"   (n0,r7,r3)\n" BE
	"/uuid = \"9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90\"   (n0,r7,r3)\n" BE
	"/state = \"4\"   (n7,r3)\n" BE "/protocol-version = \"1-3\"   (n7,r3)\n" BE
	"/policy = \"weight=200\"   (n0,r7,r3)\n"
	"/local/domain/7/data/pvgpu/version = \"0.1.0\"   (n7)\n";

static char said[4096];

static void note(void *arg, enum pvgpu_severity severity, const char *path, const char *text)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%c %s: %s\n", severity == PVGPU_ERROR ? 'E' : 'W',
		 path, text);
}

static struct pvgpu_findings judge(const char *dump)
{
	struct pvgpu_findings f = {.report = note};
	size_t len = strlen(dump), cap = pvgpu_dump_lines(dump, len), line;
	struct pvgpu_entry *e = calloc(cap, sizeof(*e));
	char *text = strdup(dump);
	const char *why;
	long n = pvgpu_dump_read(text, len, e, cap, &line, &why);
	bool fine;

	said[0] = '\0';
	ck_assert_msg(n >= 0, "line %zu: %s", line, n < 0 ? why : "");
	fine = pvgpu_keys_validate(e, (size_t)n, &f);
	ck_assert(fine == !f.errors);
	free(e);
	free(text);
	return f;
}

/* The good dump with its first occurrence of old replaced. */
static struct pvgpu_findings changed(const char *old, const char *by)
{
	const char *at = strstr(good, old);
	char text[8192];

	ck_assert_msg(at, "%s", old);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, by, at + strlen(old));
	return judge(text);
}

static void finds(const char *old, const char *by, size_t errors, size_t warnings, const char *what)
{
	struct pvgpu_findings f = changed(old, by);

	ck_assert_msg(f.errors == errors && f.warnings == warnings && strstr(said, what),
		      "'%s': %zu errors, %zu warnings\n%s", by, f.errors, f.warnings, said);
}

START_TEST(a_good_tree)
{
	struct pvgpu_findings f = judge(good);

	ck_assert_msg(!f.errors && !f.warnings, "%s", said);
	ck_assert_uint_eq(f.vgpus, 1);
	ck_assert_uint_eq(f.keys, 14);
	f = judge("");
	ck_assert_uint_eq(f.keys, 0);
	f = judge("/a = \"b\"\n");
	ck_assert_uint_eq(f.keys + f.errors, 0);
}
END_TEST

START_TEST(values)
{
	finds("ring-ref = \"8\"", "ring-ref = \"0\"", 1, 0,
	      "E " FE "/ring-ref: frontend/ring-ref '0': must be 1 to 4 grant references");
	finds("weight=200", "weight=0", 1, 0,
	      "backend/policy weight '0': must be a number from 1 to 10000");
	finds("\"1-3\"", "\"3-1\"", 1, 0, "must be a version or a range");
	finds("/event-channel", "/event-chanel", 1, 1,
	      "event-channel is missing, which must be there in state Connected");
	finds(FE "/ring-ref", FE "/event-channel", 2, 0, "is there twice");
	finds("/ring-ref = ", "/ring-ref/0 = ", 1, 1,
	      "W " FE "/ring-ref/0: no key of this version");
}
END_TEST

START_TEST(what_must_be_there)
{
	finds(FE "/ring-ref = \"8\"   (n3,r7)\n", "", 1, 0, "E " FE ": ring-ref is missing");
	finds(BE "/uuid", BE "/uid", 1, 1, "E " BE ": uuid is missing");
	finds("/state = \"4\"   (n3,r7)\n", "/state = \"1\"   (n3,r7)\n", 0, 0, "");
	finds(FE "/state = \"4\"   (n3,r7)\n", "", 1, 0, "state is missing");
	finds("/state = \"4\"   (n3,r7)\n", "/state = \"9\"   (n3,r7)\n", 1, 0,
	      "frontend/state '9': must be 1 (Initialising)");
}
END_TEST

START_TEST(both_ends)
{
	finds("backend-id = \"7\"", "backend-id = \"0\"", 1, 0,
	      "'0' does not fit the paths, which say 7");
	finds("frontend-id = \"3\"", "frontend-id = \"4\"", 1, 0, "which say 3");
	finds("\"" BE "\"", "\"/local/domain/7/backend/pvgpu/4/0\"", 1, 0,
	      "is the directory of another vGPU");
	finds("\"" FE "\"", "\"/local/domain/3/device/pvgpu/1\"", 1, 0,
	      "is the directory of another vGPU");
}
END_TEST

START_TEST(an_end_that_is_not_shown)
{
	static const char one[] =
		FE "/backend = \"" BE "\"\n" FE "/backend-id = \"7\"\n" FE "/state = \"1\"\n";
	struct pvgpu_findings f = judge(one);

	ck_assert_uint_eq(f.errors, 0);
	ck_assert_uint_eq(f.warnings, 1);
	ck_assert_ptr_nonnull(strstr(said, "that directory is not there"));
}
END_TEST

START_TEST(permissions)
{
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   (n3)", 1, 0,
	      "permissions 'n3': must be n3,r7");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   (r3)", 1, 0, "must be n3,r7");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   (n3,b7)", 1, 0, "must be n3,r7");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   (n3,r7,r5)", 1, 0,
	      "must be n3,r7");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   (n7,r3)", 1, 0, "must be n3,r7");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   (n3,r7,b0)", 0, 0, "");
	finds("/online = \"1\"   (n0,r7,r3)", "/online = \"1\"   (n7,r3)", 1, 0,
	      "must be n0,r7,r3");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"", 0, 0, "");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   (n3,r99999999999999999999999)", 1,
	      0, "must be n3,r7");
	finds("/ring-ref = \"8\"   (n3,r7)", "/ring-ref = \"8\"   ()", 1, 0, "must be n3,r7");
}
END_TEST

START_TEST(what_xenstore_ls_writes)
{
	char text[] = "/a = \"q\"u\\t\\\\ote\\x7f\\001\" . . (n0)\n\n/b:\n/c:  (n1)\n/d = \"\"";
	struct pvgpu_entry e[5];
	const char *why;
	size_t line;

	ck_assert_int_eq(pvgpu_dump_read(text, strlen(text), e, 5, &line, &why), 4);
	ck_assert_str_eq(e[0].path, "/a");
	ck_assert_uint_eq(e[0].len, 10);
	ck_assert(!memcmp(e[0].value, "q\"u\t\\ote\x7f\001", 10));
	ck_assert_str_eq(e[0].perms, "n0");
	ck_assert_str_eq(e[1].path, "/b");
	ck_assert_str_eq(e[2].perms, "n1");
	ck_assert_uint_eq(e[3].len, 0);
}
END_TEST

START_TEST(what_it_does_not_write)
{
	static const struct {
		const char *text, *why;
		size_t line;
	} bad[] = {
		{"/a = \"b\"\nvalue\n", "begins with a path", 2},
		{" a = \"b\"\n", "begins with a path", 1},
		{"/a = b\n", "PATH = \"VALUE\"", 1},
		{"/a = \"\n", "PATH = \"VALUE\"", 1},
		{"/a\n", "PATH", 1},
		{"/a = \"long\\...\"\n", "cut to the width", 1},
		{"/a = \"\\q\"", "backslash", 1},
		{"/a = \"\\\"", "backslash", 1},
		{"/a = \"\\x1\"", "backslash", 1},
		{"/a = \"\\777\"", "backslash", 1},
		{"/a = \"b\"\n/b = \"c\"\n/c = \"d\"\n", "too many", 3},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = strdup(bad[i].text);
		struct pvgpu_entry e[2];
		const char *why = "";
		size_t line;

		ck_assert_msg(pvgpu_dump_read(text, strlen(text), e, 2, &line, &why) == -1, "%s",
			      bad[i].text);
		ck_assert_msg(strstr(why, bad[i].why) && line == bad[i].line, "%s: %zu: %s",
			      bad[i].text, line, why);
		free(text);
	}
}
END_TEST

START_TEST(many)
{
	struct pvgpu_findings f;
	char *text = NULL;
	size_t size;
	FILE *m = open_memstream(&text, &size);

	for (unsigned int i = 2; i < 302; i++) {
		for (int k = 0; k < PVGPU_KEYS; k++) {
			const struct pvgpu_ids ids = {.fe = i, .be = 1};
			char path[128], to[128];

			if (!pvgpu_keys[k].tree->per_vgpu)
				continue;
			pvgpu_tree_path(pvgpu_keys[k].tree, &ids, pvgpu_keys[k].name, path,
					sizeof(path));
			snprintf(to, sizeof(to), "%s", pvgpu_keys[k].example);
			if (pvgpu_keys[k].target)
				pvgpu_tree_path(pvgpu_keys[k].target, &ids, NULL, to, sizeof(to));
			if (pvgpu_keys[k].type == PVGPU_TYPE_DOMID)
				snprintf(to, sizeof(to), "%u",
					 k == PVGPU_KEY_FRONTEND_BACKEND_ID ? 1 : i);
			fprintf(m, "%s = \"%s\"\n", path, to);
		}
	}
	fclose(m);
	f = judge(text);
	ck_assert_msg(!f.errors && !f.warnings, "%s", said);
	ck_assert_uint_eq(f.vgpus, 300);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys_tree");
	TCase *t = tcase_create("keys_tree");
	SRunner *r;
	int failed;

	tcase_add_test(t, a_good_tree);
	tcase_add_test(t, values);
	tcase_add_test(t, what_must_be_there);
	tcase_add_test(t, both_ends);
	tcase_add_test(t, an_end_that_is_not_shown);
	tcase_add_test(t, permissions);
	tcase_add_test(t, what_xenstore_ls_writes);
	tcase_add_test(t, what_it_does_not_write);
	tcase_add_test(t, many);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
