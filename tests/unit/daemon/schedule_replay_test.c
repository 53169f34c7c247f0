/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's scheduling (daemon/dispatch) decides what it did when the tables in
 * tests/unit/daemon/replay were recorded. `schedule_replay_test --record [LOAD...]` records them
 * again, which is right for an intended difference only: docs/testing.md.
 */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/daemon/schedule_loads.h"

#define FOLDER "tests/unit/daemon/replay"

static FILE *open_table(const char *load, const char *mode)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), FOLDER "/%s.txt", load);
	f = fopen(path, mode);
	if (!f)
		fprintf(stderr,
			"%s: %s: run this in the repository's folder; schedule_replay_test "
			"--record %s makes the table\n",
			path, strerror(errno), load);
	return f;
}

START_TEST(decides_as_recorded)
{
	const char *name = loads[_i].name;
	static struct text decided;
	static char line[2 * LINE_MOST];
	unsigned int n = 0, inputs = 0;
	FILE *f = open_table(name, "r");
	char *recorded;

	ck_assert_ptr_nonnull(f);
	replay_start();
	while (fgets(line, sizeof(line), f)) {
		n++;
		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		recorded = strstr(line, " >");
		ck_assert_msg(recorded != NULL, "%s.txt:%u has no decision", name, n);
		*recorded = '\0';
		recorded += 2;
		replay_line(line, &decided);
		inputs++;
		ck_assert_msg(!strcmp(decided.s, recorded),
			      "%s.txt:%u: after the input %s\n\tdecided: %s\n\trecorded:%s", name,
			      n, line, decided.s, recorded);
	}
	fclose(f);
	ck_assert_uint_gt(inputs, 0);
	replay_end();
}
END_TEST

/* A table that no test plays checks nothing. */
START_TEST(each_table_is_a_load)
{
	DIR *d = opendir(FOLDER);
	struct dirent *e;
	unsigned int n = 0;

	ck_assert_msg(d != NULL, FOLDER ": run this in the repository's folder");
	while ((e = readdir(d))) {
		const size_t stem = strcspn(e->d_name, ".");
		bool known = e->d_name[0] == '.';

		for (size_t i = 0; i < LOADS; i++) {
			known |= strlen(loads[i].name) == stem &&
				 !strncmp(loads[i].name, e->d_name, stem);
		}
		ck_assert_msg(known, FOLDER "/%s is not the table of a load in schedule_loads.h",
			      e->d_name);
		n += e->d_name[0] != '.';
	}
	closedir(d);
	ck_assert_uint_eq(n, LOADS);
}
END_TEST

/* ---- --record ---- */

static char **wanted; /* loads, up to a NULL; none: all */

static bool is_wanted(const char *load)
{
	for (char **w = wanted; *w; w++) {
		if (!strcmp(*w, load))
			return true;
	}
	return !*wanted;
}

START_TEST(record_table)
{
	const struct load *l = &loads[_i];
	FILE *f;

	if (!is_wanted(l->name))
		return;
	f = open_table(l->name, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "# %s\n# The format: tests/unit/daemon/schedule_replay.h\n", l->about);
	record_load(l, f);
	ck_assert_int_eq(fclose(f), 0);
}
END_TEST

static bool are_loads(void)
{
	for (char **w = wanted; *w; w++) {
		size_t i = 0;

		while (i < LOADS && strcmp(*w, loads[i].name))
			i++;
		if (i < LOADS)
			continue;
		fprintf(stderr, "--record %s: there is no such load in schedule_loads.h\n", *w);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	Suite *suite = suite_create("schedule_replay");
	TCase *c = tcase_create("schedule_replay");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(c, 120);
	if (argc > 1 && !strcmp(argv[1], "--record")) {
		wanted = argv + 2;
		if (!are_loads())
			return EXIT_FAILURE;
		tcase_add_loop_test(c, record_table, 0, LOADS);
	} else {
		tcase_add_test(c, each_table_is_a_load);
		tcase_add_loop_test(c, decides_as_recorded, 0, LOADS);
	}
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
