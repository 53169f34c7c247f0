/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's scheduling (daemon/dispatch) decides what it did when the tables in
 * tests/unit/daemon/replay were recorded, and these walk each row of the table of states.
 * `schedule_replay_test --record [LOAD...]` records them again, which is right for an intended
 * difference only: docs/testing.md.
 */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/daemon/schedule_loads.h"
#include "xen-pvgpu-back/sched/turn/internal.h"

#define FOLDER   "tests/unit/daemon/replay"
#define DOCUMENT "docs/scheduling-model.md"

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

static void play_table(const char *name)
{
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

START_TEST(decides_as_recorded)
{
	play_table(loads[_i].name);
}
END_TEST

/* ---- the table of states ---- */

static const char *const states[TURN_STATES] = {
	[TURN_OUT] = "out",
	[TURN_ALONE] = "alone",
	[TURN_MEMBER] = "member",
	[TURN_HELD] = "held",
	[TURN_HELD_DRAINS] = "held, drains",
	[TURN_DRAINS] = "drains",
	[TURN_HELPED] = "helped",
};

static const char *const events[TURN_EVENTS] = {
	[TURN_GRANT] = "grant", [TURN_CLOSE] = "close",     [TURN_BUSY] = "busy",
	[TURN_JOIN] = "join",   [TURN_DRAINED] = "drained", [TURN_OPEN] = "open",
	[TURN_DROP] = "drop",   [TURN_HELP] = "help",       [TURN_HELP_OVER] = "help over",
};

static unsigned int walked[TURN_STATES][TURN_EVENTS];

void __real_state_event(struct turn_vgpu *v, enum turn_event event);
void __wrap_state_event(struct turn_vgpu *v, enum turn_event event);

void __wrap_state_event(struct turn_vgpu *v, enum turn_event event)
{
	enum turn_state to = v->state;
	const bool known = state_after(v->state, event, &to);

	ck_assert_msg(known, "%s does not know %s", states[v->state], events[event]);
	walked[v->state][event]++;
	__real_state_event(v, event);
	ck_assert_int_eq(v->state, to);
}

/* Returns the number of the document's rows that begin so: | state | event | next |. */
static unsigned int rows_of(const char *begin)
{
	unsigned int n = 0;
	char line[1024];
	FILE *f = fopen(DOCUMENT, "r");

	ck_assert_msg(f != NULL, DOCUMENT ": run this in the repository's folder");
	while (fgets(line, sizeof(line), f))
		n += !strncmp(line, begin, strlen(begin));
	fclose(f);
	return n;
}

static void check_row(enum turn_state from, enum turn_event event)
{
	char begin[128], row[192];
	enum turn_state to;
	const bool known = state_after(from, event, &to);

	snprintf(begin, sizeof(begin), "| %s | %s | ", states[from], events[event]);
	ck_assert_msg(rows_of(begin) == known, DOCUMENT ": %u rows %s", rows_of(begin), begin);
	if (!known)
		return;
	snprintf(row, sizeof(row), "%s%s |", begin, states[to]);
	ck_assert_msg(rows_of(row) == 1, DOCUMENT ": no row %s", row);
	ck_assert_msg(walked[from][event] != 0, "no load walks %s", row);
}

START_TEST(states_are_walked)
{
	for (size_t i = 0; i < LOADS; i++)
		play_table(loads[i].name);
	for (int from = 0; from < TURN_STATES; from++) {
		for (int event = 0; event < TURN_EVENTS; event++)
			check_row(from, event);
	}
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
		tcase_add_test(c, states_are_walked);
		tcase_add_loop_test(c, decides_as_recorded, 0, LOADS);
	}
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
